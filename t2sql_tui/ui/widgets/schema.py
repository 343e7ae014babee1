"""The tables of the open file: names, keys, types and row counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Tree
from textual.widgets.tree import TreeNode

from t2sql_tui.core.identifiers import quote_identifier
from t2sql_tui.core.types import Column, Schema, Table
from t2sql_tui.ui.cells import fit, one_line
from t2sql_tui.ui.texts import table_count


@dataclass(frozen=True)
class Item:
    """What a node of the tree stands for: a table with the columns to list under it, or
    one column of it. `problem` says why it cannot be read."""

    table: Table
    columns: tuple[Column, ...] = ()
    column: Column | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """The name of the column or of the table."""
        return self.column.name if self.column else self.table.name

    @property
    def note(self) -> str:
        """What stands at the right: a row count, a type, where a key points, or what is wrong."""
        if self.problem or (self.column and self.column.problem):
            return f"! {self.problem or (self.column and self.column.problem)}"
        if self.column is None:
            if self.table.kind != "table":
                return self.table.kind
            return "" if self.table.row_count is None else f"{self.table.row_count:,}"
        for key in self.table.foreign_keys:
            if self.column.name in key.columns:
                return f"→ {key.table}"
        return self.column.type.lower()


class SchemaTree(Tree[Item]):
    """Columns are added when their table is opened, so 1,000 tables cost 1,000 nodes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "preview", "Preview rows"),
        Binding("i", "insert", "Insert name"),
        Binding("slash", "search", "Filter"),
        Binding("right,l", "open(True)", "Open", show=False),
        Binding("left,h", "open(False)", "Close", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"schema--note", "schema--key"}
    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "

    @dataclass
    class PreviewRequested(Message):
        """A person wants to see this table's rows."""

        table: str

    @dataclass
    class NameChosen(Message):
        """A person wants this name where they write. It is quoted where SQL asks for that."""

        name: str

    def __init__(self) -> None:
        super().__init__("tables", id="schema-tree")
        self.show_root = False
        self.show_guides = False
        self.guide_depth = 2

    def fill(self, items: list[Item], opened: bool) -> None:
        """Show these tables, with their columns where `opened`."""
        self.clear()
        for item in items:
            self.root.add(Text(item.name), item, expand=opened)
            if opened:
                self._add_columns(self.root.children[-1])
        self.cursor_line = 0 if items else -1

    @on(Tree.NodeExpanded)
    def _opened(self, event: Tree.NodeExpanded[Item]) -> None:
        self._add_columns(event.node)

    def _add_columns(self, node: TreeNode[Item]) -> None:
        if node.data and not node.children:
            for column in node.data.columns:
                node.add_leaf(Text(column.name), Item(node.data.table, column=column))

    def get_label_width(self, node: TreeNode[Item]) -> int:
        """Always 1: labels are fitted to the pane, which never scrolls sideways."""
        return 1

    def render_label(self, node: TreeNode[Item], base_style: Style, style: Style) -> Text:
        """Mark, name and note of an item, cut to the width of the pane."""
        item = node.data
        if item is None:
            return Text()
        width = self.scrollable_content_region.width - 1
        muted = Style(color=self.get_component_rich_style("schema--note").color)
        key = Style(color=self.get_component_rich_style("schema--key").color)
        if item.column is None:
            mark = self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
            mark_style = muted
        else:
            width -= self.guide_depth
            mark = "◆ " if item.column.primary_key else "  "
            mark_style = key
        on_cursor = node is self.cursor_node
        note = fit(item.note, min(cell_len(item.note), max(width // 2, 0)))
        name = fit(one_line(item.name), max(width - len(mark) - cell_len(note) - 1, 4))
        return Text.assemble(
            (mark, style if on_cursor else style + mark_style),
            (name, style),
            (" " + note, style if on_cursor else style + muted),
        )

    def action_preview(self) -> None:
        """Ask for the rows of the table under the cursor."""
        if self.cursor_node and self.cursor_node.data:
            self.post_message(self.PreviewRequested(self.cursor_node.data.table.name))

    def action_insert(self) -> None:
        """Put the name under the cursor where the person writes."""
        if self.cursor_node and self.cursor_node.data:
            self.post_message(self.NameChosen(quote_identifier(self.cursor_node.data.name)))

    def action_search(self) -> None:
        """Enter the filter."""
        self.screen.query_one("#schema-filter", Input).focus()

    def action_open(self, opened: bool) -> None:
        """Open or close the table of the cursor."""
        node = self.cursor_node
        if node is None or node.data is None:
            return
        if node.data.column is not None:
            if not opened and node.parent:
                self.move_cursor(node.parent)
        elif opened:
            node.expand()
        else:
            node.collapse()

    def on_resize(self) -> None:
        """Fit the labels to the new width."""
        self._invalidate()


class SchemaPane(Vertical):
    """The tree under a field that narrows it to names containing every word typed."""

    BORDER_TITLE = "Schema"

    def __init__(self) -> None:
        super().__init__(id="schema", classes="pane")
        self.schema = Schema(())

    def compose(self) -> ComposeResult:
        """Filter and tree."""
        yield Input(placeholder="Filter tables and columns", id="schema-filter", compact=True)
        yield SchemaTree()

    def show(self, schema: Schema) -> None:
        """Show all tables of a schema."""
        self.schema = schema
        self.query_one(Input).clear()
        self._fill()

    @on(Input.Changed, "#schema-filter")
    def _fill(self) -> None:
        words = self.query_one(Input).value.lower().split()
        tree = self.query_one(SchemaTree)
        items = [item for table in self.schema.tables if (item := _match(table, words))]
        items += [
            Item(Table(part.name, (), kind="view"), problem=part.reason)
            for part in self.schema.unreadable
            if all(word in part.name.lower() for word in words)
        ]
        tree.fill(items, opened=bool(words) and len(items) <= 20)
        all_tables = len(self.schema.tables) + len(self.schema.unreadable)
        self.border_subtitle = (
            f"{len(items):,} of {all_tables:,}" if words else table_count(self.schema)
        )

    @on(Input.Submitted, "#schema-filter")
    def _to_tree(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(SchemaTree).focus()

    def on_key(self, event: events.Key) -> None:
        """Esc clears the filter; down leaves it for the tree."""
        field = self.query_one(Input)
        if event.key == "escape" and field.value:
            event.stop()
            field.clear()
        elif event.key == "down" and field.has_focus:
            event.stop()
            self.query_one(SchemaTree).focus()


def _match(table: Table, words: list[str]) -> Item | None:
    """The table with the columns that match; with all of them where its own name does."""
    name = table.name.lower()
    if all(word in name for word in words):
        return Item(table, table.columns)
    columns = tuple(
        column
        for column in table.columns
        if all(word in name or word in column.name.lower() for word in words)
    )
    return Item(table, columns) if columns else None
