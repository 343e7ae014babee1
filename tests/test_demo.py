"""The demo databases build, look real, and their gold queries mean what the questions say."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from t2sql_tui import demo
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import DatabaseError, T2SQLError
from t2sql_tui.core.files import digest_path
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import CheckedQuery

NAMES = [entry.name for entry in demo.DEMOS]
EXAMPLES = [example for name in NAMES for example in demo.questions(name)]


@pytest.fixture(scope="module")
def connections(tmp_path_factory) -> Iterator[dict[str, sqlite3.Connection]]:
    folder = tmp_path_factory.mktemp("demo")
    opened = {name: sqlite3.connect(demo.build(name, folder)) for name in NAMES}
    yield opened
    for connection in opened.values():
        connection.close()


def rows(connection: sqlite3.Connection, sql: str) -> list[tuple]:
    return connection.execute(sql).fetchall()


# --- the databases ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_demo_is_small_quick_and_consistent(name, connections, tmp_path):
    started = time.process_time()
    demo.build(name, tmp_path)
    assert time.process_time() - started < 1  # processor time: others may be busy here
    assert Path(demo.__file__).with_name(f"{name}.sql").stat().st_size < 40_000

    connection = connections[name]
    assert rows(connection, "PRAGMA foreign_key_check") == []
    assert rows(connection, "PRAGMA integrity_check") == [("ok",)]
    tables = [t for (t,) in rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    counts = {t: rows(connection, f'SELECT count(*) FROM "{t}"')[0][0] for t in tables}
    assert len(tables) >= 5 and min(counts.values()) > 0
    assert 3_000 < sum(counts.values()) < 20_000
    assert rows(connection, "SELECT count(*) FROM sqlite_master WHERE type = 'view'") == [(1,)]
    assert not {"dice", "names"} & set(tables)


@pytest.mark.parametrize("name", NAMES)
def test_a_demo_is_awkward_on_purpose(name, connections):
    """NULLs, text that needs trimming or folding, a name that needs quotes, a self reference."""
    connection = connections[name]
    tables = [t for (t,) in rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    nulls = ragged = self_references = 0
    for table in tables:
        self_references += any(
            row[2] == table for row in rows(connection, f'PRAGMA foreign_key_list("{table}")')
        )
        for _, column, kind, *_ in rows(connection, f'PRAGMA table_info("{table}")'):
            cell = f'FROM "{table}" WHERE "{column}"'
            nulls += rows(connection, f"SELECT count(*) {cell} IS NULL")[0][0]
            if kind == "TEXT":
                distinct = f'count(DISTINCT "{column}") - count(DISTINCT lower(trim("{column}")))'
                ragged += rows(connection, f'SELECT {distinct} FROM "{table}"')[0][0]
    text = Path(demo.__file__).with_name(f"{name}.sql").read_text("utf-8")
    assert nulls > 50 and ragged > 0 and self_references >= 1
    quoted = ("default", "type", "primary", "group", "sale lines")
    assert any(f'"{word}"' in text for word in quoted)


# --- building -----------------------------------------------------------------------


def test_building_again_keeps_the_file_and_new_text_makes_a_new_one(tmp_path, monkeypatch):
    first = demo.build("finance", tmp_path)
    stamp = first.stat().st_mtime_ns
    assert demo.build("finance", tmp_path) == first and first.stat().st_mtime_ns == stamp

    read = demo._read
    monkeypatch.setattr(demo, "_read", lambda file: read(file) + "\n-- changed")
    second = demo.build("finance", tmp_path)
    assert second != first
    assert sorted(tmp_path.glob("*.sqlite")) == sorted([first, second])
    assert not list(tmp_path.glob("*.partial*"))  # nothing else is left


@pytest.mark.parametrize("damage", ["short", "changed", "no record"])
def test_a_demo_that_is_not_as_it_was_built_is_built_again(tmp_path, damage):
    path = demo.build("finance", tmp_path)
    whole = path.read_bytes()
    if damage == "no record":
        digest_path(path).unlink()
    path.write_bytes(whole[:5000] if damage == "short" else whole[:-100] + bytes(100))
    assert demo.build("finance", tmp_path) == path and len(path.read_bytes()) == len(whole)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_failed_build_leaves_nothing_behind(tmp_path, monkeypatch):
    read = demo._read
    monkeypatch.setattr(demo, "_read", lambda file: read(file) + "\nSELECT no_such_thing;")
    with pytest.raises(DatabaseError, match="no_such_thing"):
        demo.build("saas", tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseError) as caught:
        demo.build("saas", tmp_path / "file" / "demo")
    assert "writable" in caught.value.hint


def test_an_unknown_demo_names_the_nearest():
    with pytest.raises(T2SQLError) as caught:
        demo.questions("Helthcare")
    assert caught.value.hint == "Did you mean healthcare?"
    with pytest.raises(T2SQLError, match="ecommerce, finance, healthcare, saas, retail"):
        demo.build("zzz", Path("unused"))


# --- the questions ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_each_demo_has_ten_questions_of_many_kinds(name):
    examples = demo.questions(name)
    assert [e.id for e in examples] == [f"{name}-{n}" for n in range(1, 11)]
    assert len({e.question for e in examples}) == 10
    golds = [sqlglot.parse_one(e.gold, dialect="sqlite") for e in examples]

    def using(kind: type[exp.Expression]) -> int:
        return sum(gold.find(kind) is not None for gold in golds)

    assert using(exp.Window) == 1
    assert using(exp.SetOperation) <= 1
    assert using(exp.Having) == 1 and using(exp.Limit) <= 1 and using(exp.Join) >= 3
    # Simple first: the first three have at most one join, the last needs a subquery or join.
    assert all(len(list(gold.find_all(exp.Join))) <= 1 for gold in golds[:3])
    assert golds[-1].find(exp.Window)


@pytest.mark.parametrize("name", NAMES)
def test_gold_passes_the_check_and_runs_behind_the_locks(name, connections, tmp_path):
    with open_database(demo.build(name, tmp_path)) as database:
        for example in demo.questions(name):
            query = check(example.gold, database)
            assert isinstance(query, CheckedQuery), query
            assert list(database.run(query).rows) == rows(connections[name], example.gold)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_gold_answers_something(example, connections):
    answer = rows(connections[example.database], example.gold)
    assert 0 < len(answer) <= 60
    assert not all(cell is None for row in answer for cell in row)
    assert all(cell != 0 for cell in answer[0]) if len(answer) == 1 else len(set(answer)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_gold_answers_are_the_same_in_every_build(name, connections, tmp_path):
    again = sqlite3.connect(demo.build(name, tmp_path))
    for example in demo.questions(name):
        assert rows(again, example.gold) == rows(connections[name], example.gold)
    again.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.id)
def test_every_condition_of_a_gold_query_matters(example, connections):
    """Dropping any one condition of a WHERE or HAVING changes the answer."""
    connection = connections[example.database]
    answer = rows(connection, example.gold)
    for mutant in without_one_condition(example.gold):
        assert rows(connection, mutant) != answer, mutant


def without_one_condition(sql: str) -> Iterator[str]:
    def conditions(tree: exp.Expression) -> list[exp.Expression]:
        """The operands of AND and OR in each WHERE and HAVING, or the whole of it."""
        found = []
        for clause in tree.find_all(exp.Where, exp.Having):
            whole = clause.this
            found += list(whole.flatten()) if isinstance(whole, exp.Connector) else [whole]
        return found

    total = len(conditions(sqlglot.parse_one(sql, dialect="sqlite")))
    for n in range(total):
        tree = sqlglot.parse_one(sql, dialect="sqlite")
        condition = conditions(tree)[n]
        condition.replace(exp.Boolean(this=not isinstance(condition.parent, exp.Or)))
        yield tree.sql(dialect="sqlite")


def test_the_mutation_drops_what_it_says():
    assert list(without_one_condition("SELECT a FROM t WHERE a > 1 AND b < 2")) == [
        "SELECT a FROM t WHERE TRUE AND b < 2",
        "SELECT a FROM t WHERE a > 1 AND TRUE",
    ]


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if "ORDER BY" in e.gold], ids=lambda e: e.id
)
def test_an_order_has_no_ties(example, connections):
    """No two rows share their ORDER BY keys, beyond the LIMIT too: one order is right."""
    tree = sqlglot.parse_one(example.gold, dialect="sqlite")
    order = tree.args.get("order")
    assert order, "a rule of evaluation: an ORDER BY anywhere makes the order count"
    tree.set("limit", None)
    keys = [exp.alias_(key.this.copy(), f"key{n}") for n, key in enumerate(order.expressions)]
    names = {projection.alias_or_name: projection.unalias() for projection in tree.selects}
    keys = [
        key.transform(
            lambda node: names.get(node.name, node).copy() if isinstance(node, exp.Column) else node
        )
        for key in keys
    ]
    keyed = rows(connections[example.database], tree.select(*keys).sql(dialect="sqlite"))
    limit = sqlglot.parse_one(example.gold, dialect="sqlite").args.get("limit")
    shown = int(limit.expression.name) + 1 if limit else len(keyed)
    tails = [row[-len(keys) :] for row in keyed[:shown]]
    assert len(tails) == len(set(tails)) and len(tails) > 1


@pytest.mark.parametrize("example", [e for e in EXAMPLES if "rank()" in e.gold], ids=lambda e: e.id)
def test_the_best_of_each_group_is_one(example, connections):
    """Ranks have no ties at the cut, so a row_number() reading gives the same rows."""
    answer = rows(connections[example.database], example.gold)
    other = rows(connections[example.database], example.gold.replace("rank()", "row_number()"))
    assert answer == other
