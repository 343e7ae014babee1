"""Case studies: some of the failures, with their schema and the rows of both queries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.datasets import Dataset
from benchmarks.records import Line
from benchmarks.report.html import section, sql_html, table
from benchmarks.run_folder import Run
from benchmarks.suites import load_suite
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Limits, Rejection, Schema

_CASES = 6
_CASE_ROWS = 5


def case_section(run: Run, name: str, data: Path | None) -> str:
    """Failures of `run`, called `name` on the page; "" where there are none. `data` is the folder
    of the data sets; without the data the cases show their SQL alone."""
    chosen = choose_cases(run.lines)
    if not chosen:
        return ""
    dataset, missing = None, ""
    try:
        dataset = load_suite(run.identity["suite"], data)
    except T2SQLError as error:
        missing = f"<p class=note>Without results: {escape(error.message)}</p>"
    cases = "".join(_case(line, dataset) for line in chosen)
    return section(f"Case studies: failures of {name}", missing + cases)


def choose_cases(lines: Sequence[Line]) -> list[Line]:
    """One failure of each of the most frequent kinds, each on another database, of middling
    length: what a reader can follow and learn from."""
    by_kind = defaultdict(list)
    for line in lines:
        if kind := line["score"].get("kind"):
            by_kind[kind].append(line)
    chosen: list[Line] = []
    used: set[str] = set()
    for kind in sorted(by_kind, key=lambda k: -len(by_kind[k])):
        fresh = [line for line in by_kind[kind] if line["database"] not in used] or by_kind[kind]
        fresh.sort(key=_middling)
        chosen.append(fresh[0])
        used.add(fresh[0]["database"])
        if len(chosen) == _CASES:
            break
    return chosen


def _middling(line: Line) -> tuple[bool, int, str]:
    """Executable predictions come first, for both results can be shown."""
    return not line["score"]["runs"], abs(len(line["gold"]) - 120), line["id"]


def _case(line: Line, dataset: Dataset | None) -> str:
    schema = gold = predicted = ""
    if dataset is not None and line["database"] in dataset.files:
        with open_database(dataset.files[line["database"]][0]) as database:
            schema = _schema_html(database.schema, line["gold"] + " " + line["sql"])
            gold = _result_html(database, line["gold"])
            predicted = _result_html(database, line["sql"])
    evidence = f"<p class=note>Hint: {escape(line['evidence'])}</p>" if line.get("evidence") else ""
    return (
        f"<article><h3><span>{escape(line['score'].get('kind', ''))}</span>"
        f"{escape(line['database'])} · {escape(line['id'])}</h3>"
        f"<p class=question>{escape(line['question'])}</p>{evidence}{schema}"
        f"<div class=pair><div><h4>gold</h4>{sql_html(line['gold'])}{gold}</div>"
        f"<div><h4>prediction</h4>{sql_html(line['sql'] or line['text'])}{predicted}</div></div>"
        "</article>"
    )


def _schema_html(schema: Schema, used: str) -> str:
    """The tables that either query mentions, keys underlined; the others by name alone."""
    words = {word.lower() for word in re.findall(r"\w+", used)}
    shown, others = [], []
    for stored in schema.tables:
        if stored.name.lower() not in words:
            others.append(stored.name)
            continue
        linked = {c.lower() for key in stored.foreign_keys for c in key.columns}
        columns = ", ".join(
            f"<u>{escape(c.name)}</u>"
            if c.primary_key
            else f"<i>{escape(c.name)}</i>"
            if c.name.lower() in linked
            else escape(c.name)
            for c in stored.columns
        )
        shown.append(f"<b>{escape(stored.name)}</b>({columns})")
    rest = f" <span>… {escape(', '.join(others))}</span>" if others else ""
    return f"<p class=schema>{' '.join(shown)}{rest}</p>"


def _result_html(database: Database, sql: str) -> str:
    """The first rows that `sql` gives, or why it gives none."""
    found = check(sql, database)
    if isinstance(found, Rejection):
        return f"<p class=error>{escape(found.message)}</p>"
    try:
        result = database.run(found, Limits(rows=1000, seconds=10.0))
    except T2SQLError as error:
        return f"<p class=error>{escape(error.message)}</p>"
    rows = [[_cell(value) for value in row] for row in result.rows[:_CASE_ROWS]]
    count = f"{len(result.rows):,}{' or more' if result.truncated else ''}"
    label = f"{count} row{'' if len(result.rows) == 1 else 's'}"
    return f"<div class=result>{table(result.columns, rows)}</div><p class=rows>{label}</p>"


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = "NULL" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
