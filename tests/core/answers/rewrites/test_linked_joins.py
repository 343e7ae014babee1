"""Joins that no key says, put on the path that the keys do say."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlglot import exp

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.joins import unlinked_joins
from t2sql_tui.core.answers.rewrites.apply import rewrite_candidate
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import Candidate, Question


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("joins") / "clinic.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        CREATE TABLE city (name TEXT PRIMARY KEY, state TEXT REFERENCES state (name));
        CREATE TABLE state (name TEXT PRIMARY KEY, capital TEXT);
        CREATE TABLE patient (id INTEGER PRIMARY KEY, name TEXT, city TEXT REFERENCES city (name));
        CREATE TABLE "the visit" (nr INTEGER PRIMARY KEY,
            patient INTEGER REFERENCES patient (id), doctor INTEGER REFERENCES doctor (id),
            helper INTEGER REFERENCES doctor (id));
        CREATE TABLE doctor (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE finding (visit INTEGER REFERENCES "the visit" (nr),
            code TEXT REFERENCES illness (code));
        CREATE TABLE wards (id INTEGER, city TEXT REFERENCES city (name));
        CREATE TABLE bed (ward_id INTEGER, doctor INTEGER REFERENCES doctor (id));
        CREATE TABLE illness (code TEXT PRIMARY KEY, title TEXT);
        CREATE TABLE loner (id INTEGER PRIMARY KEY, number INTEGER);
        INSERT INTO state VALUES ('Utah', 'Salt Lake City');
        INSERT INTO city VALUES ('Salt Lake City', 'Utah'), ('Provo', 'Utah');
        INSERT INTO patient VALUES (1, 'Ada', 'Provo'), (2, 'Bo', 'Provo');
        INSERT INTO doctor VALUES (1, 'Who');
        INSERT INTO "the visit" VALUES (7, 2, 1, 1);
        INSERT INTO illness VALUES ('J45', 'Asthma');
        INSERT INTO finding VALUES (7, 'J45');
        """
    )
    connection.close()
    with open_database(path) as database:
        yield database


def linked(sql: str, database, should_stop=None) -> Candidate:
    candidate = Candidate(sql, sql, verdict=check(sql, database))
    return rewrite_candidate(candidate, AnswerContext(database, Question(""), (), should_stop))


@pytest.mark.parametrize(
    ("sql", "row", "through"),
    [
        (
            "SELECT p.name FROM patient AS p JOIN finding AS f ON p.id = f.code "
            "JOIN illness ON f.code = illness.code WHERE illness.title = 'Asthma'",
            ("Bo",),
            "patient and finding are joined through the visit as the keys say.",
        ),
        (  # the path goes through a table that is there already
            'SELECT patient.name FROM patient JOIN "the visit" ON patient.id = '
            '"the visit".patient JOIN finding ON patient.id = finding.code',
            ("Bo",),
            "patient and finding are joined through the visit as the keys say.",
        ),
        (  # the key itself, on other columns than those written
            'SELECT patient.name FROM "the visit" AS v JOIN patient ON v.nr = patient.id',
            ("Bo",),
            "the visit and patient are joined as the keys say.",
        ),
        (  # two further tables
            "SELECT p.name FROM illness JOIN patient p ON illness.code = p.id",
            ("Bo",),
            "illness and patient are joined through finding and the visit as the keys say.",
        ),
        (  # in every part of the statement
            "SELECT id FROM patient WHERE id IN (SELECT patient.id FROM patient JOIN finding "
            "ON patient.id = finding.code)",
            (2,),
            "patient and finding are joined through the visit as the keys say.",
        ),
    ],
)
def test_the_path_of_the_keys_is_taken(sql: str, row, through: str, clinic) -> None:
    found = linked(sql, clinic)
    assert found.rewrites == (through,)
    assert clinic.run(found.verdict).rows == (row,)
    selects = found.verdict.tree.find_all(exp.Select)
    assert not any(list(unlinked_joins(select, clinic.schema)) for select in selects)


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT * FROM patient JOIN "the visit" v ON patient.id = v.patient',
        "SELECT * FROM wards JOIN bed ON bed.ward_id = wards.id",  # so it is named
        "SELECT * FROM state JOIN city ON state.capital = city.name",  # they hold the same texts
        # twice linked: as doctor or as helper?
        'SELECT * FROM doctor JOIN "the visit" ON doctor.id = "the visit".nr',
        "SELECT * FROM patient JOIN loner ON patient.id = loner.number",  # it has no keys
        # the visit is joined further on: nobody knows which rows are meant
        "SELECT * FROM patient JOIN finding ON patient.id = finding.code "
        'JOIN "the visit" ON finding.visit = "the visit".nr',
        "SELECT * FROM patient JOIN finding ON patient.id = finding.code AND 1 = 1",
        "SELECT * FROM patient, finding WHERE patient.id = finding.code",
        "SELECT * FROM patient JOIN (SELECT code FROM finding) AS f ON patient.id = f.code",
        "SELECT * FROM patient NATURAL JOIN finding",
    ],
)
def test_what_is_said_or_not_certain_stays(sql: str, clinic) -> None:
    found = linked(sql, clinic)
    assert found == Candidate(sql, sql, verdict=check(sql, clinic)) and not found.rewrites


def test_rejected_sql_stays_rejected(clinic) -> None:
    assert linked("SELECT nothing FROM nowhere", clinic).rewrites == ()


def test_a_cancelled_look_into_the_file_leaves_the_sql(clinic) -> None:
    sql = 'SELECT patient.name FROM "the visit" AS v JOIN patient ON v.nr = patient.id'
    assert linked(sql, clinic).rewrites and not linked(sql, clinic, lambda: True).rewrites
