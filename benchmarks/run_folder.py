"""The folder of a run on disk: written line by line, resumed, read.

`run.json` says what the run is and where it comes from, `predictions.jsonl` holds one line an
example, `results.json` the summary. A line is written when its example is scored, and is on disk
(fsync) before the next is written, so that a run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from benchmarks.datasets import DataError
from benchmarks.records import Line, RunInfo, read_record

PREDICTIONS = "predictions.jsonl"
RUN = "run.json"
RESULTS = "results.json"


class RunFolder:
    """One run on disk, open for writing. Use as a context manager: it holds a lock, so that two
    processes cannot write into one run.

    `lines` maps example ids to the lines that are there. `identity` is everything that
    must be equal for two lines to belong to one run; a folder that holds another identity
    is refused. `repaired` says that a line cut short was removed.

    Raises: DataError.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], origin: Mapping[str, Any]):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DataError(
                f"Another process is writing {folder}.", "Wait for it, or choose another --name."
            ) from None
        try:
            self.info = self._claim(dict(identity), dict(origin))
            self.repaired = remove_torn_line(folder / PREDICTIONS)
            self.lines = {line["id"]: line for line in read_lines(folder / PREDICTIONS)}
            self._file = (folder / PREDICTIONS).open("a", encoding="utf-8")
        except BaseException:
            self._lock.release()
            raise

    def _claim(self, identity: dict[str, Any], origin: dict[str, Any]) -> RunInfo:
        """What run.json will say once there is a line to say it of."""
        path, predictions = self.folder / RUN, self.folder / PREDICTIONS
        self._claimed = False
        if path.exists():
            info = read_run_info(path)
            refuse_other_run(path, info.get("identity", {}), identity)
            info["resumed"] = [*info.get("resumed", []), origin]
            return info
        if predictions.exists() and predictions.stat().st_size:
            raise DataError(
                f"{self.folder} holds predictions but no {RUN} that says what they are.",
                "Choose another --name, or delete the folder.",
            )
        return {"identity": identity, "provenance": origin}

    def append(self, line: Line) -> None:
        """Writes one line, and run.json before the first."""
        if not self._claimed:
            write_json(self.folder / RUN, self.info)
            self._claimed = True
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines[line["id"]] = line

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run, as the commands that compare, report and calibrate read it."""

    folder: Path
    name: str
    info: RunInfo
    lines: list[Line]

    @property
    def identity(self) -> dict[str, Any]:
        """What the run is of: suite, model, prompt, decoding, scoring."""
        return self.info["identity"]


def load_run(folder: Path) -> Run:
    """The run in `folder` (or of the predictions.jsonl that is named).

    Raises: DataError.
    """
    if folder.name == PREDICTIONS:
        folder = folder.parent
    info = read_run_info(folder / RUN)
    lines = list(read_lines(folder / PREDICTIONS))
    if not lines:
        raise DataError(f"{folder} holds no predictions.", "Has the run begun?")
    return Run(folder, folder.name, info, lines)


def refuse_other_run(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raises DataError when the two identities differ, and says in what."""
    there = json.loads(json.dumps(there))
    here = json.loads(json.dumps(here))
    different = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    if different:
        text = "; ".join(f"{k}: there {there.get(k)!r}, now {here.get(k)!r}" for k in different)
        raise DataError(
            f"{path} is of another run ({text}).",
            "Choose another --name, or start over with --restart.",
        )


def set_aside(folder: Path) -> Path:
    """Renames a run that --restart replaces, for nothing that took hours is deleted. Returns its
    new path."""
    old = folder.with_name(f"{folder.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    folder.rename(old)
    return old


def remove_torn_line(path: Path) -> bool:
    """Cuts off a last line that was not written to its end. True if there was one."""
    if not path.exists():
        return False
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole == len(content):
        return False
    with path.open("r+b") as file:
        file.truncate(whole)
        os.fsync(file.fileno())
    return True


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a predictions.jsonl, each with an id of its own and with the keys of today.

    Lines that other people made may hold no more than an id and a "sql" or a "text".

    Raises: DataError.
    """
    if not path.exists():
        return
    seen = set()
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            try:
                line = read_record(json.loads(text))
                id_ = line["id"]
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
                raise DataError(
                    f"Line {number} of {path} is damaged.",
                    "Delete that line to ask its question again.",
                ) from None
            if id_ in seen:
                raise DataError(
                    f"Line {number} of {path} repeats the id '{id_}'.", "Delete one of the two."
                )
            seen.add(id_)
            yield cast(Line, line)


def predictions_sha256(folder: Path) -> str:
    """SHA-256 of the predictions.jsonl in `folder`.

    Raises: DataError where there is none.
    """
    try:
        return hashlib.sha256((folder / PREDICTIONS).read_bytes()).hexdigest()
    except OSError:
        raise DataError(
            f"There is no {folder / PREDICTIONS}.", "Is it the folder of a run?"
        ) from None


def read_run_info(path: Path) -> RunInfo:
    """A run.json.

    Raises: DataError.
    """
    return cast(RunInfo, read_json(path))


def read_json(path: Path) -> dict[str, Any]:
    """One JSON file of a run.

    Raises: DataError.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no {path}.", "Is it the folder of a run?") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is damaged: {error}.", "Choose another --name.") from None


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as JSON; the file is replaced whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n", "utf-8")
    part.replace(path)
