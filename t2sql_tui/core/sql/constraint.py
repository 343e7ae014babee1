"""Schema-constrained decoding: can this beginning of a SQL still name only what exists?

`SchemaConstraint.accepts(text, whole)` reads the beginning of an answer and refuses it where no
continuation can be right: a table, column or function that is not in the file, a column that
its table does not have, a WHERE before every table named in the SELECT list was joined. Other
grammar is SQLite's business. In doubt it accepts: refusing a right query costs an answer,
accepting a wrong one costs only what `check.py` finds anyway.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from t2sql_tui.core.database.capabilities import functions, table_functions
from t2sql_tui.core.sql.prefix import ConstraintViolation, KnownNames, PrefixReader
from t2sql_tui.core.types import Schema


class SchemaConstraint:
    """Accepts SQL that names only what is in one schema."""

    def __init__(self, schema: Schema, known: Collection[str] | None = None) -> None:
        self._names = KnownNames(schema, functions() if known is None else known, table_functions())

    def accepts(self, text: str, whole: bool) -> bool:
        """Whether `text` is the beginning of an answer whose names all exist (`whole`: such
        an answer itself). An answer that does not begin like a query is accepted."""
        query = _query_of(text)
        if query is None:
            return True
        try:
            PrefixReader(self._names, query, whole).read()
        except ConstraintViolation:
            return False
        return True


_OPENING = re.compile(r"\s*(?:```[ \t]*\w*[ \t]*\n\s*)?(?=(?:select|with)\b)", re.I)


def _query_of(text: str) -> str | None:
    """The SQL in the beginning of an answer, up to the fence that closes it."""
    opening = _OPENING.match(text)
    return text[opening.end() :].split("```")[0] if opening else None
