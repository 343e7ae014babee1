"""Reading safetensors files without torch, and the hash that names base weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from t2sql_tui.core.errors import ModelError

_MAX_HEADER = 100_000_000  # bytes, as in the safetensors library


def weights_sha256(path: Path) -> str:
    """The hash that names base weights, in hexadecimal.

    Of a file it is the SHA-256; of a transformers folder the SHA-256 over the names and
    SHA-256s of its `*.safetensors`, sorted by name. Raises: ModelError when there are none.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    shards = sorted(path.glob("*.safetensors"))
    if not shards:
        raise ModelError(f"{path} holds no weights", "Give a .gguf file or a transformers folder.")
    lines = "".join(f"{shard.name} {weights_sha256(shard)}\n" for shard in shards)
    return hashlib.sha256(lines.encode()).hexdigest()


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors by name, in float32 (integers stay integers).

    float32 arrays are views into the mapped file.
    Raises: ModelError when the file is cut short or holds a type not meant for weights.
    """
    return {name: widen(raw) for name, raw in map_safetensors(path).items()}


def map_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors by name as views into the file, of which nothing is read yet.

    bf16 comes as uint16, see `widen`. Format: https://github.com/huggingface/safetensors#format
    Raises: ModelError, as `read_safetensors`.
    """
    dtypes = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
    try:
        file = np.memmap(path, dtype=np.uint8, mode="r")
        length = int.from_bytes(file[:8].tobytes(), "little")
        if length > _MAX_HEADER:
            raise ValueError(f"a header of {length:,} bytes")
        header = json.loads(file[8 : 8 + length].tobytes())
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            if not 0 <= first <= last <= len(file) - 8 - length:
                raise ValueError(f"{name} lies outside the file")
            start, end = 8 + length + first, 8 + length + last
            dtype = dtypes[entry["dtype"]]
            arrays[name] = file[start:end].view(dtype).reshape(entry["shape"])
        return arrays
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{path} is not a whole safetensors file: {error}", "Copy or train it again."
        ) from error


def widen(array: np.ndarray) -> np.ndarray:
    """An array of `map_safetensors` in float32; uint16 holds the bits of bf16."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)
