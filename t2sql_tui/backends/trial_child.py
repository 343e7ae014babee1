"""The child process of `trial.py`: loads a GGUF file and evaluates a few tokens.

It prints null, or the message and the hint of an error, or ends as llama.cpp ends it.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

from t2sql_tui.backends.gguf import GGUFBackend
from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import GenerationSettings, ModelSpec, Prompt


def _try() -> None:
    with suppress(ImportError, OSError, ValueError):  # no core file of gigabytes
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path, n_ctx, n_gpu_layers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    spec = ModelSpec(path.stem, path=path)
    answer = None
    try:
        backend = GGUFBackend(
            spec, n_ctx=n_ctx or None, n_gpu_layers=n_gpu_layers, cache_folder=None, tried=True
        )
        backend.generate(Prompt("", "", "SELECT 1 FROM", " t"), GenerationSettings(2))
    except ModelError as error:
        answer = (error.message, error.hint)
    print("\n" + json.dumps(answer), flush=True)


if __name__ == "__main__":
    _try()
