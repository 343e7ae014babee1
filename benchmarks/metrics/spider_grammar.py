"""Spider's own little SQL grammar, which decides exact set match and hardness.

The rules are those of `process_sql.py` in taoyds/test-suite-sql-eval, and so are the
limits: no column aliases, no LEFT JOIN, no parentheses around conditions, one direction
for a whole ORDER BY, everything behind the last clause it knows ignored. A better parser
would give other scores than everybody else's, so the quirks are kept and named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from t2sql_tui.core.types import Schema

AGGREGATES = frozenset({"none", "max", "min", "count", "sum", "avg"})
ARITHMETIC = frozenset({"none", "-", "+", "*", "/"})
COMPARISONS = frozenset(
    {"not", "between", "=", ">", "<", ">=", "<=", "!=", "in", "like", "is", "exists"}
)
SET_OPERATORS = ("intersect", "union", "except")
CLAUSES = frozenset({"select", "from", "where", "group", "order", "limit", *SET_OPERATORS})
JOIN_WORDS = frozenset({"join", "on", "as"})
_CLAUSE_END = CLAUSES | {")", ";"}


class OutsideGrammar(ValueError):
    """The text is not in Spider's grammar (it may well be good SQL)."""


class ColumnUnit(NamedTuple):
    """`column` is "table.column" in lower case, or "*"; `aggregate` is "" for none."""

    aggregate: str
    column: str
    distinct: bool = False


class ValueUnit(NamedTuple):
    """A column, or two columns and an arithmetic operator ("" for none)."""

    operator: str
    left: ColumnUnit
    right: ColumnUnit | None = None


class Condition(NamedTuple):
    """`value` and, for BETWEEN, `second` are a number, a quoted text, a column or a query."""

    negated: bool
    operator: str
    left: ValueUnit
    value: Any = None
    second: Any = None


class Output(NamedTuple):
    """An entry of a SELECT list; `aggregate` is "" for none."""

    aggregate: str
    unit: ValueUnit


# Conditions, with "and" or "or" between them.
Conditions = tuple["Condition | str", ...]


def without_connectives(conditions: Conditions) -> tuple[Condition, ...]:
    """The conditions alone, in order."""
    return tuple(item for item in conditions if isinstance(item, Condition))


def connectives(conditions: Conditions) -> tuple[str, ...]:
    """The "and" and "or" between conditions, in order."""
    return tuple(item for item in conditions if isinstance(item, str))


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT. `sources` are table names and queries; `limit` says that there is one
    (the official parser never reads the number); `order` is the direction, which the
    last column sets for all, and the columns. At most one of the set operators is set.
    """

    sources: tuple[str | Query, ...]
    join_on: Conditions
    distinct: bool
    outputs: tuple[Output, ...]
    where: Conditions = ()
    group: tuple[ColumnUnit, ...] = ()
    having: Conditions = ()
    order: tuple[str, tuple[ValueUnit, ...]] | None = None
    limit: bool = False
    intersect: Query | None = None
    union: Query | None = None
    # "except" is a word of Python.
    except_: Query | None = None


@dataclass(frozen=True, slots=True)
class SpiderSchema:
    """Lower-case table and column names, and a representative for columns that foreign
    keys tie together ("table.column" to "table.column")."""

    columns: Mapping[str, tuple[str, ...]]
    shared_keys: Mapping[str, str]

    @classmethod
    def from_tables_json(cls, entry: Mapping[str, Any]) -> SpiderSchema:
        """From one database's entry in Spider's `tables.json`."""
        tables = [name.lower() for name in entry["table_names_original"]]
        columns: dict[str, list[str]] = {table: [] for table in tables}
        names = []
        for table, column in entry["column_names_original"]:
            names.append("*" if table < 0 else f"{tables[table]}.{column.lower()}")
            if table >= 0:
                columns[tables[table]].append(column.lower())
        return cls(
            {table: tuple(names) for table, names in columns.items()},
            _representatives(names, entry["foreign_keys"]),
        )

    @classmethod
    def from_database(cls, schema: Schema, entry: Mapping[str, Any] | None = None) -> SpiderSchema:
        """From the file itself, as the official script does; where the database has an
        `entry` in `tables.json`, the foreign keys come from there."""
        tables = [table for table in schema.tables if table.kind != "view"]
        columns = {
            table.name.lower(): tuple(column.name.lower() for column in table.columns)
            for table in tables
        }
        if entry is not None:
            return cls(columns, cls.from_tables_json(entry).shared_keys)
        names = [f"{table}.{column}" for table in columns for column in columns[table]]
        position = {name: index for index, name in enumerate(names)}
        keys = [
            (position[here], position[there])
            for table in tables
            for key in table.foreign_keys
            if not key.inferred
            for here, there in zip(
                (f"{table.name}.{column}".lower() for column in key.columns),
                (f"{key.table}.{column}".lower() for column in key.ref_columns),
                strict=False,
            )
            if here in position and there in position
        ]
        return cls(columns, _representatives(names, keys))


def _representatives(names: Sequence[str], keys: Iterable[Sequence[int]]) -> dict[str, str]:
    """The first column of each group tied by foreign keys, for every column in it.

    Official rule (`build_foreign_key_map`): a key joins the first group that has either
    end, and two groups are never merged, so the order of the keys matters.
    """
    groups: list[set[int]] = []
    for key in keys:
        group = next((group for group in groups if group.intersection(key)), None)
        if group is None:
            groups.append(group := set())
        group.update(key)
    return {names[member]: names[min(group)] for group in groups for member in group}


def parse(sql: str, schema: SpiderSchema) -> Query:
    """The query as Spider's grammar reads it. Raises: OutsideGrammar."""
    words = tokenize(sql)
    names = {
        words[index + 1]: words[index - 1] for index, word in enumerate(words[:-1]) if word == "as"
    }
    if words[-1:] == ["as"]:
        raise OutsideGrammar("nothing follows AS")
    if clash := names.keys() & schema.columns.keys():
        raise OutsideGrammar(f"an alias has the name of a table: {', '.join(sorted(clash))}")
    names.update((table, table) for table in schema.columns)
    try:
        return _Parser(words, names, schema.columns).query()
    except RecursionError:
        raise OutsideGrammar("nested too deeply") from None


# --- words ------------------------------------------------------------------------

# The official script splits words as English prose, by the Penn Treebank rules of NLTK's
# word_tokenize. These are the rules that can fire once quoted texts are out of the way.
# `a=1` stays one word (and so falls outside the grammar); `a>1` is three.
# A period is a word only where a sentence ends: with the text, or with the statement
# unless it follows a number.
_LAST_PERIOD = re.compile(r"(?<=[^.])\.(?=[])}>\s]*$)|(?<=[^.\d])\.(?=\s*(?:;|--))")
_SEPARATOR = re.compile(r"([:,])(\D|$)")
_WORD_OF_ITS_OWN = re.compile(r"\.{2,}|--|[][(){}<>;@#$%&?!*`«»“”‘’„\u2012-\u2015]")
_CONTRACTION = re.compile(r"\b(?:(can)(not)|(gim)(me)|(gon)(na)|(got)(ta)|(lem)(me))\b", re.I)
_QUOTED = re.compile(r'"[^"]*"')


def tokenize(sql: str) -> list[str]:
    """Lower-case words; quoted texts stay whole, with double quotes whatever they had.

    Raises: OutsideGrammar for an odd number of quotes.
    """
    text = sql.replace("'", '"')
    if text.count('"') % 2:
        raise OutsideGrammar("a quote is not closed")
    quoted: dict[str, str] = {}

    def set_aside(match: re.Match[str]) -> str:
        name = f"__val_{match.start()}_{match.end() - 1}__"
        quoted[name] = match[0]
        return name

    text = _QUOTED.sub(set_aside, text)
    text = _LAST_PERIOD.sub(" . ", text)
    text = _SEPARATOR.sub(r" \1 \2", text)
    text = _WORD_OF_ITS_OWN.sub(r" \g<0> ", text)
    text = _CONTRACTION.sub(lambda match: " ".join(filter(None, match.groups())), text)
    words: list[str] = []
    for word in text.split():
        word = word.lower()
        if word == "=" and words and words[-1] in ("!", ">", "<"):
            words[-1] += "="
        else:
            words.append(quoted.get(word, word))
    return words


# --- grammar ----------------------------------------------------------------------


class _Parser:
    """Recursive descent over `words`. `names` maps aliases and tables to tables: one
    namespace for the whole text, in which a later alias replaces an earlier one."""

    def __init__(
        self,
        words: Sequence[str],
        names: Mapping[str, str],
        columns: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.words = words
        self.names = names
        self.columns = columns
        self.at = 0

    @property
    def word(self) -> str:
        """The word at hand, "" at the end."""
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, *wanted: str) -> str:
        """Step over the word at hand and return it, if it is one of those wanted."""
        if (word := self.word) not in wanted:
            return ""
        self.at += 1
        return word

    def expect(self, *wanted: str) -> str:
        if not (word := self.take(*wanted)):
            raise OutsideGrammar(f"{self.word or 'the end'!r} where {wanted[0]!r} belongs")
        return word

    def query(self) -> Query:
        start = self.at
        bracket = self.take("(")
        select_at = self.at
        # FROM first: it says where an unqualified column may come from. The first FROM in
        # the text counts, even one inside a subquery in the SELECT list.
        try:
            self.at = self.words.index("from", start) + 1
        except ValueError:
            raise OutsideGrammar("there is no FROM") from None
        sources, join_on, tables = self.from_clause()
        after_from, self.at = self.at, select_at
        self.expect("select")
        distinct = bool(self.take("distinct"))
        outputs = self.outputs(tables)
        self.at = after_from
        where = self.conditions(tables) if self.take("where") else ()
        group = self.group_by(tables)
        having = self.conditions(tables) if self.take("having") else ()
        order = self.order_by(tables)
        limit = self.limit()
        self.skip_semicolons()
        if bracket:
            self.expect(")")
        self.skip_semicolons()
        operator = self.take(*SET_OPERATORS)
        second = self.query() if operator else None
        return Query(
            sources,
            join_on,
            distinct,
            outputs,
            where,
            group,
            having,
            order,
            limit,
            intersect=second if operator == "intersect" else None,
            union=second if operator == "union" else None,
            except_=second if operator == "except" else None,
        )

    def skip_semicolons(self) -> None:
        while self.take(";"):
            pass

    def from_clause(self) -> tuple[tuple[str | Query, ...], Conditions, list[str]]:
        sources: list[str | Query] = []
        join_on: Conditions = ()
        tables: list[str] = []
        while self.word:
            bracket = self.take("(")
            if self.word == "select":
                sources.append(self.query())
            else:
                self.take("join")
                tables.append(self.table())
                sources.append(tables[-1])
            if self.take("on"):
                conditions = self.conditions(tables)
                join_on += ("and", *conditions) if join_on else conditions
            if bracket:
                self.expect(")")
            if self.word in _CLAUSE_END:
                break
        return tuple(sources), join_on, tables

    def table(self) -> str:
        table = self.names.get(self.word, "")
        if table not in self.columns:
            raise OutsideGrammar(f"no table {self.word!r}")
        self.at += 1
        if self.word == "as":
            self.at += 2
        return table

    def outputs(self, tables: Sequence[str]) -> tuple[Output, ...]:
        outputs = []
        while self.word and self.word not in CLAUSES:
            outputs.append(Output(_name(self.take(*AGGREGATES)), self.value_unit(tables)))
            self.take(",")
        return tuple(outputs)

    def value_unit(self, tables: Sequence[str]) -> ValueUnit:
        bracket = self.take("(")
        left = self.column_unit(tables)
        operator = self.take(*ARITHMETIC)
        unit = ValueUnit(_name(operator), left, self.column_unit(tables) if operator else None)
        if bracket:
            self.expect(")")
        return unit

    def column_unit(self, tables: Sequence[str]) -> ColumnUnit:
        bracket = self.take("(")
        if aggregate := self.take(*AGGREGATES):
            self.expect("(")
            distinct = bool(self.take("distinct"))
            column = self.column(tables)
            # One closing bracket even where two were opened, as the official parser does.
            self.expect(")")
            return ColumnUnit(_name(aggregate), column, distinct)
        distinct = bool(self.take("distinct"))
        column = self.column(tables)
        if bracket:
            self.expect(")")
        return ColumnUnit("", column, distinct)

    def column(self, tables: Sequence[str]) -> str:
        word = self.word
        self.at += 1
        if word == "*":
            return word
        if "." in word:
            qualifier, _, name = word.partition(".")
            candidates: Iterable[str] = (self.names.get(qualifier, ""),)
        else:
            name = word
            candidates = tables
        for table in candidates:
            if name in self.columns.get(table, ()):
                return f"{table}.{name}"
        raise OutsideGrammar(f"no column {word!r}")

    def conditions(self, tables: Sequence[str]) -> Conditions:
        found: list[Condition | str] = []
        while self.word:
            left = self.value_unit(tables)
            negated = bool(self.take("not"))
            operator = self.expect("=", *COMPARISONS)
            value = self.value(tables)
            second = None
            if operator == "between":
                self.expect("and")
                second = self.value(tables)
            found.append(Condition(negated, operator, left, value, second))
            if self.word in _CLAUSE_END or self.word in JOIN_WORDS:
                break
            if connective := self.take("and", "or"):
                found.append(connective)
            elif self.word:
                # The official lists go out of step here and match nothing in a gold.
                raise OutsideGrammar(f"{self.word!r} where AND or OR belongs")
        return tuple(found)

    def value(self, tables: Sequence[str]) -> Any:
        start = self.at
        bracket = self.take("(")
        word = self.word
        if word == "select":
            value: Any = self.query()
        elif '"' in word:
            value = word
            self.at += 1
        elif (number := _number(word)) is not None:
            value = number
            self.at += 1
        else:
            # A column: the words up to the next separator, of which all but the first
            # few are ignored.
            end = start + bool(bracket)
            stops = CLAUSES | JOIN_WORDS | {",", ")", "and"}
            while end < len(self.words) and self.words[end] not in stops:
                end += 1
            value = _Parser(self.words[start:end], self.names, self.columns).column_unit(tables)
            self.at = end
        if bracket:
            self.expect(")")
        return value

    def group_by(self, tables: Sequence[str]) -> tuple[ColumnUnit, ...]:
        if not self.take("group"):
            return ()
        self.expect("by")
        units = []
        while self.word and self.word not in _CLAUSE_END:
            units.append(self.column_unit(tables))
            if not self.take(","):
                break
        return tuple(units)

    def order_by(self, tables: Sequence[str]) -> tuple[str, tuple[ValueUnit, ...]] | None:
        if not self.take("order"):
            return None
        self.expect("by")
        direction = "asc"
        units = []
        while self.word and self.word not in _CLAUSE_END:
            units.append(self.value_unit(tables))
            direction = self.take("asc", "desc") or direction
            if not self.take(","):
                break
        return direction, tuple(units)

    def limit(self) -> bool:
        if not self.take("limit"):
            return False
        if not self.word:
            raise OutsideGrammar("nothing follows LIMIT")
        self.at += 1
        return True


def _name(word: str) -> str:
    """The grammar has the word "none" for no aggregate and no operator."""
    return "" if word == "none" else word


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
