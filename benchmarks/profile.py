"""Speed of the app against that of llama.cpp itself.

Every question is asked three ways, one after the other, so that a busy machine slows all
alike: as the app asks it with the database's prefix evaluated before (warm), with nothing
evaluated before (cold), and as bare llama.cpp calls that evaluate the same tokens and
neither sample nor check anything (raw). Ratios are to raw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from tabulate import tabulate

from benchmarks.cold_start import cold_start
from benchmarks.datasets import Dataset, sample
from benchmarks.provenance import model_sha256, provenance
from benchmarks.results import percentile
from benchmarks.suites import load_suite
from t2sql_tui.backends import load_backend
from t2sql_tui.core.ask import ask
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import find_model
from t2sql_tui.core.types import (
    AskOptions,
    Example,
    Generation,
    GenerationSettings,
    Prompt,
    Question,
)

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Timing:
    """One question, one way. Seconds; `prompt` counts evaluated prompt tokens; `joules` is
    None where the machine does not tell."""

    seconds: float
    first_token: float
    prompt: int
    written: int
    joules: float | None = None

    @property
    def seconds_per_prompt_token(self) -> float:
        """Of the prompt tokens that were evaluated."""
        return self.first_token / self.prompt

    @property
    def seconds_per_written_token(self) -> float:
        """Of the written tokens but the first, which comes out of the prompt's evaluation."""
        return (self.seconds - self.first_token) / max(self.written - 1, 1)


def profile_model(
    model: str,
    suite: str,
    limit: int,
    seed: int,
    n_threads: int | None,
    data: Path | None,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Speed and memory of `model` on `limit` questions of `suite`, as plain JSON. `note` is
    called with each sentence for the person at the terminal.

    Raises: DataError, ModelError.
    """
    spec = find_model(model)
    dataset = sample(load_suite(suite, data), limit, seed)
    note("Cold start, in a process of its own ...")
    first = dataset.examples[0]
    start = cold_start(model, dataset.files[first.database][0], first.question, n_threads)
    note(f"{len(dataset.examples)} questions, three ways ...")
    backend = load_backend(spec, n_threads=n_threads, cache_folder=None)
    try:
        warm, cold, raw = measure(dataset, backend)
    finally:
        backend.close()
    joules = [t.joules for t in warm if t.joules is not None]
    return {
        "model": spec.name,
        "model_sha256": model_sha256(spec),
        "suite": suite,
        "questions": len(warm),
        "cold_start": start,
        "warm": _summary(warm),
        "cold": _summary(cold),
        "raw": _summary(raw),
        "ratios": ratios(warm, cold, raw),
        "joules_per_question": median(joules) if joules else None,
        "provenance": provenance(),
    }


def measure(dataset: Dataset, backend: Any) -> tuple[list[Timing], list[Timing], list[Timing]]:
    """Timings of every example, warm, cold and raw. `backend` is a GGUFBackend."""
    warm, cold, raw = [], [], []
    with _Raw(backend) as bare:
        for number, example in enumerate(dataset.examples):
            timing, prompt = _warm(dataset, example, backend)
            warm.append(timing)
            # Nothing cached can begin with this number.
            uncached = replace(prompt, prefix=f"{number} {prompt.prefix}")
            started = time.perf_counter()
            generation = backend.generate(uncached, GenerationSettings())
            cold.append(_timing(generation, time.perf_counter() - started))
            tokens = backend.tokenize(uncached.prefix) + backend.tokenize(uncached.suffix)
            written = backend.tokenize(generation.candidates[0].text)
            raw.append(bare.time(tokens, written, generation.completion_tokens))
    return warm, cold, raw


def _warm(dataset: Dataset, example: Example, backend: Any) -> tuple[Timing, Prompt]:
    """One question as the app asks it, with the prefix evaluated before, and its prompt."""
    options = AskOptions(repairs=0)
    with open_database(dataset.files[example.database][0]) as database:
        question = Question(example.question, example.evidence)
        # Once before the clock starts, for the prompt and the warm prefix.
        prompt = ask(question, database, backend, options).generations[0].prompt
        backend.warm(prompt.prefix)
        before, started = _joules(), time.perf_counter()
        generation = ask(question, database, backend, options).generations[0]
        seconds, after = time.perf_counter() - started, _joules()
    joules = after - before if before is not None and after is not None else None
    return _timing(generation, seconds, joules), prompt


def _timing(generation: Generation, seconds: float, joules: float | None = None) -> Timing:
    evaluated = generation.prompt_tokens - generation.cached_tokens
    written = generation.completion_tokens
    return Timing(seconds, generation.first_token_seconds, evaluated, written, joules)


class _Raw:
    """Bare llama.cpp on the weights that `backend` has loaded, in a context of its own."""

    def __init__(self, backend: Any) -> None:
        import llama_cpp

        from t2sql_tui.backends.gguf import BATCH
        from t2sql_tui.backends.llama import usable_cores

        self._llama, self._batch = llama_cpp, BATCH
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = backend.n_ctx
        params.n_batch = params.n_ubatch = BATCH
        params.n_threads = params.n_threads_batch = (
            llama_cpp.llama_n_threads(backend._context) or usable_cores()
        )
        # The weights are private to the backend; loading them a second time would double
        # the memory and measure another state of the caches.
        self._context = llama_cpp.llama_init_from_model(backend._model, params)
        if not self._context:
            raise ModelError("llama.cpp gave no second context.", "Close other programs.")

    def time(self, prompt: Sequence[int], written: Sequence[int], count: int) -> Timing:
        """The time for `prompt` in batches, then `count` - 1 tokens (those of `written`, over
        again if they do not suffice) one by one: the first is sampled from the prompt."""
        llama = self._llama
        llama.llama_memory_clear(llama.llama_get_memory(self._context), True)
        started = time.perf_counter()
        for at in range(0, len(prompt), self._batch):
            self._decode(prompt[at : at + self._batch])
        # Evaluation may still be under way on a GPU until something is read.
        llama.llama_get_logits_ith(self._context, -1)
        first = time.perf_counter() - started
        for index in range(count - 1):
            self._decode([written[index % len(written)]] if written else [prompt[-1]])
            llama.llama_get_logits_ith(self._context, -1)
        return Timing(time.perf_counter() - started, first, len(prompt), count)

    def _decode(self, tokens: Sequence[int]) -> None:
        llama = self._llama
        array = (llama.llama_token * len(tokens))(*tokens)
        if code := llama.llama_decode(self._context, llama.llama_batch_get_one(array, len(tokens))):
            raise ModelError(f"llama.cpp failed to evaluate {len(tokens)} tokens (code {code}).")

    def __enter__(self) -> _Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._llama.llama_free(self._context)


def _summary(timings: Sequence[Timing]) -> dict[str, Any]:
    return {
        "seconds": {f"p{p}": percentile((t.seconds for t in timings), p) for p in (50, 95, 99)},
        "first_token": {
            f"p{p}": percentile((t.first_token for t in timings), p) for p in (50, 95, 99)
        },
        "prompt_tokens_per_second": 1 / median(t.seconds_per_prompt_token for t in timings),
        "decode_tokens_per_second": 1 / median(t.seconds_per_written_token for t in timings),
        "prompt_tokens": sum(t.prompt for t in timings),
        "written_tokens": sum(t.written for t in timings),
    }


def ratios(
    warm: Sequence[Timing], cold: Sequence[Timing], raw: Sequence[Timing]
) -> dict[str, float]:
    """Speed against raw llama.cpp, 1 is as fast: the median over the questions of each one's
    own ratio, so that a pause of the machine spoils one question and not the sum. "warm
    question" shows what the kept prefix saves."""

    def ratio(ours: Sequence[Timing], cost: Callable[[Timing], float]) -> float:
        return median(cost(r) / cost(o) for o, r in zip(ours, raw, strict=True))

    return {
        "prompt tokens a second, cold": ratio(cold, lambda t: t.seconds_per_prompt_token),
        "decoded tokens a second, cold": ratio(cold, lambda t: t.seconds_per_written_token),
        "decoded tokens a second, warm": ratio(warm, lambda t: t.seconds_per_written_token),
        "cold question": ratio(cold, lambda t: t.seconds),
        "warm question": ratio(warm, lambda t: t.seconds),
    }


def _joules() -> float | None:
    """What the processor packages have used so far; None where the system does not say (no
    such counters, or they are for root alone)."""
    try:
        files = [p / "energy_uj" for p in _POWERCAP.glob("intel-rapl:?")]
        return sum(int(file.read_text()) for file in files) / 1e6 if files else None
    except (OSError, ValueError):
        return None


def profile_text(found: dict[str, Any]) -> str:
    """The profile for a person."""
    ways = ("warm", "cold", "raw")
    rows: list[Sequence[str]] = []
    for key, title in (("seconds", "a question"), ("first_token", "first token")):
        for p in ("p50", "p95", "p99"):
            rows.append((f"{title}, {p}", *(f"{found[w][key][p]:.3f} s" for w in ways)))
    for key, title in (
        ("prompt_tokens_per_second", "prompt tokens a second"),
        ("decode_tokens_per_second", "decoded tokens a second"),
    ):
        rows.append((title, *(f"{found[w][key]:,.1f}" for w in ways)))
    for key, title in (("prompt_tokens", "prompt tokens"), ("written_tokens", "decoded tokens")):
        rows.append((title, *(f"{found[w][key]:,}" for w in ways)))
    facts = _facts(found)
    facts += [(f"ratio to raw: {name}", f"{value:.2f}") for name, value in found["ratios"].items()]
    return "\n\n".join(
        (
            f"{found['model']} on {found['suite']}: {found['questions']} questions",
            tabulate(rows, ("", *ways), tablefmt="simple", disable_numparse=True),
            tabulate(facts, tablefmt="simple", disable_numparse=True),
        )
    )


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Start, memory and energy, each as (title, value)."""
    start = found["cold_start"]
    return [
        ("cold start: load", f"{start['load_seconds']:.2f} s"),
        ("cold start: first token after", f"{start['first_token_seconds']:.2f} s"),
        ("cold start: answer after", f"{start['load_seconds'] + start['answer_seconds']:.2f} s"),
        ("whole process", f"{start['process_seconds']:.2f} s"),
        ("peak memory", f"{start['peak_memory_mib']:,.0f} MiB"),
        ("GPU memory", _if_known(start["gpu_memory_mib"], "{:,.0f} MiB", "no GPU")),
        ("energy a question", _if_known(found["joules_per_question"], "{:.1f} J", "not measured")),
    ]


def _if_known(value: float | None, form: str, otherwise: str) -> str:
    return otherwise if value is None else form.format(value)
