"""The SQL: coloured, laid out, read-only until a person chooses to edit it."""

from __future__ import annotations

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.theme import Theme
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

# Names of sqlglot's token types. Clauses begin a line of their own.
_CLAUSES = frozenset(
    """
    SELECT FROM WHERE GROUP_BY HAVING ORDER_BY LIMIT UNION EXCEPT INTERSECT WINDOW VALUES
    """.split()
)
_JOIN_WORDS = frozenset(["JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "OUTER"])
_SUBQUERY_STARTS = ("SELECT", "WITH", "VALUES")


def lay_out(sql: str) -> str:
    """`sql` with its clauses on lines of their own.

    Only white space between tokens changes, never a token, so what is shown is what the
    model wrote and what will run. SQL that has line breaks already, or cannot be cut into
    tokens, comes back as it is.
    """
    sql = sql.strip()
    if "\n" in sql:
        return sql
    from sqlglot import Dialect  # 0.15 s that the first paint need not wait for
    from sqlglot.errors import SqlglotError

    try:
        tokens = Dialect.get_or_raise("sqlite").tokenize(sql)
    except SqlglotError:
        return sql
    kinds = [token.token_type.name for token in tokens]
    pieces: list[str] = []
    nested: list[bool] = []  # per open bracket: does it hold a subquery?
    for place, token in enumerate(tokens):
        kind, before = kinds[place], kinds[place - 1] if place else ""
        gap = sql[tokens[place - 1].end + 1 : token.start] if place else ""
        if gap and not gap.isspace():
            pieces.append(gap)  # a comment: leave it alone
        elif place and _starts_line(kind, before, nested):
            pieces.append("\n" + "  " * sum(nested))
        elif kind == "R_PAREN" and nested and nested[-1]:
            pieces.append("\n" + "  " * (sum(nested) - 1))
        else:
            pieces.append(gap)
        pieces.append(sql[token.start : token.end + 1])
        if kind == "L_PAREN":
            nested.append(place + 1 < len(kinds) and kinds[place + 1] in _SUBQUERY_STARTS)
        elif kind == "R_PAREN" and nested:
            nested.pop()
    end = tokens[-1].end + 1 if tokens else 0
    return "".join(pieces) + sql[end:]


def lay_out_start(sql: str) -> str:
    """The same for SQL that is still being written: a quote that is open stays as it is."""
    for quote in "'", '"':
        if sql.count(quote) % 2:
            cut = sql.rindex(quote)
            start = sql[:cut].rstrip()
            return lay_out(start) + sql[len(start) :]
    return lay_out(sql)


def _starts_line(kind: str, before: str, nested: list[bool]) -> bool:
    if nested and not nested[-1]:
        return False  # inside a plain bracket, such as OVER (ORDER BY x)
    if before == "L_PAREN" and kind in _SUBQUERY_STARTS:
        return True
    if kind in _JOIN_WORDS:
        return before not in _JOIN_WORDS
    return kind in _CLAUSES


class SQLEditor(TextArea):
    COMPONENT_CLASSES = {
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
        self._follow_theme(self.app.current_theme)
        self.app.theme_changed_signal.subscribe(self, self._follow_theme)

    def _follow_theme(self, theme: Theme) -> None:
        """Syntax colours made of the app theme's own, so that all of them fit."""

        def style(name: str) -> Style:
            found = self.get_component_rich_style(f"sql--{name}")
            return Style(color=found.color, bold=found.bold, italic=found.italic)

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
    BINDINGS = [
        Binding("enter", "screen.approve", "Run", show=False),
        Binding("c", "copy_sql", "Copy", show=False),
        Binding("ctrl+enter,ctrl+j", "screen.results", "Run", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="sql", classes="pane")

    def compose(self) -> ComposeResult:
        yield SQLEditor()

    @property
    def editor(self) -> SQLEditor:
        return self.query_one(SQLEditor)

    @property
    def text(self) -> str:
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
        if self.text:
            self.app.copy(self.text, "the SQL")

    def set_editable(self, editable: bool) -> None:
        editor = self.editor
        editor.read_only = not editable
        editor.show_cursor = editable
        editor.cursor_blink = editable
        self.set_class(editable, "-editing")
        self.border_title = "SQL · editing" if editable else "SQL"
