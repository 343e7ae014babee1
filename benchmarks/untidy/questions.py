"""Questions and gold SQL from text files, one block a question:

    date-form: <how many|number of> claims handed in in <m:march=03|may=05> 2025
    SELECT COUNT(*) FROM claims WHERE strftime('%Y-%m', {Submitted}) = '2025-<m>'
    ! SELECT COUNT(*) FROM claims WHERE "Submitted" LIKE '2025-<m>%'

The first line names the fault and asks. Each line after it is a gold that is accepted; `!` begins
SQL that is plausible and wrong, `=` SQL that must give the rows of the first gold.

In questions `<a|b>` is drawn from the seed; `<m:a=x|b=y>` too, and `<m>` stands for what was drawn
(for `x` in SQL). `<c:of club.name>` draws a stored value, `<c:of club.name:1-6>` one of the first
six rows, `<c:lower club.name>` asks for it in lower case. In SQL `[a // b]` accepts either, and
braces name columns as they are meant:

    {Amount} {c.Amount}   the value, read from its stored form
    {Country~Germany}     true for all stored spellings of that value
    {Country!}            one label a value, whatever the spelling (accepts several labels)
    {Approver?}           true where it is missing, however that is stored
    {Paid@day}            as a day; also @month, @year, @hour: accepted labels of these
    [round X]             X as it is or rounded to 0, 1 or 2 places
    [percent A ; B]       A of B in percent or as a share, rounded or not
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from random import Random
from typing import Any

from benchmarks.datasets import DataError
from benchmarks.untidy.files import File
from t2sql_tui.core.identifiers import quote_identifier

_PICK = re.compile(r"<(?:(\w+):)?([^<>]*\|[^<>]*)>")
_STORED = re.compile(r"<(\w+):(of|lower) (\w+)\.([^<>:]+)(?::(\d+)-(\d+))?>")
_PICKED = re.compile(r"<(\w+)>")
_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_COLUMN = re.compile(r"\{(?:(\w+)\.)?([^{}~!?@]+)(?:(~)([^{}]+)|([!?])|@(\w+))?\}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the golds that are accepted, and SQL to prove them with: `wrong` must give
    other rows than each of them, `same` those of the first."""

    id: str
    fault: str
    question: str
    golds: tuple[str, ...]
    wrong: tuple[str, ...]
    same: tuple[str, ...]


def read_questions(half: str, file: File, dice: Random) -> list[Asked]:
    """The questions of `half`/NAME.txt, with the values that `dice` draws.

    Raises: DataError.
    """
    source = resources.files(__package__).joinpath(half, f"{file.name}.txt")
    blocks = re.split(r"\n\s*\n", source.read_text("utf-8").strip())
    return [
        read_block(block, f"{file.name}-{n:02d}", file, dice) for n, block in enumerate(blocks, 1)
    ]


def read_block(block: str, id_: str, file: File, dice: Random) -> Asked:
    """The question of one block, its golds expanded, its values drawn."""
    head, *lines = [line.strip() for line in block.splitlines()]
    fault, colon, question = head.partition(": ")
    if not colon or not lines:
        raise DataError(f"{id_} is not FAULT: QUESTION and SQL below it.", f"It is {head!r}.")
    picks: dict[str, str] = {}

    def pick(match: re.Match[str]) -> str:
        said, _, meant = dice.choice(match[2].split("|")).partition("=")
        if match[1]:
            picks[match[1]] = meant or said
        return said

    def stored(match: re.Match[str]) -> str:
        name, how, table, column, first, last = match.groups()
        (rows,) = (part.meant for part in file.tables if part.name == table)
        picks[name] = dice.choice(rows[int(first or 1) - 1 : int(last or len(rows))])[column]
        said, picks[name] = picks[name], picks[name].replace("'", "''")
        return said.lower() if how == "lower" else said

    question = _STORED.sub(stored, _PICK.sub(pick, question))
    lines = [_PICKED.sub(lambda m: picks.get(m[1], m[0]), line) for line in lines]
    golds, wrong, same = (
        [line.lstrip("!= ") for line in lines if (line[0] if line[0] in "!=" else "") == mark]
        for mark in ("", "!", "=")
    )
    accepted = [sql for gold in golds for sql in _expanded(gold, file)]
    naive = _alternatives(_columns(golds[0], file, _as_stored))[0]
    if fault != "plain" and naive not in accepted:
        wrong.insert(0, naive)
    return Asked(
        id_,
        fault,
        question,
        tuple(dict.fromkeys(accepted)),
        tuple(sql for line in wrong for sql in _expanded(line, file)),
        tuple(sql for line in same for sql in _expanded(line, file)),
    )


def _expanded(sql: str, file: File) -> list[str]:
    return _alternatives(_columns(sql, file, _as_meant))


def _alternatives(sql: str) -> list[str]:
    """Every SQL that `sql` accepts: one for each way to choose in its brackets."""
    if not (found := _ALTERNATIVES.search(sql)):
        return [" ".join(sql.split())]
    inside = found[1].strip()
    if inside.startswith("round "):
        choices = _rounded(inside.removeprefix("round "), ("", ", 2", ", 1", ", 0"))
    elif inside.startswith("percent "):
        part, _, all_ = inside.removeprefix("percent ").partition(" ; ")
        choices = [
            *_rounded(f"100.0 * {part} / {all_}", ("", ", 2", ", 1", ", 0")),
            *_rounded(f"1.0 * {part} / {all_}", ("", ", 2", ", 3", ", 4")),
            f"1.0 * {part} / {all_} * 100",
        ]
    else:
        choices = [choice.strip() for choice in re.split(r"(?:^|\s)//(?:\s|$)", found[1])]
    before, after = sql[: found.start()], sql[found.end() :]
    return list(
        itertools.chain.from_iterable(_alternatives(f"{before} {c}{after}") for c in choices)
    )


def _rounded(expression: str, places: tuple[str, ...]) -> list[str]:
    return [f"ROUND({expression}{p})" if p else expression for p in places]


# --- columns between braces ------------------------------------------------------------

#: Makes SQL of (file, column as written, its name, what follows it, the value it is compared with).
_Writer = Callable[[File, str, str, str, str], str]


def _columns(sql: str, file: File, write: _Writer) -> str:
    def one(match: re.Match[str]) -> str:
        alias, name, tilde, value, mark, part = match.groups()
        written = quote_identifier(name)
        return write(
            file,
            f"{alias}.{written}" if alias else written,
            name,
            tilde or mark or part or "",
            value,
        )

    return _COLUMN.sub(one, sql)


_PARTS = {"month": ("%m", "%Y-%m"), "year": ("%Y",), "hour": ("%H",)}


def _as_meant(file: File, written: str, name: str, mark: str, value: str) -> str:
    column = file.column(name)
    read = column.read.replace("{}", written)
    if mark == "~":
        return f"{written} IN ({_literals(column.spellings[value])})"
    if mark == "!":
        stored = file.stored(name)
        return f"[{' // '.join(_labels(written, column.spellings, stored))}]"
    if mark == "?":
        texts = [blank for blank in column.blanks if isinstance(blank, str)]
        missing = f" OR TRIM({written}) IN ({_literals(texts)})" if texts else ""
        return f"({written} IS NULL{missing})"
    if mark == "day":
        days = [f"date({read})", read, *([written] if column.form.readable else [])]
        return f"[{' // '.join(dict.fromkeys(days))}]"
    if mark:
        labels = [f"strftime('{form}', {read})" for form in _PARTS[mark]]
        return f"[{' // '.join([*labels, f'CAST({labels[0]} AS INTEGER)'])}]"
    return read


def _as_stored(file: File, written: str, name: str, mark: str, value: str) -> str:
    """What one writes who has not looked at what is stored."""
    if mark == "~":
        return f"{written} = {_literals([value])}"
    if mark == "?":
        return f"{written} IS NULL"
    return f"strftime('{_PARTS[mark][0]}', {written})" if mark in _PARTS else written


def _labels(
    written: str, spellings: Mapping[Any, Sequence[Any]], stored: Counter[Any]
) -> list[str]:
    """CASE expressions that give each value one label: itself, its first, second, ... spelling (as
    far as all have one), the most frequent, the least and the greatest. Where spellings differ in
    case and blanks alone, LOWER and UPPER do as well."""
    ways = [list(dict.fromkeys(found)) for found in spellings.values()]
    choices = [list(spellings), *zip(*ways, strict=False)]
    for choose in (partial(max, key=stored.get), partial(min, key=str), partial(max, key=str)):
        choices.append([choose(way) for way in ways])
    labels = []
    for names in choices:
        cases = (
            f"WHEN {written} IN ({_literals(way)}) THEN {_literals([label])}"
            for way, label in zip(ways, names, strict=True)
        )
        labels.append(f"CASE {' '.join(cases)} END")
    if all(len({str(one).strip().lower() for one in way}) == 1 for way in ways):
        labels += [f"LOWER(TRIM({written}))", f"UPPER(TRIM({written}))"]
    return list(dict.fromkeys(labels))


def _literals(values: Iterable[Any]) -> str:
    texts = dict.fromkeys(
        "'" + v.replace("'", "''") + "'" if isinstance(v, str) else str(v) for v in values
    )
    return ", ".join(texts)
