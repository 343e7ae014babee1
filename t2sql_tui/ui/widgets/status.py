"""Two lines of text: what is open and loaded, and what will happen next."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from t2sql_tui.ui.cells import one_line
from t2sql_tui.ui.state import ModelStatus
from t2sql_tui.ui.texts import Tone

#: The mark and the colour of each tone.
TONES: dict[Tone, tuple[str, str]] = {
    "": ("·", "$foreground-muted"),
    "busy": ("…", "$text-accent"),
    "good": ("●", "$text-success"),
    "warning": ("▲", "$text-warning"),
    "error": ("✗", "$text-error"),
}


class TopBar(Horizontal):
    """The program, the open file, and how the model is doing."""

    DOTS: ClassVar[dict[ModelStatus, str]] = {
        "loading": "$text-warning",
        "ready": "$text-success",
        "failed": "$text-error",
    }

    def compose(self) -> ComposeResult:
        """Brand, file, model."""
        yield Static(" t2sql ", id="brand")
        yield Static(id="file")
        yield Static(id="model")

    def show_file(self, name: str, detail: str = "", warning: str = "") -> None:
        """Show the file's name; `warning` is a link that reads the file again."""
        parts = [Content.styled(name, "bold"), Content.styled(f"  {detail}", "$foreground-muted")]
        if warning:
            parts.append(
                Content.from_markup("  [$text-warning @click=screen.reload]$w[/]", w=warning)
            )
        self.query_one("#file", Static).update(Content("").join(parts))

    def show_model(self, name: str, status: ModelStatus, detail: str = "") -> None:
        """Show the model's name with a coloured dot; `detail` says how far loading is."""
        self.query_one("#model", Static).update(
            Content.assemble(
                (f"{detail} " if detail else "", "$foreground-muted"),
                (name, ""),
                (" ●", self.DOTS[status]),
            )
        )


class StatusLine(Static):
    """What will run, what it will read, what went wrong, and what to press next."""

    def __init__(self) -> None:
        super().__init__(id="status")
        self.text = ""
        self.hint = ""
        self.tone: Tone = ""

    def show(self, text: str, hint: str = "", tone: Tone = "") -> None:
        """Show a text. It may quote names and paths, whatever those hold."""
        self.text, self.hint, self.tone = text, hint, tone
        mark, color = TONES[tone]
        self.update(
            Content.assemble(
                (f"{mark} ", color),
                (one_line(text), color if tone in ("error", "warning") else ""),
                ("  " + one_line(hint) if hint else "", "$foreground-muted"),
            )
        )
