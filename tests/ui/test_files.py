"""Opening files: named, picked, wrong, gone, changed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from t2sql_tui.backends.scripted import FOREVER
from t2sql_tui.ui.files import is_sqlite
from t2sql_tui.ui.history import History
from t2sql_tui.ui.messages import DatabaseOpened, FileChanged, SQLGenerated
from t2sql_tui.ui.screens.open import OpenScreen
from t2sql_tui.ui.widgets.schema import SchemaTree

from .conftest import Driver, run_app


@pytest.fixture
def folder(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop's folder as the current one, with more in it."""
    with contextlib.closing(sqlite3.connect(shop.parent / "other.db")) as db:
        db.execute("CREATE TABLE planets (name TEXT)")
        db.commit()
    (shop.parent / "notes.txt").write_text("no database" * 100)
    (shop.parent / "sub").mkdir()
    monkeypatch.chdir(shop.parent)
    return shop.parent


async def picker(d: Driver) -> OpenScreen:
    await d.until(lambda: isinstance(d.app.screen, OpenScreen))
    screen = d.app.screen
    assert isinstance(screen, OpenScreen)
    return screen


def titles(screen: OpenScreen) -> list[str]:
    return [choice.title for choice in screen.choices]


def error_of(screen: OpenScreen) -> str:
    return str(screen.query_one("#open-error").content)


async def test_without_a_file_it_offers_files_and_demos(folder: Path) -> None:
    async with run_app(None, history=folder / "h.sqlite", wait=False) as d:
        screen = await picker(d)
        assert {"shop.sqlite", "other.db", "sub/", "E-commerce"} <= set(titles(screen))
        assert "notes.txt" not in titles(screen)
        await d.press("escape")
        assert isinstance(d.app.screen, OpenScreen), "there is nothing to go back to"
        await d.press(*"shop", "enter")
        await d.ready()
        assert d.session.file_name == "shop.sqlite"
        await d.ask("Who?")


async def test_a_demo_opens_with_its_questions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_: folder / "cache")
    async with run_app(None, history=folder / "h.sqlite", wait=False) as d:
        screen = await picker(d)
        index = titles(screen).index("SaaS")
        screen.query_one(OptionList).highlighted = index
        await d.press("enter")
        await d.ready()
        assert d.session.history_key == "demo:saas"
        assert d.bench.query_one("#examples", OptionList).option_count == 10


async def test_another_file_replaces_the_open_one_and_stops_its_work(folder: Path) -> None:
    async with run_app(folder / "shop.sqlite", [FOREVER], delay=0.05) as d:
        old = d.bench
        await d.ask("Go on", phase="generating")
        await d.press("ctrl+o")
        await picker(d)
        await d.press(*"other", "enter")
        await d.until(lambda: d.app.workbench is not old)
        await d.ready()
        assert [t.name for t in d.session.database.schema.tables] == ["planets"]
        assert d.bench.query_one(SchemaTree).root.children[0].data.name == "planets"
        await d.until(
            lambda: not [w for w in d.app.workers if w.group == "generate" and w.is_running]
        )
        assert d.names(SQLGenerated) in ([], ["SQLGenerated"])
        assert d.session.phase == "idle" and d.bench.sql.text == ""


async def test_folders_are_entered_and_names_completed(folder: Path) -> None:
    (folder / "sub" / "deep.sqlite").write_bytes((folder / "shop.sqlite").read_bytes())
    async with run_app(folder / "shop.sqlite") as d:
        await d.press("ctrl+o")
        screen = await picker(d)
        field = screen.query_one(Input)
        field.value = str(folder / "su")
        await d.pilot.pause()
        await d.press("tab")
        assert field.value == str(folder / "sub") + os.sep
        assert titles(screen)[1] == "deep.sqlite"
        await d.press("enter")
        assert isinstance(d.app.screen, OpenScreen), "a folder is listed, not opened"
        field.value += "deep"
        await d.pilot.pause()
        await d.press("enter")
        await d.until(lambda: d.app.workbench and d.session.file_name == "deep.sqlite")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.sqlite", "There is no file"),
        ("notes.txt", "not a"),
    ],
)
async def test_a_wrong_file_is_an_error_in_the_picker(folder: Path, name: str, words: str) -> None:
    async with run_app(folder / "shop.sqlite") as d:
        bench = d.bench
        await d.press("ctrl+o")
        screen = await picker(d)
        screen.query_one(Input).value = str(folder / name)
        screen.query_one(OptionList).highlighted = None
        await d.pilot.pause()
        await d.press("enter")
        await d.until(lambda: error_of(screen))
        assert words in error_of(screen)
        await d.press("escape", "escape")
        assert d.app.screen is bench
        await d.ask("Still there?")


@pytest.mark.parametrize("content", [None, b"no database" * 100, b"SQLite format 3\0" + b"x" * 999])
async def test_a_wrong_file_on_the_command_line_leads_to_the_picker(
    folder: Path, content: bytes | None
) -> None:
    path = folder / "wrong.sqlite"
    if content is not None:
        path.write_bytes(content)
    async with run_app(path, wait=False) as d:
        screen = await picker(d)
        await d.until(lambda: error_of(screen))
        assert len(error_of(screen)) > 20
        field = screen.query_one(Input)
        field.value = str(folder / "shop.sqlite")
        await d.press("enter")
        await d.ready()
        assert d.names(DatabaseOpened) == ["DatabaseOpened"]


async def test_an_empty_file_says_that_there_is_nothing_to_ask(folder: Path) -> None:
    path = folder / "empty.sqlite"
    path.touch()
    async with run_app(path, wait=False) as d:
        await d.until(lambda: d.app.workbench and d.session.database)
        assert "Nothing to ask" in d.status
        assert "no tables" in d.bench.question_box.placeholder


async def test_recent_files_come_first_and_lost_ones_not_at_all(folder: Path) -> None:
    history = History(folder / "h.sqlite")
    history.note_opened(str(folder / "gone.sqlite"))
    history.note_opened(str(folder / "other.db"))
    async with run_app(None, history=history.path, wait=False) as d:
        screen = await picker(d)
        assert titles(screen)[:2] == ["Opened before", "other.db"]
        await d.press("enter")
        await d.until(lambda: d.app.workbench and d.session.file_name == "other.db")


async def test_a_change_by_another_program_is_noticed_and_reread(shop: Path) -> None:
    async with run_app(shop) as d:
        with contextlib.closing(sqlite3.connect(shop)) as db:
            db.execute("CREATE TABLE added (x)")
            db.commit()
        await d.until(lambda: d.names(FileChanged))
        assert "changed on disk" in str(d.bench.query_one("#file").content)
        await d.press("ctrl+r")
        await d.until(lambda: d.session.database.schema.table("added"))
        await d.until(lambda: "changed" not in str(d.bench.query_one("#file").content))
        labels = [node.data.name for node in d.bench.query_one(SchemaTree).root.children]
        assert "added" in labels


async def test_a_deleted_file_is_said_and_the_rows_stay(shop: Path) -> None:
    async with run_app(shop) as d:
        await d.ask("Who?")
        await d.press("a")
        await d.until(lambda: d.session.phase == "done")
        shop.unlink()
        await d.until(lambda: d.names(FileChanged))
        assert "gone" in d.status
        assert d.bench.results.has_rows
        await d.press("f5", "a")
        await d.until(lambda: d.bench.status.tone == "error")
        await d.press("ctrl+o")
        await picker(d)


async def test_strange_names_of_files(folder: Path) -> None:
    odd = folder / "[bold]o\nd[nope].sqlite"
    odd.write_bytes((folder / "shop.sqlite").read_bytes())
    try:
        undecodable = folder / os.fsdecode(b"caf\xe9.sqlite")
        undecodable.write_bytes((folder / "shop.sqlite").read_bytes())
    except OSError:
        undecodable = odd  # a file system that takes UTF-8 alone
    async with run_app(undecodable) as d:
        await d.ask("Who?")
        await d.press("a")
        await d.until(lambda: d.session.phase == "done")
        await d.press("ctrl+o")
        screen = await picker(d)
        assert "shop.sqlite" in titles(screen)
        d.app.open_file(odd)
        await d.until(lambda: d.app.workbench and d.session.file_name == "[bold]o↵d[nope].sqlite")
        await d.ready()
        odd.unlink()
        d.app.open_file(odd)
        await d.pilot.pause(0.3)


def test_what_counts_as_a_sqlite_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert not is_sqlite(pipe), "and it does not hang"
    (tmp_path / "x.db").touch()
    assert is_sqlite(tmp_path / "x.db")
    (tmp_path / "data").write_bytes(b"SQLite format 3\0" + b"\0" * 600)
    assert is_sqlite(tmp_path / "data")
    assert not is_sqlite(tmp_path / "none.db")
