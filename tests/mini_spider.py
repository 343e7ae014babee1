"""A data set in Spider's layout, small enough to know by heart."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

SHOP = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer(id),
                       total REAL);
INSERT INTO customer VALUES (1, 'Ada', 'Rome'), (2, 'Bob', 'Oslo'), (3, 'Cleo', 'Rome');
INSERT INTO purchase VALUES (1, 1, 10.0), (2, 1, 5.5), (3, 3, 7.0);
"""
ZOO = """
CREATE TABLE animal (id INTEGER PRIMARY KEY, name TEXT, species TEXT, weight REAL);
INSERT INTO animal VALUES (1, 'Leo', 'lion', 190), (2, 'Mia', 'cat', 4), (3, 'Tom', 'cat', 5);
"""
# (database, question, gold); the two databases alternate, as no real file does.
QUESTIONS = (
    ("shop", "How many customers are there?", "SELECT count(*) FROM customer"),
    ("zoo", "Which animals are cats?", "SELECT name FROM animal WHERE species = 'cat'"),
    ("shop", "Who lives in Rome?", "SELECT name FROM customer WHERE city = 'Rome'"),
    ("zoo", "What does the lion weigh?", "SELECT weight FROM animal WHERE species = 'lion'"),
    (
        "shop",
        "What is the total of each customer's purchases?",
        "SELECT T1.name, sum(T2.total) FROM customer AS T1 JOIN purchase AS T2 "
        "ON T1.id = T2.customer_id GROUP BY T1.id",
    ),
    ("zoo", "List all animals by weight.", "SELECT name FROM animal ORDER BY weight"),
)


def build_database(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    return path


def write_spider(root: Path, questions=QUESTIONS) -> Path:
    for name, script in (("shop", SHOP), ("zoo", ZOO)):
        build_database(root / "database" / name / f"{name}.sqlite", script)
    rows = [{"db_id": d, "question": q, "query": gold} for d, q, gold in questions]
    (root / "dev.json").write_text(json.dumps(rows))
    return root
