"""Pictures: the curves of a run."""

from __future__ import annotations

from pathlib import Path


def plot_run(folder: Path) -> list[Path]:
    """Loss, learning rate and accuracy of a run as PNG files in its `plots` folder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from trainer.fit import read_log

    lines = read_log(folder / "metrics.jsonl")
    steps = [row for row in lines if "loss" in row]
    measured = [row for row in lines if "execution_accuracy" in row]
    target = folder / "plots"
    target.mkdir(exist_ok=True)
    curves = {
        "loss": [("training", steps, "loss"), ("held out", measured, "eval_loss")],
        "learning_rate": [("learning rate", steps, "learning_rate")],
        "accuracy": [
            ("execution accuracy", measured, "execution_accuracy"),
            ("valid SQL", measured, "valid_sql"),
        ],
    }
    written = []
    for name, series in curves.items():
        figure, axes = plt.subplots(figsize=(6, 3.5))
        for label, rows, key in series:
            axes.plot([r["step"] for r in rows], [r[key] for r in rows], label=label,
                      marker="o" if rows is measured else None)  # fmt: skip
        axes.set_xlabel("step")
        axes.set_ylabel(name.replace("_", " "))
        axes.legend()
        axes.grid(alpha=0.3)
        figure.tight_layout()
        written.append(target / f"{name}.png")
        figure.savefig(written[-1], dpi=120)
        plt.close(figure)
    return written
