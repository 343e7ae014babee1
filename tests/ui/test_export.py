"""The export dialog. The formats themselves: tests/core/test_export.py."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from textual.widgets import Checkbox, Input, Select

from t2sql_tui.ui.files import file_stem, is_part_of
from t2sql_tui.ui.messages import ExportFinished, WorkFailed
from t2sql_tui.ui.screens.confirm import ConfirmScreen
from t2sql_tui.ui.screens.export import ExportScreen

from .conftest import Driver, run_app


async def open_export(d: Driver, sql_question: str = "Who?") -> ExportScreen:
    await d.ask(sql_question)
    await d.press("a")
    await d.until(lambda: d.session.phase == "done")
    await d.press("ctrl+e")
    await d.until(lambda: isinstance(d.app.screen, ExportScreen))
    screen = d.app.screen
    assert isinstance(screen, ExportScreen)
    return screen


async def save_to(d: Driver, screen: ExportScreen, path: Path) -> None:
    screen.query_one("#path", Input).value = str(path)
    screen.query_one("#path", Input).focus()
    await d.press("enter")


async def test_rows_go_to_a_file(shop: Path) -> None:
    target = shop.parent / "out.csv"
    async with run_app(shop, ["SELECT id, name FROM customers"]) as d:
        screen = await open_export(d, "Who are they, exactly?")
        assert screen.query_one("#path", Input).value.endswith("who-are-they-exactly.csv")
        await save_to(d, screen, target)
        await d.until(lambda: d.names(ExportFinished))
        await d.until(lambda: d.app.screen is d.bench)
    assert target.read_text("utf-8").splitlines() == ["id,name", "1,Ada", "2,Bo", "3,Cy", "4,Dé"]


async def test_the_suffix_follows_the_format(shop: Path) -> None:
    async with run_app(shop) as d:
        screen = await open_export(d)
        screen.query_one(Select).value = "parquet"
        await d.pilot.pause()
        assert screen.query_one("#path", Input).value.endswith(".parquet")


async def test_only_the_filtered_rows_in_the_order_shown(shop: Path) -> None:
    target = shop.parent / "out.csv"
    async with run_app(shop, ["SELECT id, total FROM orders"]) as d:
        await d.ask("All?")
        await d.press("a")
        await d.until(lambda: d.session.phase == "done")
        d.bench.results.grid.sort_by(0)
        d.bench.results.grid.sort_by(0)
        d.bench.results.grid.filter("49")
        await d.until(lambda: 0 < len(d.bench.results.grid.order) < 500)
        await d.press("ctrl+e")
        await d.until(lambda: isinstance(d.app.screen, ExportScreen))
        assert not d.app.screen.query_one(Checkbox).value
        await save_to(d, d.app.screen, target)
        await d.until(lambda: d.names(ExportFinished))
    ids = [int(line.split(",")[0]) for line in target.read_text().splitlines()[1:]]
    assert ids == sorted(ids, reverse=True) and ids[0] == 499 and 1 not in ids


async def test_a_cut_result_is_fetched_whole(shop: Path) -> None:
    target = shop.parent / "out.csv"
    async with run_app(shop, ["SELECT id FROM orders"]) as d:
        screen = await open_export(d)
        assert screen.query_one(Checkbox).value
        await save_to(d, screen, target)
        await d.until(lambda: d.names(ExportFinished))
    assert len(target.read_text().splitlines()) == 1201


async def test_an_existing_file_is_replaced_only_after_a_yes(shop: Path) -> None:
    target = shop.parent / "out.csv"
    target.write_text("precious")
    async with run_app(shop) as d:
        screen = await open_export(d)
        await save_to(d, screen, target)
        await d.until(lambda: isinstance(d.app.screen, ConfirmScreen))
        await d.press("escape")
        await d.until(lambda: d.app.screen is screen)
        assert target.read_text() == "precious"
        await save_to(d, screen, target)
        await d.until(lambda: isinstance(d.app.screen, ConfirmScreen))
        await d.press("y")
        await d.until(lambda: d.names(ExportFinished))
    assert target.read_text().startswith("name,city")


async def test_the_open_database_is_never_written(shop: Path) -> None:
    before = hashlib.sha256(shop.read_bytes()).hexdigest()
    os.link(shop, shop.parent / "same.csv")
    (shop.parent / "link.csv").symlink_to(shop)
    async with run_app(shop) as d:
        screen = await open_export(d)
        for name in (
            "shop.sqlite",
            "same.csv",
            "link.csv",
            "shop.sqlite-wal",
            "sub/../shop.sqlite",
        ):
            (shop.parent / "sub").mkdir(exist_ok=True)
            await save_to(d, screen, shop.parent / name)
            await d.until(
                lambda: "open database itself" in str(screen.query_one("#export-error").content)
            )
            screen._show_error("", "")
        assert d.names(ExportFinished, WorkFailed) == []
    assert hashlib.sha256(shop.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("name", ["", "missing/out.csv", "sub"])
async def test_a_place_that_cannot_be_written_is_an_error_in_the_dialog(
    shop: Path, name: str
) -> None:
    (shop.parent / "sub").mkdir()
    async with run_app(shop) as d:
        screen = await open_export(d)
        screen.query_one("#path", Input).value = str(shop.parent / name) if name else ""
        screen.query_one("#path", Input).focus()
        await d.press("enter")
        await d.until(lambda: screen.query_one("#export-error").display)
        assert len(str(screen.query_one("#export-error").content)) > 10
        await save_to(d, screen, shop.parent / "fine.csv")
        await d.until(lambda: d.names(ExportFinished))


async def test_escape_stops_an_export_and_leaves_no_file(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from t2sql_tui.core import export as export_module
    from t2sql_tui.ui.screens import export as dialog

    def slow(result, path, format, *, on_progress, should_stop, **options):
        for step in range(1000):
            on_progress(step, 1000)
            time.sleep(0.01)
            if should_stop():
                raise export_module.ExportCancelled(
                    "The export was cancelled.", "Nothing was written."
                )

    monkeypatch.setattr(dialog, "export", slow)
    target = shop.parent / "out.csv"
    async with run_app(shop) as d:
        screen = await open_export(d)
        screen.query_one("#path", Input).value = str(target)
        screen.action_save()
        await d.until(lambda: screen.saving)
        screen.action_leave()
        await d.until(lambda: not screen.saving)
        assert "cancelled" in str(screen.query_one("#export-error").content)
        await d.press("escape")
        assert d.app.screen is d.bench
    assert not target.exists()


def test_file_names_come_from_the_question() -> None:
    assert file_stem("How many orders?") == "how-many-orders"
    assert file_stem("../../etc/passwd; rm -rf") == "etc-passwd-rm-rf"
    assert file_stem("") == "result"
    assert file_stem("顧客は何人ですか") == "顧客は何人ですか"


def test_is_part_of(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    database.touch()
    assert is_part_of(tmp_path / "a.db-journal", database)
    assert not is_part_of(tmp_path / "b.csv", database)
