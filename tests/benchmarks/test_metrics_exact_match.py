"""Spider's grammar, exact set match and hardness. Every verdict in the tables was compared
once with that of taoyds/test-suite-sql-eval on the same schema."""

from __future__ import annotations

import sqlite3

import pytest

from benchmarks.metrics.exact_match import COMPONENTS, partial_scores, score
from benchmarks.metrics.hardness import hardness
from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema, parse, tokenize
from t2sql_tui.core.database.schema import read_schema

# One database in the form of Spider's tables.json.
ENTRY = {
    "db_id": "singers",
    "table_names_original": ["Singer", "Concert"],
    "column_names_original": [
        [-1, "*"],
        [0, "Id"],
        [0, "Name"],
        [0, "Age"],
        [0, "Country"],
        [1, "Concert_ID"],
        [1, "Singer_ID"],
        [1, "Year"],
        [1, "Market_Value"],
    ],
    "foreign_keys": [[6, 1]],
}
SCHEMA = SpiderSchema.from_tables_json(ENTRY)

JOINED = "SELECT T1.Name FROM Singer AS T1 JOIN Concert AS T2 ON T1.Id = T2.Singer_ID"

# rule, gold, prediction, official exact match, official "is in the grammar"
TRAPS = [
    (
        "case and blanks do not count",
        "SELECT Name FROM Singer",
        "select  name  from singer ;",
        True,
        True,
    ),
    (
        "values do not count",
        "SELECT Name FROM Singer WHERE Age > 30",
        'SELECT Name FROM Singer WHERE Age > "x"',
        True,
        True,
    ),
    (
        "the number of a LIMIT does not count",
        "SELECT Name FROM Singer ORDER BY Age LIMIT 1",
        "SELECT Name FROM Singer ORDER BY Age LIMIT 5",
        True,
        True,
    ),
    (
        "LIMIT itself does",
        "SELECT Name FROM Singer ORDER BY Age LIMIT 1",
        "SELECT Name FROM Singer ORDER BY Age",
        False,
        True,
    ),
    (
        "what follows LIMIT is never read",
        "SELECT Name FROM Singer LIMIT 1",
        "SELECT Name FROM Singer LIMIT 1 OFFSET 3",
        True,
        True,
    ),
    (
        "DISTINCT does not count",
        "SELECT DISTINCT Name FROM Singer",
        "SELECT Name FROM Singer",
        True,
        True,
    ),
    (
        "DISTINCT inside an aggregate does not count",
        "SELECT count(DISTINCT Name) FROM Singer",
        "SELECT count(Name) FROM Singer",
        True,
        True,
    ),
    (
        "DISTINCT inside a subquery does",
        "SELECT Name FROM Singer WHERE Id IN (SELECT DISTINCT Singer_ID FROM Concert)",
        "SELECT Name FROM Singer WHERE Id IN (SELECT Singer_ID FROM Concert)",
        False,
        True,
    ),
    (
        "columns are a set",
        "SELECT Name , Age FROM Singer",
        "SELECT Age , Name FROM Singer",
        True,
        True,
    ),
    (
        "but ORDER BY is a list",
        "SELECT Name FROM Singer ORDER BY Age , Name",
        "SELECT Name FROM Singer ORDER BY Name , Age",
        False,
        True,
    ),
    (
        "the last direction is that of all",
        "SELECT Name FROM Singer ORDER BY Age ASC , Name DESC",
        "SELECT Name FROM Singer ORDER BY Age DESC , Name DESC",
        True,
        True,
    ),
    (
        "conditions are a set",
        "SELECT Name FROM Singer WHERE Age > 3 AND Country = 'x'",
        "SELECT Name FROM Singer WHERE Country = 'x' AND Age > 3",
        True,
        True,
    ),
    (
        "AND is not OR",
        "SELECT Name FROM Singer WHERE Age > 3 AND Country = 'x'",
        "SELECT Name FROM Singer WHERE Age > 3 OR Country = 'x'",
        False,
        True,
    ),
    (
        "columns tied by a foreign key are one",
        JOINED + " WHERE T2.Singer_ID = 3",
        JOINED + " WHERE T1.Id = 3",
        True,
        True,
    ),
    (
        "but not where their table is not in FROM",
        "SELECT Id FROM Singer",
        "SELECT Singer_ID FROM Concert",
        False,
        True,
    ),
    (
        "join conditions are never compared",
        JOINED,
        JOINED.replace("T1.Id = T2.Singer_ID", "T1.Age = T2.Year"),
        True,
        True,
    ),
    ("except for their OR", JOINED, JOINED + " OR T1.Age = T2.Year", True, True),
    (
        "which is swallowed after a column but not after a number",
        JOINED + " AND T1.Age = 3",
        JOINED + " AND T1.Age = 3 OR T1.Age = 4",
        False,
        True,
    ),
    (
        "joined tables are a set",
        JOINED,
        "SELECT T1.Name FROM Concert AS T2 JOIN Singer AS T1 ON T1.Id = T2.Singer_ID",
        True,
        True,
    ),
    ("but all of them count", "SELECT Name FROM Singer", JOINED, False, True),
    (
        "a group column is compared by name alone, the key of HAVING is not",
        "SELECT Name FROM Singer GROUP BY Name",
        "SELECT Name FROM Singer GROUP BY Singer.Name",
        True,
        True,
    ),
    (
        "HAVING without a group",
        "SELECT Name FROM Singer",
        "SELECT Name FROM Singer HAVING Age > 3",
        False,
        False,
    ),
    (
        "a subquery's value does not count",
        "SELECT Name FROM Singer WHERE Age > (SELECT avg(Age) FROM Singer WHERE Country = 'x')",
        "SELECT Name FROM Singer WHERE Age > (SELECT avg(Age) FROM Singer WHERE Country = 'y')",
        True,
        True,
    ),
    (
        "except in FROM",
        "SELECT count(*) FROM (SELECT Name FROM Singer WHERE Age > 3)",
        "SELECT count(*) FROM (SELECT Name FROM Singer WHERE Age > 4)",
        False,
        True,
    ),
    (
        "the halves of a set operation are compared in their order",
        "SELECT Name FROM Singer UNION SELECT Country FROM Singer",
        "SELECT Country FROM Singer UNION SELECT Name FROM Singer",
        False,
        True,
    ),
    (
        "a second BETWEEN bound does not count",
        "SELECT Name FROM Singer WHERE Age BETWEEN 1 AND 2",
        "SELECT Name FROM Singer WHERE Age BETWEEN 3 AND 4",
        True,
        True,
    ),
    (
        "count(*) is not count(1)",
        "SELECT count(*) FROM Singer",
        "SELECT count(1) FROM Singer",
        False,
        False,
    ),
    (
        "a column alias",
        "SELECT count(*) FROM Singer",
        "SELECT count(*) AS n FROM Singer",
        False,
        False,
    ),
    ("LEFT JOIN", JOINED, JOINED.replace("JOIN", "LEFT JOIN"), False, False),
    ("an alias without AS", JOINED, JOINED.replace("AS ", ""), False, False),
    (
        "an alias with the name of a table",
        "SELECT Name FROM Singer",
        "SELECT Concert.Name FROM Singer AS Concert",
        False,
        False,
    ),
    ("two tables and a comma", JOINED, "SELECT Name FROM Singer , Concert", False, False),
    (
        "parentheses around a condition",
        "SELECT Name FROM Singer WHERE Age > 3",
        "SELECT Name FROM Singer WHERE (Age > 3)",
        False,
        False,
    ),
    (
        "a = without blanks",
        "SELECT Name FROM Singer WHERE Age = 3",
        "SELECT Name FROM Singer WHERE Age=3",
        False,
        False,
    ),
    (
        "a > without blanks is read",
        "SELECT Name FROM Singer WHERE Age > 3",
        "SELECT Name FROM Singer WHERE Age>3",
        True,
        True,
    ),
    (
        "<> for !=",
        "SELECT Name FROM Singer WHERE Age != 3",
        "SELECT Name FROM Singer WHERE Age <> 3",
        False,
        False,
    ),
    (
        "! = for !=",
        "SELECT Name FROM Singer WHERE Age != 3",
        "SELECT Name FROM Singer WHERE Age ! = 3",
        True,
        True,
    ),
    (
        "IS NOT NULL",
        "SELECT Name FROM Singer WHERE Age > 3",
        "SELECT Name FROM Singer WHERE Age IS NOT NULL",
        False,
        False,
    ),
    (
        "IS NULL reads NULL as a column",
        "SELECT Name FROM Singer WHERE Age > 3",
        "SELECT Name FROM Singer WHERE Age IS NULL",
        False,
        False,
    ),
    (
        "UNION ALL",
        "SELECT Name FROM Singer UNION SELECT Country FROM Singer",
        "SELECT Name FROM Singer UNION ALL SELECT Country FROM Singer",
        False,
        False,
    ),
    ("a table's star", "SELECT * FROM Singer", "SELECT Singer.* FROM Singer", False, False),
    ("a quoted name", "SELECT Name FROM Singer", "SELECT `Name` FROM Singer", False, False),
    (
        "an open quote",
        "SELECT Name FROM Singer",
        "SELECT Name FROM Singer WHERE Name = 'O",
        False,
        False,
    ),
    ("a name that is not there", "SELECT Name FROM Singer", "SELECT Nam FROM Singer", False, False),
    (
        "the placeholder `value` is 1, even inside a name",
        "SELECT Year FROM Concert",
        "SELECT Year FROM Concert WHERE Market_value > 3",
        False,
        False,
    ),
    (
        "a final period is split off",
        "SELECT Name FROM Singer LIMIT 1",
        "SELECT Name FROM Singer LIMIT 1.",
        True,
        True,
    ),
    ("nothing", "SELECT Name FROM Singer", "", False, False),
]


@pytest.mark.parametrize("trap", TRAPS, ids=[trap[0] for trap in TRAPS])
def test_official_verdicts(trap: tuple) -> None:
    _, gold, predicted, exact, in_grammar = trap
    found = score(gold, predicted, SCHEMA)
    assert (found.exact, found.in_grammar) == (exact, in_grammar)
    assert tuple(found.components) == COMPONENTS


def test_components_are_scored_apart() -> None:
    found = score(
        "SELECT Name , max(Age) FROM Singer WHERE Age > 3 GROUP BY Name ORDER BY Name DESC",
        "SELECT Name , min(Age) FROM Singer WHERE Age < 3 GROUP BY Name ORDER BY Name ASC",
        SCHEMA,
    )
    right = {name for name, part in found.components.items() if part.right}
    assert right == {
        "select(no AGG)",
        "where(no OP)",
        "group(no Having)",
        "group",
        "and/or",
        "IUEN",
    }
    assert found.components["select"] == (False, 2, 2)


def test_partial_scores_count_only_where_a_clause_is() -> None:
    matches = [
        score("SELECT Name FROM Singer WHERE Age > 3", "SELECT Name FROM Singer", SCHEMA),
        score(
            "SELECT Name FROM Singer WHERE Age > 3", "SELECT Name FROM Singer WHERE Age > 4", SCHEMA
        ),
    ]
    scores = partial_scores(matches)
    assert scores["where"] == (1.0, 0.5, pytest.approx(2 / 3))
    assert scores["select"] == (1.0, 1.0, 1.0)
    assert scores["order"] == (0.0, 0.0, 0.0)


def test_a_gold_outside_the_grammar_is_an_error() -> None:
    with pytest.raises(OutsideGrammar):
        score("SELECT Nam FROM Singer", "SELECT Name FROM Singer", SCHEMA)
    nested = "SELECT Name FROM Singer WHERE Age > " + "(SELECT Age FROM Singer WHERE Age > " * 999
    with pytest.raises(OutsideGrammar):
        parse(nested, SCHEMA)


def test_words_are_those_of_the_treebank_rules() -> None:
    sql = "SELECT T1.a,b FROM t WHERE x>=3 AND y = 'It is; so' AND cannot... ;"
    assert tokenize(sql) == [
        "select",
        "t1.a",
        ",",
        "b",
        "from",
        "t",
        "where",
        "x",
        ">",
        "=3",
        "and",
        "y",
        "=",
        '"It is; so"',
        "and",
        "can",
        "not",
        "...",
        ";",
    ]


def test_the_schema_of_the_file_is_that_of_tables_json() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE Singer (Id INTEGER PRIMARY KEY, Name, Age, Country);"
        "CREATE TABLE Concert (Concert_ID, Singer_ID REFERENCES Singer, Year, Market_Value);"
        "CREATE VIEW Old AS SELECT * FROM Singer;"
    )
    schema = read_schema(connection)
    assert SpiderSchema.from_database(schema) == SCHEMA
    assert SpiderSchema.from_database(schema, ENTRY) == SCHEMA
    assert SCHEMA.shared_keys == {"singer.id": "singer.id", "concert.singer_id": "singer.id"}


# gold, official hardness
HARDNESS = [
    ("SELECT Name FROM Singer", "easy"),
    ("SELECT count(*) FROM Singer WHERE Age > 3", "easy"),
    ("SELECT Name , Age FROM Singer", "medium"),
    ("SELECT Name FROM Singer WHERE Age > 3 AND Age < 9", "medium"),
    ("SELECT Name FROM Singer ORDER BY Age LIMIT 1", "medium"),
    (JOINED, "easy"),
    # An aggregate that HAVING's AND makes the second one.
    ("SELECT count(*) FROM Singer GROUP BY Age", "easy"),
    ("SELECT count(*) FROM Singer GROUP BY Age HAVING Age > 1 AND Age < 9", "medium"),
    # NOT counts as an aggregate, LIKE as a clause.
    ("SELECT max(Age) FROM Singer WHERE Name NOT LIKE 'x'", "medium"),
    (JOINED + " WHERE T2.Year = 1 ORDER BY T1.Age", "hard"),
    (
        "SELECT Name , max(Age) , min(Age) FROM Singer WHERE Age > 3 AND Id > 4 GROUP BY Name",
        "hard",
    ),
    ("SELECT Name FROM Singer WHERE Id IN (SELECT Singer_ID FROM Concert)", "hard"),
    ("SELECT Name FROM Singer EXCEPT SELECT Country FROM Singer", "hard"),
    ("SELECT Name , Age FROM Singer WHERE Id IN (SELECT Singer_ID FROM Concert)", "extra"),
    (JOINED + " WHERE T2.Year = 1 OR T2.Year = 2 ORDER BY T1.Age LIMIT 1", "extra"),
]


@pytest.mark.parametrize(("gold", "level"), HARDNESS)
def test_official_hardness(gold: str, level: str) -> None:
    assert hardness(gold, SCHEMA) == level
