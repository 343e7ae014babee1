"""A grid of runs, compared: each combination of values is one `trainer fit`.

Each run is a process, so its memory is its own; a run that is finished is skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.metrics import exact_match
from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema
from benchmarks.metrics.text import bleu, rouge
from benchmarks.provenance import portable
from t2sql_tui.core.errors import T2SQLError
from trainer.config import Config, ConfigError
from trainer.data import schema_of
from trainer.files import write_json
from trainer.outputs import checkpoints, is_finished
from trainer.plots import pyplot, save_figure

Say = Callable[[str], None]


def combinations(grid: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of a grid; the first field varies slowest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def sweep(config: Config, grid: dict[str, list[Any]], say: Say) -> Path:
    """Runs what is not finished, writes table.md, sweep.json and plots; returns the folder.

    Raises: ConfigError for an empty grid; T2SQLError if a run fails: the same command then
    continues with the others.
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
            say(f"{title}: finished before")
            continue
        say(title)
        # the untuned model is the same for all; the first run measures it
        _run(replace(config, **values, out=str(folder), eval_first=number == 1), folder)
    untuned = _untuned(root / run_name(chosen[0]), grid)
    results = [untuned, *(summary(root / run_name(values), values) for values in chosen)]
    settings = {
        name: portable(value) if isinstance(value, str) else value
        for name, value in asdict(config).items()
    }
    write_json(root / "sweep.json", {"config": settings, "grid": grid, "rows": results})
    (root / "table.md").write_text(table(results, "github") + "\n", encoding="utf-8")
    _plot(results[1:], root)
    return root


def run_name(values: dict[str, Any]) -> str:
    """The name of a run of a grid, made of its values: "rank-8_learning_rate-0.0004"."""
    texts = {n: "+".join(v) if isinstance(v, tuple) else v for n, v in values.items()}
    return "_".join(f"{name}-{value}" for name, value in texts.items()).replace("/", "-")


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
            "Correct what its message above says; the same sweep command then continues.",
        )


def as_flags(config: Config) -> list[str]:
    """The command line that gives `config`."""
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
    """Scores of one measurement, in 0..100.

    Execution accuracy, valid SQL, exact set match by Spider's rules ("" if all SQL is outside
    its grammar), BLEU and ROUGE.
    """
    path = folder / "predictions" / f"step-{step}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    golds, predicted = [r["gold"] for r in lines], [r["sql"] for r in lines]
    count = max(1, len(lines))
    return {
        "execution": round(100 * sum(r["correct"] for r in lines) / count, 1),
        "valid": round(100 * sum(r["valid"] for r in lines) / count, 1),
        "exact": _exact(lines),
        "bleu": round(bleu(golds, predicted), 1),
        **{name: round(value, 1) for name, value in rouge(golds, predicted).items()},
    }


def _exact(lines: Sequence[dict[str, Any]]) -> float | str:
    verdicts = []
    for row in lines:
        schema = SpiderSchema.from_database(schema_of(Path(row["file"])))
        try:
            verdicts.append(exact_match.score(row["gold"], row["sql"], schema).exact)
        except OutsideGrammar:
            continue
    return round(100 * sum(verdicts) / len(verdicts), 1) if verdicts else ""


def summary(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """One row of the table, for the best measurement of a run.

    Scores are in 0..100, the size of the adapter's file in MB, the peak memory of training in
    GiB; the minutes are those of the steps alone.
    """
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    memory = run["memory_gib"]
    size = sum(file.stat().st_size for file in folder.glob("*/*.safetensors"))
    texts = {n: ",".join(v) if isinstance(v, tuple) else v for n, v in values.items()}
    return {
        "run": run_name(values),
        **texts,
        **scores(folder, run["best"]["step"]),
        "parameters": run["trainable_parameters"],
        "mb": round(size / 1e6, 1),
        "gib": memory.get("gpu", memory["process"]),
        "minutes": run["minutes"],
    }


def _untuned(first: Path, grid: dict[str, list[Any]]) -> dict[str, Any]:
    """The row of the untuned model, which the first run has measured."""
    values = {name: "" for name in grid}
    size = {"parameters": 0, "mb": 0, "gib": "", "minutes": 0}
    return {"run": "untuned", **values, **scores(first, 0), **size}


def table(rows: Sequence[dict[str, Any]], style: str = "simple") -> str:
    """The rows as a table in a style of tabulate; the first row is the untuned model."""
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
    renamed = [
        {names.get(k, k.replace("_", " ")): v for k, v in row.items() if k != "run"} for row in rows
    ]
    # the untuned model has no values of the grid: its first cell holds its name
    first = next(iter(renamed[0]))
    renamed[0][first] = "untuned"
    return tabulate(renamed, headers="keys", tablefmt=style, intfmt=",")


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
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=metric)
        axes.set_xlabel(label)
        axes.set_ylabel("%")
        save_figure(figure, axes, folder / f"accuracy-by-{name}.png")
