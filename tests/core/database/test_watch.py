"""The clock: time limits, cancelling, a full temporary folder."""

from __future__ import annotations

import threading
import time

import pytest

from t2sql_tui.core.database.database import Database
from t2sql_tui.core.database.watch import Watch
from t2sql_tui.core.errors import QueryStopped
from t2sql_tui.core.sql.check import check
from t2sql_tui.core.types import CheckedQuery, Limits
from tests.database_files import query


def test_time_limit(database: Database) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with pytest.raises(QueryStopped, match=r"after 0\.2 seconds") as caught:
        database.run(query(database, endless), Limits(seconds=0.2))
    assert caught.value.reason == "time"
    assert database._run("SELECT 1").rows == ((1,),)


def test_a_full_temporary_folder_stops_a_query(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database._run("SELECT 1")  # so that the process is there
    free = iter([10.0**12, *[10.0**9] * 10_000])
    monkeypatch.setattr("t2sql_tui.core.database.watch._free_temporary_bytes", lambda: next(free))
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


def test_a_late_watch_spares_the_next_statement() -> None:
    interrupted = threading.Event()
    with Watch(0.01, None, interrupted.set) as watch:
        assert interrupted.wait(5)
    assert watch.reason == "time"
    interrupted.clear()
    time.sleep(3 * Watch.PERIOD)
    assert not interrupted.is_set()
