"""The model card, written from a run's files, and the upload of both to a hub.

Nothing in a card is typed in by hand and nothing is guessed: what was not measured is said to
be not measured. The text between the markers at the end is yours and survives a rewrite.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.adapter_info import AdapterInfo, read_adapter_info
from trainer.export import report_path
from trainer.files import read_json
from trainer.outputs import find_trained, run_folder, run_name

_YOURS = "<!-- what follows is kept when the card is written again -->"

# Whose words a model trained on these data repeats, and under which terms.
_DATA = {
    "spider": ("[Spider 1.0](https://yale-lily.github.io/spider)", "CC BY-SA 4.0"),
    "spider-syn": ("[Spider-Syn](https://github.com/ygan/Spider-Syn)", "MIT"),
    "synthetic": ("What the trainer generates over Spider's databases", "CC BY-SA 4.0"),
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
    """What the files of a run say; a file that is missing is empty here."""

    name: str
    full: bool
    info: AdapterInfo
    config: Mapping[str, Any]
    run: Mapping[str, Any]
    data: Mapping[str, Any]
    measured: Sequence[Mapping[str, Any]]
    plots: Sequence[str]
    exports: Sequence[Mapping[str, Any]]
    scores: Sequence[Mapping[str, Any]]


def read_facts(folder: Path, results: Iterable[Path] = ()) -> Facts:
    """Reads a run's folder and the folders of `benchmarks run`. Raises: ModelError."""
    trained = find_trained(folder)
    run = read_json(folder / "run.json")
    log = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in _lines(log)] if log.exists() else []
    scores = []
    for path in results:
        path = path / "results.json" if path.is_dir() else path
        if not path.exists():
            raise ModelError(f"There is no {path}", "Name a folder that `benchmarks run` wrote.")
        scores.append(read_json(path))
    return Facts(
        name=run_name(folder),
        full=trained.full,
        info=read_adapter_info(trained.folder),
        config=read_json(folder / "config.json"),
        run=run,
        data=read_json(Path(run["data"]) / "data.json") if run.get("data") else {},
        measured=[line for line in lines if "execution_accuracy" in line],
        plots=sorted(f"plots/{path.name}" for path in folder.glob("plots/*.png")),
        exports=[read_json(path) for path in sorted(folder.glob("*.parity.json"))],
        scores=scores,
    )


def _lines(path: Path) -> list[str]:
    """Whole lines: the last may be cut by a kill."""
    return path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()


# --- the text ---------------------------------------------------------------------


def card(facts: Facts, yours: str = "") -> str:
    """The card as Markdown, with the front matter that hubs read."""
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
        f"{_YOURS}\n{yours.strip()}",
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
    """The base's name on a hub, where the catalog knows one."""
    from t2sql_tui.core.models.catalog import load_catalog

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
        f"`{facts.info.chat_format}` of [t2sql-tui], which makes these prompts and runs what comes "
        "back read-only. Asked in another form it is worse than its base model."
    )


def _scores(facts: Facts) -> str:
    if not facts.scores:
        return "## Scores\n\nNot measured on a benchmark yet: `trainer eval`, then `trainer card`."
    from benchmarks.tables import markdown_table

    return (
        f"## Scores\n\n{markdown_table(facts.scores)}\n\nOne answer a question, execution "
        "accuracy by Spider's official rules, 95 % intervals clustered by gold SQL."
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
        (name.replace("_", " "), _shown(facts.config[name]))
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
    if not facts.measured:
        return ""
    held = facts.config.get("heldout") or "databases set aside"
    rows = [
        (
            m["step"],
            f"{100 * m['execution_accuracy']:.1f}",
            f"{100 * m['valid_sql']:.1f}",
            f"{m['eval_loss']:.3f}",
        )
        for m in facts.measured
    ]
    table = _table(("step", "execution %", "valid SQL %", "loss"), rows)
    pictures = "\n".join(f"![{Path(p).stem.replace('_', ' ')}]({p})" for p in facts.plots)
    return (
        f"## While it trained\n\nOn {facts.config.get('eval_questions', 'some')} questions of "
        f"{held}, which it never saw; step 0 is the untuned model.\n\n{table}\n\n{pictures}"
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
        "## GGUF files\n\nEach answered the same held-out questions as what it was made "
        "from.\n\n" + _table(headers, rows)
    )


def _limits(facts: Facts) -> str:
    limits = [
        "It writes SQLite's dialect."
        if facts.config.get("dialect", "sqlite") == "sqlite"
        else f"It writes the dialect of {facts.config['dialect']}.",
        "Questions in English; other languages were not tried.",
        "A statement that runs can still be wrong: read it before you trust the rows.",
    ]
    last = max(facts.measured, key=lambda m: m["execution_accuracy"], default=None)
    if last:
        limits.insert(
            0,
            f"On held-out questions {100 - 100 * last['execution_accuracy']:.0f} of "
            f"100 answers were wrong, and {100 - 100 * last['valid_sql']:.0f} did "
            "not run.",
        )
    if tokens := facts.config.get("max_tokens"):
        limits.append(
            f"Trained on prompts of at most {tokens:,} tokens: of a larger schema it "
            "sees only the tables that fit."
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
    from tabulate import tabulate

    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value}"


# --- commands ---------------------------------------------------------------------

_RUN = click.argument(
    "trained", metavar="RUN", type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@click.command("card")
@_RUN
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder that `benchmarks run` wrote; may be given several times.",
)
def card_command(trained: Path, results: tuple[Path, ...]) -> None:
    """Write the model card RUN/README.md from the run's files.

    \b
    trainer card runs/mine --results runs/spider-dev--mine
    """
    trained = run_folder(trained)
    path = trained / "README.md"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    yours = before.partition(_YOURS)[2]
    if before and not yours and _YOURS not in before:
        raise ModelError(f"{path} was not written by this command", "Move it away first.")
    path.write_text(card(read_facts(trained, results), yours), encoding="utf-8")
    click.echo(path)


@click.command("push")
@_RUN
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Create it as a private repository.")
@click.option("--dry-run", is_flag=True, help="Only say what would be uploaded.")
def push_command(trained: Path, repository: str, private: bool, dry_run: bool) -> None:
    """Upload adapter, exported GGUF files, their reports and the model card to a hub.

    Uses the token of `hf auth login` or HF_TOKEN. Without one it says what it would do.

    \b
    trainer push runs/mine me/qwen2.5-coder-0.5b-spider --dry-run
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    files = push_files(trained)
    size = sum(path.stat().st_size for path in files.values())
    token = get_token()
    click.echo(
        f"{'Would upload' if dry_run or not token else 'Uploading'} to "
        f"https://huggingface.co/{repository} ({size / 1e6:,.1f} MB):",
        err=True,
    )
    for name, path in files.items():
        click.echo(f"{path.stat().st_size / 1e6:10,.2f} MB  {name}")
    if dry_run:
        return
    if not token:
        click.echo("There is no token, so nothing was uploaded. Log in: hf auth login", err=True)
        return
    from huggingface_hub import CommitOperationAdd

    api = HfApi(token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        api.create_commit(
            repository,
            commit_message=f"Upload {run_name(trained)}",
            operations=[CommitOperationAdd(name, path) for name, path in files.items()],
        )
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"The hub refused: {error}", "Check the name and the token's rights."
        ) from error
    click.echo(f"https://huggingface.co/{repository}")


def push_files(trained: Path) -> dict[str, Path]:
    """Names in the repository to files: the card, the adapter or model, proven GGUF files and
    their reports. Raises: ModelError when there is no card yet."""
    trained = run_folder(trained)
    found = find_trained(trained)
    written = trained / "README.md"
    if not written.exists():
        raise ModelError(f"{trained} has no model card", f"Write it: trainer card {trained}")
    files = {"README.md": written}
    files |= {f"plots/{path.name}": path for path in sorted(trained.glob("plots/*.png"))}
    for path in sorted(found.folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".jinja"):
            files[path.name] = path
    for path in sorted(trained.glob("*.gguf")):
        report = report_path(path)
        unmerged = path.stem.endswith("-lora")
        if not unmerged and not (report.exists() and json.loads(report.read_text())["passed"]):
            raise ModelError(
                f"{path.name} was never compared with the adapter",
                f"Export it again, with its gate: trainer export {trained}",
            )
        files[path.name] = path
        if report.exists():
            files[report.name] = report
    return files
