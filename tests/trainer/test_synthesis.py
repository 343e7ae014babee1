from __future__ import annotations

import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime

import pytest

from benchmarks.datasets import DataError, Dataset, read_spider
from benchmarks.suites import HOLDOUT_DATABASES
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.constraint import SchemaConstraint
from t2sql_tui.core.types import CheckedQuery, Limits
from trainer.base import find_base
from trainer.config import load_config
from trainer.data import prepare
from trainer.sources import read_source
from trainer.sql_style import by_names
from trainer.synthesis import databases, dates
from trainer.synthesis.families import FAMILIES
from trainer.synthesis.generate import PER_DATABASE, read_synthetic
from trainer.synthesis.proof import ROWS, Prover, Unproved
from trainer.synthesis.writer import Draft

_TABLES = {
    "harbour": {
        "country": ("Country_ID", ["Name", "Population"]),
        "ship": ("Ship_ID", ["Name", "Tonnage", "Class", "Country_ID"]),
    },
    "library": {"book": ("id", ["title", "pages"]), "loan_rule": ("id", ["days"])},
}
_NAMES = ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gil", "Hal", "Ida", "Jon", "Kim", "Lea")


@pytest.fixture(scope="session")
def originals(tmp_path_factory) -> Dataset:
    """Two databases in Spider's layout, with tables.json."""
    root = tmp_path_factory.mktemp("spider-tables")
    entries = []
    for name, tables in _TABLES.items():
        (root / "database" / name).mkdir(parents=True)
        columns = [[-1, "*"]]
        with sqlite3.connect(root / "database" / name / f"{name}.sqlite") as connection:
            for place, (table, (key, others)) in enumerate(tables.items()):
                columns += [[place, column] for column in (key, *others)]
                link = ", FOREIGN KEY (Country_ID) REFERENCES country (Country_ID)"
                connection.execute(
                    f"CREATE TABLE {table} ({key} INTEGER PRIMARY KEY, {', '.join(others)}"
                    f"{link if table == 'ship' else ''})"
                )
                for row, person in enumerate(_NAMES, start=1):
                    values = {
                        "Name": person,
                        "title": f"On {person}",
                        "Class": "AB"[row % 2],
                        "Country_ID": row % 4 + 1,
                    }
                    connection.execute(
                        f"INSERT INTO {table} VALUES ({row}{', ?' * len(others)})",
                        [values.get(column, row * 7 % 13) for column in others],
                    )
        connection.close()
        spoken = [[owner, column.lower().replace("_", " ")] for owner, column in columns]
        entries.append(
            {
                "db_id": name,
                "table_names_original": list(tables),
                "column_names": spoken,
                "table_names": [t.replace("_", " ") for t in tables],
                "column_names_original": columns,
            }
        )
    rows = [{"db_id": name, "question": "How many?", "query": "SELECT 1"} for name in _TABLES]
    (root / "train.json").write_text(json.dumps(rows))
    (root / "tables.json").write_text(json.dumps(entries))
    return read_spider(root, ("train.json",))


@pytest.fixture(scope="session")
def made(originals, tmp_path_factory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("T2SQL_CACHE", str(tmp_path_factory.mktemp("synthetic")))
        return read_synthetic(originals, 120, seed=5)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    made, originals, tmp_path, monkeypatch
):
    monkeypatch.setenv("T2SQL_CACHE", str(tmp_path))
    again = read_synthetic(originals, 120, seed=5)
    assert again.examples == made.examples and again.sha256() == made.sha256()
    other = read_synthetic(originals, 120, seed=6)
    assert {e.question for e in other.examples} != {e.question for e in made.examples}


def test_every_sql_runs_passes_check_and_guard_and_is_in_the_style(made):
    for name, (path,) in made.files.items():
        with open_database(path) as database:
            constraint = SchemaConstraint(database.schema)
            for example in (e for e in made.examples if e.database == name):
                checked = check(example.gold, database)
                assert isinstance(checked, CheckedQuery), example
                rows = database.run(checked, Limits(rows=1000)).rows
                assert 0 < len(rows) <= ROWS, example
                assert any(cell is not None for row in rows for cell in row), example
                assert constraint.accepts(example.gold, True), example
                assert by_names(example.gold, database.schema) == example.gold


def test_families_are_balanced_and_questions_of_a_database_differ(made):
    counts = Counter(e.id.rpartition("-")[2] for e in made.examples)
    assert len(made.examples) == 120 and len(counts) >= len(FAMILIES) - 2
    assert max(counts.values()) <= 2 * 120 / len(FAMILIES)
    assert set(Counter(e.database for e in made.examples).values()) <= {PER_DATABASE}
    asked = [(e.database, e.question) for e in made.examples]
    assert len(set(asked)) == len(asked)


def test_no_question_is_one_of_the_demos(made):
    from t2sql_tui.demo import DEMOS, questions

    demos = {e.question.lower().strip(" ?.") for demo in DEMOS for e in questions(demo.name)}
    assert not demos & {e.question.lower().strip(" ?.") for e in made.examples}


def test_the_source_copies_spiders_training_databases_alone(originals, settings, monkeypatch):
    import benchmarks.suites

    read = []
    monkeypatch.setattr(
        benchmarks.suites, "load_suite", lambda name, root: read.append(name) or originals
    )
    config = load_config(None, settings | {"synthetic": 20, "data_seed": 1})
    dataset = read_source("synthetic", config)
    assert read == ["spider-train"] and len(dataset.examples) == 20
    assert {e.database.split("-")[1] for e in dataset.examples} <= set(_TABLES)
    assert not any(name in e.database for e in dataset.examples for name in HOLDOUT_DATABASES)


def test_an_artefact_tells_what_was_rejected(originals, settings, tmp_path, monkeypatch):
    import benchmarks.suites
    from trainer.data_report import write_data_report

    load = benchmarks.suites.load_suite
    monkeypatch.setattr(
        benchmarks.suites,
        "load_suite",
        lambda name, root: originals if name == "spider-train" else load(name, root),
    )
    config = load_config(None, settings | {"data": ("synthetic",), "synthetic": 40})
    artefact = prepare(config, find_base(config), quiet=True)
    kept = artefact.load()["train"]
    assert {row["source"] for row in kept} == {"synthetic"} and len(kept) + artefact.about[
        "rejected"
    ] == 40
    assert all(row["sql"] == row["gold"] for row in kept)
    (notes,) = (note for note in artefact.about["notes"] if "rejected" in note)
    page = write_data_report(artefact, tmp_path / "report")
    assert "drafts rejected" in notes and "drafts rejected" in page.read_text()


def test_databases_without_a_name_to_ask_about_are_an_error(originals, tmp_path, monkeypatch):
    monkeypatch.setenv("T2SQL_CACHE", str(tmp_path))
    monkeypatch.setattr(databases, "MOST_TABLES", 0)
    with pytest.raises(DataError, match="No database"):
        read_synthetic(originals, 5, seed=0)
    assert not list((tmp_path / "trainer" / "synthetic").iterdir())


@pytest.fixture
def prover(tmp_path):
    path = tmp_path / "pets.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE pet (name TEXT, age INT, chip INT, owner TEXT);"
            "INSERT INTO pet VALUES ('Rex', 3, NULL, 'Ann'), ('Tom', 3, NULL, 'ann '), "
            "('Kit', 5, NULL, 'Bob');"
        )
    connection.close()
    with open_database(path) as database:
        yield Prover(database)


@pytest.mark.parametrize(
    ("sql", "rivals", "reason"),
    [
        ("SELECT name FROM pet WHERE age > 9", (), "empty"),
        ("SELECT name FROM pet WHERE age > 2", (), "a condition does not matter"),
        ("SELECT name FROM pet WHERE age > 3 AND name != 'Rex'", (), "a condition does not matter"),
        ("SELECT owner FROM pet GROUP BY owner HAVING count(*) > 0", (), "a condition does not"),
        ("SELECT chip FROM pet", (), "nothing but NULL"),
        ("SELECT count(*) FROM pet WHERE age = 4", (), "nothing but NULL or 0"),
        ("SELECT name FROM pet ORDER BY age LIMIT 1", (), "a tie at the limit"),
        ("SELECT max(age) FROM pet", ("SELECT 5",), "another reading"),
        ("SELECT nom FROM pet", (), "not accepted by schema-constrained"),
        ("SELECT name FROM", (), "not readable"),
    ],
)
def test_a_draft_that_teaches_nothing_is_rejected(prover, sql, rivals, reason):
    with pytest.raises(Unproved, match=reason):
        prover.prove(Draft("?", sql, rivals))


def test_a_draft_that_says_something_is_kept_in_the_style(prover):
    draft = Draft("?", "SELECT pet.name FROM pet WHERE pet.age = 3 ORDER BY pet.name LIMIT 1")
    assert prover.prove(draft) == "SELECT name FROM pet WHERE age = 3 ORDER BY name LIMIT 1"
    clean = "SELECT count(*) FROM pet WHERE lower(trim(owner)) = 'ann'"
    assert prover.prove(Draft("?", clean, ("SELECT count(*) FROM pet WHERE owner = 'Ann'",)))


@pytest.mark.parametrize("form", ["iso", "datetime", "epoch", "dmy", "mdy"])
def test_a_date_is_read_back_from_the_form_it_is_stored_in(form):
    value = dates.stored(datetime(2023, 4, 9, 20, 15, tzinfo=UTC), form)
    parts = [part("?1", form) for part in (dates.day_of, dates.month_of, dates.year_of)]
    with sqlite3.connect(":memory:") as connection:
        select = f"SELECT {', '.join(parts)}, {dates.in_year('?1', form, 2023)}"
        assert connection.execute(select, (value,)).fetchone() == (
            "2023-04-09",
            "2023-04",
            "2023",
            1,
        )
    connection.close()
