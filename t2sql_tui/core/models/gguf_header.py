"""What a GGUF file says about itself before its tensors begin.

The `gguf` package builds several numpy objects for each of 300,000 tokens and merges: 10 to
20 s for a 0.5B model, against 0.2 s here. So values stay the bytes they are, and only what
is asked for is decoded.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3,
little-endian).
"""

from __future__ import annotations

import mmap
import struct
from typing import Any

MAGIC = b"GGUF"
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
# codes of struct by value type: u8 i8 u16 i16 u32 i32 f32 bool - - u64 i64 f64
_SCALARS = dict(enumerate("BbHhIif?  Qqd"))


def read_values(data: memoryview | mmap.mmap) -> tuple[dict[str, bytes], int, int]:
    """The values as stored (a type code, then the value) by key, the number of tensors, and
    the place where their descriptions begin.

    Raises: ValueError, KeyError or struct.error when this is no GGUF or it is cut short.
    """
    magic, version, tensors, count = struct.unpack_from("<4sIQQ", data)
    if magic != MAGIC or version not in (2, 3):
        raise ValueError("it does not begin like one")
    values = {}
    at = 24
    for _ in range(count):
        key, start = text_at(data, at)
        at = _after(data, start + 4, struct.unpack_from("<I", data, start)[0])
        values[key] = bytes(data[start:at])
    return values, tensors, at


def decode(stored: bytes) -> Any:
    """A text, number or bool; an array stays as it is."""
    (kind,) = struct.unpack_from("<I", stored)
    if kind == STRING:
        return stored[12:].decode("utf-8", "replace")
    return stored if kind == ARRAY else struct.unpack_from("<" + _SCALARS[kind], stored, 4)[0]


def text_at(data: memoryview | mmap.mmap, at: int) -> tuple[str, int]:
    """The text at a place, and the place after it."""
    (length,) = struct.unpack_from("<Q", data, at)
    end = at + 8 + length
    return str(data[at + 8 : end], "utf-8"), end


def _after(data: memoryview | mmap.mmap, at: int, kind: int) -> int:
    """The place after the value of type `kind` at `at`."""
    if kind == STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != ARRAY:
        return at + struct.calcsize("<" + _SCALARS[kind])
    kind, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if kind not in (STRING, ARRAY):
        return at + count * struct.calcsize("<" + _SCALARS[kind])
    for _ in range(count):
        at = _after(data, at, kind)
    return at
