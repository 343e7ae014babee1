"""How one stored value looks: in a grid cell, in the viewer, on the clipboard.

And how text, sizes and durations are written everywhere on the screen.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from rich.cells import cell_len, set_cell_size

Kind = Literal["null", "number", "text", "blob"]

# C0 and C1 controls, DEL, line and paragraph separators, and what reorders text
# (bidirectional marks): any of them could move the cursor or forge a neighbouring cell.
# Lone surrogates (file names that are not UTF-8) cannot be written to a terminal at all.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SYMBOLS = {"\n": "↵", "\r": "␍", "\t": "⇥", "\x7f": "␡"}


def kind_of(value: Any) -> Kind:
    """The kind of value, as the screen tells them apart."""
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return "number"
    return "blob" if isinstance(value, bytes) else "text"


def one_line(text: str) -> str:
    """`text` with every control character replaced by a visible one, none removed."""
    return _UNSAFE.sub(_symbol, text)


def _symbol(match: re.Match[str]) -> str:
    char = match.group()
    if char in _SYMBOLS:
        return _SYMBOLS[char]
    return chr(0x2400 + ord(char)) if char < " " else "�"


def cell_text(value: Any, limit: int = 200) -> str:
    """One line for the grid, cut to about `limit` characters before any work is done.

    A cell may hold 100 MB; what is not shown is not touched.
    """
    match kind_of(value):
        case "null":
            return "NULL"
        case "number":
            return str(value)
        case "blob":
            more = "…" if len(value) > 12 else ""
            return f"x'{value[:12].hex()}{more}' {byte_size(len(value))}"
    cut = value[:limit]
    return one_line(cut) + "…" if len(value) > limit else one_line(cut)


def fit(text: str, width: int, right: bool = False) -> str:
    """`text` in exactly `width` terminal cells: padded, or cut with an ellipsis."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(width - 1, 0)) + "…"[:width]
    return " " * (width - length) + text if right else text + " " * (width - length)


def copy_text(value: Any) -> str:
    """The value for the clipboard: text as stored, NULL as nothing, a blob as hex."""
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)


def view_text(value: Any, limit: int = 1_000_000) -> tuple[str, str]:
    """The whole value for the viewer and what it is: ("{\\n ...}", "JSON, 1.2 kB").

    At most `limit` characters are shown; the description says when that cut it.
    """
    match kind_of(value):
        case "null":
            return "NULL", "no value stored"
        case "number":
            return str(value), "integer" if isinstance(value, int) else "real number"
        case "blob":
            shown = _hex_dump(value[: limit // 4])
            cut = f", first {byte_size(limit // 4)} shown" if len(value) > limit // 4 else ""
            return shown, f"blob, {byte_size(len(value))}{cut}"
    cut = f", first {limit:,} shown" if len(value) > limit else ""
    description = f"text, {len(value):,} character{'' if len(value) == 1 else 's'}{cut}"
    if not cut and value.lstrip()[:1] in ("{", "["):
        try:
            pretty = json.dumps(json.loads(value), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # looks like JSON, is not: shown as the text it is
        else:
            return _keep_lines(pretty), f"JSON, {len(value):,} characters"
    return _keep_lines(value[:limit]), description


def _keep_lines(text: str) -> str:
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(one_line(line.replace("\t", "    ")) for line in lines)


def _hex_dump(data: bytes) -> str:
    """Offset, sixteen bytes, and their ASCII, as `xxd` writes it."""
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        hexes = " ".join(f"{byte:02x}" for byte in row)
        letters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)
        lines.append(f"{start:08x}  {hexes:<47}  {letters}")
    return "\n".join(lines)


def byte_size(count: int) -> str:
    """1 byte, 900 bytes, 1.2 kB, 34.5 MB."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    size, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"


def duration(seconds: float) -> str:
    """3 ms, 1.2 s."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
