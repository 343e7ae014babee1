"""What the questions of one copied database are about: its things, their events, event lines."""

from __future__ import annotations

from dataclasses import dataclass

from t2sql_tui.core.identifiers import quote_identifier


@dataclass(frozen=True, slots=True)
class Field:
    """A column: `name` as stored, `words` as a question says it.

    `verb` is what happened on a date ("booked"), `form` how dates and money are stored, `values`
    the possible texts, or the quartiles of numbers; with `gaps` some rows hold NULL.
    """

    name: str
    words: str
    kind: str  # label, category, number, money, date, end, flag, untidy, contact, note
    form: str = ""
    verb: str = ""
    values: tuple[str, ...] = ()
    gaps: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """A table that questions are about; `one` and `many` are the nouns for its rows.

    `label` is the column that names a row, if there is one. `link` is the column that holds the
    key of the `parent`; with `orphans` it is NULL in some rows. `view` is the name of a view of
    it, and the adjective for its rows.
    """

    table: str
    one: str
    many: str
    key: str
    label: tuple[Field, ...]
    fields: tuple[Field, ...]
    parent: Entity | None = None
    link: str = ""
    view: tuple[str, str] | None = None
    orphans: bool = False
    rows: int = 0

    @property
    def label_words(self) -> str:
        """The words for the column that names a row: "name", "title"."""
        return self.label[0].words

    def of(self, *kinds: str) -> list[Field]:
        """The columns of these kinds."""
        return [f for f in self.fields if f.kind in kinds]

    def column(self, name: str) -> str:
        """The qualified name of a column, quoted where needed."""
        return f"{quote_identifier(self.table)}.{quote_identifier(name)}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The tables that the questions of one copy are about: things, their events, event lines."""

    thing: Entity
    event: Entity
    line: Entity
