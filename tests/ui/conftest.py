"""A small shop in a SQLite file, and the app on it with canned replies."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message
from textual.pilot import Pilot

from t2sql_tui.backends.scripted import ScriptedBackend
from t2sql_tui.core.types import ModelSpec
from t2sql_tui.ui.app import T2SQLApp
from t2sql_tui.ui.screens.workbench import Workbench
from t2sql_tui.ui.session import Session

SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers,
    total REAL,
    note TEXT
);
CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 50;
INSERT INTO customers VALUES
    (1, 'Ada', 'Oslo'), (2, 'Bo', NULL), (3, 'Cy', ''), (4, 'Dé', 'Oslo');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
INSERT INTO orders SELECT i, i % 4 + 1, i * 0.5, NULL FROM n;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(SHOP)
    return path


class Driver:
    """The running app, the messages it posted, and how to wait for it."""

    def __init__(self, app: T2SQLApp, pilot: Pilot[None], messages: list[Message]) -> None:
        self.app, self.pilot, self.messages = app, pilot, messages

    @property
    def bench(self) -> Workbench:
        bench = self.app.workbench
        assert bench is not None
        return bench

    @property
    def session(self) -> Session:
        return self.bench.session

    @property
    def status(self) -> str:
        line = self.bench.status
        return f"{line.text}  {line.hint}"

    def names(self, *kinds: type[Message]) -> list[str]:
        """The names of the messages of these kinds, in the order they were handled."""
        # A message passes the hook at every widget that it bubbles through.
        once = {id(m): m for m in self.messages if isinstance(m, kinds)}
        return [type(m).__name__ for m in once.values()]

    async def until(self, true: Callable[[], Any], seconds: float = 60.0) -> None:
        """Let the app work until `true()`; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"never came true; status: {self.status!r}"
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    async def ready(self) -> None:
        await self.until(
            lambda: (
                self.app.workbench
                and self.session.database
                and self.app.state.model_status == "ready"
            )
        )

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def ask(self, question: str, phase: str = "proposed") -> None:
        """Type a question, press Enter, wait until the app is in `phase`."""
        self.bench.question_box.focus()
        self.bench.question_box.show(question)
        await self.pilot.pause()
        await self.press("enter")
        await self.until(lambda: self.session.phase == phase)


@contextlib.asynccontextmanager
async def run_app(
    path: Path | None,
    replies: Any = ("SELECT name, city FROM customers",),
    *,
    size: tuple[int, int] = (100, 40),
    delay: float = 0.0,
    factory: Callable[..., Any] | None = None,
    wait: bool = True,
    history: Path | None = None,
    model_name: str = "scripted",
    **options: Any,
) -> AsyncIterator[Driver]:
    def load(on_progress: Callable[[int, int], None]) -> ScriptedBackend:
        return ScriptedBackend(ModelSpec(model_name), replies, delay=delay)

    assert path is None or path.is_absolute()
    assert history or path
    app = T2SQLApp(
        path,
        model=model_name,
        backend_factory=factory or load,
        history_path=history or path.parent / "history.sqlite",  # type: ignore[union-attr]
        **options,
    )
    messages: list[Message] = []
    async with app.run_test(size=size, message_hook=messages.append) as pilot:
        driver = Driver(app, pilot, messages)
        if wait:
            await driver.ready()
        yield driver
