"""Does llama.cpp work on this machine? Tried in a separate process.

A build that does not fit the processor is killed by a signal, which no `try` can catch; here
it becomes one more finding.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from t2sql_tui.backends.gguf import GGUFBackend
from t2sql_tui.backends.llama import library, processor_features, usable_cores
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.catalog import find_model
from t2sql_tui.core.types import GenerationSettings, Prompt

#: What was examined, whether it works, and the details.
Finding = tuple[str, bool, str]

_TIMEOUT = 180.0  # seconds
_PROMPT_TOKENS, _ANSWER_TOKENS = 256, 32


def diagnose(path: Path | None) -> list[Finding]:
    """What llama.cpp was built for and, with the weights in `path`, how fast it decodes."""
    command = [sys.executable, "-m", "t2sql_tui.backends.diagnosis"]
    return _findings_of(command + ([str(path)] if path else []))


def _findings_of(command: Sequence[str], timeout: float = _TIMEOUT) -> list[Finding]:
    """The findings that the process prints, one in JSON a line, and one about how it ended."""
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode()
        return [*_parsed(output), ("decoding", False, f"no answer within {timeout:.0f} s")]
    findings = _parsed(ended.stdout)
    if ended.returncode < 0:
        findings.append(("decoding", False, _crash(-ended.returncode)))
    elif ended.returncode > 0:
        reason = (ended.stderr.strip().splitlines() or ["it failed"])[-1]
        findings.append(("llama.cpp", False, reason))
    return findings


def _parsed(output: str) -> list[Finding]:
    return [(name, ok, detail) for name, ok, detail in map(json.loads, output.splitlines())]


def _crash(number: int) -> str:
    """What to say of a process that was killed by the signal of that number."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return (
        f"llama.cpp crashed ({name}): it was built for another processor. Build it again: "
        'CMAKE_ARGS="-DGGML_NATIVE=OFF" pip install --force-reinstall --no-cache-dir '
        "--no-deps --no-binary llama-cpp-python llama-cpp-python"
    )


def _report(name: str, ok: bool, detail: str) -> None:
    print(json.dumps((name, ok, detail)), flush=True)  # at once: the process may crash next


def _examine(path: str | None) -> None:
    """Prints the findings; runs in the separate process."""
    llama = library()
    features = processor_features()
    _report(
        "llama.cpp",
        True,
        f"llama-cpp-python {llama.__version__}, built for " + " ".join(sorted(features)),
    )
    if any("AMX" in feature for feature in features):
        _report("AMX", True, "built in, and kept switched off: its kernels crash on some machines")
    _report("GPU", True, "used" if llama.llama_supports_gpu_offload() else "not built in: CPU only")
    _report("cores", True, f"{usable_cores()} used")
    if path is not None:
        _examine_weights(path)


def _examine_weights(path: str) -> None:
    started = time.perf_counter()
    backend = GGUFBackend(find_model(path), cache_folder=None, tried=True)
    _report("weights", True, f"{path}, loaded in {time.perf_counter() - started:.1f} s")
    text = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);\n"
    repeated = text * (_PROMPT_TOKENS // backend.count_tokens(text) + 1)
    answer = backend.generate(
        Prompt("", "", repeated, "SELECT"), GenerationSettings(_ANSWER_TOKENS)
    )
    speed = answer.prompt_tokens / answer.first_token_seconds
    _report("prompt", True, f"{speed:.0f} tokens a second")
    seconds = answer.seconds - answer.first_token_seconds
    steps = answer.completion_tokens - 1  # the first came with the prompt
    _report("decoding", True, f"{steps / seconds:.1f} tokens a second" if steps else "works")
    backend.close()


if __name__ == "__main__":
    try:
        _examine(sys.argv[1] if len(sys.argv) > 1 else None)
    except ModelError as error:
        _report("llama.cpp", False, str(error))
