"""What the screens look like, as plain text, at 80x24 and 160x50.

Each state is compared with `golden/SIZE/STATE.txt`: text survives new versions of Textual
and shows in a diff what changed. Colours are in the README's picture, `docs/screenshot.svg`,
whose words are compared too. After a change that is meant: `UPDATE_GOLDEN=1 pytest
tests/ui/test_screens.py`, then look at the diff.
"""

from __future__ import annotations

import html
import io
import os
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from textual.widgets import OptionList

from t2sql_tui import demo
from t2sql_tui.ui import texts
from t2sql_tui.ui.app import T2SQLApp
from t2sql_tui.ui.widgets import results

from .conftest import Driver, run_app

GOLDEN = Path(__file__).parent / "golden"
PICTURE = Path(__file__).parent.parent.parent / "docs" / "screenshot.svg"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))

BEST_SELLERS = (
    "SELECT p.name AS product, c.name AS category, SUM(oi.quantity) AS units FROM order_items"
    " AS oi JOIN products AS p ON p.id = oi.product_id JOIN categories AS c ON c.id ="
    " p.category_id GROUP BY p.id ORDER BY units DESC LIMIT 12"
)
REPLIES = {
    "units": BEST_SELLERS,
    "wrong": "SELECT nme FROM customer",
    "orders": "SELECT * FROM orders",
}


@pytest.fixture
def shop_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop demo in a home folder of its own, with clocks that stand still."""
    monkeypatch.setattr(results, "duration", lambda _: "12 ms")
    monkeypatch.setattr(texts, "duration", lambda _: "1.4 s")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = demo.build("ecommerce", tmp_path / "cache")
    path = path.rename(tmp_path / "shop.sqlite")
    shutil.rmtree(tmp_path / "cache")  # with the digest that is kept beside a demo
    return path


def screen_text(app: T2SQLApp) -> str:
    """The whole screen as `export_screenshot` sees it, without colours."""
    width, height = app.size
    console = Console(
        width=width,
        height=height,
        file=io.StringIO(),
        record=True,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(
        app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    )
    lines = console.export_text(styles=False).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


async def compare(d: Driver, state: str) -> None:
    file = GOLDEN / f"{d.app.size.width}x{d.app.size.height}" / f"{state}.txt"
    if UPDATE:
        await d.pilot.pause(1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(screen_text(d.app), "utf-8")
    expected = file.read_text("utf-8")
    for _ in range(20):  # a slow machine may not have painted everything yet
        await d.pilot.pause(0.1)
        if (shown := screen_text(d.app)) == expected:
            break
    assert shown == expected, f"{state} looks different; see the docstring above"


async def ask_and_run(d: Driver, question: str) -> None:
    d.bench.action_new_question()
    await d.ask(question)
    await d.press("a")
    await d.until(lambda: d.session.phase == "done")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_states_of_a_session(shop_demo: Path, size: tuple[int, int]) -> None:
    async with run_app(shop_demo, REPLIES, size=size) as d:
        await compare(d, "start")
        await d.ask("Which twelve products sold the most units, and in which category?")
        await compare(d, "proposed")
        await d.press("x")
        await compare(d, "explained")
        await d.press("escape", "a")
        await d.until(lambda: d.session.phase == "done")
        await compare(d, "rows")
        d.bench.action_new_question()
        await d.ask("Something wrong?", phase="rejected")
        await compare(d, "rejected")
        await d.press("e")
        await compare(d, "editing")
        await d.press("escape")
        await ask_and_run(d, "All orders?")
        await d.press("slash", *"card")
        await d.until(lambda: 0 < len(d.bench.results.grid.order) < 500)
        await compare(d, "filtered")
        await d.press("enter", "right", "right", "right", "enter")
        await compare(d, "cell")
        await d.press("escape", "f6", "down", "enter")
        await compare(d, "schema")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_dialogs(
    shop_demo: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_app(shop_demo, REPLIES, size=size) as d:
        await ask_and_run(d, "All orders?")
        await ask_and_run(d, "Which twelve products sold the most units, and in which category?")
        await d.until(
            lambda: not [w for w in d.app.workers if w.group == "history" and w.is_running]
        )
        await d.press("f8")
        await compare(d, "history")
        await d.press("escape", "f1")
        await compare(d, "help")
        await d.press("escape")
        (shop_demo.parent / "history.sqlite-journal").unlink(missing_ok=True)
        monkeypatch.setattr("t2sql_tui.ui.screens.open.byte_size", lambda _: "49.2 kB")
        await d.press("ctrl+o")
        await compare(d, "open")
        await d.press("escape")
        monkeypatch.setattr(Path, "cwd", lambda: Path("/home/ada"))
        await d.press("ctrl+e")
        await compare(d, "export")


async def test_the_picture_of_the_readme(shop_demo: Path) -> None:
    """The default theme, a demo, a question with its rows.

    The SQL is what qwen2.5-coder-0.5b answers to this question, tuned (as the app decodes) and
    untuned (greedy, prompt v1), 21 November 2026. The clocks stand still here, so the picture
    shows no times.
    """
    answer = "SELECT name, price_cents, stock FROM products ORDER BY price_cents DESC LIMIT 10"
    async with run_app(
        shop_demo, [answer], size=(120, 34), demo="ecommerce", model_name="qwen2.5-coder-0.5b"
    ) as d:
        await ask_and_run(
            d, "Show the ten most expensive products with name, price in cents and stock."
        )
        d.bench.sql.border_subtitle = "qwen2.5-coder-0.5b"
        d.bench.results.border_subtitle = "10 rows"
        await d.press("f6", "down", "enter", "f2", "end")
        await d.press("f5")
        await d.pilot.pause(0.1)
        if UPDATE:
            PICTURE.parent.mkdir(exist_ok=True)
            PICTURE.write_text(d.app.export_screenshot(title="t2sql-tui"), "utf-8")
        assert _words(d.app.export_screenshot(title="t2sql-tui")) == _words(
            PICTURE.read_text("utf-8")
        )


def _words(svg: str) -> str:
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return " ".join(html.unescape(" ".join(texts)).split())


@pytest.mark.parametrize(
    "theme", ["textual-light", "nord", "gruvbox", "solarized-light", "ansi-dark"]
)
async def test_every_theme_draws_every_pane(shop_demo: Path, theme: str) -> None:
    async with run_app(shop_demo, REPLIES) as d:
        if theme not in d.app.available_themes:
            pytest.skip(f"this Textual has no {theme}")
        d.app.theme = theme
        await ask_and_run(d, "All orders?")
        text = screen_text(d.app)
        assert "first 500 rows" in text and "FROM orders" in text


@pytest.mark.parametrize("size", [(40, 12), (20, 8), (250, 70)])
async def test_odd_sizes_do_not_break_it(shop_demo: Path, size: tuple[int, int]) -> None:
    async with run_app(shop_demo, REPLIES, size=size) as d:
        await ask_and_run(d, "All orders?")
        for key in ("f6", "f6", "f8", "escape", "ctrl+e", "escape", "f1", "escape", "x", "escape"):
            await d.press(key)
        await d.pilot.resize_terminal(80, 24)
        await d.pilot.pause()
        assert d.bench.results.has_rows


async def test_keys_at_the_bottom_can_be_clicked(shop_demo: Path) -> None:
    async with run_app(shop_demo, REPLIES, size=(80, 24)) as d:
        await d.ask("All orders?")
        bar = screen_text(d.app).splitlines()[-1]
        await d.pilot.click(offset=(bar.index("Run"), 23))
        await d.until(lambda: d.session.phase == "done")


async def test_the_command_palette_runs_what_the_keys_run(shop_demo: Path) -> None:
    async with run_app(shop_demo, REPLIES) as d:
        await d.ask("All orders?")
        commands = {c.title: c.callback for c in d.app.get_system_commands(d.bench)}
        assert "Run the SQL" in commands and "Stop" not in commands
        assert "Export the rows" not in commands
        await commands["Run the SQL"]()
        await d.until(lambda: d.session.phase == "done")
        await d.press("ctrl+p")
        await d.press(*"history", "enter")
        await d.until(lambda: d.app.screen.query(OptionList) and d.app.screen is not d.bench)
