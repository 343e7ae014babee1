"""The style without aliases changes how a query is written, never what it answers."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from t2sql_tui.core.database.schema import read_schema
from t2sql_tui.core.types import Column, Schema, Table
from trainer.sql_style import by_names

SCHEMA = Schema(
    (
        Table("Singer", (Column("Singer_ID"), Column("Name"), Column("Country"))),
        Table("concert", (Column("ID"), Column("Singer_ID"), Column("year"))),
    )
)


@pytest.mark.parametrize(
    ("gold", "styled"),
    [
        ("select name from singer", "SELECT Name FROM Singer"),
        ("SELECT T1.name FROM singer AS T1", "SELECT Name FROM Singer"),
        (
            'SELECT count(*) FROM singer WHERE country  =  "France";',
            "SELECT COUNT(*) FROM Singer WHERE Country = 'France'",
        ),
        (
            "SELECT T1.name, T2.YEAR FROM singer AS T1 JOIN concert AS T2 "
            "ON T1.singer_id = T2.singer_id",
            "SELECT Singer.Name, concert.year FROM Singer JOIN concert "
            "ON Singer.Singer_ID = concert.Singer_ID",
        ),
        (
            "SELECT name FROM singer WHERE singer_id NOT IN (SELECT singer_id FROM concert)",
            "SELECT Name FROM Singer WHERE Singer_ID NOT IN (SELECT Singer_ID FROM concert)",
        ),
        (
            "SELECT name FROM singer WHERE name NOT LIKE 'a%' AND country != 'x'",
            "SELECT Name FROM Singer WHERE Name NOT LIKE 'a%' AND Country != 'x'",
        ),
        (
            "SELECT round(100.0 * sum(year = 9) / count(*), 1) FROM concert",
            "SELECT ROUND(100.0 * SUM(year = 9) / COUNT(*), 1) FROM concert",
        ),
        # A table that occurs twice keeps its aliases: names alone would be ambiguous.
        (
            "SELECT A.name FROM singer AS A JOIN singer AS B ON A.country = B.country",
            "SELECT A.Name FROM Singer AS A JOIN Singer AS B ON A.Country = B.Country",
        ),
        # An inner query of its own on the same table is no reason to keep one.
        (
            "SELECT T1.name FROM singer T1 JOIN concert T2 ON T1.singer_id = T2.singer_id "
            "WHERE T2.year = (SELECT max(year) FROM concert)",
            "SELECT Singer.Name FROM Singer JOIN concert ON Singer.Singer_ID = concert.Singer_ID "
            "WHERE concert.year = (SELECT MAX(year) FROM concert)",
        ),
        # A correlated one is.
        (
            "SELECT a.name FROM singer a WHERE 1 < "
            "(SELECT count(*) FROM singer b WHERE b.country = a.country)",
            "SELECT Name FROM Singer AS a WHERE 1 < "
            "(SELECT COUNT(*) FROM Singer WHERE Country = a.Country)",
        ),
    ],
)
def test_by_names(gold: str, styled: str) -> None:
    assert by_names(gold, SCHEMA) == styled


def test_what_cannot_be_parsed_is_an_error() -> None:
    with pytest.raises(ValueError):
        by_names("SELECT FROM WHERE ((", SCHEMA)


def test_answers_stay_the_same_on_spider_train(data_dir: Path) -> None:
    spider = data_dir / "spider"
    examples = json.loads((spider / "train_spider.json").read_text("utf-8"))
    for example in random.Random(0).sample(examples, 200):
        file = spider / "database" / example["db_id"] / f"{example['db_id']}.sqlite"
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
        connection.text_factory = bytes
        try:
            gold = connection.execute(example["query"]).fetchall()
        except sqlite3.Error:
            continue
        connection.text_factory = lambda b: b.decode("utf-8", "replace")
        styled = by_names(example["query"], read_schema(connection))
        connection.text_factory = bytes
        assert Counter(connection.execute(styled).fetchall()) == Counter(gold), styled
        connection.close()
