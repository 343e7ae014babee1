"""Backends turn a `Prompt` into text. A backend is one file here and one entry in `BACKENDS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from t2sql_tui.core.errors import ModelError

if TYPE_CHECKING:
    from t2sql_tui.core.types import Backend, ModelSpec


@dataclass(frozen=True, slots=True)
class BackendOption:
    """A keyword of a backend's constructor that command lines offer.

    Left out, the constructor's own default holds; `help` says which that is. `type` is what
    the constructor wants; a bool becomes a flag without a value. `minimum` is for numbers.
    `flag` is "--" and the name with hyphens unless another is given. `changes_answers` says
    whether the same model may answer otherwise with another value; benchmarks record it then.
    """

    name: str
    help: str
    type: type[str] | type[int] | type[float] | type[bool] = str
    metavar: str = ""
    minimum: float | None = None
    flag: str = ""
    changes_answers: bool = True

    def __post_init__(self) -> None:
        if not self.flag:
            object.__setattr__(self, "flag", "--" + self.name.replace("_", "-"))


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """What the program knows of a backend before its libraries are imported.

    `target` is "module:Class". `reads_gguf`: it needs the published GGUF file, which commands
    fetch first where it is missing. `network`: it never uses one, it may fetch weights by itself
    (its constructor then takes `offline`), or it sends every question.
    """

    target: str
    summary: str
    options: tuple[BackendOption, ...] = ()
    reads_gguf: bool = False
    network: Literal["never", "fetches", "asks"] = "never"


_CONTEXT = BackendOption(
    "n_ctx",
    "Size of the context in tokens (default: the model's own, at most what it was trained for).",
    int,
    metavar="TOKENS",
    minimum=1,
    flag="--context",
)

#: Backends by name, the default first. A backend's libraries are imported when it is loaded,
#: not before: llama.cpp takes 0.2 s, torch several.
BACKENDS: Mapping[str, BackendEntry] = {
    "gguf": BackendEntry(
        "t2sql_tui.backends.gguf:GGUFBackend",
        "llama.cpp on a GGUF file",
        (
            BackendOption(
                "n_threads",
                "Number of processor threads (default: the physical cores this process may use).",
                int,
                metavar="N",
                minimum=1,
                flag="--threads",
                changes_answers=False,
            ),
            _CONTEXT,
            BackendOption(
                "n_gpu_layers",
                "Number of layers to keep on the GPU (default: all, where there is a GPU).",
                int,
                metavar="N",
                minimum=0,
                flag="--gpu-layers",
                changes_answers=False,
            ),
        ),
        reads_gguf=True,
    ),
    "peft": BackendEntry(
        "t2sql_tui.backends.peft:PEFTBackend",
        "transformers with the adapter, for a GPU (needs the extra `gpu`)",
        (
            BackendOption(
                "base",
                "Folder or hub id of the base weights in transformers' format (default: the GGUF "
                "file, dequantised).",
                metavar="DIR|ID",
            ),
            BackendOption(
                "device", "Device: cuda, mps or cpu (default: the best there is).", metavar="NAME"
            ),
            BackendOption("four_bit", "Load the weights in 4 bits (CUDA only).", bool),
            _CONTEXT,
        ),
        network="fetches",
    ),
    "remote": BackendEntry(
        "t2sql_tui.backends.remote:RemoteBackend",
        "an OpenAI-compatible server, which gets the questions, the schema and sample values",
        (
            BackendOption(
                "url",
                "Address of the server's API, for example http://host:8000/v1.",
                metavar="URL",
            ),
            BackendOption(
                "served_model",
                "Name of the model on the server (default: the first that it lists).",
                metavar="NAME",
            ),
            BackendOption(
                "answer_timeout",
                "Time to wait for the next piece of an answer, in seconds (default: 120).",
                float,
                metavar="S",
                minimum=1,
                flag="--server-timeout",
                changes_answers=False,
            ),
        ),
        network="asks",
    ),
    "scripted": BackendEntry(
        "t2sql_tui.backends.scripted:ScriptedBackend",
        "canned replies, to try the screen",
        (
            BackendOption(
                "delay",
                "Pause before every word, in seconds (default: 0).",
                float,
                metavar="S",
                minimum=0,
                changes_answers=False,
            ),
        ),
    ),
}
DEFAULT_BACKEND = next(iter(BACKENDS))


def load_backend(
    spec: ModelSpec, *, backend: str = DEFAULT_BACKEND, offline: bool = False, **options: Any
) -> Backend:
    """The named backend with the model of `spec` loaded. `offline`: without any network.

    `options` are keywords of the backend's constructor. Every backend takes `on_progress`,
    which is called with the parts loaded and the parts in all.

    Takes as long as the model takes to load (0.3 s to a minute), so call it in a worker.
    Raises: ModelError when the name is unknown, the backend's libraries are not
    installed, the weights are missing or damaged, or the backend cannot work `offline`.
    """
    if backend not in BACKENDS:
        raise ModelError(f'There is no backend "{backend}".', f"Known: {', '.join(BACKENDS)}.")
    entry = BACKENDS[backend]
    if offline and entry.network == "asks":
        raise ModelError(
            f"The backend {backend} asks a server, and --offline forbids that.",
            "Leave out --offline, or use a backend that runs here: "
            + ", ".join(name for name, other in BACKENDS.items() if other.network != "asks")
            + ".",
        )
    if entry.network == "fetches":
        options["offline"] = offline
    module, _, name = entry.target.partition(":")
    loaded: Backend = getattr(import_module(module), name)(spec, **options)
    return loaded
