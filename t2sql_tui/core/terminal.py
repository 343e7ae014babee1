"""What may be printed on a terminal: text without the characters that could drive it.

Escape sequences (ECMA-48) begin with ESC or a C1 control character, and bidirectional overrides
(Unicode category Cf) let a line read as another; both can stand in names, cells, SQL and errors.
"""

from __future__ import annotations

from typing import IO, Any

_SAFE = frozenset("\n\t")


def printable(text: str) -> str:
    """`text` with U+FFFD for each character that is neither printable nor a line break or tab."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _SAFE else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


class PrintableStream:
    """A text stream that writes `printable` text to another where that is a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Write `text`. Raises: OSError."""
        return self._stream.write(printable(text) if self._is_terminal else text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
