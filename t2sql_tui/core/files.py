"""Files that the program makes and can make again: whole or not there, made by one process at a
time, and known again by their digest.

Used for everything derived or fetched: merged models, downloads, indexes of values, KV states,
demo databases, and the history file where it has to be set aside.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PARTIAL = ".partial"
_DIGEST = ".digest"
#: Age after which a partial file that no lock protects was surely left by a killed process, in
#: seconds.
ABANDONED = 3600.0


# --- one maker at a time ----------------------------------------------------------------


@contextmanager
def locked(target: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds the lock of `target` while the block runs: nobody else makes or removes it then.

    `on_wait` is called once where another process or thread holds the lock, before waiting for
    it; it may raise to give up. A killed process loses its lock. The folder is made where it is
    missing. Raises: OSError when there is no writing in it.
    """
    from filelock import FileLock, Timeout  # 20 ms, and most starts make nothing

    target.parent.mkdir(parents=True, exist_ok=True)
    # Not shared between threads: each gets an object, and with it a file descriptor, of its own.
    lock = FileLock(target.with_name(f".{target.name}.lock"), mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait is not None:
            on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


# --- whole or not there -----------------------------------------------------------------


@contextmanager
def whole_file(target: Path, mode: int | None = None) -> Iterator[Path]:
    """A path to write to, which becomes `target` only if the block ends without an exception.

    The path is unique, beside `target`, and does not exist yet (with `mode`, it is an empty file
    of these permissions). What is written is on the disk before the name changes. Other files
    whose names begin with the path's own are deleted with it: a library's companions.
    Raises: OSError.
    """
    partial = partial_path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if mode is not None:
            partial.touch(mode=mode, exist_ok=False)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        for left in partial.parent.glob(f"{glob.escape(partial.name)}*"):
            _remove(left)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `target` only if the block ends without an exception.

    An older `target` is replaced. Raises: OSError.
    """
    partial = partial_path(target)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in partial.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        if target.exists():
            shutil.rmtree(target)
        os.replace(partial, target)
    finally:
        _remove(partial)


def partial_path(target: Path) -> Path:
    """A new name for what is to become `target`, in the same folder."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}{_PARTIAL}")


def partials(target: Path) -> list[Path]:
    """What unfinished work on `target` has written. Under its lock, nobody is writing it."""
    return sorted(target.parent.glob(f".{glob.escape(target.name)}.*{_PARTIAL}*"))


def remove_partials(target: Path) -> list[Path]:
    """Deletes what killed processes left of `target`; call it under its lock. Returns the paths."""
    left = partials(target)
    for path in left:
        _remove(path)
    return left


def remove_abandoned(folder: Path, age: float = ABANDONED) -> None:
    """Deletes partial files in `folder` that nobody has written to for `age` seconds."""
    for path in folder.glob(f".*{_PARTIAL}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > age:
                _remove(path)


# --- known again ------------------------------------------------------------------------


def digest_path(path: Path) -> Path:
    """Where the digest of `path` is recorded."""
    return path.with_name(path.name + _DIGEST)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal (a second for 1 GB). Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_digest(path: Path, sha256: str = "") -> None:
    """Records size, time and SHA-256 (computed unless given) of a file that is surely whole.

    Where nothing can be written the file has no record, and is read again next time.
    """
    state = path.stat()
    record = {
        "bytes": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "sha256": sha256 or sha256_of(path),
    }
    with suppress(OSError), whole_file(digest_path(path)) as partial:
        partial.write_text(json.dumps(record) + "\n", encoding="utf-8")


def is_whole(path: Path, sha256: str = "", thorough: bool = False) -> bool:
    """Whether `path` is the file whose digest was recorded, and has that `sha256` if one is given.

    Size and time are compared; where the time differs (a copy), or `thorough`, the file is read.
    A file without a record is whole only if it has the `sha256` given. Raises: OSError.
    """
    state = path.stat()
    try:
        record = read_object(digest_path(path))
    except (OSError, ValueError):
        record = {}
    wanted = sha256 or record.get("sha256", "")
    if not wanted or record.get("bytes", state.st_size) != state.st_size:
        return False
    known = record.get("sha256") == wanted and record.get("mtime_ns") == state.st_mtime_ns
    if known and not thorough:
        return True
    if sha256_of(path) != wanted:
        return False
    if not known:
        record_digest(path, wanted)
    return True


def remove_with_digest(path: Path) -> None:
    """Deletes a file and the record of its digest, if they are there."""
    _remove(path)
    _remove(digest_path(path))


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises: OSError; ValueError when there is none in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    return content


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # what cannot be removed is no use, and no harm
            path.unlink(missing_ok=True)
