"""The tree of tables."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest
from textual.widgets import Input

from t2sql_tui.core.types import Column, Schema, Table
from t2sql_tui.ui.messages import RowsFetched
from t2sql_tui.ui.texts import preview_sql
from t2sql_tui.ui.widgets.schema import Item, SchemaPane, SchemaTree

from .conftest import Driver, run_app


def tree_of(d: Driver) -> SchemaTree:
    return d.bench.query_one(SchemaTree)


def lines(d: Driver) -> list[str]:
    tree = tree_of(d)
    return [tree.render_line(y).text.strip() for y in range(tree.size.height)]


async def test_tables_open_into_columns_with_types_and_keys(shop: Path) -> None:
    async with run_app(shop) as d:
        assert [line.split() for line in lines(d)[:3]] == [
            ["▸", "customers", "4"],
            ["▸", "orders", "1,200"],
            ["▸", "big_orders", "view"],
        ]
        await d.press("f6", "down", "enter")
        assert [line.split() for line in lines(d)[1:6]] == [
            ["▾", "orders", "1,200"],
            ["◆", "id", "integer"],
            ["customer_id", "→", "customers"],
            ["total", "real"],
            ["note", "text"],
        ]
        await d.press("left")
        assert lines(d)[2].startswith("▸ big_orders")


async def test_p_previews_a_table_at_once_with_its_sql_shown(shop: Path) -> None:
    async with run_app(shop) as d:
        await d.press("f6", "down", "p")
        await d.until(lambda: d.session.phase == "done")
        assert d.bench.sql.text == "SELECT *\nFROM orders"
        assert len(d.bench.results.grid.result.rows) == 500
        assert d.names(RowsFetched) == ["RowsFetched"]
        assert d.session.turn is None, "a preview is no part of the conversation"


async def test_i_inserts_a_name_where_one_types(shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop)) as db:
        db.execute('CREATE TABLE "two words" (a)')
        db.commit()
    async with run_app(shop) as d:
        d.bench.question_box.show("How many")
        await d.press("f6", "end", "i")
        assert d.bench.question_box.text == 'How many "two words" '
        assert d.bench.question_box.has_focus
        await d.ask("Who?")
        await d.press("e", "f6", "home", "i")
        assert "customers" in d.bench.sql.text and d.bench.sql.editor.has_focus


async def test_the_filter_finds_tables_and_columns(shop: Path) -> None:
    async with run_app(shop) as d:
        await d.press("f6", "slash", *"cust")
        assert [line.split()[:2] for line in lines(d) if line] == [
            ["▾", "customers"],
            ["◆", "id"],
            ["name", "text"],
            ["city", "text"],
            ["▾", "orders"],
            ["customer_id", "→"],
            ["▾", "big_orders"],
            ["customer_id", "integer"],
        ]
        assert d.bench.query_one(SchemaPane).border_subtitle == "3 of 3"
        await d.press(*" city")
        assert "orders" not in " ".join(lines(d))
        await d.press("down")
        assert tree_of(d).has_focus
        await d.press("slash", "escape")
        assert d.bench.query_one("#schema-filter", Input).value == ""
        assert len([line for line in lines(d) if line]) == 3


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_f6_shows_enters_and_hides_it(shop: Path, size: tuple[int, int]) -> None:
    async with run_app(shop, size=size) as d:
        pane = d.bench.query_one(SchemaPane)
        wide = size[0] > 100
        assert pane.display == wide or pane.styles.display == "none"
        assert (pane.size.width > 0) == wide
        await d.press("f6")
        assert pane.size.width > 0 and tree_of(d).has_focus
        await d.press("f6")
        assert pane.styles.display == "none"
        assert d.bench.question_box.has_focus


async def test_a_thousand_tables_are_filled_lazily(shop: Path) -> None:
    columns = ", ".join(f"column_{i} TEXT" for i in range(20))
    with contextlib.closing(sqlite3.connect(shop)) as db:
        db.execute("BEGIN")
        for i in range(1000):
            db.execute(f"CREATE TABLE table_{i} ({columns})")
        db.commit()
    async with run_app(shop) as d:
        tree = tree_of(d)
        assert len(tree.root.children) == 1003
        assert all(not node.children for node in tree.root.children)
        tables = d.bench.query_one(SchemaPane)
        started = time.process_time()
        tables.query_one(Input).value = "table_77 column_19"
        await d.pilot.pause()
        assert time.process_time() - started < 2
        assert len(tree.root.children) == 11


async def test_names_are_text_not_markup(shop: Path) -> None:
    with contextlib.closing(sqlite3.connect(shop)) as db:
        db.execute('CREATE TABLE "[bold red]x[/]" ("a\nb" "[link=x]")')
        db.commit()
    async with run_app(shop) as d:
        await d.press("f6", "end", "enter")
        shown = "\n".join(lines(d))
        assert "[bold red]x[/]" in shown and "a↵b" in shown and "[link=x]" in shown


def test_a_preview_leaves_out_what_cannot_be_read() -> None:
    columns = (Column("id"), Column("slug", problem="no slugify()"), Column("my title"))
    schema = Schema((Table("page", columns), Table("t", (Column("a"),))))
    assert preview_sql("page", schema) == 'SELECT id, "my title"\nFROM page'
    assert preview_sql("t", schema) == "SELECT *\nFROM t"


def test_what_cannot_be_read_has_its_reason_beside_it() -> None:
    broken = Item(Table("v", (), kind="view"), problem="it reads the table gone")
    assert broken.note == "! it reads the table gone"
    column = Column("slug", problem="no slugify()")
    assert Item(Table("page", (column,)), column=column).note == "! no slugify()"
