"""Healthy files that need what this SQLite lacks, and what they say of it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from t2sql_tui.core.database.authorizer import FUNCTIONS
from t2sql_tui.core.database.capabilities import functions, needs, table_functions
from t2sql_tui.core.database.database import Database, open_database
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.sql.constraint import SchemaConstraint
from t2sql_tui.core.types import Column, Limits, Rejection
from tests.database_files import error_of, make, query


def made(path: Path, script: str, **extensions: object) -> Path:
    """A file made by a program with functions and collations of its own."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.create_function("slugify", 1, lambda x: x, deterministic=True)
        connection.create_collation("LOCALIZED", _localized)
        connection.executescript(script)
        connection.commit()
    return path


def _localized(a: str, b: str) -> int:
    return (a.lower() > b.lower()) - (a.lower() < b.lower())


def with_entry(path: Path, kind: str, name: str, sql: str) -> Path:
    """The file with an entry in its schema that this SQLite cannot parse."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "INSERT INTO sqlite_schema VALUES (?, ?, ?, 0, ?)", (kind, name, name, sql)
        )
    return path


def column(database: Database, table: str, name: str) -> Column:
    found = database.schema.table(table)
    assert found
    return next(c for c in found.columns if c.name == name)


def rows(database: Database, sql: str) -> tuple[tuple[object, ...], ...]:
    return database.run(query(database, sql), Limits()).rows


def test_json_in_generated_columns_indexes_and_views(tmp_path: Path) -> None:
    script = """
    CREATE TABLE g (doc TEXT, kind TEXT AS (json_extract(doc, '$.kind')), tag AS (doc ->> 'tag'));
    CREATE INDEX by_size ON g (json_extract(doc, '$.size'));
    CREATE VIEW kinds AS SELECT kind, json_array(kind) AS list FROM g;
    INSERT INTO g (doc) VALUES ('{"kind": "toy", "tag": 7, "size": 3}');
    """
    with open_database(make(tmp_path / "json.sqlite", script)) as database:
        assert database.schema.problems == ()
        assert rows(database, "SELECT kind, tag FROM g") == (("toy", 7),)
        assert rows(database, "SELECT list FROM kinds") == (('["toy"]',),)
        assert rows(database, "SELECT kind FROM g WHERE json_extract(doc, '$.size') = 3")


def test_functions_of_the_program_that_made_the_file(tmp_path: Path) -> None:
    script = """
    CREATE TABLE page (id INTEGER PRIMARY KEY, title TEXT, slug AS (slugify(title)));
    CREATE INDEX page_slug ON page (slugify(title));
    CREATE VIEW slugs AS SELECT slugify(title) FROM page;
    INSERT INTO page (title) VALUES ('One'), ('Two');
    """
    with open_database(made(tmp_path / "page.sqlite", script)) as database:
        slug = column(database, "page", "slug")
        assert "slugify()" in slug.problem and not slug.samples
        (view,) = database.schema.unreadable
        assert (view.name, view.kind) == ("slugs", "view") and "slugify()" in view.reason
        assert rows(database, "SELECT title FROM page ORDER BY title") == (("One",), ("Two",))
        refused = check("SELECT * FROM page", database)
        assert isinstance(refused, Rejection) and "cannot be computed" in refused.message
        assert len(database.schema.problems) == 2


def test_a_column_that_fails_for_some_rows_is_told(tmp_path: Path) -> None:
    script = """
    CREATE TABLE g (id INTEGER PRIMARY KEY, doc TEXT, kind AS (json_extract(doc, '$.kind')));
    INSERT INTO g (doc) VALUES ('{"kind": "toy"}'), ('{"kind": "sea"}');
    """
    path = make(tmp_path / "g.sqlite", script)
    path.write_bytes(path.read_bytes().replace(b'{"kind": "sea"}', b"no JSON at all."))
    with open_database(path) as database:
        assert column(database, "g", "kind").problem.endswith("malformed JSON")
        assert len(rows(database, "SELECT id, doc FROM g")) == 2


def test_a_collation_of_the_program_that_made_the_file(tmp_path: Path) -> None:
    script = """
    CREATE TABLE town (name TEXT COLLATE LOCALIZED, zone TEXT COLLATE "my ICU");
    CREATE INDEX by_name ON town (name);
    INSERT INTO town VALUES ('bern', 'x'), ('Basel', 'X'), ('Zug', 'y'), ('aarau', 'Y');
    """
    with contextlib.closing(sqlite3.connect(tmp_path / "town.sqlite")) as connection:
        connection.create_collation("LOCALIZED", _localized)
        connection.create_collation("my ICU", _localized)
        connection.executescript(script)
    with open_database(tmp_path / "town.sqlite") as database:
        assert [note.split()[2] for note in database.schema.notes] == ["LOCALIZED", "my"]
        found = rows(database, "SELECT name FROM town ORDER BY name")
        assert found == (("aarau",), ("Basel",), ("bern",), ("Zug",))
        assert rows(database, "SELECT count(*) FROM town WHERE name = 'Basel'") == ((1,),)
        assert rows(database, "SELECT zone, count(*) FROM town GROUP BY zone")
        unknown = check("SELECT name FROM town ORDER BY name COLLATE nosuch", database)
        assert isinstance(unknown, Rejection) and "nosuch" in unknown.message


def test_a_stand_in_takes_the_order_of_the_index(tmp_path: Path) -> None:
    """An index in code point order is searched in it, so that what is there is found."""
    with contextlib.closing(sqlite3.connect(tmp_path / "b.sqlite")) as connection:
        connection.create_collation("odd", lambda a, b: (a > b) - (a < b))
        connection.execute("CREATE TABLE t (x TEXT COLLATE odd PRIMARY KEY) WITHOUT ROWID")
        connection.executemany("INSERT INTO t VALUES (?)", [(c,) for c in "abcXYZéÉ"])
        connection.commit()
    with open_database(tmp_path / "b.sqlite") as database:
        for letter in "abcXYZéÉ":
            assert rows(database, f"SELECT x FROM t WHERE x = '{letter}'") == ((letter,),)


def test_newer_syntax_is_left_out_and_the_rest_works(tmp_path: Path) -> None:
    path = make(tmp_path / "new.sqlite", "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2);")
    with_entry(path, "view", "odd", "CREATE VIEW odd AS SELECT sum(a ORDER BY b) FROM t")
    with_entry(path, "view", "other", "CREATE VIEW other AS SELECT a FROM t !! b")
    with open_database(path) as database:
        assert rows(database, "SELECT a, b FROM t") == ((1, 2),)
        assert [part.name for part in database.schema.unreadable] == ["odd", "other"]
        assert all("newer one may" in part.reason for part in database.schema.unreadable)
        assert isinstance(check("SELECT * FROM odd", database), Rejection)


@pytest.mark.parametrize(("offset", "value"), [(19, 3), (47, 5)])
def test_a_newer_format_is_no_damage(tmp_path: Path, offset: int, value: int) -> None:
    path = make(tmp_path / "new.sqlite")
    content = bytearray(path.read_bytes())
    content[offset] = value
    path.write_bytes(content)
    assert "newer format" in error_of(path).message


def test_views_and_modules_that_do_not_work_are_listed(tmp_path: Path) -> None:
    path = make(tmp_path / "v.sqlite", "CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM gone;")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "INSERT INTO sqlite_schema VALUES ('table', 'places', 'places', 0, "
            "'CREATE VIRTUAL TABLE places USING spatialindex (a)')"
        )
    with open_database(path) as database:
        assert [table.name for table in database.schema.tables] == ["t"]
        reasons = {part.name: part.reason for part in database.schema.unreadable}
        assert "gone, which does not exist" in reasons["v"]
        assert "module spatialindex" in reasons["places"]


def test_tables_that_look_like_shadows_are_listed(tmp_path: Path) -> None:
    script = """
    CREATE VIRTUAL TABLE site USING rtree (id, x0, x1);
    CREATE TABLE site_data (a); CREATE TABLE site_config (a);
    CREATE TABLE docs_content (id INTEGER PRIMARY KEY, body);
    CREATE VIRTUAL TABLE docs USING fts5 (body, content='docs_content', content_rowid='id');
    """
    with open_database(make(tmp_path / "s.sqlite", script)) as database:
        names = [table.name for table in database.schema.tables]
        assert names == ["site", "site_data", "site_config", "docs_content", "docs"]


def test_hints_and_constraint_know_the_functions_of_this_sqlite(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        here = {n for (n,) in connection.execute("SELECT lower(name) FROM pragma_function_list")}
    assert functions() == here & FUNCTIONS
    assert {"json_each", "pragma_table_info"} <= set(table_functions())
    with open_database(make(tmp_path / "t.sqlite", rows=3)) as database:
        constraint = SchemaConstraint(database.schema)
        for name in sorted(FUNCTIONS - here):
            assert not constraint.accepts(f"SELECT {name}(a) FROM t", True)
        for name in ("percentile", "median", "mediam", "stringagg", "jsonb", "lenght", "uper"):
            verdict = check(f"SELECT {name}(a) FROM t", database)
            if isinstance(verdict, Rejection):
                (problem,) = verdict.problems
                for hint in problem.suggestions:
                    assert hint in here or not hint.isidentifier(), (name, hint)
                    assert hint != name


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("no such function: jsonb_nosuch", "the program that made the file brings it"),
        ("malformed database schema (v) - no such function: f", "needs the function f()"),
        ("unsafe use of f()", "does not let a file call"),
        ("interrupted", "takes too long"),
        ("disk I/O error", "disk I/O error"),
    ],
)
def test_what_a_part_of_a_file_needs(error: str, said: str) -> None:
    assert said in needs(error)


def test_a_table_without_a_name(tmp_path: Path) -> None:
    script = 'CREATE TABLE "" (a INT); CREATE TABLE stock (item TEXT, qty INT);'
    with open_database(make(tmp_path / "e.sqlite", script)) as database:
        constraint = SchemaConstraint(database.schema)
        sql = "SELECT item FROM stock WHERE qty > 3 ORDER BY qty"
        assert all(constraint.accepts(sql[:end], False) for end in range(len(sql)))
        assert constraint.accepts(sql, True)
        assert constraint.accepts('SELECT a FROM ""', True)
        assert rows(database, 'SELECT count(a) FROM ""') == ((0,),)


def test_letters_beyond_ascii_have_a_case(tmp_path: Path) -> None:
    script = """
    CREATE TABLE École (name TEXT, Été INT, été INT); CREATE TABLE école (pupil TEXT);
    INSERT INTO École VALUES ('Ménil', 1, 2); INSERT INTO école VALUES ('Zoé');
    """
    with open_database(make(tmp_path / "ecole.sqlite", script)) as database:
        upper, lower = database.schema.table("éCOLE"), database.schema.table("École")
        assert upper and [c.name for c in upper.columns] == ["pupil"]
        assert lower and [c.name for c in lower.columns] == ["name", "Été", "été"]
        constraint = SchemaConstraint(database.schema)
        assert constraint.accepts("SELECT pupil FROM école", True)
        assert constraint.accepts("SELECT NAME, été FROM École", True)
        assert not constraint.accepts("SELECT pupil FROM École", True)
        verdict = query(database, "SELECT pupil FROM école")
        assert verdict.tables == ("école",)
        refused = check("SELECT pupil FROM École", database)
        assert isinstance(refused, Rejection)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = make(tmp_path / "n.sqlite", "CREATE TABLE aXb (cXd TEXT); CREATE TABLE ok (a, eXf);")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"aXb", b"a\xe9b").replace(b"eXf", b"e\xe9f"))
    with open_database(path) as database:
        assert [part.reason for part in database.schema.unreadable] == [
            "its name is not valid UTF-8"
        ]
        assert column(database, "ok", "e\ufffdf").problem == "its name is not valid UTF-8"
        assert rows(database, "SELECT a FROM ok") == ()
        refused = check("SELECT * FROM ok", database)
        assert refused
