"""Adapter + base -> one GGUF file, proven to answer as the adapter did; and eval.

A merged and requantised file is another model than the one that was measured while it
trained. So an export is a candidate first: the same held-out questions go through the
adapter and through the file, and the file gets its name only if it does not answer worse.

Beside PEFT's `adapter_config.json` and `adapter_model.safetensors` lies `t2sql.json`
(`core.catalog.AdapterInfo`): name and hash of the base, prompt version, chat format, licence.
An adapter of another base is refused by that hash.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from t2sql_tui.backends.merging.quantisations import QUANTISATIONS
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import AdapterInfo
from t2sql_tui.core.types import AskOptions, Backend, ModelSpec
from trainer.files import read_json
from trainer.outputs import Trained, find_trained, run_folder, run_name

if TYPE_CHECKING:
    from benchmarks.datasets import Dataset
    from trainer.base import Base

Line = dict[str, Any]


class ParityError(ModelError):
    """The exported file does not answer as the adapter did. `report` has the figures."""

    def __init__(self, message: str, hint: str, report: Mapping[str, Any]) -> None:
        super().__init__(message, hint)
        self.report = report


# --- exporting --------------------------------------------------------------------


def export(
    trained: Trained,
    base: Base,
    out: Path,
    quantisation: str,
    any_base: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes `trained` to the GGUF file `out`, unproven, and returns it. Raises: ModelError."""
    from t2sql_tui.backends.merging.merge import merge
    from trainer.convert import convert

    info = complete(trained.info, base)
    if not any_base:
        check_base(trained, base)
    metadata = {
        "general.name": f"{Path(base.name).stem} {run_name(trained.folder)}",
        "general.license": info.licence,
        "t2sql.prompt_version": info.prompt_version,
        "t2sql.chat_format": info.chat_format,
        "t2sql.base": info.base,
        "t2sql.base_sha256": base.sha256,
    }
    metadata = {key: text for key, text in metadata.items() if text}
    if trained.full:
        base_gguf = Path(base.source) if base.is_gguf else None
        return convert(trained.folder, out, quantisation, base_gguf, metadata, on_progress)
    with base_as_gguf(base, out.parent, quantisation) as base_gguf:
        return merge(
            base_gguf, trained.folder, out, quantisation, metadata, on_progress, any_base=True
        )  # compared above, by the hash of what `base` names


def export_adapter(trained: Trained, base: Base, out: Path, any_base: bool = False) -> Path:
    """Writes the adapter alone, for llama.cpp's `--lora`. Raises: ModelError."""
    from t2sql_tui.backends.merging.merge import lora_gguf

    if trained.full:
        raise ModelError(
            f"{trained.folder} holds whole weights, not an adapter",
            "Export it without --adapter-only.",
        )
    if not any_base:
        check_base(trained, base)
    with base_as_gguf(base, out.parent) as base_gguf:
        return lora_gguf(base_gguf, trained.folder, out, any_base=True)


def check_base(trained: Trained, base: Base) -> None:
    """Raises: ModelError when the hashes say that `trained` comes from another base."""
    wanted = trained.info.base_sha256
    if wanted and base.sha256 and wanted != base.sha256:
        raise ModelError(
            f"{trained.folder} was trained on {trained.info.base or 'another base'} "
            f"(SHA-256 {wanted[:12]}...), not on {base.name} ({base.sha256[:12]}...)",
            f"Give that one: --base {trained.info.base or 'NAME'}",
        )


def complete(info: AdapterInfo, base: Base) -> AdapterInfo:
    """`info` with what it leaves open taken from the base."""
    return AdapterInfo(
        base=info.base or base.name,
        base_sha256=info.base_sha256 or base.sha256,
        prompt_version=info.prompt_version or "v1",
        chat_format=info.chat_format or base.chat_format,
        licence=info.licence or base.licence,
    )


@contextmanager
def base_as_gguf(base: Base, scratch: Path, quantisation: str = "f16") -> Iterator[Path]:
    """The base's GGUF file; of a transformers base one in 16 bits in `scratch`, gone after."""
    from trainer.convert import convert

    if base.is_gguf:
        yield Path(base.source)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    # not in the system's temporary folder, which is often in memory and too small
    with tempfile.TemporaryDirectory(prefix=".export-", dir=scratch) as folder:
        wide = "bf16" if quantisation == "bf16" else "f16"
        yield convert(base_folder(base), Path(folder) / "base.gguf", wide)


def base_folder(base: Base) -> Path:
    """A transformers base on disk: the folder itself, or the hub's snapshot of it."""
    if Path(base.source).is_dir():
        return Path(base.source)
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(base.source, allow_patterns=["*.json", "*.safetensors", "*.jinja"])
    )


# --- the parity gate --------------------------------------------------------------


@dataclass(frozen=True)  # no slots: the command reads its defaults from the class
class Margins:
    """How much an export may differ. `drop` is in points of execution accuracy, `different`
    a share of questions whose greedy SQL is another."""

    drop: float = 1.0
    different: float = 0.2


def answers(
    backend: Backend, dataset: Dataset, on_line: Callable[[Line], None] = lambda line: None
) -> list[Line]:
    """Greedy answers to every example, scored, as lines of `benchmarks run`."""
    from benchmarks.runner import predict
    from benchmarks.scoring import Scorer
    from t2sql_tui.core.database.database import open_database

    scorer, lines, options = Scorer(dataset), [], AskOptions(repairs=0)
    for name, examples in groupby(dataset.examples, key=lambda example: example.database):
        with open_database(dataset.files[name][0]) as database:
            for example in examples:
                prediction = predict(example, database, backend, options)
                assert prediction is not None  # nothing stops it
                line = scorer.scored(example, prediction)
                lines.append(line)
                on_line(line)
    return lines


def parity(adapter: Sequence[Line], exported: Sequence[Line], margins: Margins) -> dict[str, Any]:
    """Compares two lists of lines on the same questions.

    `drop` is in points; `logprob_gap` the mean absolute difference in log-probability of a
    token, over the questions where both wrote the same SQL (None where there are none).
    """
    pairs = list(zip(adapter, exported, strict=True))
    count = len(pairs)
    if not count:
        raise ModelError("There is no question to compare with", "Raise --questions.")
    lost = [a["id"] for a, b in pairs if a["score"]["correct"] and not b["score"]["correct"]]
    gained = [a["id"] for a, b in pairs if b["score"]["correct"] and not a["score"]["correct"]]
    same = [(a, b) for a, b in pairs if a["sql"].strip() == b["sql"].strip()]
    gaps = [
        abs(a["logprob"] - b["logprob"]) / max(a["completion_tokens"], 1)
        for a, b in same
        if a["logprob"] is not None and b["logprob"] is not None
    ]
    right = sum(bool(a["score"]["correct"]) for a in adapter)
    drop = 100 * (len(lost) - len(gained)) / count
    different = 1 - len(same) / count
    reasons = []
    if drop > margins.drop:
        reasons.append(
            f"execution accuracy falls by {drop:.1f} points "
            f"({len(lost)} lost, {len(gained)} gained of {count}); "
            f"at most {margins.drop:g} are allowed"
        )
    if different > margins.different:
        reasons.append(
            f"{100 * different:.0f} % of the answers are another SQL; "
            f"at most {100 * margins.different:.0f} % are allowed"
        )
    return {
        "questions": count,
        "adapter_accuracy": right / count,
        "exported_accuracy": (right - len(lost) + len(gained)) / count,
        "drop": drop,
        "lost": lost,
        "gained": gained,
        "different": different,
        "logprob_gap": sum(gaps) / len(gaps) if gaps else None,
        "margins": asdict(margins),
        "passed": not reasons,
        "reasons": reasons,
    }


def measured(trained: Path, dataset: Dataset) -> tuple[Dataset, list[Line]] | None:
    """The questions of `dataset` that the adapter was asked when it was measured as the best
    of its run, and its answers then, scored; None where there are none to be found.

    Asking again takes minutes on a CPU, and this is the measurement that the file must match.
    """
    from benchmarks.scoring import Scorer

    folder = run_folder(trained)
    run, config = read_json(folder / "run.json"), read_json(folder / "config.json")
    step = (run.get("best") or {}).get("step")
    file = folder / "predictions" / f"step-{step}.jsonl"
    if config.get("dialect") != "sqlite" or not file.exists():
        return None
    said = {}
    for text in file.read_text(encoding="utf-8").splitlines():
        prediction = json.loads(text)
        said[prediction["id"]] = prediction
    asked = dataset.only(e for e in dataset.examples if e.id in said)
    if len(asked.examples) < len(said):
        return None
    scorer, lines = Scorer(asked), []
    for example in asked.examples:
        prediction = said[example.id]
        line = {
            "id": example.id,
            "text": prediction["text"],
            "sql": prediction["sql"],
            "logprob": None,
            "completion_tokens": 0,
        }
        lines.append(line | {"score": scorer.score(example, line)})
    return asked, lines


def ask_adapter(
    trained: Trained, base: Base, dataset: Dataset, on_line: Callable[[Line], None]
) -> list[Line]:
    """The adapter's answers, from the `peft` backend. Raises: ModelError."""
    backend = load_reference(trained, base)
    try:
        return answers(backend, dataset, on_line)
    finally:
        backend.close()


def load_reference(trained: Trained, base: Base) -> Backend:
    """What was trained, in the `peft` backend: in floats, as it was measured while training."""
    from t2sql_tui.backends import load_backend
    from trainer.base import transformers_folder

    info = complete(trained.info, base)
    spec = ModelSpec(
        name=trained.folder.name,
        chat_format=info.chat_format,
        prompt_version=info.prompt_version,
        context=base.context,
        adapter=None if trained.full else trained.folder,
    )
    folder = trained.folder if trained.full else transformers_folder(base)
    return load_backend(spec, backend="peft", base=folder)


def prove(
    candidate: Path,
    reference: Sequence[Line],
    dataset: Dataset,
    margins: Margins,
    on_line: Callable[[Line], None] = lambda line: None,
) -> dict[str, Any]:
    """The report on an exported file. Raises: ModelError."""
    from t2sql_tui.backends import load_backend
    from t2sql_tui.core.models.catalog import find_model

    backend = load_backend(find_model(candidate), backend="gguf", cache_folder=None)
    try:
        exported = answers(backend, dataset, on_line)
    finally:
        backend.close()
    return parity(reference, exported, margins)


def export_proven(
    trained: Trained,
    base: Base,
    outs: Mapping[str, Path],
    dataset: Dataset,
    reference: Sequence[Line],
    margins: Margins,
    *,
    suite: str = "",
    any_base: bool = False,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, Any]]:
    """Exports one file per quantisation in `outs`, each through its gate; returns the reports.

    `reference` are the adapter's answers to `dataset`.

    The report lies beside the file (`.parity.json`), and stays if the file is refused.
    Raises: ParityError after all were tried, if any was refused; ModelError.
    """
    from benchmarks.provenance import provenance
    from trainer.files import write_json

    reports = {}
    for quantisation, out in outs.items():
        candidate = out.with_name(f".{out.name}.candidate.gguf")
        try:
            note(f"Merging and quantising to {quantisation} ...")
            export(trained, base, candidate, quantisation, any_base)
            note(f"Asking the {quantisation} file {len(dataset.examples)} questions ...")
            with _Counter(len(dataset.examples)) as counter:
                report = prove(candidate, reference, dataset, margins, counter.line)
            report = {
                "file": out.name,
                "bytes": candidate.stat().st_size,
                "quantisation": quantisation,
                **report,
                "trained": asdict(complete(trained.info, base)),
                "suite": suite,
                "data_sha256": dataset.sha256(),
                "provenance": provenance(),
            }
            write_json(report_path(out), report)
            if report["passed"]:
                candidate.replace(out)
            reports[quantisation] = report
        finally:
            candidate.unlink(missing_ok=True)
    refused = {name: report for name, report in reports.items() if not report["passed"]}
    if refused:
        name, report = next(iter(refused.items()))
        raise ParityError(
            f"The export to {', '.join(refused)} is refused: {'; '.join(report['reasons'])}",
            "Try --quantisation q8_0 or f16, compare more questions (--questions), or allow "
            "more with --max-drop and --max-different.",
            report,
        )
    return reports


def report_path(out: Path) -> Path:
    return out.with_suffix(".parity.json")


class _Counter:
    """A progress bar on stderr over answered questions, with the share that was right."""

    def __init__(self, total: int) -> None:
        import sys

        self._right = self._seen = 0
        self._bar = click.progressbar(
            length=total,
            file=sys.stderr,
            item_show_func=lambda _: self._accuracy(),
        )

    def _accuracy(self) -> str:
        return f"EX {100 * self._right / self._seen:.0f} %" if self._seen else ""

    def line(self, line: Line) -> None:
        self._seen += 1
        self._right += bool(line["score"]["correct"])
        self._bar.update(1, line)

    def __enter__(self) -> _Counter:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)


# --- commands ---------------------------------------------------------------------

_TRAINED = click.argument(
    "trained",
    metavar="RUN_OR_ADAPTER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
_HELDOUT, _QUESTIONS = "spider-train-holdout", 100
_BASE = click.option(
    "--base", help="Base model, as for `trainer fit` (default: the one that the adapter names)."
)


@click.command("export")
@_TRAINED
@_BASE
@click.option(
    "--quantisation",
    "-q",
    "quantisations",
    multiple=True,
    default=("q8_0",),
    type=click.Choice(list(QUANTISATIONS)),
    show_default=True,
    help="May be given several times; the adapter is asked once for all.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="The file, or a folder for several [default: RUN/NAME-QUANTISATION.gguf].",
)
@click.option(
    "--adapter-only",
    is_flag=True,
    help="Write the adapter alone, unmerged, for llama.cpp's --lora.",
)
@click.option(
    "--suite",
    help="What to compare on, as in `benchmarks list`; never a suite you "
    "report [default: the run's held-out questions].",
)
@click.option(
    "--questions",
    type=click.IntRange(1),
    help=f"Ask the adapter so many questions, drawn by --seed [default: take the run's "
    f"own answers to its held-out sample, or ask {_QUESTIONS}].",
)
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--max-drop",
    default=Margins.drop,
    show_default=True,
    type=click.FloatRange(0),
    help="Points of execution accuracy that it may lose.",
)
@click.option(
    "--max-different",
    default=Margins.different,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of greedy answers that may be another SQL.",
)
@click.option("--any-base", is_flag=True, help="Do not compare the base's hash.")
@click.option("--no-gate", is_flag=True, help="Do not compare answers. Such a file is not pushed.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the data sets.")
def export_command(
    trained: Path,
    base: str | None,
    quantisations: tuple[str, ...],
    out: Path | None,
    adapter_only: bool,
    suite: str | None,
    questions: int | None,
    seed: int,
    max_drop: float,
    max_different: float,
    any_base: bool,
    no_gate: bool,
    data: Path | None,
) -> None:
    """Merge an adapter into its base: a GGUF file that answers as the adapter did.

    The same held-out questions go through both. The file appears only if it passes; the
    figures are in NAME.parity.json beside it.

    \b
    trainer export runs/spider-qwen2.5-coder-0.5b
    trainer export runs/mine -q q8_0 -q q4_0 --questions 200
    trainer export runs/mine --adapter-only
    """
    found, base_found = _found(trained, base)
    if adapter_only:
        path = out or run_folder(trained) / f"{run_name(trained)}-lora.gguf"
        click.echo(export_adapter(found, base_found, path, any_base))
        return
    outs = _outs(trained, out, quantisations)
    if no_gate:
        for quantisation, path in outs.items():
            click.echo(export(found, base_found, path, quantisation, any_base))
        return
    note = lambda line: click.echo(line, err=True)  # noqa: E731
    suite = suite or read_json(run_folder(trained) / "config.json").get("heldout") or _HELDOUT
    dataset, reference = _reference(found, base_found, trained, suite, questions, seed, data, note)
    right = sum(bool(line["score"]["correct"]) for line in reference)
    note(f"The adapter is right on {right} of {len(reference)}.")
    reports = export_proven(
        found,
        base_found,
        outs,
        dataset,
        reference,
        Margins(max_drop, max_different),
        suite=suite,
        any_base=any_base,
        note=note,
    )
    for quantisation, report in reports.items():
        click.echo(
            f"{outs[quantisation]}  {report['bytes'] / 1e6:,.0f} MB, execution accuracy "
            f"{100 * report['exported_accuracy']:.1f} % (adapter "
            f"{100 * report['adapter_accuracy']:.1f} %), "
            f"{100 * (1 - report['different']):.0f} % of the answers identical"
        )


def _reference(
    found: Trained,
    base: Base,
    trained: Path,
    suite: str,
    questions: int | None,
    seed: int,
    data: Path | None,
    note: Callable[[str], None],
) -> tuple[Dataset, list[Line]]:
    """The questions to compare on and the adapter's answers: those of its own measurement,
    unless a number of questions was asked for."""
    from benchmarks.datasets import sample
    from benchmarks.suites import load_suite

    whole = load_suite(suite, data)
    if questions is None and (known := measured(trained, sample(whole, None, seed))):
        note(f"Comparing with the {len(known[1])} answers of the run's best measurement.")
        return known
    dataset = sample(whole, questions or _QUESTIONS, seed)
    note(f"Asking the adapter {len(dataset.examples)} questions ...")
    with _Counter(len(dataset.examples)) as counter:
        return dataset, ask_adapter(found, base, dataset, counter.line)


def _found(trained: Path, base: str | None) -> tuple[Trained, Base]:
    from trainer.base import find_base
    from trainer.config import Config

    found = find_trained(trained)
    name = base or found.info.base
    if not name:
        raise ModelError(
            f"{found.folder} does not say which base it belongs to",
            "Name it: --base qwen2.5-coder-0.5b",
        )
    return found, find_base(replace(Config(), base=name, chat_format=found.info.chat_format))


def _outs(trained: Path, out: Path | None, quantisations: Sequence[str]) -> dict[str, Path]:
    if out is not None and out.suffix == ".gguf":
        if len(quantisations) > 1:
            raise click.BadParameter("give a folder for several quantisations", param_hint="--out")
        return {quantisations[0]: out}
    folder = out or run_folder(trained)
    return {q: folder / f"{run_name(trained)}-{q}.gguf" for q in quantisations}


@click.command("eval", context_settings={"ignore_unknown_options": True})
@click.argument("model")
@click.argument("suite", default=_HELDOUT)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def eval_command(ctx: click.Context, model: str, suite: str, options: tuple[str, ...]) -> None:
    """Measure a run, an adapter, a model folder or a GGUF file with `benchmarks run`.

    Further options go to `benchmarks run` as they are.

    \b
    trainer eval runs/mine spider-dev
    trainer eval runs/mine/mine-q8_0.gguf spider-dev --candidates 4
    """
    from benchmarks.cli import main as benchmarks

    path = Path(model)
    backend = ()
    if path.is_dir():
        model, backend = str(find_trained(path).folder), ("--backend", "peft")
    arguments = ["run", suite, "--model", model, *backend, *options]
    click.echo(f"benchmarks {' '.join(arguments)}", err=True)
    with benchmarks.make_context("benchmarks", arguments, parent=ctx) as inner:
        benchmarks.invoke(inner)
