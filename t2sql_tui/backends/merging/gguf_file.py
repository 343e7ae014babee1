"""Reading and writing GGUF files, a tensor at a time.

Header values stay the bytes they are (see core/models/gguf_header.py): a merged model takes its
tokenizer over unchanged. Types, block sizes and names come from the `gguf` package.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from t2sql_tui.core.errors import ModelError
from t2sql_tui.core.models.gguf_header import (
    ARRAY,
    BOOL,
    F32,
    I32,
    MAGIC,
    STRING,
    U32,
    decode,
    read_values,
    text_at,
)
from t2sql_tui.core.types import OnProgress

_ALIGNMENT = 32
_MAX_DIMENSIONS = 4  # as llama.cpp: GGML_MAX_DIMS


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor. `shape` is numpy's (rows first), `type` a `gguf.GGMLQuantizationType`.

    `load` gives its values: numbers for F32, F16 and BF16, stored bytes (rows, bytes a row)
    for any other type.
    """

    name: str
    shape: tuple[int, ...]
    type: int
    load: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """Size in the file, in bytes."""
        block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(self.type)]
        return math.prod(self.shape) // block * size


class GGUFFile:
    """The header of a GGUF file, and its tensors, mapped but not read.

    `values` maps keys to their bytes as stored: a type code and the value.
    Raises: ModelError when the file is missing, cut short, or no GGUF file at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, bytes] = {}
        self.tensors: dict[str, Tensor] = {}
        try:
            self._file = np.memmap(path, dtype=np.uint8, mode="r")
            self._read_header(self._file.data)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, struct.error) as error:
            raise ModelError(
                f"{path} is not a whole GGUF file: {error}",
                "Fetch it again (t2sql-tui models pull), or give another file.",
            ) from error

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key: a number, bool or text; of an array its bytes.

        Raises: KeyError when there is neither the key nor a default.
        """
        if key not in self.values:
            if default is None:
                raise KeyError(key)
            return default
        return decode(self.values[key])

    @property
    def architecture(self) -> str:
        """GGUF's name of the architecture, such as "qwen2"."""
        name = self.get("general.architecture", "")
        return name if isinstance(name, str) else ""

    def _read_header(self, file: memoryview) -> None:
        self.values, tensor_count, at = read_values(file)
        entries = []
        for _ in range(tensor_count):
            name, at = text_at(file, at)
            (dimensions,) = struct.unpack_from("<I", file, at)
            if not 1 <= dimensions <= _MAX_DIMENSIONS:
                raise ValueError(f"{name} has {dimensions} dimensions")
            *columns_first, kind, offset = struct.unpack_from(f"<{dimensions}QIQ", file, at + 4)
            at += 4 + 8 * dimensions + 12
            entries.append((name, tuple(reversed(columns_first)), kind, offset))
        alignment = self.get("general.alignment", _ALIGNMENT)
        if type(alignment) is not int or alignment < 1:
            raise ValueError(f"an alignment of {alignment}")
        start = _padded(at, alignment)
        for name, shape, kind, offset in entries:
            self._add(name, shape, kind, start + offset)

    def _add(self, name: str, shape: tuple[int, ...], kind: int, start: int) -> None:
        types = gguf.GGMLQuantizationType
        block, _ = gguf.GGML_QUANT_SIZES[types(kind)]
        if 0 in shape or shape[-1] % block:
            raise ValueError(f"{name} has the shape {shape}")
        dtype = {types.F32: "<f4", types.F16: "<f2", types.BF16: "<u2"}.get(types(kind), "u1")

        def load() -> np.ndarray:
            stored = self._file[start : start + tensor.nbytes].view(dtype)
            return stored.reshape(*shape[:-1], -1)

        tensor = self.tensors[name] = Tensor(name, shape, types(kind), load)
        if start + tensor.nbytes > len(self._file):
            raise ValueError("it is cut short")


def encode(value: Any) -> bytes:
    """The bytes that GGUF stores for a text, bool, float, int (0 to 2**31 - 1), or a list of
    values of one of these types."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _encode_text(value)
    if isinstance(value, (list, tuple)):
        kind, items = encode(value[0])[:4], b"".join(encode(item)[4:] for item in value)
        if kind == struct.pack("<I", U32):  # llama.cpp wants lists of numbers signed
            kind = struct.pack("<I", I32)
        return struct.pack("<I4sQ", ARRAY, kind, len(value)) + items
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, float):
        return struct.pack("<If", F32, value)
    return struct.pack("<II", U32, value)


def write_gguf(
    path: Path,
    values: Mapping[str, bytes],
    tensors: Iterable[Tensor],
    on_progress: OnProgress | None = None,
) -> None:
    """Writes a GGUF file. Not atomic: a half-written file stays where writing fails.

    `values` are as in `GGUFFile.values` ("general.architecture" among them; see `encode`).
    `on_progress` gets the bytes of tensors written and their sum.
    """
    tensors = list(tensors)
    total = sum(tensor.nbytes for tensor in tensors)
    values = {**values, "general.alignment": encode(_ALIGNMENT)}
    with path.open("wb") as file:
        file.write(struct.pack("<4sIQQ", MAGIC, 3, len(tensors), len(values)))
        for key, stored in values.items():
            file.write(_encode_text(key) + stored)
        offset = 0
        for tensor in tensors:
            shape = tensor.shape[::-1]
            numbers = struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, tensor.type, offset)
            file.write(_encode_text(tensor.name) + numbers)
            offset += _padded(tensor.nbytes)
        file.write(bytes(_padded(file.tell()) - file.tell()))
        done = 0
        for tensor in tensors:
            file.write(_stored(tensor).data)
            file.write(bytes(_padded(tensor.nbytes) - tensor.nbytes))
            done += tensor.nbytes
            if on_progress:
                on_progress(done, total)


def _stored(tensor: Tensor) -> np.ndarray:
    loaded, types = tensor.load(), gguf.GGMLQuantizationType
    if tensor.type == types.F32:
        loaded = loaded.astype("<f4", copy=False)
    elif tensor.type == types.F16:
        loaded = loaded.astype("<f2", copy=False)
    elif tensor.type == types.BF16 and loaded.dtype == np.float32:
        loaded = gguf.quants.quantize(loaded, types.BF16)
    if loaded.nbytes != tensor.nbytes:
        raise ValueError(f"{tensor.name}: {loaded.nbytes} bytes instead of {tensor.nbytes}")
    return np.ascontiguousarray(loaded)


def _encode_text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _padded(size: int, alignment: int = _ALIGNMENT) -> int:
    return -(-size // alignment) * alignment
