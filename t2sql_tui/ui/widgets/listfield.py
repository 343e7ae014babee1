"""A field over a list."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList


class ListField(Input):
    """Typed in while the arrow and page keys move in the screen's list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "in_list('cursor_up')", show=False),
        Binding("down", "in_list('cursor_down')", show=False),
        Binding("pageup", "in_list('page_up')", show=False),
        Binding("pagedown", "in_list('page_down')", show=False),
    ]

    def action_in_list(self, action: str) -> None:
        """Do in the list what the key means there."""
        getattr(self.screen.query_one(OptionList), f"action_{action}")()
