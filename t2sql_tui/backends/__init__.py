"""Backends: what turns a `Prompt` into text. One file and one line here for each."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.types import Backend, ModelSpec

# name -> "module:Class". A backend's libraries are imported when it is loaded, not
# before: llama.cpp takes 0.2 s, torch several.
BACKENDS = {
    "gguf": "t2sql_tui.backends.gguf:GGUFBackend",
    "peft": "t2sql_tui.backends.peft:PEFTBackend",
    "scripted": "t2sql_tui.backends.scripted:ScriptedBackend",
}


def load_backend(spec: ModelSpec, *, backend: str = "gguf", **options: Any) -> Backend:
    """Load `spec` with the named backend; `options` go to its constructor. Every backend
    has `on_progress`, called with parts loaded and parts in all.

    Takes as long as the model takes to load (0.3 s to a minute), so call it in a worker.
    Raises: ModelError when the name is unknown, the backend's libraries are not
    installed, or the weights are missing or damaged.
    """
    if backend not in BACKENDS:
        raise ModelError(f'There is no backend "{backend}".', f"Known: {', '.join(BACKENDS)}.")
    module, _, name = BACKENDS[backend].partition(":")
    return getattr(import_module(module), name)(spec, **options)
