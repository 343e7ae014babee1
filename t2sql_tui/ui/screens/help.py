"""The keys, and how the program works, on one page."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

SECTIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Everywhere",
        (
            ("F1", "this help"),
            ("F2", "the question; from there, the SQL"),
            ("F5", "run the SQL that waits; else go to the rows"),
            ("F6", "the schema; from inside it, hide it"),
            ("F8", "history: every question with its SQL"),
            ("ctrl+n", "new question: forget the conversation"),
            ("ctrl+o", "open another file"),
            ("ctrl+e", "export the rows"),
            ("ctrl+r", "read the file again"),
            ("ctrl+p", "command palette, themes too"),
            ("Esc", "stop what runs, take a question back, leave the editor"),
            ("ctrl+c", "copy what is selected; else stop; twice: quit"),
            ("ctrl+q", "quit"),
        ),
    ),
    (
        "Question",
        (
            ("Enter", "ask"),
            ("↑ ↓", "earlier questions"),
        ),
    ),
    (
        "SQL",
        (
            ("a, Enter", "approve: run it"),
            ("e", "edit it; F5 checks and runs, Esc leaves the editor"),
            ("o", "the next reading of the question; Esc goes back to the rows"),
            ("r", "ask the model for another"),
            ("x", "explain it in words"),
            ("c", "copy it"),
        ),
    ),
    (
        "Rows",
        (
            ("Enter", "see the whole value: text, JSON, blob"),
            ("s", "sort by the column: up, down, as it came"),
            ("/", "keep the rows that contain a text; Esc shows all"),
            ("m", "fetch more rows, up to 100,000"),
            ("c  C  A", "copy the cell, the row, all rows shown"),
            ("g  G", "first row, last row"),
        ),
    ),
    (
        "Schema",
        (
            ("Enter", "open a table: its columns, ◆ key, → what it points at"),
            ("p", "preview the rows of a table"),
            ("i", "insert the name into the question or the SQL"),
            ("/", "filter tables and columns"),
        ),
    ),
)
PROMISE = (
    "The model runs on this machine. Its SQL is checked, shown to you, and run when you approve "
    "it, on a connection that can read and nothing else. A query stops at 30 seconds. Before "
    "that, the model's candidates are run briefly, as safely, to compare their rows; ctrl+p "
    "switches that off."
)


class HelpScreen(ModalScreen[None]):
    """How the program works, then the keys of each pane."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,f1,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """One page of text."""
        with VerticalScroll(classes="dialog -tall") as dialog:
            dialog.border_title = "Help"
            dialog.border_subtitle = "Esc closes"
            yield Static(PROMISE, classes="lead")
            for title, keys in SECTIONS:
                yield Static(title, classes="heading")
                yield Static(
                    Content("\n").join(
                        Content.assemble((f"{key:<9}", "$text-accent"), what) for key, what in keys
                    )
                )
