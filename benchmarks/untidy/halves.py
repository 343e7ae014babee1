"""The files and questions of a seed: odd seeds draw from the first half, even from the second."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from benchmarks.datasets import Dataset
from benchmarks.untidy import tables_first, tables_second
from benchmarks.untidy.files import TODAY, File, build
from benchmarks.untidy.questions import Asked, read_questions
from t2sql_tui.core.types import Example

# After so many days "last month" finds little in a log that ends on TODAY.
_STALE = timedelta(days=35)


def make(seed: int) -> list[tuple[File, list[Asked]]]:
    """The files of `seed` with their questions. The same seed gives the same rows and questions,
    on every machine. The suites are 1 and 2, and tests prove those: prove another one before use,
    for a wrong SQL may give the right rows there by luck."""
    half, tables = ("first", tables_first) if seed % 2 else ("second", tables_second)
    made = []
    for tables_of in tables.FILES:
        dice = Random(f"{seed} {tables_of.__name__}")
        file = tables_of(dice)
        made.append((file, read_questions(half, file, dice)))
    return made


def read_untidy(seed: int, cache: Path, now: datetime | None = None) -> Dataset:
    """The questions of `seed`, over files that are built in `cache`. `now` is the clock's time.

    Raises: DataError.
    """
    examples, files = [], {}
    for file, questions in make(seed):
        files[file.name] = (build(file, cache),)
        for asked in questions:
            gold, *accepted = asked.golds
            examples.append(
                Example(
                    asked.id,
                    file.name,
                    asked.question,
                    gold,
                    "untidy",
                    accepted=tuple(accepted),
                    group=asked.fault,
                )
            )
    notes = []
    if (now or datetime.now()) - TODAY > _STALE:
        relative = sum("'now'" in example.gold for example in examples)
        notes.append(
            f"{relative} questions ask in words like 'last month', and the logs end on "
            f"{TODAY:%Y-%m-%d}: set TODAY in benchmarks/untidy/files.py anew"
        )
    return Dataset(tuple(examples), files, notes=tuple(notes))
