"""The log of a run: metrics.jsonl, one line a step and one a measurement, and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]

FILE = "metrics.jsonl"


class RunLog:
    """The lines of metrics.jsonl, appended as they come, and the same as TensorBoard curves.

    What a run must remember (its best measurement, how long ago that was) is read back from
    the lines, so that it is stored once. `lines` go up to the step of `checkpoint`: after a
    kill the file may be ahead of it, and the steps that come again are cut off.
    Only the main process (`main`) writes.
    """

    def __init__(self, folder: Path, checkpoint: Path | None, *, main: bool) -> None:
        self.path = folder / FILE
        self.main = main
        self.lines: list[Line] = []
        step = checkpoint_step(checkpoint) if checkpoint else 0
        if checkpoint and self.path.exists():
            self.lines = [line for line in read_log(self.path) if line["step"] <= step]
        if not main:
            return
        part = self.path.with_name(f".{FILE}.part")
        part.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
        part.replace(self.path)
        from torch.utils.tensorboard import SummaryWriter  # torch takes seconds to import

        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, line: Line) -> None:
        """Appends a line to the log and its numbers to the curves."""
        self.lines.append(line)
        if not self.main:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in line.items():
            if name != "step" and isinstance(value, (int, float)):
                self.board.add_scalar(name, value, line["step"])
        self.board.flush()

    @property
    def steps(self) -> list[Line]:
        """The lines of the steps."""
        return steps(self.lines)

    @property
    def measurements(self) -> list[Line]:
        """The lines of the measurements."""
        return measurements(self.lines)

    @property
    def best(self) -> Line | None:
        """The measurement that the saved adapter belongs to: the first of those with the highest
        execution accuracy, without that of the untuned model (step 0)."""
        trained = [line for line in self.measurements if line["step"]]
        return max(trained, key=lambda line: line["execution_accuracy"], default=None)

    @property
    def measurements_since_best(self) -> int:
        """How many measurements came after the best one."""
        best = self.best
        return sum(line["step"] > best["step"] for line in self.measurements) if best else 0


def steps(lines: Sequence[Line]) -> list[Line]:
    """Those lines of a log that describe a step."""
    return [line for line in lines if "loss" in line]


def measurements(lines: Sequence[Line]) -> list[Line]:
    """Those lines of a log that describe a measurement."""
    return [line for line in lines if "execution_accuracy" in line]


def read_log(path: Path) -> list[Line]:
    """The lines of a metrics.jsonl, without a last line that a kill cut short."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def checkpoint_step(checkpoint: Path) -> int:
    """The step that a folder "checkpoint-120" was written after."""
    return int(checkpoint.name.rpartition("-")[2])
