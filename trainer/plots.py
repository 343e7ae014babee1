"""The curves of a run as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import run_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pyplot() -> Any:
    """matplotlib's pyplot, drawing into files."""
    import matplotlib  # takes 1 s to import

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def plot_run(folder: Path) -> list[Path]:
    """Draws loss, learning rate and accuracy of a run into its folder `plots`; the files."""
    lines = run_log.read_log(folder / run_log.FILE)
    steps, measurements = run_log.steps(lines), run_log.measurements(lines)
    target = folder / "plots"
    target.mkdir(exist_ok=True)
    curves = {
        "loss": [("training", steps, "loss"), ("held out", measurements, "eval_loss")],
        "learning_rate": [("learning rate", steps, "learning_rate")],
        "accuracy": [
            ("execution accuracy", measurements, "execution_accuracy"),
            ("valid SQL", measurements, "valid_sql"),
        ],
    }
    written = []
    for name, series in curves.items():
        figure, axes = pyplot().subplots(figsize=(6, 3.5))
        for label, rows, key in series:
            axes.plot(
                [row["step"] for row in rows],
                [row[key] for row in rows],
                label=label,
                marker="o" if rows is measurements else None,
            )
        axes.set_xlabel("step")
        axes.set_ylabel(name.replace("_", " "))
        written.append(target / f"{name}.png")
        save_figure(figure, axes, written[-1])
    return written


def save_figure(figure: Figure, axes: Any, path: Path) -> None:
    """Writes a figure with a legend and a grid, and closes it."""
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot().close(figure)
