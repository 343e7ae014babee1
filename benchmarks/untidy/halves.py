"""The files and questions of a seed: odd seeds draw from the first half, even from the second."""

from __future__ import annotations

from random import Random

from benchmarks.untidy import tables_first, tables_second
from benchmarks.untidy.files import File
from benchmarks.untidy.questions import Asked, read_questions


def make(seed: int) -> list[tuple[File, list[Asked]]]:
    """The files of `seed` with their questions. The same seed gives the same rows and questions,
    on every machine."""
    half, tables = ("first", tables_first) if seed % 2 else ("second", tables_second)
    made = []
    for tables_of in tables.FILES:
        dice = Random(f"{seed} {tables_of.__name__}")
        file = tables_of(dice)
        made.append((file, read_questions(half, file, dice)))
    return made
