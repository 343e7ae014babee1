"""Reads the beginning of a SQL and refuses names that cannot become right any more.

A stack automaton over the lexer's tokens, not a parser: it follows parentheses, SELECTs and the
tables that they read, and knows of the grammar only what tells a name from a keyword. All of
the text is read again at every sampled token, which takes about 50 microseconds.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.sql.lexer import IGNORED, tokenize
from t2sql_tui.core.types import Schema

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
_AFTER_OPERAND = frozenset(
    """
    not null isnull notnull asc desc nulls first last end as collate natural left right full
    inner cross outer group order rows range groups unbounded preceding following current row
    exclude ties others no recursive materialized indexed distinct
    """.split()
)
_KEYWORDS = _OPERATORS | _AFTER_OPERAND
_KEYWORDS_SORTED = sorted(_KEYWORDS)
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
# FROM song GROUP_BY: no alias, but a way around a refused GROUP BY.
_LIKE_A_KEYWORD = re.compile(r"(where|group|order|having|limit|union|intersect|except)\w")
# Looks like a table alias that is yet to be bound: t1, s, a2.
_ALIAS = re.compile(r"[a-z]\d{0,2}")

Columns = frozenset[str] | None  # None: of a subquery, nobody listed them


class ConstraintViolation(Exception):
    """This beginning can become nothing right."""


class KnownNames:
    """The names that exist in one file, in lower case; sorted ones to look up beginnings in."""

    def __init__(
        self, schema: Schema, functions: Collection[str], table_functions: Collection[str]
    ) -> None:
        self.columns_of = {
            folded(table.name): frozenset(folded(c.name) for c in table.columns) | _ROWID
            for table in schema.tables
        }
        self.columns = frozenset().union(_ROWID, *self.columns_of.values())
        self.functions = frozenset(name.lower() for name in functions) | {"cast"}
        self.table_functions = frozenset(name.lower() for name in table_functions)
        tables = self.columns_of.keys()
        self.tables_sorted = sorted(tables | self.table_functions | _DATABASES)
        self.columns_sorted = sorted(self.columns)
        self.functions_sorted = sorted(self.functions | _BEFORE_OPERAND)
        self.operands_sorted = sorted(self.columns | tables | self.functions | _BEFORE_OPERAND)


@dataclass
class _Scope:
    """One SELECT. `unresolved` are (qualifier or "", column) named before their tables were."""

    outer: _Scope | None
    clause: str = "select"
    sources: list[tuple[str, Columns]] = field(default_factory=list)
    unresolved: list[tuple[str, str]] = field(default_factory=list)
    merged: bool = False  # USING or NATURAL: an unqualified shared column is not ambiguous
    compound: bool = False  # it follows a UNION: ORDER BY means the whole

    @property
    def open(self) -> bool:
        """Whether more tables may still join it."""
        return self.clause in ("select", "from", "on")

    @property
    def hides_outer(self) -> bool:
        """Whether a column without its table cannot be meant for a SELECT around this one.
        SQLite would take it from there: `IN (SELECT publisher_id FROM power)`, where power has
        no such column, is true of every row. (None of 1,500 gold queries of Spider's does so.)"""
        return bool(self.sources) and not self.open

    def chain(self) -> Iterator[_Scope]:
        scope: _Scope | None = self
        while scope:
            yield scope
            scope = scope.outer


@dataclass
class _Frame:
    """What a parenthesis holds: a query (`scope`), the rest of a WITH, names, or terms."""

    outer: _Scope | None = None  # the SELECT that the parenthesis stands in
    scope: _Scope | None = None
    query: bool = False  # a query may begin here
    table: bool = False  # it stands where a table is expected
    new_names: bool = False  # only new names stand here
    window: bool = False
    in_with: bool = False  # between WITH and its SELECT


def _any_begins(names: list[str], beginning: str) -> bool:
    """Whether one of the sorted `names` begins so."""
    index = bisect_left(names, beginning)
    return index < len(names) and names[index].startswith(beginning)


def _unquoted(text: str) -> tuple[str, bool]:
    """The name in quotes or brackets, in lower case, and whether they are closed."""
    ending = {"[": "]"}.get(text[0], text[0])
    closed = len(text) > 1 and text.endswith(ending)
    return folded(text[1 : -1 if closed else None].replace(ending * 2, ending)), closed


class PrefixReader:
    """Reads one text from left to right.

    With `whole` the text is a whole SQL, else a beginning whose last word may go on.
    """

    def __init__(self, names: KnownNames, text: str, whole: bool) -> None:
        self.names = names
        tokens = tokenize(text)
        self.growing = not whole and bool(tokens) and tokens[-1][0] not in IGNORED
        self.tokens = [token for token in tokens if token[0] not in IGNORED]
        self.whole = whole
        self.index = 0
        self.frames = [_Frame(query=True)]
        self.aliases: set[str] = set()
        self.ctes: set[str] = set()
        # What may come next: an operand (else an operator), a table, a new name, a query.
        self.expects_operand = self.query_allowed = True
        self.expects_table = self.expects_name = False
        self.expects_any_word = False
        self.after_table = False  # the last thing read is a table: an alias may follow
        self.last = ""  # the last word or punctuation

    def read(self) -> None:
        """Raises: ConstraintViolation where the text cannot become a right SQL."""
        while self.index < len(self.tokens):
            kind, text = self.tokens[self.index]
            partial = self.growing and self.index + 1 == len(self.tokens)
            if text == ";":
                return self._end()
            if kind == "word":
                self._word(folded(text), partial)
            elif kind == "quoted":
                self._quoted(text, partial)
            elif kind == "string":
                self._string(text, partial)
            elif kind == "number":
                self._literal()
            else:
                self._punctuation(text)
            self.index += 1
        if self.whole:
            self._end()

    def _end(self) -> None:
        scope = self.frames[-1].scope
        expected = self.expects_operand or self.expects_table or self.expects_name
        if len(self.frames) > 1 or expected or not scope:
            raise ConstraintViolation
        self._close(scope)

    @property
    def scope(self) -> _Scope | None:
        """The innermost SELECT around this position."""
        frame = self.frames[-1]
        return frame.scope or frame.outer

    @property
    def clause(self) -> str:
        """The clause in which terms stand side by side; "" inside a function's parentheses."""
        frame = self.frames[-1]
        return frame.scope.clause if frame.scope else "from" if frame.table else ""

    def _next(self) -> str:
        following = self.tokens[self.index + 1 : self.index + 2]
        return following[0][1] if following else ""

    # --- punctuation and literals ---------------------------------------------------

    def _punctuation(self, text: str) -> None:
        self.query_allowed = False
        if self.clause == "from" and not (
            self.expects_table or self.expects_operand or self.expects_name
        ):
            self._punctuation_after_table(text)
        if text == "(":
            self._open()
        elif text == ")":
            self._shut()
        elif text == "." and self.last in _DATABASES and self.expects_table:
            pass
        else:
            if text == ",":
                self.expects_name = False
                if self.clause in ("from", "on"):
                    self._set_clause("from")
                    self.expects_table = True
            # SELECT *, count(*), t.*: there the star is what an operator is elsewhere.
            star = text == "*" and self.expects_operand
            self.expects_operand = not self.expects_table and not star
            self.after_table = False
            self.last = text

    def _punctuation_after_table(self, text: str) -> None:
        """Only so much stands behind a table or its alias, (...) only behind a function such
        as json_each."""
        if self.growing and self.index + 1 == len(self.tokens) and text in "/-":
            return  # it may begin a comment
        if text not in ",)." and not (text == "(" and self.last in self.names.table_functions):
            raise ConstraintViolation

    def _open(self) -> None:
        frame, outer = self.frames[-1], self.scope
        if frame.in_with:
            body = self.last in ("as", "materialized")
            inner = _Frame(outer, query=body, new_names=not body)
        elif self.last == "over" or (self.expects_name and self.clause == "window"):
            inner = _Frame(outer, window=True)
        else:
            inner = _Frame(outer, query=True, table=self.expects_table)
        self.frames.append(inner)
        self.expects_operand, self.query_allowed = not inner.table, inner.query
        self.expects_name = self.after_table = False
        self.last = "("

    def _shut(self) -> None:
        if len(self.frames) == 1:
            raise ConstraintViolation
        frame = self.frames.pop()
        if frame.scope:
            if self.expects_operand or self.expects_table:
                raise ConstraintViolation
            self._close(frame.scope)
        self.expects_operand = self.expects_table = self.expects_name = False
        self.last = ")"
        self.after_table = frame.table and self.scope is not None
        if frame.table and frame.scope and self.scope:
            self.scope.sources.append(("", None))

    def _set_clause(self, clause: str) -> None:
        if scope := self.frames[-1].scope:
            scope.clause = clause

    def _literal(self) -> None:
        self.expects_operand = self.expects_name = False
        self.query_allowed = self.after_table = False
        self.last = ""

    def _string(self, text: str, partial: bool) -> None:
        closed = len(text) > 1 and text.endswith("'")
        if self.whole and not closed:
            raise ConstraintViolation
        if self.expects_table:  # SQLite takes 'singer' for a table there
            self._table(folded(text.strip("'")), partial)
        else:
            self._literal()

    def _quoted(self, text: str, partial: bool) -> None:
        name, closed = _unquoted(text)
        if self.whole and not closed:
            raise ConstraintViolation
        # Behind the closing quote another may come, and make it one within the name.
        partial = partial and not closed
        frame = self.frames[-1]
        self.query_allowed = False
        if frame.new_names or frame.in_with or self.expects_name or self.expects_any_word:
            self._word(name or "?", partial)
        elif self.expects_table:
            self._table(name, partial)
        elif self.expects_operand and self._next() == ".":
            self._qualified(name)
        elif self.expects_operand and text[0] != '"' and not closed:
            self._operand_begins(name)
        elif self.expects_operand and text[0] != '"' and not self._exists("", name):
            raise ConstraintViolation
        else:
            # In double quotes SQLite also takes what names nothing: for a text.
            self._literal()

    # --- words ----------------------------------------------------------------------

    def _word(self, word: str, partial: bool) -> None:
        frame = self.frames[-1]
        before, self.last = self.last, word
        if self.expects_any_word or frame.new_names:
            self.expects_any_word = False
            self.aliases.add(word)
            return
        if frame.in_with and word not in ("select", "values"):
            if word not in ("recursive", "as", "not", "materialized") and not partial:
                self.ctes.add(word)
            return
        if (self.query_allowed and frame.query) or frame.in_with:
            if partial and any(start.startswith(word) for start in _QUERY):
                return
            if word in _QUERY:
                return self._begin_query(word)
        self.query_allowed = False
        if not self.scope:
            raise ConstraintViolation
        if self.expects_name:
            self._new_name(word)
        elif self.expects_table:
            self._table(word, partial)
        elif self.expects_operand:
            self._operand(word, partial, before)
        else:
            self._operator(word, partial, before)

    def _begin_query(self, word: str) -> None:
        frame = self.frames[-1]
        frame.in_with = word == "with"
        if frame.in_with:
            return
        frame.scope = _Scope(frame.outer, word, compound=frame.scope is not None)
        self.expects_operand, self.expects_table, self.query_allowed = True, False, False

    def _new_name(self, word: str) -> None:
        """An alias of a term or of a table."""
        self.aliases.add(word)
        if self.after_table and self.scope and self.scope.sources:
            self.scope.sources[-1] = (word, self.scope.sources[-1][1])
        self.expects_name = self.after_table = self.expects_operand = False

    def _table(self, word: str, partial: bool) -> None:
        names, scope = self.names, self.scope
        if partial:
            if _any_begins(names.tables_sorted, word) or any(c.startswith(word) for c in self.ctes):
                return
            raise ConstraintViolation
        if word in _DATABASES and self._next() == ".":
            return
        if scope is None:  # no SELECT has begun: WITH a AS (`x`
            raise ConstraintViolation
        if word in self.ctes or word in names.table_functions:
            scope.sources.append((word, None))
        elif word in names.columns_of:
            scope.sources.append((word, names.columns_of[word]))
        else:
            raise ConstraintViolation
        self.expects_table, self.after_table = False, True

    # --- operators and keywords -------------------------------------------------------

    def _operator(self, word: str, partial: bool, before: str) -> None:
        frame, clause = self.frames[-1], self.clause
        # An alias may follow a term of the SELECT list and a table, with or without AS.
        alias = clause == "select" or (clause == "from" and self.after_table)
        if clause == "from":
            if _LIKE_A_KEYWORD.match(word):
                raise ConstraintViolation
            # What is a keyword so far becomes no alias any more.
            partial = partial and not (frame.scope and word in _ENDS_FROM)
        if partial:
            if alias or frame.window or _any_begins(_KEYWORDS_SORTED, word):
                return
            raise ConstraintViolation
        if word not in _KEYWORDS:
            if not alias:
                raise ConstraintViolation
            return self._new_name(word)
        if word == "as":
            self.expects_name = True
            return
        self.after_table = False
        self.expects_operand = word in _OPERATORS
        self._keyword(word, before)

    def _keyword(self, word: str, before: str) -> None:
        """A keyword that changes the clause or what may follow."""
        frame, scope, clause = self.frames[-1], self.scope, self.clause
        if scope is None:  # no SELECT has begun: WITH a AS (`x`
            raise ConstraintViolation
        if word in ("collate", "indexed"):
            self.expects_any_word = True
        elif word == "join" or word in _JOIN_WORDS:
            if clause not in ("from", "on"):
                raise ConstraintViolation
            self._set_clause("from")
            scope.merged = scope.merged or word == "natural"
            self.expects_table, self.expects_operand = word == "join", False
        elif word in ("on", "using"):
            names = [name for name, _ in scope.sources if name]
            if clause != "from" or len(names) > len(set(names)):
                raise ConstraintViolation  # a table joined to itself needs an alias
            self._set_clause("on")
            scope.merged = scope.merged or word == "using"
        elif word == "from" and clause == "select" and before != "distinct":
            self._set_clause("from")
            self.expects_table, self.expects_operand = True, False
        elif word in _ENDS_FROM and frame.scope:
            self._close(scope)
            self._set_clause(word)
            self.query_allowed = word in _COMPOUND

    # --- operands ---------------------------------------------------------------------

    def _operand(self, word: str, partial: bool, before: str) -> None:
        window = self.frames[-1].window

        def is_word(wanted: str) -> bool:
            return word == wanted or (partial and wanted.startswith(word))

        if self.clause in _COMPOUND:
            if not is_word("all"):
                raise ConstraintViolation
            self.query_allowed = True
        elif before in ("group", "order", "partition") and not window:
            if not is_word("by"):
                raise ConstraintViolation
        elif before == "over" or self.clause == "window":
            self.expects_operand = partial
        elif window and any(map(is_word, _WINDOW)):
            pass
        elif before == "(" and is_word("where"):
            pass  # FILTER (WHERE ...)
        elif partial:
            self._operand_begins(word)
        elif self._next() == ".":
            self._qualified(word)
        else:
            self._whole_operand(word, before)

    def _whole_operand(self, word: str, before: str) -> None:
        following = self._next()
        if word in _BEFORE_OPERAND:
            self.expects_operand = word not in _OPERANDS
            return
        if following == "(":
            known = word in self.names.functions
        else:
            table = before == "in" and (word in self.names.columns_of or word in self.ctes)
            # "count (" is as good as "count(".
            function = word in self.names.functions and not following and not self.whole
            known = table or self._exists("", word) or function
        if not known:
            raise ConstraintViolation
        self.expects_operand = False

    def _operand_begins(self, word: str) -> None:
        names, scope = self.names, self.scope
        if scope is None:  # no SELECT has begun: WITH a AS (`x`
            raise ConstraintViolation
        if _any_begins(names.functions_sorted, word):
            return
        if any(name.startswith(word) for name in self.aliases | self.ctes):
            return
        hidden = False
        for level in scope.chain():
            if self._may_qualify(level, word) if hidden else self._may_begin(level, word):
                return
            hidden = hidden or level.hides_outer
        raise ConstraintViolation

    def _may_qualify(self, level: _Scope, word: str) -> bool:
        """Whether what `level` calls a table, or may yet, begins so."""
        if level.open and (_any_begins(self.names.tables_sorted, word) or _ALIAS.fullmatch(word)):
            return True
        return any(name.startswith(word) for name, _ in level.sources)

    def _may_begin(self, level: _Scope, word: str) -> bool:
        """Whether a name that `level` knows of, or may still join, begins so."""
        names = self.names
        if level.open and (_any_begins(names.operands_sorted, word) or _ALIAS.fullmatch(word)):
            return True
        if level.compound and _any_begins(names.columns_sorted, word):
            return True
        for name, columns in level.sources:
            if name.startswith(word):
                return True
            if columns is None and _any_begins(names.columns_sorted, word):
                return True
            for column in columns or ():
                if column.startswith(word) and not self._ambiguous(column, level):
                    return True
        return False

    def _qualified(self, name: str) -> None:
        """`name.column` at this position, as much of it as has been written."""
        self.index += 1  # the dot
        column, partial = "", True
        if self.index + 1 < len(self.tokens):
            self.index += 1
            kind, column = self.tokens[self.index]
            partial = self.growing and self.index + 1 == len(self.tokens)
            if column == "*":
                column, partial = "", True
            elif kind == "quoted":
                column, closed = _unquoted(column)
                partial = partial and not closed
            elif kind == "word":
                column = folded(column)
            else:
                raise ConstraintViolation
        elif self.whole:
            raise ConstraintViolation
        if not self._exists(name, column, partial):
            raise ConstraintViolation
        self.expects_operand = self.after_table = False
        self.last = ""

    # --- which columns exist ------------------------------------------------------------

    def _exists(self, qualifier: str, column: str, partial: bool = False) -> bool:
        """Whether such a column exists, or may exist once its table has joined."""
        if self.scope is None:
            raise ConstraintViolation
        for level in self.scope.chain():
            found = self._find(level, qualifier, column, partial)
            if found is not None:
                return found
            if level.open and self._may_come(qualifier, column, partial):
                if not partial:
                    level.unresolved.append((qualifier, column))
                return True
            if not qualifier and (
                column in self.aliases or (level.compound and column in self.names.columns)
            ):
                return True
            if not qualifier and level.hides_outer:
                return False
        return False

    def _find(
        self, level: _Scope, qualifier: str, column: str, partial: bool = False
    ) -> bool | None:
        """Whether `level` has such a column; None if that is not for it to say."""
        for name, columns in level.sources:
            if qualifier and name != qualifier:
                continue
            if columns is None:
                if qualifier or column in self.names.columns or column in self.aliases:
                    return True
            elif column in columns or (partial and any(c.startswith(column) for c in columns)):
                if qualifier or level.open or not self._ambiguous(column, level):
                    return True
            elif qualifier:
                return False
        return None

    def _may_come(self, qualifier: str, column: str, partial: bool) -> bool:
        """Whether a table that is not named yet may have such a column."""
        names = self.names
        if qualifier and qualifier in names.columns_of and qualifier not in self.ctes:
            columns = names.columns_of[qualifier]
            return column in columns or (partial and any(c.startswith(column) for c in columns))
        if column in names.columns or (partial and _any_begins(names.columns_sorted, column)):
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
        for qualifier, column in scope.unresolved:
            if not self._resolved(scope, qualifier, column):
                raise ConstraintViolation

    def _resolved(self, scope: _Scope, qualifier: str, column: str) -> bool:
        """Whether a column exists in `scope` or around it, or may exist there later."""
        for level in scope.chain():
            found = self._find(level, qualifier, column)
            if found is not None:
                return found
            if level.open:
                level.unresolved.append((qualifier, column))
                return True
            if not qualifier and level.hides_outer:
                break
        return not qualifier and column in self.aliases
