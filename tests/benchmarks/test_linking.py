"""Recall of the needed tables in a file merged of several databases."""

from __future__ import annotations

import json
import sqlite3

import pytest
from click.testing import CliRunner
from mini_spider import QUESTIONS, write_spider

from benchmarks import linking, merged_database
from benchmarks.cli import main
from benchmarks.metrics.trees import columns_read
from t2sql_tui.core.prompting.schema_linking import FIRST_PASS_WEIGHTS, SECOND_PASS_WEIGHTS
from t2sql_tui.core.types import Table


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("T2SQL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "t2sql_tui.core.prompting.value_index.value_index_folder", lambda: tmp_path / "values"
    )
    return tmp_path


@pytest.fixture
def mini(tmp_path):
    return f"spider-format:{write_spider(tmp_path / 'mini')}"


def call(*arguments: str) -> dict:
    result = CliRunner().invoke(main, ["linking", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_names_are_kept_where_unique_and_prefixed_where_not() -> None:
    people, other = Table("People", ()), Table("a_people", ())
    names = merged_database.merged_names({"a": (people, other), "b": (Table("people", ()),)})
    assert names == {
        ("a", "people"): "a_a_People",
        ("a", "a_people"): "a_people",
        ("b", "people"): "b_people",
    }


def test_the_merged_file_holds_all_tables_keys_and_rows(mini) -> None:
    merged = merged_database.load_merged(mini, None, 0, None)
    schema = merged.database.schema
    assert [t.name for t in schema.tables] == ["customer", "purchase", "animal"]
    assert [key.table for key in schema.table("purchase").foreign_keys] == ["customer"]
    with sqlite3.connect(merged.database.path) as connection:
        assert connection.execute("SELECT count(*) FROM animal").fetchone() == (3,)
    assert [sorted(merged.needed(e)) for e in merged.examples if "JOIN" in e.gold] == [
        ["customer", "purchase"]
    ]


def test_recall_counts_needed_tables(mini) -> None:
    found = call(mini, "--k", "1,3")
    assert found["questions"] == len(QUESTIONS) and found["tables"] == 3
    assert found["recall"]["3"]["mean"] == 1
    assert found["recall"]["3"]["all"]["value"] == 1
    # The one question on two tables cannot have both among the first one.
    assert found["recall"]["1"]["mean"] < 1
    assert found["recall"]["shown"]["mean"] == 1
    assert found["columns"]["3"] == 1 > found["columns"]["1"] > 0


def test_columns_are_those_of_the_tables_that_are_read() -> None:
    columns = {"a": {"id", "x"}, "b": {"id", "y"}, "c": {"id"}}
    read = columns_read("SELECT T1.ID, y FROM A AS T1 JOIN b ON T1.id = b.id", columns)
    assert read == {"a": {"id"}, "b": {"id", "y"}}
    assert columns_read("SELECT id FROM a JOIN b WHERE z = 1", columns) == {
        "a": {"id"},
        "b": {"id"},
    }
    assert columns_read("SELECT FROM", columns) == {}


def test_fit_prints_a_weight_for_every_feature(mini) -> None:
    weights = call(mini, "--fit")
    assert list(weights) == ["first pass", "second pass"]
    assert list(weights["first pass"]) == list(FIRST_PASS_WEIGHTS)
    assert list(weights["second pass"]) == list(SECOND_PASS_WEIGHTS)


def test_fitting_finds_the_feature_that_tells() -> None:
    cases = [([(1.0, 0.4), (0.0, 0.7), (0.0, 0.1)], [True, False, False])] * 5
    weights = linking.fit_weights([*cases, ([(1.0, 1.0)], [False])])
    assert weights[0] > 3 > abs(weights[1])


def test_bird_is_read_from_its_schemas_alone(tmp_path) -> None:
    folder = tmp_path / "data" / "bird"
    folder.mkdir(parents=True)
    entry = {
        "db_id": "d",
        "table_names_original": ["a b", "order"],
        "column_names_original": [[-1, "*"], [0, "x"], [0, "y"], [1, "x"]],
        "column_types": ["text", "integer", "text", "integer"],
        "primary_keys": [[1, 2], 3],
        "foreign_keys": [[3, 1]],
    }
    (folder / "tables.json").write_text(json.dumps([entry]))
    row = {"db_id": "d", "question": "orders?", "SQL": "SELECT x FROM `order`", "evidence": "e"}
    bad = {**row, "SQL": "SELECT 1"}
    (folder / "train.json").write_text(json.dumps([row, bad]))
    found = call("bird-schemas", "--data", str(tmp_path / "data"), "--k", "1")
    assert found["questions"] == 1 and found["without_tables"] == 1
    assert found["recall"]["1"]["mean"] == 1


@pytest.mark.parametrize("text", ["x", "0", "", "5,,10", "-1"])
def test_k_is_whole_numbers(text: str) -> None:
    result = CliRunner().invoke(main, ["linking", "--k", text])
    assert result.exit_code == 2 and "5,10,20" in result.output
