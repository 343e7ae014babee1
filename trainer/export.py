"""Exporting: an adapter and its base become one GGUF file, which must pass the parity gate.

Beside PEFT's `adapter_config.json` and `adapter_model.safetensors` lies `t2sql.json`
(AdapterInfo): name and hash of the base, prompt version, chat format, licence. An adapter of
another base is refused by that hash. A file gets its name only after parity.py has compared it
with the adapter; the figures are in NAME.parity.json beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance
from t2sql_tui.backends.merging.merge import lora_gguf, merge
from t2sql_tui.core.errors import ModelError
from trainer.base import Base, find_base
from trainer.config import Config, ConfigError, Margins
from trainer.convert import convert
from trainer.files import read_json, write_json
from trainer.outputs import Trained, find_trained, run_folder, run_name
from trainer.parity import ParityError, Reference, compare_file, progress, reference_answers

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export and how to compare; the options of `trainer export`.

    `base` "" is the base that the adapter names, `suite` "" the held-out questions of the run.
    `questions` None compares with the answers of the run's best measurement if it has some.
    """

    base: str = ""
    quantisations: Sequence[str] = ("q8_0",)
    out: Path | None = None
    suite: str = ""
    questions: int | None = None
    seed: int = 0
    margins: Margins = field(default_factory=Margins)
    any_base: bool = False
    gate: bool = True
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A written file, and the report of its gate; None without a gate."""

    path: Path
    report: Mapping[str, Any] | None = None

    def summary(self) -> str:
        """Path, size and figures in one line."""
        if self.report is None:
            return str(self.path)
        return (
            f"{self.path}  {self.report['bytes'] / 1e6:,.0f} MB, execution accuracy "
            f"{100 * self.report['exported_accuracy']:.1f} % (adapter "
            f"{100 * self.report['adapter_accuracy']:.1f} %), "
            f"{100 * (1 - self.report['different']):.0f} % of the answers identical"
        )


def export(path: Path, options: ExportOptions, say: Say) -> list[Exported]:
    """Exports the run or adapter in `path`, one file a quantisation.

    Raises: ParityError if a file was refused, after all were tried; ModelError; DataError.
    """
    trained = find_trained(path)
    base = base_of(trained, options.base)
    outs = _files(path, options)
    if not options.gate:
        return [
            Exported(write_file(trained, base, out, quantisation, options.any_base))
            for quantisation, out in outs.items()
        ]
    heldout = read_json(run_folder(path) / "config.json").get("heldout")
    reference = reference_answers(
        trained,
        base,
        options.suite or heldout or Config.heldout,
        options.questions,
        options.seed,
        options.data,
        say,
    )
    say(f"The adapter is right on {reference.correct} of {len(reference.lines)} questions.")
    exported = [
        _compared_file(trained, base, out, quantisation, reference, options, say)
        for quantisation, out in outs.items()
    ]
    _raise_if_refused(exported)
    return exported


def export_adapter(path: Path, options: ExportOptions) -> Path:
    """Writes the adapter in `path` alone, unmerged, for llama.cpp's `--lora`.

    Returns the file. Raises: ModelError.
    """
    trained = find_trained(path)
    base = base_of(trained, options.base)
    out = options.out or run_folder(path) / f"{run_name(path)}-lora.gguf"
    if trained.full:
        raise ModelError(
            f"{trained.folder} holds all weights of a model, not an adapter",
            "Export it without --adapter-only.",
        )
    if not options.any_base:
        check_base(trained, base)
    with base_as_gguf(base, out.parent) as base_gguf:
        return lora_gguf(base_gguf, trained.folder, out, any_base=True)


def report_path(out: Path) -> Path:
    """The file of the gate's report on `out`."""
    return out.with_suffix(".parity.json")


# --- what goes in -------------------------------------------------------------------


def base_of(trained: Trained, name: str = "") -> Base:
    """The base model called `name`, or the one that the adapter names. Raises: ModelError."""
    name = name or trained.info.base
    if not name:
        raise ModelError(
            f"{trained.folder} does not say which base it belongs to",
            "Name it: --base qwen2.5-coder-0.5b",
        )
    return find_base(replace(Config(), base=name, chat_format=trained.info.chat_format))


def check_base(trained: Trained, base: Base) -> None:
    """Raises: ModelError if the hashes say that `trained` belongs to another base."""
    wanted = trained.info.base_sha256
    if wanted and base.sha256 and wanted != base.sha256:
        raise ModelError(
            f"{trained.folder} was trained on {trained.info.base or 'another base'} "
            f"(SHA-256 {wanted[:12]}...), not on {base.name} ({base.sha256[:12]}...)",
            f"Give that one: --base {trained.info.base or 'NAME'}",
        )


@contextmanager
def base_as_gguf(base: Base, scratch: Path, quantisation: str = "f16") -> Iterator[Path]:
    """The GGUF file of the base; of a transformers base a temporary one in 16 bits in `scratch`."""
    if base.is_gguf:
        yield Path(base.source)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    # not in the system's temporary folder, which is often in memory and too small
    with tempfile.TemporaryDirectory(prefix=".export-", dir=scratch) as folder:
        wide = "bf16" if quantisation == "bf16" else "f16"
        yield convert(_base_folder(base), Path(folder) / "base.gguf", wide)


def _base_folder(base: Base) -> Path:
    """The folder of a transformers base: its own, or the hub's snapshot of it."""
    if Path(base.source).is_dir():
        return Path(base.source)
    from huggingface_hub import snapshot_download  # takes 0.5 s to import

    return Path(
        snapshot_download(base.source, allow_patterns=["*.json", "*.safetensors", "*.jinja"])
    )


# --- what comes out -----------------------------------------------------------------


def _files(path: Path, options: ExportOptions) -> dict[str, Path]:
    """The file to write for each quantisation. Raises: ConfigError."""
    out, quantisations = options.out, options.quantisations
    if out is not None and out.suffix == ".gguf":
        if len(quantisations) > 1:
            raise ConfigError(
                f"{out} is one file, for {len(quantisations)} quantisations",
                "Give a folder: --out DIR",
            )
        return {quantisations[0]: out}
    folder = out or run_folder(path)
    return {q: folder / f"{run_name(path)}-{q}.gguf" for q in quantisations}


def write_file(
    trained: Trained, base: Base, out: Path, quantisation: str, any_base: bool = False
) -> Path:
    """Writes `trained` to the GGUF file `out`, without a gate; returns it. Raises: ModelError."""
    info = trained.completed_info(base)
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
        return convert(trained.folder, out, quantisation, base_gguf, metadata)
    with base_as_gguf(base, out.parent, quantisation) as base_gguf:
        # any_base: compared above, by the hash of what `base` names
        return merge(base_gguf, trained.folder, out, quantisation, metadata, any_base=True)


def _compared_file(
    trained: Trained,
    base: Base,
    out: Path,
    quantisation: str,
    reference: Reference,
    options: ExportOptions,
    say: Say,
) -> Exported:
    """Writes `out` if it passes the gate, and its report in any case. Raises: ModelError."""
    candidate = out.with_name(f".{out.name}.candidate.gguf")
    questions = len(reference.dataset.examples)
    try:
        say(f"Merging and quantising to {quantisation} ...")
        write_file(trained, base, candidate, quantisation, options.any_base)
        say(f"Asking the {quantisation} file {questions} questions ...")
        with progress(questions) as on_line:
            comparison = compare_file(candidate, reference, options.margins, on_line)
        report = {
            "file": out.name,
            "bytes": candidate.stat().st_size,
            "quantisation": quantisation,
            **comparison,
            "trained": asdict(trained.completed_info(base)),
            "suite": reference.suite,
            "data_sha256": reference.dataset.sha256(),
            "provenance": provenance(),
        }
        write_json(report_path(out), report)
        if report["passed"]:
            candidate.replace(out)
        return Exported(out, report)
    finally:
        candidate.unlink(missing_ok=True)


def _raise_if_refused(exported: Sequence[Exported]) -> None:
    refused = [e.report for e in exported if e.report and not e.report["passed"]]
    if not refused:
        return
    names = ", ".join(report["quantisation"] for report in refused)
    raise ParityError(
        f"The export to {names} is refused: {'; '.join(refused[0]['reasons'])}",
        "Try --quantisation q8_0 or f16, compare more questions (--questions), or allow "
        "more with --max-drop and --max-different.",
        refused[0],
    )
