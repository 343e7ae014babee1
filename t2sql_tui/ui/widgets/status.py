"""Two lines of words: what is open and loaded, and what will happen next."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from t2sql_tui.ui.cells import one_line


class TopBar(Horizontal):
    """The program, the open file, and how the model is doing."""

    def compose(self) -> ComposeResult:
        yield Static(" t2sql ", id="brand")
        yield Static(id="file")
        yield Static(id="model")

    def show_file(self, name: str, detail: str = "", warning: str = "") -> None:
        parts = [Content.styled(name, "bold"), Content.styled(f"  {detail}", "$foreground-muted")]
        if warning:
            parts.append(
                Content.from_markup("  [$text-warning @click=screen.reload]$w[/]", w=warning)
            )
        self.query_one("#file", Static).update(Content("").join(parts))

    def show_model(self, name: str, state: str, detail: str = "") -> None:
        """`state` is "loading", "ready" or "failed"."""
        dot = {"loading": "$text-warning", "ready": "$text-success", "failed": "$text-error"}[state]
        self.query_one("#model", Static).update(
            Content.assemble(
                (f"{detail} " if detail else "", "$foreground-muted"), (name, ""), (" ●", dot)
            )
        )


class StatusLine(Static):
    """What will run, what it will read, what went wrong, and what to press next.

    `tone` is "", "busy", "good", "warning" or "error".
    """

    TONES = {
        "": ("·", "$foreground-muted"),
        "busy": ("…", "$text-accent"),
        "good": ("●", "$text-success"),
        "warning": ("▲", "$text-warning"),
        "error": ("✗", "$text-error"),
    }

    def __init__(self) -> None:
        super().__init__(id="status")
        self.tone = ""
        self.words = ""
        self.hint = ""

    def show(self, words: str, hint: str = "", tone: str = "") -> None:
        # Messages may quote names and paths, whatever those hold.
        self.words, self.hint, self.tone = words, hint, tone
        words, hint = one_line(words), one_line(hint)
        mark, color = self.TONES[tone]
        body = color if tone in ("error", "warning") else ""
        self.update(
            Content.assemble(
                (f"{mark} ", color),
                (words, body),
                ("  " + hint if hint else "", "$foreground-muted"),
            )
        )
