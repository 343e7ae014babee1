"""How transformers' parameters are called and ordered in a GGUF file."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from t2sql_tui.backends.merging.adapter import plain_name
from t2sql_tui.backends.merging.gguf_file import GGUFFile
from t2sql_tui.core.errors import ModelError

#: GGUF architectures whose tensors differ from those of transformers in nothing but their names
#: (and, in "llama", which mistral and SmolLM share, the order of query and key rows).
ARCHITECTURES = ("qwen2", "qwen3", "llama", "phi3", "gemma3")

_MAX_COUNT = 10_000  # blocks or heads; the largest models have some hundred


def open_base(path: Path) -> GGUFFile:
    """A GGUF file of an architecture that can be merged. Raises: ModelError."""
    base = GGUFFile(path)
    if base.architecture not in ARCHITECTURES:
        raise ModelError(
            f"Merging is not known to be right for the architecture {base.architecture!r}",
            f"Known are: {', '.join(ARCHITECTURES)}.",
        )
    return base


class Layout:
    """The names and the order of rows that transformers' parameters of one model have in GGUF."""

    def __init__(self, architecture: str, blocks: int, heads: int, kv_heads: int) -> None:
        known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
        self.architecture = architecture
        self._names = gguf.get_tensor_name_map(known[architecture], blocks)
        self._heads = {"attn_q": heads, "attn_k": kv_heads}

    @classmethod
    def of(cls, base: GGUFFile) -> Layout:
        """The layout of the model in `base`."""
        name = base.architecture
        heads = _count(base, f"{name}.attention.head_count")
        kv_heads = _count(base, f"{name}.attention.head_count_kv", heads)
        return cls(name, _count(base, f"{name}.block_count"), heads, kv_heads)

    def name(self, parameter: str) -> str:
        """The name in GGUF: `model.layers.0.self_attn.q_proj.weight` is `blk.0.attn_q.weight`.

        Raises: ModelError when the architecture has no such parameter.
        """
        plain = plain_name(parameter)
        name: str | None = self._names.get_name(plain, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ModelError(
                f"A {self.architecture} model has no weight called {parameter}",
                "The weights belong to a model of another architecture.",
            )
        return name

    def rope_rows(self, name: str, array: np.ndarray) -> np.ndarray:
        """The rows of `array` in GGUF's order; `name` is that of the tensor in GGUF.

        llama.cpp rotates neighbouring pairs of rows in the "llama" architecture, while
        transformers rotates row i with row i + head/2: the rows of a head are interleaved
        (llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute). Other tensors pass through.
        """
        heads = self._heads.get(name.split(".")[-2]) if self.architecture == "llama" else None
        if heads is None:
            return array
        halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
        return halves.swapaxes(1, 2).reshape(array.shape)

    def arranged(self, parameter: str, array: np.ndarray) -> np.ndarray:
        """The whole parameter as GGUF holds it."""
        if self.architecture == "gemma3" and parameter.endswith("norm.weight"):
            # transformers multiplies by 1 + weight, llama.cpp by the weight
            one_added: np.ndarray = array + 1
            return one_added
        return self.rope_rows(self.name(parameter), array)


def _count(base: GGUFFile, key: str, default: int | None = None) -> int:
    """A positive whole number in the header. Raises: ModelError."""
    value = base.get(key, default) if default or key in base.values else None
    if type(value) is not int or not 0 < value < _MAX_COUNT:
        raise ModelError(
            f"{base.path.name} has no usable {key} in its header",
            "Fetch it again, or name another.",
        )
    return value
