"""The model card of a run, written from the run's files.

Nothing in a card is typed by hand or guessed: what was not measured is said to be not measured.
The text after the marker at the end belongs to the person and survives a rewrite.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.tables import markdown_table
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import AdapterInfo
from t2sql_tui.core.models.catalog import load_catalog
from trainer import run_log
from trainer.files import read_json
from trainer.outputs import find_trained, run_folder, run_name

_MARKER = "<!-- what follows is kept when the card is written again -->"

# Data sets, by the start of their name in the config: title and licence.
_DATA = {
    "spider": ("[Spider 1.0](https://yale-lily.github.io/spider)", "CC BY-SA 4.0"),
    "spider-syn": ("[Spider-Syn](https://github.com/ygan/Spider-Syn)", "MIT"),
    "synthetic": ("The set generated over Spider's databases", "CC BY-SA 4.0"),
    "bird": ("[BIRD](https://bird-bench.github.io)", "CC BY-SA 4.0"),
    "gretel": (
        "[gretel synthetic_text_to_sql]"
        "(https://huggingface.co/datasets/gretelai/synthetic_text_to_sql)",
        "Apache-2.0",
    ),
}

_SETTINGS = (
    "method",
    "rank",
    "alpha",
    "dropout",
    "targets",
    "rslora",
    "dora",
    "epochs",
    "max_steps",
    "learning_rate",
    "schedule",
    "warmup",
    "weight_decay",
    "clip",
    "packing",
    "row_tokens",
    "rows_per_step",
    "schema",
    "max_tokens",
    "seed",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """The content of a run's files; empty for a file that is missing.

    `scores` are the results of `benchmarks run`, `exports` the reports of `trainer export`.
    """

    name: str
    full: bool
    info: AdapterInfo
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    data: Mapping[str, Any]
    measurements: Sequence[Mapping[str, Any]]
    plots: Sequence[str]
    exports: Sequence[Mapping[str, Any]]
    scores: Sequence[Mapping[str, Any]]


def read_facts(folder: Path, results: Iterable[Path] = ()) -> Facts:
    """Reads the folder of a run and folders of `benchmarks run`. Raises: ModelError."""
    trained = find_trained(folder)
    run = read_json(folder / "run.json")
    log = folder / run_log.FILE
    lines = run_log.read_log(log) if log.exists() else []
    scores = []
    for path in results:
        path = path / "results.json" if path.is_dir() else path
        if not path.exists():
            raise ModelError(f"There is no {path}", "Name a folder that `benchmarks run` wrote.")
        scores.append(read_json(path))
    return Facts(
        name=run_name(folder),
        full=trained.full,
        info=trained.info,
        config=read_json(folder / "config.json"),
        run=run,
        data=read_json(Path(run["data"]) / "data.json") if run.get("data") else {},
        measurements=run_log.measurements(lines),
        plots=sorted(f"plots/{path.name}" for path in folder.glob("plots/*.png")),
        exports=[read_json(path) for path in sorted(folder.glob("*.parity.json"))],
        scores=scores,
    )


# --- the text ---------------------------------------------------------------------


def write_card(trained: Path, results: Iterable[Path] = ()) -> Path:
    """Writes the card of a run to its README.md, keeping the text that a person has added.

    `results` are folders of `benchmarks run`. Returns the file.
    Raises: ModelError if there is a README.md that is not a card.
    """
    folder = run_folder(trained)
    path = folder / "README.md"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before and _MARKER not in before:
        raise ModelError(f"{path} was not written by this command", "Move it away first.")
    added = before.partition(_MARKER)[2]
    path.write_text(card(read_facts(folder, results), added), encoding="utf-8")
    return path


def card(facts: Facts, added: str = "") -> str:
    """The card as Markdown with the front matter that hubs read; `added` is a person's text."""
    sections = (
        _front_matter(facts),
        f"# {facts.name}",
        _summary(facts),
        _use(facts),
        _scores(facts),
        _training(facts),
        _curve(facts),
        _exports(facts),
        _limits(facts),
        _licence(facts),
        f"{_MARKER}\n{added.strip()}",
    )
    return "\n\n".join(section for section in sections if section).rstrip() + "\n"


def _front_matter(facts: Facts) -> str:
    fields = {
        "license": facts.info.licence.lower() or None,
        "base_model": _base_repository(facts),
        "library_name": "transformers" if facts.full else "peft",
        "pipeline_tag": "text-generation",
        "language": "en",
        "tags": "[text-to-sql, sqlite" + (", gguf]" if facts.exports else "]"),
    }
    return "\n".join(["---", *(f"{k}: {v}" for k, v in fields.items() if v), "---"])


def _base_repository(facts: Facts) -> str | None:
    """The base's name on a hub, if the catalog knows one."""
    known = load_catalog().get(facts.info.base)
    sources = [source.repo for source in known.sources if source.kind == "hub"] if known else []
    return sources[0] if sources else facts.info.base if "/" in facts.info.base else None


def _summary(facts: Facts) -> str:
    what = "All weights of" if facts.full else "A low-rank adapter of"
    return (
        f"{what} {facts.info.base or 'an unnamed base model'}, trained to turn an English "
        "question and the schema of a SQLite database into one SELECT statement."
    )


def _use(facts: Facts) -> str:
    file = facts.exports[0]["file"] if facts.exports else f"{facts.name}-q8_0.gguf"
    first = "" if facts.exports else f"trainer export runs/{facts.name}\n"
    return (
        "## Use\n\n"
        f"```\n{first}t2sql-tui mydb.sqlite --model {file}\n```\n\n"
        f"It was trained on prompt version `{facts.info.prompt_version}` in the chat format "
        f"`{facts.info.chat_format}` of [t2sql-tui], which writes these prompts and runs the SQL "
        "read-only. With other prompts it is worse than its base model."
    )


def _scores(facts: Facts) -> str:
    if not facts.scores:
        return "## Scores\n\nNot measured on a benchmark yet (`trainer eval`, then `trainer card`)."
    return (
        f"## Scores\n\n{markdown_table(facts.scores)}\n\nOne answer per question; execution "
        "accuracy by Spider's official rules; 95 % intervals clustered by gold SQL."
    )


def _training(facts: Facts) -> str:
    if not facts.config:
        return ""
    rows = [
        ("base", facts.info.base),
        ("base SHA-256", f"`{facts.info.base_sha256[:16]}...`"),
        ("data", ", ".join(facts.config.get("data", ()))),
    ]
    statistics = facts.data.get("statistics", {}).get("train", {})
    if count := statistics.get("examples"):
        rows.append(("examples", f"{count:,}"))
    if facts.run.get("trainable_parameters"):
        share = facts.run["trainable_parameters"] / facts.run["parameters"]
        rows.append(
            ("trained parameters", f"{facts.run['trainable_parameters']:,} ({100 * share:.2f} %)")
        )
    skipped = ("rank", "alpha", "dropout", "targets", "rslora", "dora") if facts.full else ()
    rows += [
        (name.replace("_", " "), _text(facts.config[name]))
        for name in _SETTINGS
        if name in facts.config and name not in skipped
    ]
    if facts.run.get("steps"):
        rows.append(("steps", f"{facts.run['steps']:,}"))
    if minutes := facts.run.get("minutes"):
        rows.append(("minutes of training", f"{minutes:,.0f}"))
    if machine := facts.run.get("provenance", {}).get("machine"):
        gpus = ", ".join(machine.get("gpus", ()))
        rows.append(("machine", gpus or f"{machine['cores']} cores, {machine['processor']}"))
    return "## Training\n\n" + _table(("", ""), rows)


def _curve(facts: Facts) -> str:
    if not facts.measurements:
        return ""
    heldout = facts.config.get("heldout") or "databases set aside"
    rows = [
        (
            m["step"],
            f"{100 * m['execution_accuracy']:.1f}",
            f"{100 * m['valid_sql']:.1f}",
            f"{m['eval_loss']:.3f}",
        )
        for m in facts.measurements
    ]
    table = _table(("step", "execution %", "valid SQL %", "loss"), rows)
    pictures = "\n".join(f"![{Path(p).stem.replace('_', ' ')}]({p})" for p in facts.plots)
    return (
        f"## During training\n\nOn {facts.config.get('eval_questions', 'some')} questions of "
        f"{heldout}, which it was not trained on; step 0 is the untuned model.\n\n{table}\n\n"
        f"{pictures}"
    )


def _exports(facts: Facts) -> str:
    if not facts.exports:
        return ""
    rows = [
        (
            f"`{e['file']}`",
            f"{e['bytes'] / 1e6:,.0f}",
            f"{100 * e['exported_accuracy']:.1f}",
            f"{100 * e['adapter_accuracy']:.1f}",
            f"{100 * (1 - e['different']):.0f}",
            e["questions"],
            "yes" if e["passed"] else "**refused**",
        )
        for e in facts.exports
    ]
    headers = ("file", "MB", "execution %", "adapter's", "same SQL %", "questions", "passed")
    return (
        "## GGUF files\n\nEach file answered the same held-out questions as the adapter it was "
        "made from.\n\n" + _table(headers, rows)
    )


def _limits(facts: Facts) -> str:
    limits = [
        "It writes SQL for SQLite."
        if facts.config.get("dialect", "sqlite") == "sqlite"
        else f"It writes SQL for {facts.config['dialect']}.",
        "It was trained on questions in English; other languages were not tried.",
        "A statement that runs can still be wrong: read it before you trust the rows.",
    ]
    best = max(facts.measurements, key=lambda m: m["execution_accuracy"], default=None)
    if best:
        limits.insert(
            0,
            f"On held-out questions {100 - 100 * best['execution_accuracy']:.0f} of "
            f"100 answers were wrong, and {100 - 100 * best['valid_sql']:.0f} did "
            "not run.",
        )
    if tokens := facts.config.get("max_tokens"):
        limits.append(
            f"It was trained on prompts of at most {tokens:,} tokens; of a larger schema the "
            "prompt shows only the tables that fit."
        )
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _licence(facts: Facts) -> str:
    lines = [f"The base model's licence is {facts.info.licence or 'not recorded'}."]
    for name in facts.config.get("data", ()):
        for family in sorted(_DATA, key=len, reverse=True):  # spider-syn before spider
            if name.startswith(family):
                title, licence = _DATA[family]
                lines.append(f"{title} is under {licence}.")
                break
    return "## Licence\n\n" + " ".join(dict.fromkeys(lines)) + "\n\n" + _LINK


_LINK = "[t2sql-tui]: https://pypi.org/project/t2sql-tui/"


def _table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value}"
