"""What the SQL does, in words, and how SQLite goes about it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from t2sql_tui.core.answers.explain import Step
from t2sql_tui.ui.cells import one_line


class ExplainScreen(ModalScreen[None]):
    """`steps` come from the parsed SQL, `plan` from SQLite; no model has a say in either."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,x,q,enter", "dismiss", "Close")]

    def __init__(self, steps: tuple[Step, ...], plan: tuple[tuple[int, str], ...]) -> None:
        super().__init__()
        self.steps = steps
        self.plan = plan

    def compose(self) -> ComposeResult:
        """The steps, then the plan."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = "What this SQL does"
            dialog.border_subtitle = "Esc closes"
            for number, step in enumerate(self.steps, 1):
                for depth, text in step.lines():
                    mark = f"{number}." if depth == 0 else "–"
                    yield _line(depth, mark, text)
            if not self.steps:
                yield Static("There are no words for this SQL; here is SQLite's own plan.")
            if self.plan:
                yield Static("How SQLite does it", classes="heading")
                for depth, detail in self.plan:
                    yield _line(depth, "·", plan_text(detail), "$foreground-muted")


def _line(depth: int, mark: str, text: str, style: str = "") -> Horizontal:
    """A step with its mark in a column of its own, so that long text hangs beside it."""
    line = Horizontal(
        Static(Content.styled(mark, "$text-accent"), classes="mark"),
        Static(Content.styled(one_line(text), style)),
        classes="step",
    )
    line.styles.padding = (0, 0, 0, 3 * depth)
    return line


def plan_text(detail: str) -> str:
    """A line of SQLite's query plan (https://sqlite.org/eqp.html) in plainer words."""
    for term, words in (
        ("SCAN ", "reads all of "),
        ("SEARCH ", "looks up "),
        ("USING INTEGER PRIMARY KEY", "by its row number"),
        ("USING COVERING INDEX", "in the index alone:"),
        ("USING INDEX", "through the index"),
        ("USING AUTOMATIC COVERING INDEX", "through an index made for this query"),
        ("USE TEMP B-TREE FOR", "sorts for"),
    ):
        detail = detail.replace(term, words)
    return detail
