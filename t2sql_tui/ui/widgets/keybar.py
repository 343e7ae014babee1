"""The bottom line: the keys that matter now, as many as fit."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

# The order in which keys are shown, and so which go first when the line is short.
_ORDER = (
    "submit", "preview", "insert", "search", "approve", "edit", "regenerate", "explain", "cancel", "help", "more", "filter", "sort",
    "view_cell", "copy", "new_question", "schema",
    "history", "export", "open",
)  # fmt: skip


class KeyBar(Footer):
    """Textual's footer, sorted by importance and cut at the width instead of scrolled."""

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        active = [
            (binding, enabled, tooltip)
            for _, binding, enabled, tooltip in self.screen.active_bindings.values()
            if binding.show
        ]
        active.sort(key=lambda item: _rank(item[0].action))
        room = self.size.width - 2
        palette = self.screen.active_bindings.get(self.app.COMMAND_PALETTE_BINDING)
        if palette:
            room -= len("^p Commands") + 3
        shown: set[str] = set()
        for binding, enabled, tooltip in active:
            key = self.app.get_key_display(binding)
            width = len(key) + len(binding.description) + 3
            if binding.action in shown or width > room:
                continue
            shown.add(binding.action)
            room -= width
            yield FooterKey(
                binding.key, key, binding.description, binding.action,
                disabled=not enabled, tooltip=tooltip or binding.tooltip,
            )  # fmt: skip
        if palette:
            yield FooterKey(
                palette.binding.key, "^p", "Commands", palette.binding.action,
                classes="-command-palette",
            )  # fmt: skip

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.recompose)


def _rank(action: str) -> int:
    name = action.partition("(")[0]
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
