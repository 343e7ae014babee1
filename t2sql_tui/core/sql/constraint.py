"""Schema-true decoding: can this beginning of a SQL still name only what exists?

`SchemaConstraint.accepts(text, whole)` reads the beginning of an answer as far as it goes and says no
where no continuation can be right: a table, column or function that is not in the file, a
column that its table does not have, a WHERE before every table named in the SELECT list was
joined. Grammar beyond that is SQLite's business. The rule for every doubt: say yes. A no to
a right query costs an answer, a yes to a wrong one costs only what `check.py` finds anyway.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from t2sql_tui.core.database.database import FUNCTIONS, TABLE_FUNCTIONS
from t2sql_tui.core.sql.lexer import tokenize
from t2sql_tui.core.types import Schema

_IGNORED = ("space", "comment")

_QUERY = frozenset({"select", "with", "values"})
# Words that begin an operand, or stand before one.
_BEFORE_OPERAND = frozenset(
    """
    not exists case cast distinct all null true false current_date current_time
    current_timestamp when else
    """.split()
)
_OPERANDS = frozenset(
    ["null", "true", "false", "current_date", "current_time", "current_timestamp"]
)
# Words after an operand that want another one.
_OPERATORS = frozenset(
    """
    and or in like glob regexp match between is escape when then else by union intersect except
    all having limit offset where on using from join select partition filter over window values
    """.split()
)
# Words after an operand that leave it one.
_AFTER = frozenset(
    """
    not null isnull notnull asc desc nulls first last end as collate natural left right full
    inner cross outer group order rows range groups unbounded preceding following current row
    exclude ties others no recursive materialized indexed distinct
    """.split()
)
_AFTER_WORDS = sorted(_OPERATORS | _AFTER)
_COMPOUND = frozenset({"union", "intersect", "except"})
_ENDS_FROM = frozenset({"where", "group", "having", "order", "limit", "window"}) | _COMPOUND
_JOIN_WORDS = frozenset({"natural", "left", "right", "full", "inner", "cross", "outer"})
_ROWID = frozenset({"rowid", "oid", "_rowid_"})
# Inside OVER (...) any word may stand that a window is described with.
_WINDOW = frozenset(
    """
    partition order by rows range groups between unbounded preceding following current row and
    exclude ties others no group asc desc nulls first last
    """.split()
)
_DATABASES = frozenset({"main", "temp"})

Columns = frozenset[str] | None  # None: of a subquery, nobody listed them


class _No(Exception):
    """This beginning can become nothing right."""


@dataclass
class _Scope:
    """One SELECT. `wants` are (qualifier or "", column) named before their tables were."""

    outer: _Scope | None
    clause: str = "select"
    sources: list[tuple[str, Columns]] = field(default_factory=list)
    wants: list[tuple[str, str]] = field(default_factory=list)
    merged: bool = False  # USING or NATURAL: an unqualified shared column is not ambiguous
    compound: bool = False  # it follows a UNION: ORDER BY means the whole

    @property
    def open(self) -> bool:
        """Whether more tables may still join it."""
        return self.clause in ("select", "from", "on")

    def chain(self) -> Iterator[_Scope]:
        scope: _Scope | None = self
        while scope:
            yield scope
            scope = scope.outer


@dataclass
class _Frame:
    """What a parenthesis holds: a query (`scope`), the rest of a WITH, names, or terms."""

    scope: _Scope | None = None
    query: bool = False  # a query may begin here
    table: bool = False  # it stands where a table is expected
    free: bool = False  # only new names stand here
    window: bool = False
    with_: bool = False  # between WITH and its SELECT


class SchemaConstraint:
    """What may be named in one file."""

    def __init__(self, schema: Schema, functions: Collection[str] = FUNCTIONS) -> None:
        self.columns = {
            table.name.lower(): frozenset(c.name.lower() for c in table.columns) | _ROWID
            for table in schema.tables
        }
        self.functions = frozenset(name.lower() for name in functions) | {"cast"}
        self.table_functions = frozenset(name.lower() for name in TABLE_FUNCTIONS)
        self.known_columns = frozenset().union(_ROWID, *self.columns.values())
        self.tables_sorted = sorted(self.columns.keys() | self.table_functions | _DATABASES)
        self.columns_sorted = sorted(self.known_columns)
        self.operands_sorted = sorted(
            self.known_columns | self.columns.keys() | self.functions | _BEFORE_OPERAND
        )
        self.functions_sorted = sorted(self.functions | _BEFORE_OPERAND)

    def accepts(self, text: str, whole: bool) -> bool:
        """Whether `text` is the beginning of an answer whose names all exist (`whole`: such
        an answer itself). An answer that does not begin like a query is not judged."""
        body = _query_of(text)
        if body is None:
            return True
        try:
            _Reader(self, body, whole).read()
        except _No:
            return False
        return True


_OPENING = re.compile(r"\s*(?:```[ \t]*\w*[ \t]*\n\s*)?(?=(?:select|with)\b)", re.I)


def _query_of(text: str) -> str | None:
    """The SQL in the beginning of an answer, up to the fence that closes it."""
    opening = _OPENING.match(text)
    return text[opening.end() :].split("```")[0] if opening else None


def _begins(names: list[str], part: str) -> bool:
    """Whether one of the sorted `names` begins with `part`."""
    place = bisect_left(names, part)
    return place < len(names) and names[place].startswith(part)


def _unquoted(text: str) -> tuple[str, bool]:
    """The name in quotes or brackets, in lower case, and whether they are closed."""
    ending = {"[": "]"}.get(text[0], text[0])
    closed = len(text) > 1 and text.endswith(ending)
    return text[1 : -1 if closed else None].replace(ending * 2, ending).lower(), closed


_LIKE_A_KEYWORD = re.compile(r"(where|group|order|having|limit|union|intersect|except)\w")


def _is_alias(name: str) -> bool:
    """Whether a name looks like a table alias that is yet to be bound: t1, s, a2."""
    return re.fullmatch(r"[a-z]\d{0,2}", name) is not None


class _Reader:
    """Reads one text from left to right; raises _No where it goes wrong."""

    def __init__(self, guard: SchemaConstraint, text: str, whole: bool) -> None:
        self.guard = guard
        tokens = tokenize(text)
        # A word at the very end may go on.
        self.growing = not whole and bool(tokens) and tokens[-1][0] not in _IGNORED
        self.tokens = [token for token in tokens if token[0] not in _IGNORED]
        self.whole = whole
        self.place = 0
        self.frames = [_Frame(query=True)]
        self.aliases: set[str] = set()
        self.ctes: set[str] = set()
        # What may come next: an operand (else an operator), a table, a new name, a query.
        self.operand = self.query = True
        self.table = self.named = False
        self.any_word = False
        self.fresh_source = False  # the last thing read is a table: an alias may follow
        self.last = ""  # the last word or bracket

    def read(self) -> None:
        while self.place < len(self.tokens):
            kind, text = self.tokens[self.place]
            partial = self.growing and self.place + 1 == len(self.tokens)
            if text == ";":
                return self._end()
            if kind == "word":
                self._word(text.lower(), partial)
            elif kind == "quoted":
                self._quoted(text, partial)
            elif kind == "string":
                self._string(text, partial)
            elif kind == "number":
                self._literal()
            else:
                self._sign(text)
            self.place += 1
        if self.whole:
            self._end()

    def _end(self) -> None:
        scope = self.frames[-1].scope
        if len(self.frames) > 1 or self.operand or self.table or self.named or not scope:
            raise _No
        self._close(scope)

    @property
    def scope(self) -> _Scope | None:
        return next((frame.scope for frame in reversed(self.frames) if frame.scope), None)

    @property
    def clause(self) -> str:
        """The clause in which terms stand side by side; "" inside a function's brackets."""
        frame = self.frames[-1]
        return frame.scope.clause if frame.scope else "from" if frame.table else ""

    def _following(self) -> str:
        after = self.tokens[self.place + 1 : self.place + 2]
        return after[0][1] if after else ""

    # --- signs and literals ---------------------------------------------------------

    def _sign(self, sign: str) -> None:
        self.query = False
        if self.clause == "from" and not (self.table or self.operand or self.named):
            # Behind a table, or its alias; (...) only behind a function such as json_each.
            begins_comment = self.growing and self.place + 1 == len(self.tokens) and sign in "/-"
            allowed = self.last in self.guard.table_functions if sign == "(" else sign in ",)."
            if not allowed and not begins_comment:
                raise _No
        if sign == "(":
            self._open()
        elif sign == ")":
            self._shut()
        elif sign == "." and self.last in _DATABASES and self.table:
            pass
        else:
            if sign == ",":
                self.named = False
                if self.clause in ("from", "on"):
                    self._set_clause("from")
                    self.table = True
            # SELECT *, count(*), t.*: there the star is what an operator is elsewhere.
            self.operand = not self.table and not (sign == "*" and self.operand)
            self.fresh_source = False
            self.last = sign

    def _open(self) -> None:
        frame = self.frames[-1]
        if frame.with_:
            body = self.last in ("as", "materialized")
            inner = _Frame(query=body, free=not body)
        elif self.last == "over" or (self.named and self.clause == "window"):
            inner = _Frame(window=True)
        else:
            inner = _Frame(query=True, table=self.table)
        self.frames.append(inner)
        self.operand, self.query = not inner.table, inner.query
        self.named = self.fresh_source = False
        self.last = "("

    def _shut(self) -> None:
        if len(self.frames) == 1:
            raise _No
        frame = self.frames.pop()
        if frame.scope:
            if self.operand or self.table:
                raise _No
            self._close(frame.scope)
        self.operand = self.table = self.named = False
        self.last = ")"
        self.fresh_source = frame.table and self.scope is not None
        if frame.table and frame.scope and self.scope:
            self.scope.sources.append(("", None))

    def _set_clause(self, clause: str) -> None:
        if self.frames[-1].scope:
            self.frames[-1].scope.clause = clause

    def _literal(self) -> None:
        self.operand = self.named = self.query = self.fresh_source = False
        self.last = ""

    def _string(self, text: str, partial: bool) -> None:
        closed = len(text) > 1 and text.endswith("'")
        if self.whole and not closed:
            raise _No
        if self.table:  # SQLite takes 'singer' for a table there
            self._table(text.strip("'").lower(), partial)
        else:
            self._literal()

    def _quoted(self, text: str, partial: bool) -> None:
        name, closed = _unquoted(text)
        if self.whole and not closed:
            raise _No
        # Behind the closing quote another may come, and make it one within the name.
        partial = partial and not closed
        frame = self.frames[-1]
        self.query = False
        if frame.free or frame.with_ or self.named or self.any_word:
            self._word(name or "?", partial)
        elif self.table:
            self._table(name, partial)
        elif self.operand and self._following() == ".":
            self._qualified(name)
        elif self.operand and text[0] != '"' and not closed:
            self._operand_begins(name)
        elif self.operand and text[0] != '"' and not self._reference("", name):
            raise _No
        else:
            # In double quotes SQLite also takes what names nothing: for a text.
            self._literal()

    # --- words ----------------------------------------------------------------------

    def _word(self, word: str, partial: bool) -> None:
        frame = self.frames[-1]
        before, self.last = self.last, word
        if self.any_word or frame.free:
            self.any_word = False
            self.aliases.add(word)
            return
        if frame.with_ and word not in ("select", "values"):
            if word not in ("recursive", "as", "not", "materialized") and not partial:
                self.ctes.add(word)
            return
        if (self.query and frame.query) or frame.with_:
            if partial and any(start.startswith(word) for start in _QUERY):
                return
            if word in _QUERY:
                return self._begin(word)
        self.query = False
        if not self.scope:
            raise _No
        if self.named:
            self._name(word)
        elif self.table:
            self._table(word, partial)
        elif self.operand:
            self._operand(word, partial, before)
        else:
            self._operator(word, partial, before)

    def _begin(self, word: str) -> None:
        frame = self.frames[-1]
        frame.with_ = word == "with"
        if frame.with_:
            return
        outer = next((f.scope for f in reversed(self.frames[:-1]) if f.scope), None)
        frame.scope = _Scope(
            outer, "select" if word == "select" else word, compound=frame.scope is not None
        )
        self.operand, self.table, self.query = True, False, False

    def _name(self, word: str) -> None:
        """A name that is new here: an alias of a term or of a table."""
        self.aliases.add(word)
        if self.fresh_source and self.scope and self.scope.sources:
            self.scope.sources[-1] = (word, self.scope.sources[-1][1])
        self.named = self.fresh_source = self.operand = False

    def _table(self, word: str, partial: bool) -> None:
        guard, scope = self.guard, self.scope
        if partial:
            if _begins(guard.tables_sorted, word) or any(c.startswith(word) for c in self.ctes):
                return
            raise _No
        if word in _DATABASES and self._following() == ".":
            return
        assert scope
        if word in self.ctes or word in guard.table_functions:
            scope.sources.append((word, None))
        elif word in guard.columns:
            scope.sources.append((word, guard.columns[word]))
        else:
            raise _No
        self.table, self.fresh_source = False, True

    def _operator(self, word: str, partial: bool, before: str) -> None:
        frame, scope, clause = self.frames[-1], self.scope, self.clause
        assert scope
        # An alias may follow a term of the SELECT list and a table, with or without AS.
        alias = clause == "select" or (clause == "from" and self.fresh_source)
        if clause == "from":
            # FROM song GROUP_BY is no alias but a way around a refused GROUP BY; and what is
            # a keyword so far becomes no alias any more.
            if _LIKE_A_KEYWORD.match(word):
                raise _No
            partial = partial and not (frame.scope and word in _ENDS_FROM)
        if partial:
            if alias or frame.window or _begins(_AFTER_WORDS, word):
                return
            raise _No
        if word not in _OPERATORS and word not in _AFTER:
            if not alias:
                raise _No
            return self._name(word)
        if word == "as":
            self.named = True
            return
        self.fresh_source = False
        self.operand = word in _OPERATORS
        if word in ("collate", "indexed"):
            self.any_word = True
        elif word == "join" or word in _JOIN_WORDS:
            if clause not in ("from", "on"):
                raise _No
            self._set_clause("from")
            scope.merged = scope.merged or word == "natural"
            self.table, self.operand = word == "join", False
        elif word in ("on", "using"):
            names = [name for name, _ in scope.sources if name]
            if clause != "from" or len(names) > len(set(names)):
                raise _No  # a table joined to itself needs an alias
            self._set_clause("on")
            scope.merged = scope.merged or word == "using"
        elif word == "from" and clause == "select" and before != "distinct":
            self._set_clause("from")
            self.table, self.operand = True, False
        elif word in _ENDS_FROM and frame.scope:
            self._close(scope)
            self._set_clause(word)
            self.query = word in _COMPOUND

    def _operand(self, word: str, partial: bool, before: str) -> None:
        frame = self.frames[-1]
        if self.clause in _COMPOUND:
            if not "all".startswith(word) or (word != "all" and not partial):
                raise _No
            self.query = True
        elif before in ("group", "order", "partition") and not frame.window:
            if not "by".startswith(word) or (word != "by" and not partial):
                raise _No
        elif before == "over" or self.clause == "window":
            self.operand = partial
        elif frame.window and any(w == word or (partial and w.startswith(word)) for w in _WINDOW):
            pass
        elif before == "(" and (word == "where" or (partial and "where".startswith(word))):
            pass  # FILTER (WHERE ...)
        elif partial:
            self._operand_begins(word)
        elif self._following() == ".":
            self._qualified(word)
        elif word in _BEFORE_OPERAND:
            self.operand = word not in _OPERANDS
        elif self._following() == "(":
            if word not in self.guard.functions:
                raise _No
            self.operand = False
        elif (
            before == "in" and (word in self.guard.columns or word in self.ctes)
        ) or self._reference("", word):
            self.operand = False
        elif word in self.guard.functions and not self._following() and not self.whole:
            self.operand = False  # "count (" is as good as "count("
        else:
            raise _No

    def _operand_begins(self, word: str) -> None:
        guard, scope = self.guard, self.scope
        assert scope
        if _begins(guard.functions_sorted, word):
            return
        if any(name.startswith(word) for name in self.aliases | self.ctes):
            return
        for level in scope.chain():
            if level.open and (_begins(guard.operands_sorted, word) or _is_alias(word)):
                return
            if level.compound and _begins(guard.columns_sorted, word):
                return
            for name, columns in level.sources:
                if name.startswith(word):
                    return
                if columns is None and _begins(guard.columns_sorted, word):
                    return
                for column in columns or ():
                    if column.startswith(word) and not self._ambiguous(column, level):
                        return
        raise _No

    # --- names ------------------------------------------------------------------------

    def _qualified(self, name: str) -> None:
        """`name.column` at this place, as much of it as is there."""
        self.place += 1  # the dot
        column, partial = "", True
        if self.place + 1 < len(self.tokens):
            self.place += 1
            kind, column = self.tokens[self.place]
            partial = self.growing and self.place + 1 == len(self.tokens)
            if column == "*":
                column, partial = "", True
            elif kind == "quoted":
                column, closed = _unquoted(column)
                partial = partial and not closed
            elif kind == "word":
                column = column.lower()
            else:
                raise _No
        elif self.whole:
            raise _No
        if not self._reference(name, column, partial):
            raise _No
        self.operand = self.fresh_source = False
        self.last = ""

    def _reference(self, qualifier: str, column: str, partial: bool = False) -> bool:
        """Whether such a column exists, or may exist once its table has joined."""
        assert self.scope
        for level in self.scope.chain():
            found = self._look(level, qualifier, column, partial)
            if found is not None:
                return found
            if level.open and self._may_come(qualifier, column, partial):
                if not partial:
                    level.wants.append((qualifier, column))
                return True
            if not qualifier and (
                column in self.aliases or (level.compound and column in self.guard.known_columns)
            ):
                return True
        return False

    def _look(
        self, level: _Scope, qualifier: str, column: str, partial: bool = False
    ) -> bool | None:
        """Whether `level` has such a column; None if that is not for it to say."""
        for name, columns in level.sources:
            if qualifier and name != qualifier:
                continue
            if columns is None:
                if qualifier or column in self.guard.known_columns or column in self.aliases:
                    return True
            elif column in columns or (partial and any(c.startswith(column) for c in columns)):
                if qualifier or level.open or not self._ambiguous(column, level):
                    return True
            elif qualifier:
                return False
        return None

    def _may_come(self, qualifier: str, column: str, partial: bool) -> bool:
        """Whether a table that is not named yet may have such a column."""
        guard = self.guard
        if qualifier in guard.columns and qualifier not in self.ctes:
            columns = guard.columns[qualifier]
            return column in columns or (partial and any(c.startswith(column) for c in columns))
        if column in guard.known_columns or (partial and _begins(guard.columns_sorted, column)):
            return True
        return column in self.aliases

    def _ambiguous(self, column: str, level: _Scope) -> bool:
        if level.merged or column in _ROWID or column in self.aliases:
            return False
        return sum(columns is not None and column in columns for _, columns in level.sources) > 1

    def _close(self, scope: _Scope) -> None:
        """No further table joins `scope`: what was named before must be there now."""
        if not scope.open:
            return
        scope.clause = "closed"
        for qualifier, column in scope.wants:
            for level in scope.chain():
                found = self._look(level, qualifier, column)
                if found is None and level.open:
                    level.wants.append((qualifier, column))
                    break
                if found is not None:
                    if not found:
                        raise _No
                    break
            else:
                if qualifier or column not in self.aliases:
                    raise _No
