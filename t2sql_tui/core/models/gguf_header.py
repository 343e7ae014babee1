"""The header of a GGUF file: the values before its tensors.

The `gguf` package builds several numpy objects for each of 300,000 tokens and merges: 10 to
20 s for a 0.5B model, against 0.2 s here. So values stay the bytes they are, and only those
that are needed are decoded.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3,
little-endian).
"""

from __future__ import annotations

import mmap
import struct
from typing import Any

MAGIC = b"GGUF"
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
# struct's codes by value type: u8 i8 u16 i16 u32 i32 f32 bool - - u64 i64 f64
_SCALARS = dict(enumerate("BbHhIif?  Qqd"))


def read_values(data: memoryview | mmap.mmap) -> tuple[dict[str, bytes], int, int]:
    """The values as stored (a type code, then the value) by key, the number of tensors, and
    the offset at which their descriptions begin.

    Raises: ValueError when this is no GGUF file, or it is damaged or cut short.
    """
    try:
        return _read_values(data)
    except (KeyError, IndexError, OverflowError, struct.error, RecursionError) as error:
        raise ValueError(f"its header is damaged ({error})") from error


def _read_values(data: memoryview | mmap.mmap) -> tuple[dict[str, bytes], int, int]:
    magic, version, tensors, count = struct.unpack_from("<4sIQQ", data)
    if magic != MAGIC or version not in (2, 3):
        raise ValueError("it does not begin like one")
    values = {}
    offset = 24
    for _ in range(count):
        key, start = text_at(data, offset)
        offset = _end_of_value(data, start + 4, struct.unpack_from("<I", data, start)[0])
        if offset > len(data):
            raise ValueError("it is cut short")
        values[key] = bytes(data[start:offset])
    return values, tensors, offset


def decode(stored: bytes) -> Any:
    """The text, number or bool of a stored value; an array stays as it is."""
    (kind,) = struct.unpack_from("<I", stored)
    if kind == STRING:
        return stored[12:].decode("utf-8", "replace")
    return stored if kind == ARRAY else struct.unpack_from("<" + _SCALARS[kind], stored, 4)[0]


def texts(stored: bytes) -> list[str]:
    """The texts of a stored array of texts; [] if the value is something else."""
    if len(stored) < 16 or struct.unpack_from("<II", stored) != (ARRAY, STRING):
        return []
    found, offset = [], 16
    for _ in range(struct.unpack_from("<Q", stored, 8)[0]):
        (length,) = struct.unpack_from("<Q", stored, offset)
        found.append(stored[offset + 8 : offset + 8 + length].decode("utf-8", "replace"))
        offset += 8 + length
    return found


def text_at(data: memoryview | mmap.mmap, offset: int) -> tuple[str, int]:
    """The text at an offset, and the offset of its end."""
    length: int = struct.unpack_from("<Q", data, offset)[0]
    end = offset + 8 + length
    return str(data[offset + 8 : end], "utf-8"), end


def _end_of_value(data: memoryview | mmap.mmap, offset: int, kind: int) -> int:
    """The offset of the end of the value of type `kind` at `offset`."""
    if kind == STRING:
        length: int = struct.unpack_from("<Q", data, offset)[0]
        return offset + 8 + length
    if kind != ARRAY:
        return offset + struct.calcsize("<" + _SCALARS[kind])
    item_kind, count = struct.unpack_from("<IQ", data, offset)
    offset += 12
    if item_kind == ARRAY:
        raise ValueError("it has an array of arrays, which llama.cpp does not read")
    if item_kind != STRING:
        item_size = struct.calcsize("<" + _SCALARS[item_kind])
        return offset + int(count) * item_size
    for _ in range(count):
        if offset > len(data):
            raise ValueError("it is cut short")
        offset = _end_of_value(data, offset, item_kind)
    return offset
