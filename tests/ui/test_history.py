"""The local history: kept, searched, brought back, and never in the way."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from t2sql_tui.ui.history import History, HistoryError
from t2sql_tui.ui.messages import RowsFetched, WorkFailed
from t2sql_tui.ui.screens.history import HistoryScreen, ago

from .conftest import Driver, run_app


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "deep" / "history.sqlite")


def test_it_finds_every_word_anywhere_and_takes_them_literally(history: History) -> None:
    history.add("/a.db", "How many orders?", "SELECT count(*) FROM orders", 1)
    history.add("/b.db", "100% of what_ever?", "SELECT 1", None)
    history.add("/a.db", "", "SELECT * FROM customers", 500)
    assert [e.id for e in history.search()] == [3, 2, 1]
    assert [e.id for e in history.search("ORDERS count")] == [1]
    assert [e.id for e in history.search("b.db")] == [2]
    assert [e.id for e in history.search("%")] == [2]
    assert [e.id for e in history.search("t_e")] == [2]
    assert history.search("orders b.db") == []
    assert history.search("", limit=1)[0].row_count == 500


def test_questions_are_different_and_in_order(history: History) -> None:
    for question in ("one", "two", "one", ""):
        history.add("/a.db", question, "SELECT 1", 1)
    history.add("/b.db", "elsewhere", "SELECT 1", 1)
    assert history.questions("/a.db") == ["two", "one"]


def test_forgetting_and_preferences(history: History) -> None:
    history.add("/a.db", "secret?", "SELECT 1", 1)
    history.forget(1)
    assert history.search() == []
    assert history.preference("theme") is None
    history.set_preference("theme", "nord")
    history.set_preference("theme", "gruvbox")
    assert history.preference("theme") == "gruvbox"


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_nobody_else_can_read_it(history: History) -> None:
    history.search()
    assert stat.S_IMODE(history.path.stat().st_mode) == 0o600


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(history: History) -> None:
    history.path.parent.mkdir()
    history.path.write_bytes(b"not a database, but somebody's bytes" * 50)
    history.add("/a.db", "first?", "SELECT 1", 1)
    assert [e.question for e in history.search()] == ["first?"]
    (aside,) = history.path.parent.glob("*damaged*")
    assert aside.read_bytes().startswith(b"not a database")


def test_damage_further_in_is_set_aside_once_and_a_new_file_begun(history: History) -> None:
    for n in range(400):
        history.add("/a.db", f"{n} {'x' * 200}", "SELECT 1", 1)
    data = bytearray(history.path.read_bytes())
    data[4096 * 5 : -4096] = b"\xff" * (len(data) - 4096 * 6)
    history.path.write_bytes(data)
    with pytest.raises(HistoryError, match="cannot be used") as caught:
        history.search()
    assert "a new one is begun" in caught.value.hint
    history.add("/a.db", "again?", "SELECT 1", 1)
    assert [e.question for e in history.search()] == ["again?"]
    assert len(list(history.path.parent.glob("*damaged*"))) == 1


def test_processes_that_find_it_damaged_at_once_lose_no_entry(history: History) -> None:
    history.path.parent.mkdir()
    history.path.write_bytes(b"not a database" * 500)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for n in range(4):
            pool.submit(History(history.path).add, "/a.db", f"{n}?", "SELECT 1", 1)
    assert len(list(history.path.parent.glob("*damaged*"))) == 1
    assert len(history.search()) == 4


def test_a_locked_file_is_an_error_and_keeps_its_content(history: History) -> None:
    history.add("/a.db", "first?", "SELECT 1", 1)
    with contextlib.closing(sqlite3.connect(history.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HistoryError, match="locked"):
            history.add("/a.db", "second?", "SELECT 1", 1)
    assert len(history.search()) == 1


def test_an_impossible_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError):
        History(tmp_path / "file" / "history.sqlite").search()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "just now"),
        (300, "5 min ago"),
        (7200, "2 h ago"),
        (90_000, "yesterday"),
        (900_000, "10 days ago"),
    ],
)
def test_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text


# --- in the app -------------------------------------------------------------------


async def open_history(d: Driver) -> HistoryScreen:
    await d.press("f8")
    await d.until(lambda: isinstance(d.app.screen, HistoryScreen))
    screen = d.app.screen
    assert isinstance(screen, HistoryScreen)
    await d.pilot.pause()
    return screen


async def answer(d: Driver, question: str) -> None:
    d.bench.action_new_question()
    await d.ask(question)
    before = len(d.names(RowsFetched))
    await d.press("a")
    await d.until(lambda: d.session.phase == "done" and len(d.names(RowsFetched)) > before)
    await d.until(lambda: not [w for w in d.app.workers if w.group == "history" and w.is_running])


async def test_it_outlives_the_app_and_comes_back_with_enter_or_f5(shop: Path) -> None:
    replies = {"names": "SELECT name FROM customers", "": "SELECT count(*) FROM orders"}
    async with run_app(shop, replies) as d:
        await answer(d, "names?")
        await answer(d, "how many?")
    async with run_app(shop, replies) as d:
        await d.press("up", "up")
        assert d.bench.question_box.text == "names?"
        screen = await open_history(d)
        assert [e.question for e in screen.entries] == ["how many?", "names?"]
        assert "FROM orders" in str(screen.query_one("#entry-sql").content)
        await d.press(*"name")
        assert [e.question for e in screen.entries] == ["names?"]
        await d.press("enter")
        await d.until(lambda: d.session.phase == "proposed")
        assert d.bench.sql.text == "SELECT name FROM customers"
        assert d.bench.question_box.text == "names?"
        assert "follows this" in d.bench.question_box.border_subtitle
        assert d.names(RowsFetched) == []
        await open_history(d)
        await d.press("f5")
        await d.until(lambda: d.session.phase == "done")
        assert d.bench.results.grid.result.rows == ((1200,),)
        assert d.app.state.backend.prompts == [], "no model was needed"


async def test_an_entry_of_another_file_opens_that_file(shop: Path) -> None:
    other = shop.parent / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE planets (name TEXT)")
        db.execute("INSERT INTO planets VALUES ('Mars')")
        db.commit()
    History(shop.parent / "history.sqlite").add(
        str(other.resolve()), "planets?", "SELECT name FROM planets", 1
    )
    async with run_app(shop) as d:
        await open_history(d)
        await d.press("f5")
        await d.until(lambda: d.app.workbench and d.session.file_name == "other.db")
        await d.until(lambda: d.session.phase == "done")
        assert d.bench.results.grid.result.rows == (("Mars",),)


async def test_an_entry_that_no_longer_fits_is_explained(shop: Path) -> None:
    History(shop.parent / "history.sqlite").add(
        str(shop.resolve()), "old?", "SELECT x FROM dropped", 1
    )
    async with run_app(shop) as d:
        await open_history(d)
        await d.press("f5")
        await d.until(lambda: "dropped" in d.status)
        assert d.names(RowsFetched) == []


async def test_forgetting_one_in_the_list(shop: Path) -> None:
    history = History(shop.parent / "history.sqlite")
    for question in ("a?", "b?", "c?"):
        history.add(str(shop.resolve()), question, "SELECT 1", 1)
    async with run_app(shop) as d:
        screen = await open_history(d)
        await d.press("down", "ctrl+d")
        assert [e.question for e in screen.entries] == ["c?", "a?"]
        assert screen.query_one(OptionList).highlighted == 1
        assert [e.question for e in history.search()] == ["c?", "a?"]


async def test_a_locked_history_breaks_nothing(shop: Path) -> None:
    path = shop.parent / "history.sqlite"
    History(path).search()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with run_app(shop) as d:
            await answer(d, "Who?")
            await d.until(lambda: d.names(WorkFailed))
            assert d.bench.results.has_rows
            screen = await open_history(d)
            assert "cannot be used" in str(screen.query_one("#entry-sql").content)
            await d.press("escape")
            await d.ask("And now?")


async def test_themes_are_remembered(shop: Path) -> None:
    async with run_app(shop) as d:
        d.app.theme = "nord"
        await d.until(lambda: d.app.history.preference("theme") == "nord")
    async with run_app(shop) as d:
        assert d.app.theme == "nord"


async def test_a_search_keeps_the_focus_in_the_field(shop: Path) -> None:
    async with run_app(shop) as d:
        screen = await open_history(d)
        assert screen.query_one(Input).has_focus
        await d.press("f8")
        assert d.app.screen is d.bench
