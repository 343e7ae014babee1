"""The machine that a run is on: threads, GPU, processes, memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from trainer.config import Config

if TYPE_CHECKING:
    import torch
    from accelerate import PartialState
    from transformers import PreTrainedModel


def set_threads(config: Config) -> None:
    """Lets torch use the threads that `config` names, or one for each usable core."""
    import torch

    # torch counts the machine's cores; a container may have fewer
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(config.threads or cores or 1)


def seed_all(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's random numbers."""
    from transformers import set_seed

    set_seed(seed)


def has_gpu() -> bool:
    """Whether torch sees a CUDA GPU."""
    import torch

    return torch.cuda.is_available()


def world_size() -> int:
    """The number of processes that torchrun started for this run; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", 1))


def distributed_backend() -> str | None:
    """The backend that several processes on CPUs communicate by; None for one process or GPUs.

    accelerate takes a named backend for a request to run several processes.
    """
    return "gloo" if world_size() > 1 and not has_gpu() else None


def join_processes() -> PartialState:
    """accelerate's view of the run's processes, after they have met."""
    from accelerate import PartialState

    backend = distributed_backend()
    return PartialState(cpu=not has_gpu(), **({"backend": backend} if backend else {}))


def autocast(model: PreTrainedModel, config: Config) -> torch.autocast:
    """A context in which `model` computes in bfloat16, if `config` asks for it."""
    import torch

    return torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=config.bf16)


def to_device(batch: dict[str, Any], model: PreTrainedModel) -> dict[str, Any]:
    """`batch` with its tensors on the device of `model`."""
    return {n: v.to(model.device) if hasattr(v, "to") else v for n, v in batch.items()}


def peak_memory_gib() -> dict[str, float]:
    """Highest resident memory, in GiB, of this process and, if there is one, of the GPU."""
    import resource  # not on Windows, where everything else here works
    import sys

    import torch

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    memory = {"process": round(peak / 2**30, 2)}
    if torch.cuda.is_available():
        memory["gpu"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return memory


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, in torch's or the allocator's words."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text
