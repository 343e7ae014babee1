"""Files and folders that are either whole or not there, also after a kill or a full disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.paths import tools_cache_folder


def cache_folder() -> Path:
    """The folder of what the trainer can make again."""
    return tools_cache_folder() / "trainer"


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `target` when everything is written and synced.

    After an error nothing is left, and an older `target` is as it was.

    Raises: T2SQLError when the disk is full.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        sync(part)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if is_disk_error(error):
            raise disk_error(target, error) from error
        raise
    replace_folder(part, target)


def replace_folder(part: Path, target: Path) -> None:
    """Renames the finished folder `part` to `target`, in place of an older one."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def sync(folder: Path) -> None:
    """Waits until every file under `folder` is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def is_disk_error(error: BaseException) -> bool:
    """Whether `error` says that a file could not be written.

    torch and safetensors report a full disk by the text of their own error classes.
    """
    text = str(error)
    return isinstance(error, OSError) or "No space left" in text or "unexpected pos" in text


def disk_error(target: Path, error: BaseException) -> T2SQLError:
    """The error to raise when `target` could not be written because of `error`."""
    return T2SQLError(
        f"{target} could not be written: {getattr(error, 'strerror', None) or error}.",
        "No incomplete file was left and earlier files are intact. Free some disk space, "
        "then continue with --resume.",
    )


def write_json(path: Path, value: Any) -> None:
    """Writes, syncs, then renames: readers see the old file or the new one, never a part.

    Raises: T2SQLError when the disk is full.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
