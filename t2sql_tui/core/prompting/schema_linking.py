"""Schema linking: which tables and columns of a large schema does a question need?

No model and no vectors: words of the question are looked up among the words of the names,
rare words count more (inverse document frequency), and because the tables of one answer are
joined, a group of tables that are linked by keys and explain the question together is worth
more than the same words found here and there. A second pass ranks tables once more, knowing
how likely their neighbours are. What each kind of evidence is worth was fitted on
Spider's training questions (`benchmarks linking --fit`).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp, log, sqrt
from operator import mul

from t2sql_tui.core.english import LINKING_STOP_WORDS, name_words
from t2sql_tui.core.identifiers import folded
from t2sql_tui.core.types import Column, Question, Schema, Table, ValueMatch

# Quoted text is a value; that a column is called so as well is chance.
_QUOTED = re.compile(r"(?<!\w)(?:'[^']+'|\"[^\"]+\")(?!\w)")
STOP_WORD_WEIGHT = 0.25  # of that of other words

# --- the index of a schema ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SchemaIndex:
    """The words of a schema's names and its tables' neighbours. Tables are numbered as in the
    schema, `numbers` by their names; `names` are the words of their names.

    `tables[word][number]` says whether the word is in the table's name (1 or 0), and the
    largest share that it has of a column's name. `weights` are inverse document frequencies,
    `beginnings` the words that begin with the same four letters. `near` are neighbours over
    keys, `far` those two keys away.
    """

    numbers: dict[str, int]
    names: tuple[tuple[str, ...], ...]
    tables: dict[str, dict[int, tuple[float, float]]]
    weights: dict[str, float]
    beginnings: dict[str, list[str]]
    near: tuple[tuple[int, ...], ...]
    far: tuple[tuple[int, ...], ...]


_HUB = 40  # a table with more neighbours links everything with everything


@lru_cache(4)
def schema_index(schema: Schema) -> SchemaIndex:
    """The index of a schema; the last few are kept."""
    tables: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    for number, table in enumerate(schema.tables):
        for word in name_words(table.name):
            tables[word][number] = (1.0, 0.0)
        for column in table.columns:
            parts = set(name_words(column.name))
            for word in parts:
                in_name, share = tables[word].get(number, (0.0, 0.0))
                tables[word][number] = (in_name, max(share, 1 / len(parts)))
    beginnings = defaultdict(list)
    for word in tables:
        if len(word) >= 4 and word.isalpha():
            beginnings[word[:4]].append(word)
    near = _neighbours(schema)
    far = [
        {two for one in ones for two in near[one]} - ones - {number} if len(ones) <= _HUB else set()
        for number, ones in enumerate(near)
    ]
    return SchemaIndex(
        numbers={table.name: number for number, table in enumerate(schema.tables)},
        names=tuple(tuple(name_words(table.name)) for table in schema.tables),
        tables=dict(tables),
        weights={word: log(1 + len(schema.tables) / len(of)) for word, of in tables.items()},
        beginnings=dict(beginnings),
        near=tuple(tuple(sorted(ones)) for ones in near),
        far=tuple(tuple(sorted(twos)) for twos in far),
    )


def _neighbours(schema: Schema) -> list[set[int]]:
    numbers = {folded(table.name): number for number, table in enumerate(schema.tables)}
    near: list[set[int]] = [set() for _ in schema.tables]
    for number, table in enumerate(schema.tables):
        for key in table.foreign_keys:
            other = numbers.get(folded(key.table), number)
            if other != number:
                near[number].add(other)
                near[other].add(number)
    return near


# --- evidence -----------------------------------------------------------------------

_Unit = str  # a word of the question, or a stored value that it mentions


def _likeness(asked: str, stored: str) -> float:
    """1 for the same word, less for words that begin alike (publish, publication), or 0."""
    if asked == stored:
        return 1.0
    longest, shortest = max(len(asked), len(stored)), min(len(asked), len(stored))
    same = next(
        (i for i, (a, b) in enumerate(zip(asked, stored, strict=False)) if a != b), shortest
    )
    if same == shortest >= 4:
        return 0.8 if longest - same <= 3 else 0.6
    if same >= 5 and same / longest >= 0.5:
        return 0.6
    if same == 4 and same / longest >= 0.6:
        return 0.5
    return 0.0


def matched_words(index: SchemaIndex, text: str) -> Iterator[tuple[str, str, float]]:
    """Yields (word of the question, word of the schema, how alike they are in 0..1)."""
    asked = name_words(_QUOTED.sub(" ", text))
    # `birth date` is also looked up as `birthdate`.
    joined = [a + b for a, b in itertools.pairwise(asked) if a + b in index.tables]
    for word in dict.fromkeys([*asked, *joined]):
        weight = STOP_WORD_WEIGHT if word in LINKING_STOP_WORDS else 1.0
        for stored in dict.fromkeys((word, *index.beginnings.get(word[:4], ()))):
            if stored in index.tables and (likeness := _likeness(word, stored)):
                yield word, stored, likeness * weight


@dataclass(slots=True)
class _Evidence:
    """What speaks for one table. `units` says how much of each unit of the question the
    table explains; the sums are by where it was found."""

    units: dict[_Unit, float] = field(default_factory=dict)
    name: dict[str, float] = field(default_factory=dict)  # words of the name, likeness
    columns: dict[_Unit, float] = field(default_factory=dict)
    values: dict[_Unit, float] = field(default_factory=dict)


def keep_max(largest: dict[str, float], key: str, value: float) -> None:
    """Set `largest[key]` to `value` where that is larger (a missing key counts as 0)."""
    if value > largest.get(key, 0.0):
        largest[key] = value


COLUMN_WEIGHT = 0.5  # of what the same word in the table's name would be worth


def _evidence(index: SchemaIndex, text: str, values: Sequence[ValueMatch]) -> dict[int, _Evidence]:
    """The evidence for each table that has any."""
    evidence: dict[int, _Evidence] = defaultdict(_Evidence)
    named: dict[int, dict[_Unit, float]] = defaultdict(dict)
    asked = set()
    for word, stored, likeness in matched_words(index, text):
        asked.add(word)
        weight = index.weights[stored] * likeness
        for table, (in_name, share) in index.tables[stored].items():
            if in_name:
                keep_max(named[table], word, weight)
                keep_max(evidence[table].name, stored, likeness)
            keep_max(evidence[table].columns, word, weight * share)
    for table, own in evidence.items():
        # `order` for "orders" rather than `order_status_history`.
        whole = 0.5 + 0.5 * _covered(index, table, own)
        for word, weight in named[table].items():
            keep_max(own.units, word, weight * whole)
        for word, weight in own.columns.items():
            keep_max(own.units, word, weight * COLUMN_WEIGHT)
    spread = Counter(value for _, value in {(m.table, m.value.strip().lower()) for m in values})
    for match in values:
        if match.table in index.numbers:
            own = evidence[index.numbers[match.table]]
            value = match.value.strip().lower()
            # Squared: many values that are merely like a word are chance.
            weight = match.score**2 * log(1 + len(index.names) / spread[value])
            inside = [word for word in name_words(value) if word in asked]
            if len(inside) == 1 and inside[0] in LINKING_STOP_WORDS:
                weight *= STOP_WORD_WEIGHT
            keep_max(own.units, inside[0] if inside else value, weight)
            keep_max(own.values, value, weight)
    return dict(evidence)


def _covered(index: SchemaIndex, table: int, own: _Evidence) -> float:
    """The share of the table's name that the question mentions, rare words counting more."""
    name = index.names[table]
    total = sum(index.weights[word] for word in name)
    return sum(index.weights[w] * own.name.get(w, 0.0) for w in name) / total if total else 0.0


# --- tables that are joined ---------------------------------------------------------

SEEDS = 40  # groups that are tried
GROUP_TABLES = 6  # tables in one, at most
JOIN_COST = 0.4  # what a table must explain to be joined
BRIDGE_COST = 0.4  # what a table in between costs


def _groups(index: SchemaIndex, evidence: dict[int, _Evidence]) -> dict[int, float]:
    """The worth of the best group that each table is in.

    A group grows from one table, greedily, by the neighbour over keys that explains most of
    what is not explained yet, or by two of them where the first is only on the way: this is
    how a join path is completed.
    """
    totals = {table: sum(own.units.values()) for table, own in evidence.items()}
    best: dict[int, float] = {}
    for seed in sorted(totals, key=lambda table: (-totals[table], table))[:SEEDS]:
        group, explained, worth = [seed], dict(evidence[seed].units), totals[seed]
        while len(group) < GROUP_TABLES:
            gain, step = max(_steps(index, evidence, group, explained), default=(0.0, ()))
            if gain <= 0:
                break
            worth += gain
            for table in step:
                group.append(table)
                for unit, amount in _units(evidence, table).items():
                    keep_max(explained, unit, amount)
        for table in group:
            best[table] = max(best.get(table, 0.0), worth)
    return best


def _units(evidence: dict[int, _Evidence], table: int) -> dict[_Unit, float]:
    return evidence[table].units if table in evidence else {}


def _steps(
    index: SchemaIndex,
    evidence: dict[int, _Evidence],
    group: list[int],
    explained: dict[_Unit, float],
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """What one more table of the neighbourhood, or two, would add."""
    for one in {near for table in group for near in index.near[table]}.difference(group):
        units = _units(evidence, one)
        gain = _surplus(units, explained)
        yield gain - JOIN_COST, (one,)
        if len(index.near[one]) > _HUB // 4:
            continue
        for two in index.near[one]:
            if two in evidence and two not in group:
                both = gain + _surplus(evidence[two].units, explained, units)
                yield both - JOIN_COST - BRIDGE_COST, (one, two)


def _surplus(units: dict[_Unit, float], *others: dict[_Unit, float]) -> float:
    """How much `units` explains beyond the best of the others."""
    surplus = 0.0
    for unit, amount in units.items():
        explained = max(other.get(unit, 0.0) for other in others)
        if amount > explained:
            surplus += amount - explained
    return surplus


# --- ranking ------------------------------------------------------------------------

# Weights of softmax regressions over the tables of the merged file of Spider's databases, by
# `benchmarks linking spider-train --fit --limit 1500 --seed 7`.
FIRST_PASS_WEIGHTS = {
    "name": -0.012,  # words in the table's name
    "columns": 0.232,  # words in its columns' names
    "values": -0.029,  # stored values
    "stores": -0.542,  # whether it stores any value
    "covered": -1.0,  # the share of its name that the question mentions
    "head": 1.967,  # whether that is the last word: `customer_orders` are orders
    "total": 0.489,  # all it explains
    "share": 1.744,  # the same, relative to the best table
    "near": 0.53,  # what neighbours over keys explain beyond that
    "far": 0.395,  # and tables two keys away
    "links": -0.302,  # how many neighbours it has (square root)
    "grouped": 0.433,  # whether it is in a group
    "group": 0.998,  # the worth of its best group, relative to the best of all
}
# The second pass knows how likely each table was in the first: many tables are called orders, and
# those beside the right customers are meant. The probabilities count as square roots.
SECOND_PASS_WEIGHTS = {
    **dict(
        zip(
            FIRST_PASS_WEIGHTS,
            (
                -0.077,
                0.306,
                -0.124,
                -0.604,
                -1.666,
                2.818,
                0.517,
                2.099,
                0.445,
                0.272,
                -0.521,
                -0.131,
                1.028,
            ),
            strict=True,
        )
    ),
    "chance": -5.212,  # its own probability
    "beside": -4.362,  # of the likeliest neighbour over keys
    "either": 4.277,  # the larger of both
    "adds": 1.978,  # the neighbour's, if the table explains anything beyond it
    "behind": 0.32,  # how far the neighbour's score is behind the best of all (up to 8)
}
_FAR_BEHIND = -8.0


def table_features(
    schema: Schema,
    question: Question,
    values: Sequence[ValueMatch],
    weights: Iterable[float] | None = None,
) -> dict[int, tuple[float, ...]]:
    """The features that `FIRST_PASS_WEIGHTS` names, for the tables that can matter, by their
    number in the schema; given the first pass's weights, those of `SECOND_PASS_WEIGHTS`."""
    index = schema_index(schema)
    evidence = _evidence(index, _text(question), values)
    groups = _groups(index, evidence)
    most = max((sum(e.units.values()) for e in evidence.values()), default=0.0) or 1.0
    best = max(groups.values(), default=0.0) or 1.0
    nothing = _Evidence()
    features: dict[int, tuple[float, ...]] = {}
    for table in {*evidence, *(near for one in evidence for near in index.near[one])}:
        own = evidence.get(table, nothing)
        near = _together(evidence, index.near[table])
        far = _together(evidence, index.far[table])
        total = sum(own.units.values())
        name = index.names[table]
        features[table] = (
            sum(index.weights[word] * likeness for word, likeness in own.name.items()),
            sum(own.columns.values()),
            sum(own.values.values()),
            float(bool(own.values)),
            _covered(index, table, own),
            own.name.get(name[-1], 0.0) if name else 0.0,
            total,
            total / most,
            _surplus(near, own.units),
            _surplus(far, own.units, near),
            sqrt(len(index.near[table])),
            float(table in groups),
            groups.get(table, 0.0) / best,
        )
    return features if weights is None else _second_pass(index, evidence, features, weights)


def _second_pass(
    index: SchemaIndex,
    evidence: dict[int, _Evidence],
    features: dict[int, tuple[float, ...]],
    weights: Iterable[float],
) -> dict[int, tuple[float, ...]]:
    scores = _scores(features, weights)
    best = max(scores.values(), default=0.0)
    total = sum(exp(score - best) for score in scores.values())
    likely = {table: sqrt(exp(score - best) / total) for table, score in scores.items()}
    second = {}
    for table, own in likely.items():
        near = max(likely.keys() & index.near[table], key=likely.__getitem__, default=None)
        beside, behind, adds = 0.0, _FAR_BEHIND, False
        if near is not None:
            beside, behind = likely[near], max(scores[near] - best, _FAR_BEHIND)
            adds = _surplus(_units(evidence, table), _units(evidence, near)) > 0
        second[table] = (*features[table], own, beside, max(own, beside), beside * adds, behind)
    return second


def _scores(features: dict[int, tuple[float, ...]], weights: Iterable[float]) -> dict[int, float]:
    weights = tuple(weights)
    return {table: sum(map(mul, weights, own)) for table, own in features.items()}


def _together(evidence: dict[int, _Evidence], tables: Iterable[int]) -> dict[_Unit, float]:
    units: dict[_Unit, float] = {}
    for table in tables:
        for unit, amount in _units(evidence, table).items():
            keep_max(units, unit, amount)
    return units


def rank_tables(schema: Schema, question: Question, values: Sequence[ValueMatch]) -> list[Table]:
    """All tables, those that the question is likeliest to need first.

    Tables that nothing speaks for keep the schema's order, after the others.
    """
    features = table_features(schema, question, values, FIRST_PASS_WEIGHTS.values())
    scores = _scores(features, SECOND_PASS_WEIGHTS.values())
    order = sorted(
        range(len(schema.tables)),
        key=lambda number: (number not in scores, -scores.get(number, 0.0), number),
    )
    return [schema.tables[number] for number in order]


def rank_columns(table: Table, question: Question, values: Sequence[ValueMatch]) -> list[Column]:
    """The table's columns: keys first, then those that store a mentioned value, then those
    whose names say most of what is asked (a prefix that all columns share says nothing)."""
    linked = {folded(name) for key in table.foreign_keys for name in key.columns}
    stored = {match.column for match in values if match.table == table.name}
    parts = [set(name_words(column.name)) for column in table.columns]
    spread = Counter(word for part in parts for word in part)
    asked = set(name_words(_text(question)))

    def rank(number: int) -> tuple[bool, bool, float, int]:
        column = table.columns[number]
        is_key = column.primary_key > 0 or folded(column.name) in linked
        likeness = sum(
            log(len(parts) / spread[word])
            * max((_likeness(one, word) for one in asked), default=0.0)
            for word in parts[number]
        )
        return not is_key, column.name not in stored, -likeness, number

    return [table.columns[number] for number in sorted(range(len(parts)), key=rank)]


def _text(question: Question) -> str:
    return "\n".join([question.text, question.evidence, *(t.question for t in question.history)])
