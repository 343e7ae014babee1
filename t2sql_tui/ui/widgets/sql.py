"""The SQL: coloured, laid out, read-only until a person chooses to edit it."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.theme import Theme
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from t2sql_tui.ui.messages import TextCopied


class SQLEditor(TextArea):
    """A text area in the colours of the app's theme."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "sql--keyword",
        "sql--function",
        "sql--string",
        "sql--number",
        "sql--comment",
    }
    DEFAULT_CSS = """
    SQLEditor {
        .sql--keyword { color: $text-primary; text-style: bold; }
        .sql--function { color: $text-accent; }
        .sql--string { color: $text-success; }
        .sql--number { color: $text-warning; }
        .sql--comment { color: $foreground-muted; text-style: italic; }
    }
    """

    def __init__(self) -> None:
        super().__init__(
            id="sql-editor",
            language="sql",
            read_only=True,
            show_cursor=False,
            highlight_cursor_line=False,
            soft_wrap=True,
            tab_behavior="focus",
        )

    def show(self, sql: str) -> None:
        """Set the text by editing it. Assigning `text` would compile the highlighter's
        queries anew: 90 ms, where an edit takes 1."""
        shown = self.text
        if sql.startswith(shown):
            self.insert(sql[len(shown) :], self.document.end, maintain_selection_offset=False)
        else:
            self.replace(sql, self.document.start, self.document.end)
        self.history.clear()

    def on_mount(self) -> None:
        """Follow the app's theme."""
        self._follow_theme(self.app.current_theme)
        self.app.theme_changed_signal.subscribe(self, self._follow_theme)

    def _follow_theme(self, theme: Theme) -> None:
        """Syntax colours made of the app theme's own, so that all of them fit."""

        def style(name: str) -> Style:
            full = self.get_component_rich_style(f"sql--{name}")
            return Style(color=full.color, bold=full.bold, italic=full.italic)

        keyword, number = style("keyword"), style("number")
        name = f"t2sql-{theme.name}"
        self.register_theme(
            TextAreaTheme(
                name,
                syntax_styles={
                    "keyword": keyword,
                    "keyword.operator": keyword,
                    "attribute": keyword,
                    "function.call": style("function"),
                    "string": style("string"),
                    "number": number,
                    "float": number,
                    "boolean": number,
                    "comment": style("comment"),
                },
            )
        )
        self.theme = name


class SQLPane(Vertical):
    """The editor in its frame."""

    BORDER_TITLE = "SQL"
    # Terminals send ctrl+enter, where they tell it from Enter at all, as ctrl+j.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.approve", "Run", show=False),
        Binding("c", "copy_sql", "Copy", show=False),
        Binding("ctrl+enter,ctrl+j", "screen.results", "Run", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="sql", classes="pane")

    def compose(self) -> ComposeResult:
        """The editor alone."""
        yield SQLEditor()

    @property
    def editor(self) -> SQLEditor:
        """The field with the SQL."""
        return self.query_one(SQLEditor)

    @property
    def text(self) -> str:
        """The SQL in the editor."""
        return self.editor.text.strip()

    def show(self, sql: str, note: str = "") -> None:
        """Show SQL that is not to be edited; `note` goes into the frame."""
        self.set_editable(False)
        self.editor.show(sql)
        self.border_subtitle = Content(note)
        if note:  # finished; while text streams in, its end is of interest
            self.editor.move_cursor((0, 0))
            self.editor.scroll_home(animate=False)

    def action_copy_sql(self) -> None:
        """Put the SQL on the clipboard."""
        if self.text:
            self.post_message(TextCopied(self.text, "the SQL"))

    def set_editable(self, editable: bool) -> None:
        """Let a person type, or not."""
        editor = self.editor
        editor.read_only = not editable
        editor.show_cursor = editable
        editor.cursor_blink = editable
        self.set_class(editable, "-editing")
        self.border_title = "SQL · editing" if editable else "SQL"
