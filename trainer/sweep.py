"""A grid of runs: each combination of values is one `trainer fit`, in a process of its own so
that its memory is its own, and skipped if it is done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.provenance import portable
from t2sql_tui.core.errors import T2SQLError
from trainer.config import Config, ConfigError
from trainer.files import write_json
from trainer.outputs import checkpoints, is_finished
from trainer.plots import pyplot, save_figure

Say = Callable[[str], None]


def combinations(grid: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination of the grid's values, the first field varying slowest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def sweep(config: Config, grid: dict[str, list[Any]], say: Say) -> Path:
    """Runs what is not done yet, and writes table.md, sweep.json and plots. Returns the folder.

    Raises: ConfigError for an empty grid; T2SQLError where a run fails, which leaves the
    others to be gone on with by the same command.
    """
    if not grid:
        raise ConfigError(
            "There is nothing to sweep over.",
            "Give values with --grid rank=4,8,16, or a [sweep] table in the recipe.",
        )
    root = Path(config.out or "runs/sweep")
    chosen = combinations(grid)
    for number, values in enumerate(chosen, start=1):
        folder = root / run_name(values)
        title = f"[{number}/{len(chosen)}] {run_name(values)}"
        if is_finished(folder):
            say(f"{title}: done before")
            continue
        say(title)
        # the untuned model is the same for all; the first run measures it
        _run(replace(config, **values, out=str(folder), eval_first=number == 1), folder)
    results = [summary(root / run_name(values), values) for values in chosen]
    untuned = {"run": "untuned", **{name: "" for name in grid}}
    untuned |= scores(root / run_name(chosen[0]), 0) | {
        "parameters": 0,
        "mb": 0,
        "gib": "",
        "minutes": 0,
    }
    results.insert(0, untuned)
    shown = {
        name: portable(value) if isinstance(value, str) else value
        for name, value in asdict(config).items()
    }
    write_json(root / "sweep.json", {"config": shown, "grid": grid, "rows": results})
    (root / "table.md").write_text(table(results, "github") + "\n", encoding="utf-8")
    _plot(results[1:], root)
    return root


def run_name(values: dict[str, Any]) -> str:
    """ "rank-8_learning_rate-0.0004": what tells a run of a grid from its neighbours."""
    shown = {n: "+".join(v) if isinstance(v, tuple) else v for n, v in values.items()}
    return "_".join(f"{name}-{value}" for name, value in shown.items()).replace("/", "-")


def _run(config: Config, folder: Path) -> None:
    command = [sys.executable, "-m", "trainer", "fit", *as_flags(config)]
    if checkpoints(folder):
        command.append("--resume")
    elif (folder / "metrics.jsonl").exists():  # killed before its first checkpoint
        (folder / "metrics.jsonl").unlink()
    done = subprocess.run(command)
    if done.returncode:
        raise T2SQLError(
            f"The run in {folder} failed (exit code {done.returncode}).",
            "Mend what it says above; the same sweep command then goes on from here.",
        )


def as_flags(config: Config) -> list[str]:
    """The command line that gives this config."""
    flags = []
    for f in fields(Config):
        value, name = getattr(config, f.name), f.name.replace("_", "-")
        if value == f.default:
            continue
        if isinstance(value, bool):
            flags.append(f"--{name}" if value else f"--no-{name}")
        else:
            flags += [f"--{name}", ",".join(value) if isinstance(value, tuple) else str(value)]
    return flags


# --- results ------------------------------------------------------------------------


def scores(folder: Path, step: int) -> dict[str, Any]:
    """Execution accuracy, valid SQL, exact set match (Spider's rules; "" outside its grammar),
    BLEU and ROUGE-L of one measurement, all in 0..100."""
    from benchmarks.metrics.text import bleu, rouge

    path = folder / "predictions" / f"step-{step}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    golds, predicted = [r["gold"] for r in lines], [r["sql"] for r in lines]
    share = lambda name: round(100 * sum(r[name] for r in lines) / max(1, len(lines)), 1)  # noqa: E731
    return {
        "execution": share("correct"),
        "valid": share("valid"),
        "exact": _exact(lines),
        "bleu": round(bleu(golds, predicted), 1),
        **{name: round(value, 1) for name, value in rouge(golds, predicted).items()},
    }


def _exact(lines: Sequence[dict[str, Any]]) -> float | str:
    from benchmarks.metrics import exact_match
    from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema
    from trainer.data import schema_of

    verdicts = []
    for row in lines:
        schema = SpiderSchema.from_database(schema_of(Path(row["file"])))
        try:
            verdicts.append(exact_match.score(row["gold"], row["sql"], schema).exact)
        except OutsideGrammar:
            continue
    return round(100 * sum(verdicts) / len(verdicts), 1) if verdicts else ""


def summary(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """One row of the table, of the run's best measurement: scores in 0..100, the size of the
    adapter's file in MB, the peak memory of training in GiB, minutes of the steps alone."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    memory = run["memory_gib"]
    size = sum(file.stat().st_size for file in folder.glob("*/*.safetensors"))
    shown = {n: ",".join(v) if isinstance(v, tuple) else v for n, v in values.items()}
    return {
        "run": run_name(values),
        **shown,
        **scores(folder, run["best"]["step"]),
        "parameters": run["trainable_parameters"],
        "mb": round(size / 1e6, 1),
        "gib": memory.get("gpu", memory["process"]),
        "minutes": run["minutes"],
    }


def table(rows: Sequence[dict[str, Any]], style: str = "simple") -> str:
    from tabulate import tabulate

    names = {
        "execution": "EX %",
        "valid": "valid %",
        "exact": "exact %",
        "bleu": "BLEU",
        "rouge1": "ROUGE-1",
        "rouge2": "ROUGE-2",
        "rougeL": "ROUGE-L",
        "mb": "adapter, MB",
        "gib": "peak GiB",
    }
    shown = [
        {names.get(k, k.replace("_", " ")): v for k, v in row.items() if k != "run"} for row in rows
    ]
    # the untuned model has no values of the grid: its first cell says what it is
    first = next(iter(shown[0]))
    shown[0][first] = "untuned"
    return tabulate(shown, headers="keys", tablefmt=style, intfmt=",")


def _plot(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    axes_of = {
        "parameters": "trainable parameters",
        "gib": "peak memory, GiB",
        "minutes": "minutes",
    }
    for name, label in axes_of.items():
        figure, axes = pyplot().subplots(figsize=(6, 3.5))
        for metric in ("execution", "exact", "bleu", "rougeL"):
            points = sorted((r[name], r[metric]) for r in rows if r[metric] != "")
            axes.plot(*zip(*points, strict=True), marker="o", label=metric) if points else None
        axes.set_xlabel(label)
        axes.set_ylabel("%")
        save_figure(figure, axes, folder / f"accuracy-by-{name}.png")
