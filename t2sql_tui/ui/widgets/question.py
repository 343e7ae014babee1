"""Where a question is typed."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from t2sql_tui.ui.messages import QuestionSubmitted


class QuestionBox(TextArea):
    """Enter asks; up and down on the outer lines walk through earlier questions."""

    BORDER_TITLE = "Question"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Ask")]

    def __init__(self) -> None:
        super().__init__(
            id="question",
            classes="pane",
            soft_wrap=True,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="Opening…",
        )
        self._earlier: list[str] = []
        self._index = 0  # in _earlier; len(_earlier) is the draft
        self._draft = ""

    def set_earlier(self, questions: list[str]) -> None:
        """Set the earlier questions, oldest first."""
        self._earlier = questions
        self._index = len(questions)

    def on_key(self, event: events.Key) -> None:
        """Enter asks, and makes no line break."""
        # Not a priority binding: that would overtake letters that are still on their way.
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_submit()

    def action_submit(self) -> None:
        """Ask what is in the box."""
        text = self.text.strip()
        if text:
            self._earlier = [q for q in self._earlier if q != text] + [text]
            self._index = len(self._earlier)
        self.post_message(QuestionSubmitted(text))

    def action_cursor_up(self, select: bool = False) -> None:
        """A line up; from the first, to the question before."""
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self._walk(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A line down; from the last, to the question after."""
        if not select and self.navigator.is_last_wrapped_line(self.cursor_location):
            self._walk(1)
        else:
            super().action_cursor_down(select)

    def _walk(self, step: int) -> None:
        index = self._index + step
        if not 0 <= index <= len(self._earlier):
            return
        if self._index == len(self._earlier):
            self._draft = self.text
        self._index = index
        self.show(self._draft if index == len(self._earlier) else self._earlier[index])

    def show(self, text: str) -> None:
        """Put `text` in the box, the cursor behind it."""
        self.text = text
        self.move_cursor(self.document.end)

    def insert_word(self, word: str) -> None:
        """Put a name at the cursor, set off by spaces."""
        row, column = self.cursor_location
        before = self.document.get_line(row)[:column]
        self.insert(("" if not before or before.endswith(" ") else " ") + word + " ")
