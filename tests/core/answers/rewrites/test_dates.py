"""Dates that are not stored as SQLite reads them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.describe import summary
from t2sql_tui.core.answers.explain import explain
from t2sql_tui.core.answers.rewrites.apply import rewrite_candidate
from t2sql_tui.core.ask import ask
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import AskOptions, Candidate, GenerationSettings, Question

FORMS = {
    "dmy": "%d.%m.%Y",
    "mdy": "%m/%d/%Y",
    "ymd": "%Y/%m/%d",
    "compact": "%Y%m%d",
    "seconds": "%s",
    "iso": "%Y-%m-%d",
}
DAYS = ("2023-05-31", "2024-02-29", "2024-11-03", "2025-01-15")


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """The same four days in every form, a column each."""
    path: Path = tmp_path_factory.mktemp("dates") / "visits.sqlite"
    connection = sqlite3.connect(path)
    columns = ", ".join(f"{name} {'INTEGER' if name == 'seconds' else 'TEXT'}" for name in FORMS)
    connection.execute(f"CREATE TABLE visit (id INTEGER PRIMARY KEY, year INTEGER, {columns})")
    for number, day in enumerate(DAYS):
        stored = [
            f"{day[8:]}.{day[5:7]}.{day[:4]}",
            f"{day[5:7]}/{day[8:]}/{day[:4]}",
            day.replace("-", "/"),
            day.replace("-", ""),
            connection.execute("SELECT unixepoch(?)", (day,)).fetchone()[0],
            day,
        ]
        row = (number, int(day[:4]), *stored)
        connection.execute("INSERT INTO visit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO visit (id, dmy) VALUES (9, '')")
    connection.commit()
    connection.close()
    with open_database(path) as database:
        yield database


def read(sql: str, database, should_stop=None) -> Candidate:
    candidate = Candidate(sql, sql, verdict=check(sql, database))
    return rewrite_candidate(candidate, AnswerContext(database, Question(""), (), should_stop))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "iso"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT strftime('%Y', {c}), count(*) FROM visit GROUP BY strftime('%Y', {c}) ORDER BY 1",
        "SELECT id FROM visit WHERE {c} LIKE '2024%'",
        "SELECT id FROM visit AS v WHERE v.{c} BETWEEN '2024-01-01' AND '2024-12-31'",
        "SELECT id FROM visit WHERE {c} >= '2024-03' AND {c} < date('2025-01-01')",
        "SELECT id FROM visit WHERE {c} > '2024-02-29' ORDER BY id",
        "SELECT date({c}, '+1 month'), julianday({c}) - julianday('2024-01-01') FROM visit",
        "SELECT substr({c}, 1, 4) FROM visit WHERE substr({c}, 1, 7) = '2024-11'",
        "SELECT id FROM visit WHERE strftime('%Y-%m', {c}) = '2024-02'",
        "SELECT id FROM visit WHERE {c} <> '' ORDER BY {c} DESC LIMIT 1",
        "SELECT row_number() OVER (ORDER BY {c}) FROM visit",
    ],
)
def test_it_reads_each_form_as_if_it_were_iso(form: str, sql: str, visits) -> None:
    if form in ("ymd", "compact") and "substr" in sql:
        sql = sql.replace("substr({c}, 1, 7) = '2024-11'", "id > 0")
    written = sql.format(c=form)
    found = read(written, visits)
    wanted = check(sql.format(c="iso"), visits)
    # rows without a date: '' and NULL compare alike enough, but are counted apart
    assert rows(found.verdict, visits) == rows(wanted, visits)
    if found.sql != written:
        assert found.rewrites and f" {form} " in found.rewrites[0]


def rows(query, database) -> list[tuple[object, ...]]:
    found = database.run(query).rows
    known = [row for row in found if row[0] not in (None, "")]
    return [tuple(v[:10] if isinstance(v, str) else v for v in row) for row in known]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT strftime('%Y', iso) FROM visit WHERE iso LIKE '2024%' ORDER BY iso",
        "SELECT substr(dmy, 7, 4) FROM visit WHERE dmy = '31.05.2023'",
        "SELECT strftime('%Y', seconds, 'unixepoch') FROM visit",
        "SELECT id FROM visit WHERE year = 2024 AND compact LIKE '2024%' ORDER BY year",
        "SELECT min(dmy) AS dmy FROM visit ORDER BY dmy",
        "SELECT dmy FROM visit UNION SELECT mdy FROM visit ORDER BY dmy",
        "SELECT id FROM visit WHERE dmy LIKE '%2024'",
        "SELECT strftime('%Y', '31.12.2024')",
    ],
)
def test_it_leaves_alone_what_is_right_or_was_meant(sql: str, visits) -> None:
    assert read(sql, visits) == Candidate(sql, sql, verdict=check(sql, visits))


def test_what_it_writes_is_headed_and_explained_in_few_words(visits) -> None:
    found = read("SELECT strftime('%Y', v.dmy), count(*) AS n FROM visit AS v GROUP BY 1", visits)
    assert visits.run(found.verdict).columns == ("STRFTIME('%Y', v.dmy)", "n")
    words = [text for step in explain(found.sql, visits.schema) for _, text in step.lines()]
    assert any("the year of the date of dmy" in text for text in words), words


def test_a_year_is_the_year(visits) -> None:
    found = read("SELECT strftime('%Y', year) FROM visit WHERE id < 2", visits)
    assert [row[0] for row in visits.run(found.verdict).rows] == ["2023", "2024"]


def test_names_with_quotes_and_rejected_sql(tmp_path: Path) -> None:
    path = tmp_path / "odd.sqlite"
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE "a""b" ("the ""day""" TEXT)')
    connection.execute('INSERT INTO "a""b" VALUES (\'31/12/2024\')')
    connection.commit()
    connection.close()
    with open_database(path) as database:
        found = read('SELECT strftime(\'%m\', "the ""day""") FROM "a""b"', database)
        assert database.run(found.verdict).rows == (("12",),)
        bad = "DELETE FROM x WHERE d > '2024-01-01'"
        assert read(bad, database).sql == bad


def test_an_answer_reads_the_dates_and_says_so(visits) -> None:
    """The candidates that read them right and those that do not agree then."""
    replies = (
        "SELECT strftime('%Y', dmy) FROM visit WHERE dmy LIKE '2024%'",
        "SELECT substr(dmy, 7, 4) FROM visit WHERE substr(dmy, 7, 4) = '2024'",
    )
    backend, two = ScriptedBackend(replies=[replies]), GenerationSettings(candidates=2)
    answer = ask(Question("years?"), visits, backend, AskOptions(two, compare=True))
    assert len(answer.readings) == 1 and answer.readings[0].votes == 2
    assert visits.run(answer.query).rows == (("2024",), ("2024",))
    assert answer.generations[-1].candidates[0].sql == replies[0]  # as the model wrote it
    assert "Dates in dmy are stored like 31.05.2023: the SQL turns" in summary(answer)
    plain = ask(Question("years?"), visits, ScriptedBackend(replies=[replies]), AskOptions(two))
    assert plain.query.sql == replies[0]


def test_a_cancelled_look_into_the_file_leaves_the_sql(visits):
    sql = "SELECT id FROM visit WHERE dmy LIKE '2024%'"
    assert read(sql, visits).rewrites and not read(sql, visits, lambda: True).rewrites
