"""llama.cpp's binding: loading it, its log, its callbacks, and what it may use here."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from t2sql_tui.core.errors import ModelError

_log: deque[str] = deque(maxlen=40)


def _keep_log(level: int, text: bytes | None, _: Any) -> None:
    _log.append((text or b"").decode("utf-8", "replace"))


#: llama.cpp holds no reference to its callbacks, so this one lives as long as the module.
_LOG_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_keep_log)


@functools.cache
def library() -> Any:
    """The module `llama_cpp`, with its log kept in memory: on stderr it would tear the screen.

    Raises: ModelError when it cannot be loaded.
    """
    # OpenMP's threads spin for milliseconds where they wait for each other, hundreds of
    # times a token. With the cores to itself that gains nothing over this shorter spin
    # (46 tokens a second both ways, two cores, 0.5B); with two busy neighbours it costs
    # three quarters of the speed.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        import llama_cpp  # 0.2 s
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(
            f"llama.cpp cannot be loaded: {error}",
            "Install it again: pip install --force-reinstall --no-deps llama-cpp-python",
        ) from error
    llama_cpp.llama_log_set(_LOG_CALLBACK, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    return llama_cpp


def processor_features() -> set[str]:
    """What llama.cpp was built to use: AVX2, AVX512, AMX_INT8, OPENMP, ..."""
    info: str = library().llama_print_system_info().decode()
    return set(re.findall(r"(\w+) = 1", info))


def usable_cores() -> int:
    """Number of physical cores that this process may use: affinity and container limits count.

    Hyper-threads are left out; two of them on one core make llama.cpp slower.
    """
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    siblings = set()
    for cpu in cpus:
        try:
            topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
            siblings.add(topology.read_text())
        except OSError:
            siblings.add(str(cpu))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max": no limit
        limit = len(cpus)
    return max(1, min(len(siblings), limit))


# --- the log ----------------------------------------------------------------------


def clear_log() -> None:
    """Forgets what llama.cpp has logged, so that `log_summary` tells of what comes."""
    _log.clear()


def log_summary() -> str:
    """The last two lines of llama.cpp's log that name an error, or the last two of all."""
    lines = "".join(_log).splitlines()
    telling = [line for line in lines if "error" in line.lower() or "fail" in line.lower()]
    return "; ".join(line.strip() for line in (telling or lines)[-2:])


@contextmanager
def log_sent_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Sends llama.cpp's log to `listener` while the block runs.

    An exception from `listener` cannot pass through C: it is raised when the block ends.
    """
    llama = library()
    raised: list[BaseException] = []

    def listen(level: int, text: bytes | None, _: Any) -> None:
        try:
            if not raised:
                listener((text or b"").decode("utf-8", "replace"))
        except BaseException as error:
            raised.append(error)

    callback = llama.llama_log_callback(listen)
    before, data = llama.llama_log_callback(), ctypes.c_void_p()
    llama.llama_log_get(ctypes.byref(before), ctypes.byref(data))
    llama.llama_log_set(callback, None)
    try:
        yield
    finally:
        llama.llama_log_set(before, data)
    if raised:
        raise raised[0]


# --- callbacks --------------------------------------------------------------------


class CallbackScope:
    """A block in which C calls Python: what the callbacks raise is raised when it ends.

    ctypes prints and forgets such exceptions. Ctrl+C is worse: it is raised as the callback
    begins, where no `try` can be, so on the main thread a handler takes it meanwhile.
    """

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._handles_interrupts = False

    def __enter__(self) -> CallbackScope:
        self._handles_interrupts = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._handles_interrupts:
            signal.signal(signal.SIGINT, self._interrupted)
        return self

    def should_end(self, function: Callable[[], object] | None) -> bool:
        """Whether C is to end its work: `function` returned something true, or raised."""
        answer = False
        try:
            answer = bool(function and function())
        except BaseException as error:
            self._error = error
        return self._error is not None or answer

    def __exit__(self, *_: object) -> None:
        if self._handles_interrupts:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._error is not None:
            raise self._error

    def _interrupted(self, signal_number: int, frame: FrameType | None) -> None:
        self._error = KeyboardInterrupt()
