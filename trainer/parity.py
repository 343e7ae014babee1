"""The gate of an export: the file must answer held-out questions as the adapter does.

A merged and quantised file is another model than the one that was measured while it trained.
So both answer the same questions, and the file is refused if it answers worse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.datasets import Dataset, sample
from benchmarks.records import Line, Prediction
from benchmarks.runner import predict
from benchmarks.scoring import Scorer
from benchmarks.suites import load_suite
from t2sql_tui import backends
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import find_model
from t2sql_tui.core.types import AskOptions, Backend, ModelSpec
from trainer.base import Base, transformers_folder
from trainer.config import Config, Margins
from trainer.files import read_json
from trainer.outputs import Trained, run_folder

OnLine = Callable[[Line], None]

_ONE_ANSWER = AskOptions(repairs=0)  # greedy


class ParityError(ModelError):
    """The exported file does not answer as the adapter did. `report` has the figures."""

    def __init__(self, message: str, hint: str, report: Mapping[str, Any]) -> None:
        super().__init__(message, hint)
        self.report = report


@dataclass(frozen=True, slots=True)
class Reference:
    """The questions to compare on, and the adapter's scored answers to them."""

    suite: str
    dataset: Dataset
    lines: Sequence[Line]

    @property
    def correct(self) -> int:
        """The number of correct answers."""
        return sum(bool(line["score"]["correct"]) for line in self.lines)


# --- the adapter's answers ----------------------------------------------------------


def reference_answers(
    trained: Trained,
    base: Base,
    suite: str,
    questions: int | None,
    seed: int,
    data: Path | None,
    say: Callable[[str], None],
) -> Reference:
    """The adapter's answers to questions of `suite`: those of its best measurement while it
    trained, or new ones to `questions` questions drawn by `seed`.

    Asking again takes minutes on a CPU. Raises: ModelError, DataError.
    """
    whole = load_suite(suite, data)
    if questions is None and (known := measured_answers(trained.folder, sample(whole, None, seed))):
        dataset, lines = known
        say(f"Comparing with the {len(lines)} answers of the run's best measurement.")
    else:
        dataset = sample(whole, questions or Config.eval_questions, seed)
        say(f"Asking the adapter {len(dataset.examples)} questions ...")
        with progress(len(dataset.examples)) as on_line:
            lines = ask_adapter(trained, base, dataset, on_line)
    return Reference(suite, dataset, lines)


def measured_answers(trained: Path, dataset: Dataset) -> tuple[Dataset, list[Line]] | None:
    """The part of `dataset` that the run's best measurement asked, and its answers, scored.

    None if there are no such answers, or not to questions of `dataset`.
    """
    folder = run_folder(trained)
    run, config = read_json(folder / "run.json"), read_json(folder / "config.json")
    step = (run.get("best") or {}).get("step")
    file = folder / "predictions" / f"step-{step}.jsonl"
    if config.get("dialect") != "sqlite" or not file.exists():
        return None
    texts = file.read_text(encoding="utf-8").splitlines()
    answered = {answer["id"]: answer for answer in map(json.loads, texts)}
    asked = dataset.only(e for e in dataset.examples if e.id in answered)
    if len(asked.examples) < len(answered):
        return None
    scorer, lines = Scorer(asked), []
    for example in asked.examples:
        prediction: Prediction = {
            "id": example.id,
            "database": example.database,
            "question": example.question,
            "gold": example.gold,
            "text": answered[example.id]["text"],
            "sql": answered[example.id]["sql"],
            "logprob": None,
            "completion_tokens": 0,
        }
        lines.append(scorer.scored(example, prediction))
    return asked, lines


def ask_adapter(trained: Trained, base: Base, dataset: Dataset, on_line: OnLine) -> list[Line]:
    """The adapter's answers, from the `peft` backend: in floats, as it was measured while it
    trained. Raises: ModelError."""
    info = trained.completed_info(base)
    spec = ModelSpec(
        name=trained.folder.name,
        chat_format=info.chat_format,
        prompt_version=info.prompt_version,
        context=base.context,
        adapter=None if trained.full else trained.folder,
    )
    folder = trained.folder if trained.full else transformers_folder(base)
    with closing(backends.load_backend(spec, backend="peft", base=folder)) as backend:
        return answers(backend, dataset, on_line)


# --- comparing ----------------------------------------------------------------------


def answers(backend: Backend, dataset: Dataset, on_line: OnLine) -> list[Line]:
    """Greedy answers to every example, scored; `on_line` gets each when it is there."""
    scorer, lines = Scorer(dataset), []
    for name, examples in groupby(dataset.examples, key=lambda example: example.database):
        with open_database(dataset.files[name][0]) as database:
            for example in examples:
                prediction = predict(example, database, backend, _ONE_ANSWER)
                assert prediction is not None  # nothing stops it
                lines.append(scorer.scored(example, prediction))
                on_line(lines[-1])
    return lines


def compare_file(
    file: Path, reference: Reference, margins: Margins, on_line: OnLine
) -> dict[str, Any]:
    """The report on an exported file: `parity` of its answers. Raises: ModelError."""
    with closing(
        backends.load_backend(find_model(file), backend="gguf", cache_folder=None)
    ) as backend:
        return parity(reference.lines, answers(backend, reference.dataset, on_line), margins)


def parity(adapter: Sequence[Line], exported: Sequence[Line], margins: Margins) -> dict[str, Any]:
    """Compares two lists of answers to the same questions.

    `drop` is in points; `logprob_gap` the mean absolute difference in log-probability of a
    token, over the questions where both wrote the same SQL (None if there are none).
    Raises: ModelError if there is no question.
    """
    pairs = list(zip(adapter, exported, strict=True))
    count = len(pairs)
    if not count:
        raise ModelError("There is no question to compare with", "Raise --questions.")
    lost = [a["id"] for a, b in pairs if a["score"]["correct"] and not b["score"]["correct"]]
    gained = [a["id"] for a, b in pairs if b["score"]["correct"] and not a["score"]["correct"]]
    same = [(a, b) for a, b in pairs if a["sql"].strip() == b["sql"].strip()]
    correct = sum(bool(a["score"]["correct"]) for a in adapter)
    report = {
        "questions": count,
        "adapter_accuracy": correct / count,
        "exported_accuracy": (correct - len(lost) + len(gained)) / count,
        "drop": 100 * (len(lost) - len(gained)) / count,
        "lost": lost,
        "gained": gained,
        "different": 1 - len(same) / count,
        "logprob_gap": _logprob_gap(same),
        "margins": asdict(margins),
    }
    reasons = _exceeded(report, margins)
    return report | {"passed": not reasons, "reasons": reasons}


def _logprob_gap(same: Sequence[tuple[Line, Line]]) -> float | None:
    gaps = [
        abs(a["logprob"] - b["logprob"]) / max(a["completion_tokens"], 1)
        for a, b in same
        if a["logprob"] is not None and b["logprob"] is not None
    ]
    return sum(gaps) / len(gaps) if gaps else None


def _exceeded(report: Mapping[str, Any], margins: Margins) -> list[str]:
    """What exceeds a margin, in words."""
    reasons = []
    if report["drop"] > margins.drop:
        reasons.append(
            f"execution accuracy falls by {report['drop']:.1f} points "
            f"({len(report['lost'])} lost, {len(report['gained'])} gained of "
            f"{report['questions']}); at most {margins.drop:g} are allowed"
        )
    if report["different"] > margins.different:
        reasons.append(
            f"{100 * report['different']:.0f} % of the answers are different SQL; "
            f"at most {100 * margins.different:.0f} % are allowed"
        )
    return reasons


@contextmanager
def progress(total: int) -> Iterator[OnLine]:
    """A progress bar on stderr over answered questions, with their execution accuracy."""
    right = 0
    with tqdm(total=total, unit=" questions", disable=None) as bar:  # None: off without terminal

        def on_line(line: Line) -> None:
            nonlocal right
            right += bool(line["score"]["correct"])
            bar.update()
            bar.set_postfix_str(f"EX {100 * right / bar.n:.0f} %" if bar.n else "")

        yield on_line
