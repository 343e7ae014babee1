"""Rows sorted, filtered and copied, without a widget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from t2sql_tui.ui.cells import copy_text, kind_of

Row = tuple[Any, ...]


def sorted_rows(
    rows: Sequence[Row], order: Iterable[int], column: int, descending: bool
) -> list[int]:
    """Row indexes sorted by a column: SQLite's order of types (NULL, numbers, text, blobs),
    text without regard to case, equals in the order in which they came.

    Each type is sorted by itself: comparing plain values is four times as fast as
    comparing (type, value) pairs, and the sort holds Python's lock while it runs.
    """
    groups: dict[str, list[int]] = {"null": [], "number": [], "text": [], "blob": []}
    for index in order:
        groups[kind_of(rows[index][column])].append(index)
    groups["number"].sort(key=lambda index: rows[index][column], reverse=descending)
    groups["text"].sort(key=lambda index: rows[index][column].casefold(), reverse=descending)
    groups["blob"].sort(key=lambda index: rows[index][column], reverse=descending)
    parts = reversed(groups.values()) if descending else groups.values()
    return [index for part in parts for index in part]


def matching_rows(
    rows: Sequence[Row], order: Sequence[int], needle: str, should_stop: Callable[[], bool]
) -> Iterator[int]:
    """Those indexes of `order` whose rows have a cell that contains `needle` (casefolded).

    Ends early when `should_stop` says so, asked at every thousandth row.
    """
    for count, index in enumerate(order):
        if count % 1000 == 0 and should_stop():
            return
        # Not a function of its own: a call for each of a million cells takes 0.1 s more.
        for value in rows[index]:
            if value is None:
                text = "null"
            elif isinstance(value, bytes):
                text = value[:12].hex()  # what the grid shows of it
            else:
                text = str(value).casefold()
            if needle in text:
                yield index
                break


def to_tsv(rows: Iterable[Sequence[Any]]) -> str:
    """Tab-separated, as spreadsheets paste it: a tab or line break in a cell becomes a space."""
    table = str.maketrans("\t\n\r", "   ")
    return "\n".join("\t".join(copy_text(v).translate(table) for v in row) for row in rows)
