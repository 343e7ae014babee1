"""The cold start: a fresh process that loads a model and answers one question.

`python -m benchmarks.cold_start ORDER` is that process. What it imports counts as loading, so the
app's modules are imported while the clock runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def cold_start(model: str, database: Path, question: str, threads: int | None) -> dict[str, float]:
    """Seconds and peak memory of a fresh process that loads the model and answers the question.
    The weights may be in the system's file cache; it cannot be emptied from here.

    Raises: ModelError.
    """
    from t2sql_tui.core.errors import ModelError  # not in the fresh process before its clock runs

    order = json.dumps([model, str(database), question, threads])
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cold_start", order], capture_output=True, text=True
    )
    whole = time.perf_counter() - started
    if done.returncode:
        raise ModelError("The cold start failed.", done.stderr.strip()[-500:])
    return {"process_seconds": whole, **json.loads(done.stdout.splitlines()[-1])}


def _answer_once(order: str) -> None:
    """The work of the fresh process; prints its times and its memory as JSON."""
    import resource  # not on Windows

    started = time.perf_counter()
    from t2sql_tui.backends import load_backend
    from t2sql_tui.core.ask import ask
    from t2sql_tui.core.database.database import open_database
    from t2sql_tui.core.models.catalog import find_model
    from t2sql_tui.core.types import AskOptions, Question

    model, path, question, threads = json.loads(order)
    backend = load_backend(find_model(model), n_threads=threads, cache_folder=None)
    loaded = time.perf_counter()
    with open_database(Path(path)) as database:
        answer = ask(Question(question), database, backend, AskOptions(repairs=0))
    answered = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "load_seconds": loaded - started,
                "first_token_seconds": answer.generations[0].first_token_seconds,
                "answer_seconds": answered - loaded,
                # In KiB on Linux, in bytes on macOS.
                "peak_memory_mib": peak / (2**20 if sys.platform == "darwin" else 2**10),
                "gpu_memory_mib": _gpu_memory(),
            }
        )
    )
    backend.close()


def _gpu_memory() -> float | None:
    """MiB that this process holds on NVIDIA devices; None without one."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(",") for line in done.stdout.splitlines() if "," in line]
    return sum(float(used) for pid, used in rows if int(pid) == os.getpid())


if __name__ == "__main__":
    _answer_once(sys.argv[1])
