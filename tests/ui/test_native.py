"""Native libraries that the screens load: tried in a process of its own, because what goes wrong
in one ends the process (tree-sitter 0.26.1 does, in a text area that colours JSON)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Every screen with a text area, and every kind of value in the one that shows values.
SCRIPT = """
import asyncio, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import run_app

from t2sql_tui.core import export  # numpy, tree-sitter and SQLite in one process
from t2sql_tui.ui.screens.cell import CellScreen
from t2sql_tui.ui.widgets.sql import SQLEditor

VALUES = (
    None, 0, -1, 2**63 - 1, 0.5, float("inf"), "", "text", "zwei\\nZeilen\\ttab", "\\x1b[31m",
    '{"a": [1, 2.5, true, null, {"b": "c"}], "ü": "\\U0001f600"}', "[]", "{}", "[1, 2", "{" * 500,
    "[" * 300 + "]" * 300, '["' + "x" * 9_000 + '"]', "[" + "1," * 500 + "1]", "x" * 20_000,
    "\\ud800", b"", b"\\x00\\xff" * 500, bytes(5_000),
)


async def main():
    async with run_app(Path(sys.argv[2])) as driver:
        for value in VALUES:
            driver.app.push_screen(CellScreen("column", 0, value))
            await driver.press("down", "end")
            await driver.press("escape")
        await driver.ask("Who is there? \\U0001f600 [b]{x}[/b] `SELECT`")
        for sql in ("SELECT '", "/* ", "SELECT 1; -- \\u2028\\U0001f600", "(" * 500, ""):
            driver.bench.query_one(SQLEditor).show(sql)
            await driver.press()
        for key in ("f1", "escape", "ctrl+r", "escape", "e", "escape"):
            await driver.press(key)


asyncio.run(main())
print("every screen drawn", len(VALUES))
"""


def test_every_screen_with_a_text_area_survives_every_kind_of_value(shop: Path) -> None:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", SCRIPT, here, str(shop)]
    ended = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    assert ended.stdout.decode().strip().endswith("every screen drawn 23")
