"""The grid by itself: sorting, filtering, drawing, the cursor."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from t2sql_tui.core.types import QueryResult
from t2sql_tui.ui.messages import TextCopied
from t2sql_tui.ui.rows import sorted_rows
from t2sql_tui.ui.widgets import grid as grid_module
from t2sql_tui.ui.widgets.grid import ResultGrid

MIXED = QueryResult(
    ("name", "n"),
    (("b", 2), ("A", None), ("a", 10), (None, "10"), (b"\x00", 2), ("", 1.5), ("B", -3)),
)


@contextlib.asynccontextmanager
async def shown(
    result: QueryResult, size: tuple[int, int] = (60, 12)
) -> AsyncIterator[tuple[ResultGrid, Pilot[None], list[Any]]]:
    messages: list[Any] = []

    class GridApp(App[None]):
        CSS = "ResultGrid { height: 1fr; }"

        def compose(self) -> ComposeResult:
            yield ResultGrid()

    async with GridApp().run_test(size=size, message_hook=messages.append) as pilot:
        grid = pilot.app.query_one(ResultGrid)
        grid.focus()
        grid.show(result)
        await pilot.pause()
        yield grid, pilot, messages


async def settle(pilot: Pilot[None]) -> None:
    """Wait for sorting and filtering, which run in threads."""
    while any(worker.is_running for worker in pilot.app.workers):
        await pilot.pause(0.01)
    await pilot.pause()


def lines(grid: ResultGrid) -> list[str]:
    return [grid.render_line(y).text.rstrip() for y in range(grid.size.height)]


def names(grid: ResultGrid) -> list[Any]:
    return [row[0] for row in grid.rows_shown]


async def test_it_sorts_types_as_sqlite_does_and_text_without_case() -> None:
    async with shown(MIXED) as (grid, pilot, _):
        await pilot.press("s")
        await settle(pilot)
        assert names(grid) == [None, "", "A", "a", "b", "B", b"\x00"]
        await pilot.press("s")
        await settle(pilot)
        assert names(grid) == [b"\x00", "b", "B", "A", "a", "", None]
        await pilot.press("s")
        await settle(pilot)
        assert names(grid) == [row[0] for row in MIXED.rows]


def test_sorting_is_stable_both_ways() -> None:
    rows = tuple((i % 3, i) for i in range(30))
    for descending in (False, True):
        order = sorted_rows(rows, range(30), 0, descending)
        for low, high in pairwise(order):
            if rows[low][0] == rows[high][0]:
                assert low < high


async def test_a_click_on_a_header_sorts_by_it() -> None:
    async with shown(MIXED) as (grid, pilot, _):
        await pilot.click(ResultGrid, offset=(lines(grid)[0].index("n", 6), 0))
        await settle(pilot)
        assert grid.sort_column in (0, 1)
        x = lines(grid)[0].rindex("n")
        grid.sort_column = None
        await pilot.click(ResultGrid, offset=(x, 0))
        await settle(pilot)
        assert grid.sort_column == 1
        assert [row[1] for row in grid.rows_shown] == [None, -3, 1.5, 2, 2, 10, "10"]
        assert "↑" in lines(grid)[0]


async def test_the_filter_finds_text_in_any_cell_and_survives_backspace() -> None:
    rows = tuple((f"row {i}", i * 7) for i in range(2000))
    async with shown(QueryResult(("a", "b"), rows)) as (grid, pilot, _):
        grid.filter("ROW 19")
        await settle(pilot)
        assert len(grid.order) == 111
        grid.filter("row 199")
        await settle(pilot)
        assert names(grid) == ["row 199", *(f"row {i}" for i in range(1990, 2000))]
        grid.filter("row 19")
        grid.filter("row 198")  # before the one above has come back
        await settle(pilot)
        assert names(grid) == ["row 198", *(f"row {i}" for i in range(1980, 1990))]
        grid.filter("13986")
        await settle(pilot)
        assert names(grid) == ["row 1998"]
        grid.filter("")
        await settle(pilot)
        assert len(grid.order) == 2000


async def test_sort_and_filter_hold_together() -> None:
    rows = tuple((f"{'xy'[i % 2]}{i}", -i) for i in range(100))
    async with shown(QueryResult(("a", "b"), rows)) as (grid, pilot, _):
        grid.sort_by(1)
        grid.filter("x")
        await settle(pilot)
        grid.filter("x1")
        await settle(pilot)
        assert names(grid) == ["x18", "x16", "x14", "x12", "x10"]
        grid.show(QueryResult(("a", "b"), (*rows, ("x1000", -1000))), keep_view=True)
        await settle(pilot)
        assert names(grid)[0] == "x1000" and len(grid.order) == 6


async def test_null_and_empty_text_look_different_and_numbers_stand_right() -> None:
    result = QueryResult(("t", "n"), (("", 5), (None, 12345), ("NULL", None)))
    async with shown(result) as (grid, _, _):
        header, empty, null, *_ = lines(grid)
        assert empty.split() == ["1", "5"]
        assert null.split() == ["2", "NULL", "12345"]
        assert header.rstrip().endswith("n")
        assert empty.index("5") == null.index("12345") + 4
        null_style = next(s.style for s in grid.render_line(2) if s.text.strip() == "NULL")
        text_style = next(s.style for s in grid.render_line(3) if s.text.strip() == "NULL")
        assert null_style != text_style


async def test_every_line_is_exactly_as_wide_as_the_screen() -> None:
    strange = ("日本語テキスト" * 9, "e\u0301" * 50, "a\x1b[31mb", "👨‍👩‍👧" * 20, "\u202eabc")
    result = QueryResult(
        ("a", "日本", "c\nd", "", "a"),
        tuple((s, s[::-1], None, b"\x00" * 99, 1e99) for s in strange),
    )
    async with shown(result, size=(50, 10)) as (grid, pilot, _):
        for x in (*range(0, 40), 200):
            grid.scroll_to(x, 0, animate=False)
            await pilot.pause()
            for y in range(grid.size.height):
                strip = grid.render_line(y)
                assert strip.cell_length == grid.size.width
                assert "\x1b" not in strip.text and "\n" not in strip.text


async def test_only_the_cells_in_sight_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(tuple(f"{i} {j}" for j in range(30)) for i in range(100_000))
    drawn: list[object] = []
    real = grid_module.cell_text

    def counting(value: object, limit: int = 200) -> str:
        drawn.append(value)
        return real(value, limit)

    async with shown(QueryResult(tuple(f"c{j}" for j in range(30)), rows)) as (grid, pilot, _):
        monkeypatch.setattr(grid_module, "cell_text", counting)
        await pilot.press("ctrl+end")
        assert grid.cursor_row == 99_999
        assert 0 < len(drawn) <= 3 * 12 * 10
        assert "100,000" in lines(grid)[-2] or "100,000" in lines(grid)[-1]
        assert grid.order.itemsize * len(grid.order) == 400_000


async def test_the_cursor_moves_and_stays_in_sight() -> None:
    rows = tuple((i, "x" * 30, "y" * 30) for i in range(300))
    async with shown(QueryResult(("id", "x", "y"), rows), size=(40, 10)) as (grid, pilot, _):
        await pilot.press("G", "end")
        assert (grid.cursor_row, grid.cursor_column) == (299, 2)
        assert any(line.lstrip().startswith("300 ") for line in lines(grid))
        assert "yyy" in lines(grid)[5]
        await pilot.press("g", "home")
        assert (grid.cursor_row, grid.cursor_column) == (0, 0)
        await pilot.press("pagedown", "j", "k", "l", "h", "up")
        assert 5 < grid.cursor_row < 10
        await pilot.press(*["up"] * 12)
        assert grid.cursor_row == 0


async def test_enter_and_double_click_open_a_cell() -> None:
    async with shown(MIXED) as (grid, pilot, messages):
        await pilot.press("down", "enter")
        opened = [m for m in messages if isinstance(m, ResultGrid.CellOpened)]
        assert (opened[0].column, opened[0].row, opened[0].value) == ("name", 1, "A")
        await pilot.click(ResultGrid, offset=(5, 3), times=2)
        opened = [m for m in messages if isinstance(m, ResultGrid.CellOpened)]
        assert opened[-1].value == "a" and grid.cursor_row == 2


async def test_copying_cell_row_and_all() -> None:
    async with shown(MIXED) as (grid, pilot, messages):
        grid.filter("1")
        await settle(pilot)
        await pilot.press("c", "C", "A")
        copied = [m.text for m in messages if isinstance(m, TextCopied)]
        texts = list(dict.fromkeys(copied))
        assert texts == ["a", "a\t10", "name\tn\na\t10\n\t10\n\t1.5"]


@pytest.mark.parametrize("result", [QueryResult((), ()), QueryResult(("a",), ())])
async def test_nothing_to_show_is_no_reason_to_fail(result: QueryResult) -> None:
    async with shown(result) as (_, pilot, messages):
        await pilot.press("s", "c", "C", "A", "enter", "G", "end", "down", "pagedown", "g")
        await pilot.click(ResultGrid, offset=(5, 3))
        await settle(pilot)
        assert not [m for m in messages if isinstance(m, TextCopied)]


async def test_columns_share_what_a_wide_screen_has_left() -> None:
    result = QueryResult(("id", "text"), ((1, "long " * 18),))
    async with shown(result, size=(120, 6)) as (grid, pilot, _):
        assert "…" not in lines(grid)[1]
        await pilot.resize_terminal(50, 6)
        await pilot.pause()
        assert "…" in lines(grid)[1]
