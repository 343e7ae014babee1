"""The bottom line: the keys that matter now, as many as fit."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

# The order in which keys are shown, and so which go first when the line is short.
_ACTIONS = (
    "submit",
    "preview",
    "insert",
    "search",
    "approve",
    "edit",
    "readings",
    "regenerate",
    "explain",
    "check_and_run",
    "cancel",
    "leave_editor",
    "help",
    "more",
    "filter",
    "sort",
    "view_cell",
    "copy",
    "new_question",
    "schema",
    "history",
    "export",
    "open",
)


class KeyBar(Static):
    """What Textual's footer shows, sorted by importance and cut at the width.

    One widget with clickable text: a footer mounts a widget for each key whenever the
    focus moves, which was a quarter of all the time that the app spent on a question.
    """

    def __init__(self) -> None:
        super().__init__(id="keys")
        self.auto_links = False

    def on_mount(self) -> None:
        """Follow the keys of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._show)

    def on_resize(self) -> None:
        """Show as many keys as fit now."""
        self._show(self.screen)

    def _show(self, screen: Screen[object]) -> None:
        active = [
            b.binding for b in screen.active_bindings.values() if b.enabled and b.binding.show
        ]
        shown: dict[str, Content] = {}
        palette = self._key("^p", "Commands", "ctrl+p")
        width_left = self.content_size.width - palette.cell_length - 3
        for binding in sorted(active, key=_importance):
            key = self.app.get_key_display(binding)
            part = self._key(key, binding.description, binding.key.split(",")[0])
            if binding.action not in shown and part.cell_length <= width_left:
                shown[binding.action] = part
                width_left -= part.cell_length + 3
        line = Content("   ").join(shown.values())
        gap = self.content_size.width - line.cell_length - palette.cell_length
        self.update(Content.assemble(line, " " * max(gap, 1), palette))

    @staticmethod
    def _key(key: str, description: str, press: str) -> Content:
        part = Content.assemble(
            (key, "bold $text-primary"), (f" {description}", "$foreground-muted")
        )
        return part.stylize(Style.from_meta({"@click": f"app.simulate_key({press!r})"}))


def _importance(binding: Binding) -> int:
    name = binding.action.partition("(")[0]
    return _ACTIONS.index(name) if name in _ACTIONS else len(_ACTIONS)
