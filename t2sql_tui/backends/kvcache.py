"""States of evaluated prompt prefixes, kept so that a model evaluates each schema once.

llama.cpp's state of one sequence is an opaque block of bytes, tens of MB for a prefix of
a thousand tokens. A few blocks are held in memory, more on disk. A file is written with a
checksum because llama.cpp trusts the bytes it is given, and a damaged one must cost a new
evaluation, never a crash.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile
from pathlib import Path

from t2sql_tui.core.files import remove_abandoned, whole_file

_MAGIC = b"t2sqlkv1"
_HEADER = struct.Struct("<8sIIQ")  # magic, CRC-32 of the rest, tokens, bytes of state

#: Maximum size of the states in memory; that of the sequence in use is not counted.
MEMORY_BYTES = 96 * 1024 * 1024
#: Maximum size of the files, of all models together.
DISK_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class _File:
    path: Path
    tokens: tuple[int, ...]


def overlap(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of leading tokens that two sequences share."""
    if a == b:
        return len(a)
    pairs = zip(a, b, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class PrefixCache:
    """States of evaluated prefixes by their token ids, for one model as it is loaded now.

    `fingerprint` names everything that a state depends on besides its tokens (weights,
    context size, cache type, llama.cpp build); states with another one are never returned.
    `folder` None keeps nothing on disk. A disk that is full or not writable is no error:
    states are then kept in memory only.
    """

    def __init__(
        self,
        fingerprint: str,
        folder: Path | None,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
    ) -> None:
        self._root = folder
        self._folder = folder / sha256(fingerprint.encode()).hexdigest()[:16] if folder else None
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._states: OrderedDict[tuple[int, ...], bytes] = OrderedDict()

    def best(self, tokens: Sequence[int], at_least: int) -> tuple[tuple[int, ...], bytes] | None:
        """The state that shares the most leading tokens with `tokens`, and its own tokens.

        None if it shares fewer than `at_least`.
        """
        tokens = tuple(tokens)
        kept = max(self._states, key=lambda known: overlap(known, tokens), default=())
        shared = overlap(kept, tokens)
        if shared < len(tokens):
            # Read a file only if it promises more than memory has; a damaged one is
            # removed by the reading, and the next best takes its place.
            files = [(overlap(file.tokens, tokens), file) for file in self._files()]
            for promised, file in sorted(files, key=lambda pair: -pair[0]):
                if promised < max(at_least, shared + 1):
                    break
                if (state := self._read(file)) is not None:
                    self._remember(file.tokens, state)
                    return file.tokens, state
        if not kept or shared < at_least:
            return None
        self._states.move_to_end(kept)
        return kept, self._states[kept]

    def put(self, tokens: Sequence[int], state: bytes) -> None:
        """Keeps a state in memory and on disk; the least recently used ones make room."""
        self._remember(tuple(tokens), state)
        self._write(tuple(tokens), state)

    def _remember(self, tokens: tuple[int, ...], state: bytes) -> None:
        self._states[tokens] = state
        self._states.move_to_end(tokens)
        while sum(map(len, self._states.values())) > self._memory_bytes:
            self._states.popitem(last=False)

    # --- on disk ------------------------------------------------------------------

    def _files(self) -> list[_File]:
        found = []
        for path in self._folder.glob("*.kv") if self._folder else ():
            try:
                with path.open("rb") as file:
                    header = file.read(_HEADER.size)
                    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
                        raise ValueError(path)
                    _, _, count, size = _HEADER.unpack(header)
                    if path.stat().st_size != _HEADER.size + 4 * count + size:
                        raise ValueError(path)
                    found.append(_File(path, tuple(array("i", file.read(4 * count)))))
            except ValueError:
                _remove(path)
            except OSError:
                continue  # another process removed it meanwhile
        return found

    def _read(self, file: _File) -> bytes | None:
        try:
            content = file.path.read_bytes()
            os.utime(file.path)
        except OSError:
            return None
        if len(content) < _HEADER.size:  # cut short since its header was read
            _remove(file.path)
            return None
        _, checksum, count, _ = _HEADER.unpack_from(content)
        if zlib.crc32(memoryview(content)[_HEADER.size :]) != checksum:
            _remove(file.path)
            return None
        return content[_HEADER.size + 4 * count :]

    def _write(self, tokens: tuple[int, ...], state: bytes) -> None:
        if self._root is None or self._folder is None or len(state) > self._disk_bytes:
            return
        ids = array("i", tokens).tobytes()
        header = _HEADER.pack(_MAGIC, zlib.crc32(state, zlib.crc32(ids)), len(tokens), len(state))
        target = self._folder / (sha256(ids).hexdigest()[:32] + ".kv")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room(self._root, len(state))
            # For the person alone: it holds what their file holds.
            with whole_file(target, mode=0o600) as partial, partial.open("wb") as out:
                out.writelines((header, ids, state))

    def _make_room(self, root: Path, size: int) -> None:
        """Removes the least recently used files in `root` until `size` more bytes fit.

        Those of other models count too, and what a killed process left half-written.
        """
        for folder in root.glob("*/"):
            remove_abandoned(folder)
        files = [(path.stat(), path) for path in root.glob("*/*") if path.is_file()]
        total = sum(stat.st_size for stat, _ in files) + size
        for stat, path in sorted(files, key=lambda pair: pair[0].st_mtime):
            if total <= self._disk_bytes:
                break
            _remove(path)
            total -= stat.st_size


def _remove(path: Path) -> None:
    with suppress(OSError):  # a file that cannot be removed is ignored all the same
        path.unlink(missing_ok=True)
