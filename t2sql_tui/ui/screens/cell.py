"""One value in full."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import TextArea

from t2sql_tui.ui.cells import copy_text, one_line, view_text
from t2sql_tui.ui.messages import TextCopied


class CellScreen(ModalScreen[None]):
    """Long text wrapped, JSON indented, a blob as hex. `c` copies the value as stored."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close"),
        Binding("c", "copy", "Copy"),
    ]

    def __init__(self, column: str, row: int, value: Any) -> None:
        super().__init__()
        self.column, self.row, self.value = column, row, value

    def compose(self) -> ComposeResult:
        """The value in a read-only field."""
        text, description = view_text(self.value)
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(
                f"{one_line(self.column)} · row {self.row + 1:,} · {description}"
            )
            dialog.border_subtitle = "c copies · Esc closes"
            area = TextArea(
                text,
                id="value",
                read_only=True,
                show_cursor=False,
                highlight_cursor_line=False,
                language="json" if description.startswith("JSON") else None,
                soft_wrap=not isinstance(self.value, bytes),
            )
            yield area

    def action_copy(self) -> None:
        """Put the value on the clipboard."""
        self.post_message(TextCopied(copy_text(self.value), "the value"))
