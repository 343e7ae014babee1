"""A tiny Spider-format data set and tiny random bases, made in the process."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from tests.tiny_models import byte_tokenizer, tiny_model

# One thread: tiny matrices gain nothing from two, and lose much on a busy machine.
os.environ["OMP_NUM_THREADS"] = "1"

_TABLES = {
    "zoo": "CREATE TABLE animal (id INTEGER PRIMARY KEY, name TEXT, age INT);"
    "INSERT INTO animal VALUES (1,'Ada',3),(2,'Bo',9),(3,'Cy',5);",
    "shop": "CREATE TABLE item (id INTEGER PRIMARY KEY, title TEXT, price REAL);"
    "CREATE TABLE sale (item_id INT REFERENCES item(id), day TEXT);"
    "INSERT INTO item VALUES (1,'pen',2.5),(2,'ink',7.0);"
    "INSERT INTO sale VALUES (2,'2020-01-01');",
    "club": "CREATE TABLE member (id INTEGER PRIMARY KEY, city TEXT, joined INT);"
    "INSERT INTO member VALUES (1,'Rome',2001),(2,'Oslo',2011);",
}
_QUESTIONS = {
    "train.json": [
        ("zoo", "How many animals are there?", "select count(*) from animal"),
        ("zoo", "Who is older than 4?", "SELECT T1.name FROM animal AS T1 WHERE T1.age  >  4"),
        ("zoo", "Names by age", "SELECT name FROM animal ORDER BY age DESC"),
        ("zoo", "How old is Bo?", 'SELECT age FROM animal WHERE name = "Bo"'),
        ("zoo", "The mean age", "SELECT avg(age) FROM animal"),
        ("shop", "List all titles", "SELECT title FROM item"),
        (
            "shop",
            "What was sold?",
            "SELECT T1.title FROM item AS T1 JOIN sale AS T2 ON T1.id = T2.item_id",
        ),
        ("shop", "Never sold", "SELECT title FROM item WHERE id NOT IN (SELECT item_id FROM sale)"),
        ("shop", "Broken", "SELECT x FROM nowhere"),
        (
            "shop",
            "Cheap or dear",
            "SELECT title FROM item WHERE price < 3 UNION SELECT title FROM item WHERE price > 6",
        ),
    ],
    "dev.json": [
        ("club", "How many members?", "SELECT count(*) FROM member"),
        ("club", "Cities", "SELECT city FROM member"),
        ("club", "Who joined after 2005?", "SELECT id FROM member WHERE joined > 2005"),
    ],
}


@pytest.fixture(scope="session")
def spider(tmp_path_factory) -> Path:
    """A folder in Spider's layout: two databases to train on, one to measure on."""
    root = tmp_path_factory.mktemp("spider")
    for name, sql in _TABLES.items():
        (root / "database" / name).mkdir(parents=True)
        with sqlite3.connect(root / "database" / name / f"{name}.sqlite") as connection:
            connection.executescript(sql)
        connection.close()
    for name, rows in _QUESTIONS.items():
        entries = [{"db_id": d, "question": q, "query": sql} for d, q, sql in rows]
        (root / name).write_text(json.dumps(entries))
    return root


def make_base(folder: Path, kind: str = "qwen2", **options) -> Path:
    """A transformers folder with a random model of `kind` and a byte tokenizer."""
    if not folder.exists():
        options = ({"sliding_window": 4096} if kind == "gemma3" else {}) | options
        tiny_model(kind, **options).save_pretrained(folder)
        byte_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("bases") / "qwen2")


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(request, cache, monkeypatch) -> None:
    """What tests make stays out of a person's cache; what was made of a real model is used."""
    if not request.node.get_closest_marker("model"):
        monkeypatch.setenv("T2SQL_CACHE", str(cache))


@pytest.fixture
def settings(base, spider, tmp_path) -> dict[str, object]:
    """Config fields of a run that takes a second or two."""
    return {
        "base": str(base),
        "chat_format": "chatml",
        "data": (f"spider-format:{spider}/train.json",),
        "heldout": f"spider-format:{spider}/dev.json",
        "row_tokens": 1024,
        "group_questions": 3,
        "rows_per_step": 2,
        "max_steps": 2,
        "eval_questions": 3,
        "eval_tokens": 6,
        "rank": 4,
        "alpha": 8,
        "learning_rate": 1e-2,
        "out": str(tmp_path / "run"),
        "threads": 1,
        "bf16": False,
    }
