"""Opening files good and bad, and running queries within limits."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from t2sql_tui.core.database.database import Database, Watch, fetch, is_allowed, open_database
from t2sql_tui.core.errors import DatabaseError, QueryStopped
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import CheckedQuery, Limits


def make(path: Path, script: str = "CREATE TABLE t (a INTEGER, b TEXT);", rows: int = 0) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        for i in range(rows):
            connection.execute("INSERT INTO t VALUES (?, ?)", (i, f"row {i}"))
        connection.commit()
    return path


def state(path: Path) -> tuple[str, list[str]]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), sorted(os.listdir(path.parent))


def query(database: Database, sql: str) -> CheckedQuery:
    verdict = check(sql, database)
    assert isinstance(verdict, CheckedQuery), verdict
    return verdict


@pytest.fixture
def database(tmp_path: Path):
    with open_database(make(tmp_path / "t.sqlite", rows=1000)) as opened:
        yield opened


# --- opening ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["plain.db", "a b.db", "what?.db", "half#.db", "100%41.db", "é☃.db", "it's.db", "a&b=c.db"],
)
def test_any_file_name(tmp_path: Path, name: str) -> None:
    with open_database(make(tmp_path / name, rows=2)) as database:
        assert database.run(query(database, "SELECT count(*) FROM t")).rows == ((2,),)
    assert os.listdir(tmp_path) == [name]


def test_relative_path_and_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "t.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("t.db", "~/t.db"):
        with open_database(given) as database:
            assert database.path == (tmp_path / "t.db").resolve()


def error_of(path: Path) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        open_database(path)
    assert caught.value.message and caught.value.hint
    return caught.value


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    make(tmp_path / "sales.sqlite")
    error = error_of(tmp_path / "sale.sqlite")
    assert "There is no file" in error.message
    assert "sales.sqlite" in error.hint
    assert not (tmp_path / "sale.sqlite").exists()
    assert "Check the path" in error_of(tmp_path / "no" / "such.db").hint


def test_folder(tmp_path: Path) -> None:
    make(tmp_path / "sales.sqlite")
    error = error_of(tmp_path)
    assert "is a folder" in error.message
    assert "sales.sqlite" in error.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,name\n1,Ann\n" * 100, "text file"),
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (random.Random(1).randbytes(8192), "encrypted"),
        (bytes(4096), "not a SQLite file"),
        (b"SQLite format 3\0" + bytes(20), "SQLite file"),
        (b"SQLite format 3\0" + random.Random(2).randbytes(8176), "SQLite file"),
    ],
)
def test_not_a_database(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    assert said in error_of(path).message
    assert path.read_bytes() == content


def test_empty_file_is_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with open_database(path) as database:
        assert database.schema.tables == ()
        assert "no tables" in check("SELECT * FROM t", database).message
        assert database.run(query(database, "SELECT 1 AS one")).rows == ((1,),)
    assert path.stat().st_size == 0


def test_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in error_of(tmp_path / "pipe").message


def test_corrupt_page_spares_the_other_tables(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t (a, b); CREATE TABLE u (x);INSERT INTO u VALUES (7);",
        rows=5000,
    )
    content = bytearray(path.read_bytes())
    content[4096 * 10 : 4096 * 30] = random.Random(3).randbytes(4096 * 20)
    path.write_bytes(content)
    with open_database(path) as database:
        assert database.run(query(database, "SELECT * FROM u")).rows == ((7,),)
        with pytest.raises(DatabaseError, match="damaged") as caught:
            database.run(query(database, "SELECT sum(length(b)) FROM t"))
        assert ".recover" in caught.value.hint
    assert path.read_bytes() == content


def test_truncated_file(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=5000)
    os.truncate(path, 4096 * 3 + 100)
    try:
        with open_database(path) as database:
            database.run(query(database, "SELECT sum(a) FROM t"))
    except DatabaseError as error:
        assert "damaged" in error.message
    else:
        pytest.fail("a truncated file was read to its end")


def test_file_that_shrinks_while_open(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=5000)
    with open_database(path) as database:
        os.truncate(path, 4096)
        with pytest.raises(DatabaseError):
            database.run(query(database, "SELECT sum(a) FROM t"))


# --- other programs, journals and permissions -------------------------------------


def test_locked_by_a_writer(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=3)
    with open_database(path) as database, contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseError, match="locked"):
            database._run("SELECT * FROM t")
        assert "locked" in error_of(path).message
        with pytest.raises(DatabaseError, match="locked"):  # not a Rejection of the SQL
            check("SELECT a FROM t", database)
        writer.rollback()
        assert len(database._run("SELECT * FROM t").rows) == 3


def test_new_rows_and_tables_are_seen(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", rows=3)
    with open_database(path) as database, contextlib.closing(sqlite3.connect(path)) as writer:
        assert database._run("SELECT count(*) FROM t").rows == ((3,),)
        writer.executescript("INSERT INTO t VALUES (4, 'four'); CREATE TABLE u AS SELECT 1 AS x")
        assert database._run("SELECT count(*) FROM t").rows == ((4,),)
        assert database.run(query(database, "SELECT * FROM u")).rows == ((1,),)
        assert database.schema.table("u") is None
        assert database.reload_schema().table("u") is not None


def make_wal(path: Path) -> Path:
    return make(path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a, b);", rows=5)


def test_wal_database_at_rest_leaves_nothing_behind(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "t.db")
    before = state(path)
    with open_database(path) as database:
        assert len(database.run(query(database, "SELECT * FROM t")).rows) == 5
        assert state(path) == before
    assert state(path) == before


def test_wal_database_in_use(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "t.db")
    with open_database(path) as database:
        assert len(database._run("SELECT * FROM t").rows) == 5
        with contextlib.closing(sqlite3.connect(path)) as writer:
            writer.execute("INSERT INTO t VALUES (6, 'six')")
            writer.commit()  # in the -wal file alone
            before = state(path)
            assert len(database._run("SELECT * FROM t").rows) == 6
            assert state(path) == before
            database.reload_schema()
        assert os.listdir(tmp_path) == ["t.db"]  # the writer could tidy up: we hold nothing
        assert len(database._run("SELECT * FROM t").rows) == 6


def test_wal_left_by_a_crash_is_read_from_a_copy(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "live.db")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO t VALUES (6, 'six')")
        writer.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{path}{end}", crashed / f"t.db{end}")
    before = state(crashed / "t.db")
    with open_database(crashed / "t.db") as database:
        assert len(database.run(query(database, "SELECT * FROM t")).rows) == 6
        assert state(crashed / "t.db") == before
        copy = Path(database._source._copy[1].name)
        assert copy.is_dir()
    assert state(crashed / "t.db") == before
    assert not copy.exists()


def test_a_change_under_an_unlocked_reader_is_told(tmp_path: Path) -> None:
    path = make_wal(tmp_path / "t.db")
    with open_database(path) as database:
        checked = query(
            database,
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3e6) "
            "SELECT count(*), (SELECT count(*) FROM t) FROM n",
        )
        changed: list[bool] = []

        def change() -> bool:
            if not changed:
                changed.append(True)
                make(path, "INSERT INTO t VALUES (6, 'six')")
            return False

        with pytest.raises(DatabaseError, match="changed by another program"):
            database.run(checked, should_stop=change)
        assert database.run(checked).rows == ((3_000_000, 6),)


def test_hot_journal_is_explained(tmp_path: Path) -> None:
    path = make(tmp_path / "live.db", rows=3000)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA cache_size = 5")
        writer.execute("UPDATE t SET b = b || 'x'")  # spills: pages and journal are on disk
        for end in ("", "-journal"):
            shutil.copyfile(f"{path}{end}", crashed / f"t.db{end}")
        writer.rollback()
    before = state(crashed / "t.db")
    error = error_of(crashed / "t.db")
    assert "middle of a write" in error.message
    assert state(crashed / "t.db") == before


def as_nobody(act: Callable[[], object]) -> object:
    """What `act` returns in a process without root's rights, where permissions count."""
    if os.geteuid() != 0:
        return act()
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        with os.fdopen(writer, "w") as out:
            try:
                os.setgid(65534)
                os.setuid(65534)
                json.dump(act(), out)
            except BaseException:
                json.dump(f"failed: {traceback.format_exc()}", out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        found = json.load(told)
    os.waitpid(child, 0)
    return found


def count_or_message(path: Path) -> object:
    try:
        with open_database(path) as database:
            return len(database._run("SELECT * FROM t").rows)
    except DatabaseError as error:
        return error.message


@pytest.fixture
def read_only_folder(tmp_path: Path):
    """A folder that others can enter and not write; pytest's own are closed to others."""
    folder = Path(f"/tmp/t2sql-test-{os.getpid()}-{tmp_path.name}")
    folder.mkdir(mode=0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def freeze(folder: Path) -> None:
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)


def test_read_only_folder(read_only_folder: Path) -> None:
    path = make(read_only_folder / "t.db", rows=4)
    freeze(read_only_folder)
    assert as_nobody(lambda: count_or_message(path)) == 4


def test_wal_database_in_a_read_only_folder(read_only_folder: Path) -> None:
    path = make_wal(read_only_folder / "t.db")
    freeze(read_only_folder)
    assert as_nobody(lambda: count_or_message(path)) == 5


def test_wal_with_content_in_a_read_only_folder(tmp_path: Path, read_only_folder: Path) -> None:
    live = make_wal(tmp_path / "live.db")
    path = read_only_folder / "t.db"
    with contextlib.closing(sqlite3.connect(live)) as writer:
        writer.execute("INSERT INTO t VALUES (6, 'six')")
        writer.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{live}{end}", f"{path}{end}")
    freeze(read_only_folder)
    before = state(path)
    assert as_nobody(lambda: count_or_message(path)) == 6
    assert state(path) == before


def test_unreadable_file(read_only_folder: Path) -> None:
    path = make(read_only_folder / "t.db")
    path.chmod(0)
    message = as_nobody(lambda: count_or_message(path))
    assert isinstance(message, str) and "Permission denied" in message


# --- running ----------------------------------------------------------------------


def test_run_takes_nothing_but_a_checked_query(database: Database) -> None:
    with pytest.raises(TypeError):
        database.run("SELECT 1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        CheckedQuery("DELETE FROM t", (), (), key=object())


def test_rows_are_cut_and_said_to_be(database: Database) -> None:
    rows = query(database, "SELECT a FROM t")
    assert database.run(rows, Limits(rows=1000)).truncated == ""
    cut = database.run(rows, Limits(rows=999))
    assert (len(cut.rows), cut.truncated) == (999, "rows")
    assert database.run(rows, Limits(rows=0)).truncated == "rows"


def test_bytes_are_cut_and_said_to_be(database: Database) -> None:
    blobs = query(database, "SELECT zeroblob(100000) FROM t")
    cut = database.run(blobs, Limits(bytes=1_000_000))
    assert cut.truncated == "bytes"
    assert 9 <= len(cut.rows) <= 10


def test_fetch_asks_for_little_while_rows_are_large() -> None:
    made = 0

    def blob() -> bytes:
        nonlocal made
        made += 1
        return bytes(1_000_000)

    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.create_function("blob", 0, blob)
        sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT blob() FROM n"
        rows, cut = fetch(connection.execute(sql), Limits(bytes=5_000_000))
    assert cut == "bytes"
    assert len(rows) == 4
    assert made <= 7


def test_time_limit(database: Database) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with pytest.raises(QueryStopped, match="after 0.2 seconds") as caught:
        database.run(query(database, endless), Limits(seconds=0.2))
    assert caught.value.reason == "time"
    assert database._run("SELECT 1").rows == ((1,),)


def test_a_full_temporary_folder_stops_a_query(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([10.0**12, *[10.0**9] * 10_000])
    monkeypatch.setattr("t2sql_tui.core.database.database._temp_free", lambda: next(free))
    with pytest.raises(QueryStopped, match="temporary data"):
        database._run("SELECT count(*) FROM t a, t b, t c, t d ORDER BY a.b || b.b || c.b")


@pytest.mark.parametrize("how", ["should_stop", "interrupt"])
def test_cancel(database: Database, how: str) -> None:
    endless = query(
        database,
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n",
    )
    cancelled = threading.Event()
    caught: list[QueryStopped] = []

    def work() -> None:
        try:
            database.run(endless, should_stop=cancelled.is_set)
        except QueryStopped as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    assert isinstance(check("SELECT a FROM t", database), CheckedQuery)  # does not wait
    asked = time.monotonic()
    cancelled.set() if how == "should_stop" else database.interrupt()
    thread.join(10)
    assert time.monotonic() - asked < 2
    assert [error.reason for error in caught] == ["cancelled"]
    assert database._run("SELECT 1").rows == ((1,),)


def test_many_threads(database: Database) -> None:
    answers: list[object] = []

    def work(number: int) -> None:
        for _ in range(20):
            answers.append(database.run(query(database, f"SELECT {number} FROM t LIMIT 1")).rows)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 160
    assert {rows[0][0] for rows in answers} == set(range(8))


def test_a_late_watch_spares_the_next_statement() -> None:
    interrupted = threading.Event()
    with Watch(0.01, None, interrupted.set) as watch:
        assert interrupted.wait(5)
    assert watch.reason == "time"
    interrupted.clear()
    time.sleep(3 * Watch.PERIOD)
    assert not interrupted.is_set()


def test_close_is_final_and_repeatable(tmp_path: Path) -> None:
    database = open_database(make(tmp_path / "t.db"))
    database._run("SELECT * FROM t")
    database.close()
    database.close()
    with pytest.raises(DatabaseError, match="was closed"):
        database._run("SELECT * FROM t")
    if sys.platform == "linux":
        assert str(tmp_path) not in str(
            [
                os.readlink(f"/proc/self/fd/{fd}")
                for fd in os.listdir("/proc/self/fd")
                if os.path.islink(f"/proc/self/fd/{fd}")
            ]
        )


# --- awkward contents -------------------------------------------------------------


def test_text_that_is_not_utf8_and_nul(tmp_path: Path) -> None:
    script = "INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT), 'x' || char(0) || 'y')"
    path = make(tmp_path / "t.db", f"CREATE TABLE t (a, b); {script};")
    with open_database(path) as database:
        assert database.run(query(database, "SELECT a, b FROM t")).rows == (("A\ufffdB", "x\0y"),)


def test_cells_of_100_mb(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db", "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, zeroblob(100000000));"
    )
    with open_database(path) as database:
        found = database.run(query(database, "SELECT a, length(b), typeof(b) FROM t"))
        assert found.rows == ((1, 100_000_000, "blob"),)
        with pytest.raises(DatabaseError, match="too long") as caught:
            database.run(query(database, "SELECT * FROM t"))
        assert "Leave out" in caught.value.hint


def test_long_values_are_kept_from_slow_functions_alone(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (hex(zeroblob(1000000)), 'short');",
    )
    with open_database(path) as database:
        assert len(database._run("SELECT a, upper(a), trim(a) FROM t").rows[0][0]) == 2_000_000
        assert database._run("SELECT replace(b, 'o', '0') FROM t").rows == (("sh0rt",),)
        with pytest.raises(DatabaseError, match="too long"):
            database._run("SELECT replace(a, 'o', '0') FROM t")


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT body FROM notes WHERE notes MATCH 'apple'", (("an apple",),)),
        ("SELECT highlight(notes, 0, '[', ']') FROM notes('apple')", (("an [apple]",),)),
        ("SELECT id FROM boxes WHERE x0 < 1", ((1,),)),
        ("SELECT total FROM sums", ((6,),)),
        ("SELECT double FROM made", ((4,),)),
        ("SELECT value FROM json_each('[7]')", ((7,),)),
        ("SELECT name FROM pragma_table_info('made')", (("n",),)),
        ("SELECT count(*) FROM sqlite_schema WHERE type = 'view'", ((1,),)),
        ("SELECT replace('1,5', ',', '')", (("15",),)),
        ("SELECT sum(n) OVER () FROM made", ((2,),)),
    ],
)
def test_honest_queries_of_every_kind_run(tmp_path: Path, sql: str, rows: tuple) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE VIRTUAL TABLE notes USING fts5 (body); INSERT INTO notes VALUES ('an apple');"
        "CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1); INSERT INTO boxes VALUES (1, 0, 2);"
        "CREATE VIEW sums AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n "
        "WHERE x < 3) SELECT sum(x) AS total FROM n;"
        "CREATE TABLE made (n, double AS (2 * n)); INSERT INTO made VALUES (2);",
    )
    with open_database(path) as database:
        assert database.run(query(database, sql)).rows == rows


def test_the_authorizer_allows_by_list() -> None:
    allowed = {code for code in range(64) if is_allowed(code, None, None)}
    assert allowed == {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
    assert is_allowed(sqlite3.SQLITE_FUNCTION, None, "REPLACE")
    assert not is_allowed(sqlite3.SQLITE_FUNCTION, None, "load_extension")
    assert not is_allowed(sqlite3.SQLITE_FUNCTION, None, "someone_elses")
    assert not is_allowed(sqlite3.SQLITE_PRAGMA, "journal_mode", None)
