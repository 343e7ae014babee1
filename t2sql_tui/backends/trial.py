"""Tries a GGUF file from elsewhere in a child process before this one loads it.

llama.cpp ends the process where a header is not as it expects (`GGML_ASSERT`, an exception that
nobody catches), which would take the app with it and leave the terminal in its raw mode. What
passed is remembered by the file's beginning, end and size, so each file is tried once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from t2sql_tui.backends.llama import library
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.paths import tried_folder

_CHILD = "t2sql_tui.backends.trial_child"
#: Seconds that a file has: a start of the interpreter and slow disks included.
BASE_SECONDS, SECONDS_PER_GB = 60.0, 30.0
#: Bytes at the beginning and at the end of a file by which it is known again. The header, with
#: the vocabulary, is at the beginning; the tensors' values cannot end the process.
_HEAD, _TAIL = 32 << 20, 1 << 20


def try_file(path: Path, n_ctx: int | None = None, n_gpu_layers: int = -1) -> None:
    """Loads the file in a child process and evaluates a few tokens, unless that was done before.

    Raises: ModelError when it cannot be loaded, or ends the child.
    """
    tried = tried_folder() / _fingerprint(path, n_ctx, n_gpu_layers)
    if tried.exists():
        return
    _try_in_child(path, n_ctx, n_gpu_layers)
    with suppress(OSError):  # it is tried again next time
        tried.parent.mkdir(parents=True, exist_ok=True)
        tried.touch()


def _fingerprint(path: Path, *options: object) -> str:
    """A hash of what decides how loading ends. Raises: ModelError."""
    try:
        size = path.stat().st_size
        digest = sha256(repr((size, options, library().__version__)).encode())
        with path.open("rb") as file:
            digest.update(file.read(_HEAD))
            file.seek(max(0, size - _TAIL))
            digest.update(file.read())
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.", "Check the path.") from error
    return digest.hexdigest()[:32]


def _try_in_child(path: Path, n_ctx: int | None, n_gpu_layers: int) -> None:
    command = [sys.executable, "-m", _CHILD, str(path), str(n_ctx or 0), str(n_gpu_layers)]
    seconds = BASE_SECONDS + SECONDS_PER_GB * path.stat().st_size / 1e9
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"llama.cpp did not load {path} within {seconds:.0f} s.", _hint(path)
        ) from error
    if ended.returncode == 0 and ended.stdout:
        answer = json.loads(ended.stdout.splitlines()[-1])
        if answer:
            raise ModelError(*answer)
        return
    lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
    reason = lines[-1].strip()[:300] if lines else "it says nothing"
    raise ModelError(f"llama.cpp ended ({_how(ended.returncode)}) on {path}: {reason}", _hint(path))


def _how(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"code {code}"


def _hint(path: Path) -> str:
    return (
        f"{path.name} is damaged, or of a kind that this llama.cpp does not know: download it "
        "again or name another file. If other models fail too: t2sql-tui doctor"
    )
