"""Schema linking: which tables and columns of a large schema does a question need?

No model and no vectors: words of the question are looked up among the words of the names,
rare words count more (inverse document frequency), and because the tables of one answer are
joined, a group of tables that are linked by keys and explain the question together is worth
more than the same words found here and there. A second look ranks tables once more, when it is
known how likely their neighbours are. What each kind of evidence is worth was fitted on
Spider's training questions (`benchmarks linking --fit`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp, log, sqrt
from operator import mul

from t2sql_tui.core.prompting.value_matching import plain_words
from t2sql_tui.core.types import Column, Question, Schema, Table, ValueMatch

# --- words --------------------------------------------------------------------------

# Where one word ends and the next begins without a space or an underscore: customerName,
# HTTPPort, line2.
_SEAM = re.compile(
    r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)
_ABBREVIATIONS = {
    short: long.split()
    for short, *longs in (
        line.split(maxsplit=1)
        for line in """
        acc account|acct account|addr address|amt amount|apt apartment|attr attribute|avg average
        bal balance|bday birthday|bldg building|cat category|children child|cnt count|ctry country
        cty country|cust customer|dep department|dept department|desc description|dest destination
        div division|dob birth date|doc document|dst destination|emp employee|expr experience
        fname first name|freq frequency|govt government|hosp hospital|hq headquarter|ht height
        img image|info information|inst institution|lang language|lat latitude|lname last name
        lng longitude|loc location|lon longitude|max maximum|men man|mgmt management|mgr manager
        min minimum|mo month|msg message|nat nationality|nbr number|no number|nr number|num number
        ord order|org organization|pct percent|people person|perc percent|pic picture|pop population
        pos position|prod product|pts point|pub publication|qty quantity|ref reference|reg region
        sal salary|sch school|sec section|sem semester|seq sequence|sex gender|spec specification
        src source|std student|stu student|stud student|sup supervisor|tech technical|tel phone
        tot total|trans transaction|txn transaction|uni university|univ university|usr user
        veh vehicle|vol volume|wk week|women woman|wt weight|yr year
        """.replace("|", "\n")
        .strip()
        .split("\n")
    )
    for long in longs
}
# Words of questions that name what is to be done rather than what is stored. They count a
# little, for a table may be called `show`.
_COMMON = frozenset(
    plain_words(
        """a above all also among an and any are as ascending at average be been before below
        between both but by calculate can compute could count descending describe did different
        display do does each either every find for from get give has have having he her him his how
        i id if in is it its least let list many maximum me minimum more most much my name no not
        number of on one only or order ordered our out over per please provide return same she show
        so some sort such sum tell than that the their them then there these they this those to
        together total two us use using value was we were what when where which who whom whose why
        will with would yes you your"""
    )
)
COMMON = 0.25
# Quoted text is a value; that a column is called so as well is chance.
_QUOTED = re.compile(r"(?<!\w)(?:'[^']+'|\"[^\"]+\")(?!\w)")


def words(text: str) -> list[str]:
    """Plain forms (no case, accent, plural or abbreviation): `custAddrs` is customer, address."""
    plain = plain_words(_SEAM.sub(" ", text))
    return [long for word in plain for long in _ABBREVIATIONS.get(word, [word])]


# --- the index of a schema ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Index:
    """Tables are numbered as in the schema.

    `found[word][table]` says whether the word is in the table's name (1 or 0), and the
    largest share that it has of a column's name. `near` are neighbours over keys, `far`
    those two keys away.
    """

    number: dict[str, int]
    names: tuple[tuple[str, ...], ...]
    found: dict[str, dict[int, tuple[float, float]]]
    weight: dict[str, float]
    alike: dict[str, list[str]]
    near: tuple[tuple[int, ...], ...]
    far: tuple[tuple[int, ...], ...]


_HUB = 40  # a table with more neighbours links everything with everything


@lru_cache(4)
def _index(schema: Schema) -> _Index:
    found: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    for at, table in enumerate(schema.tables):
        for word in words(table.name):
            found[word][at] = (1.0, 0.0)
        for column in table.columns:
            parts = set(words(column.name))
            for word in parts:
                name, share = found[word].get(at, (0.0, 0.0))
                found[word][at] = (name, max(share, 1 / len(parts)))
    alike = defaultdict(list)
    for word in found:
        if len(word) >= 4 and word.isalpha():
            alike[word[:4]].append(word)
    near = _neighbours(schema)
    far = [
        {two for one in ones for two in near[one]} - ones - {at} if len(ones) <= _HUB else set()
        for at, ones in enumerate(near)
    ]
    return _Index(
        number={table.name: at for at, table in enumerate(schema.tables)},
        names=tuple(tuple(words(table.name)) for table in schema.tables),
        found=dict(found),
        weight={word: log(1 + len(schema.tables) / len(at)) for word, at in found.items()},
        alike=dict(alike),
        near=tuple(tuple(sorted(ones)) for ones in near),
        far=tuple(tuple(sorted(twos)) for twos in far),
    )


def _neighbours(schema: Schema) -> list[set[int]]:
    place = {table.name.lower(): at for at, table in enumerate(schema.tables)}
    near: list[set[int]] = [set() for _ in schema.tables]
    for at, table in enumerate(schema.tables):
        for link in table.foreign_keys:
            other = place.get(link.table.lower(), at)
            if other != at:
                near[at].add(other)
                near[other].add(at)
    return near


# --- evidence -----------------------------------------------------------------------

_Unit = str  # a word of the question, or a stored value that it mentions


def _likeness(asked: str, stored: str) -> float:
    """1 for the same word, less for words that begin alike (publish, publication), or 0."""
    if asked == stored:
        return 1.0
    longest, shortest = max(len(asked), len(stored)), min(len(asked), len(stored))
    same = next((i for i, (a, b) in enumerate(zip(asked, stored)) if a != b), shortest)
    if same == shortest >= 4:
        return 0.8 if longest - same <= 3 else 0.6
    if same >= 5 and same / longest >= 0.5:
        return 0.6
    if same == 4 and same / longest >= 0.6:
        return 0.5
    return 0.0


def _terms(index: _Index, text: str) -> Iterator[tuple[_Unit, str, float]]:
    """(word of the question, word of the schema, how alike they are in 0..1)"""
    asked = words(_QUOTED.sub(" ", text))
    # `birth date` is also looked up as `birthdate`.
    joined = [a + b for a, b in zip(asked, asked[1:]) if a + b in index.found]
    for word in dict.fromkeys([*asked, *joined]):
        part = COMMON if word in _COMMON else 1.0
        for stored in {word, *index.alike.get(word[:4], ())}:
            if stored in index.found and (likeness := _likeness(word, stored)):
                yield word, stored, likeness * part


@dataclass(slots=True)
class _Evidence:
    """What speaks for one table. `units` says how much of each unit of the question the
    table explains; the sums are by where it was found."""

    units: dict[_Unit, float] = field(default_factory=dict)
    name: dict[str, float] = field(default_factory=dict)  # words of the name, likeness
    columns: dict[_Unit, float] = field(default_factory=dict)
    values: dict[_Unit, float] = field(default_factory=dict)

    def explains(self, unit: _Unit, much: float) -> None:
        _raise(self.units, unit, much)


def _raise(found: dict[str, float], key: str, value: float) -> None:
    if value > found.get(key, 0.0):
        found[key] = value


COLUMN = 0.5  # of what the same word in the table's name would be worth


def _evidence(index: _Index, text: str, values: Sequence[ValueMatch]) -> dict[int, _Evidence]:
    """The tables for which anything speaks."""
    found: dict[int, _Evidence] = defaultdict(_Evidence)
    named: dict[int, dict[_Unit, float]] = defaultdict(dict)
    asked = set()
    for word, stored, likeness in _terms(index, text):
        asked.add(word)
        weight = index.weight[stored] * likeness
        for table, (name, share) in index.found[stored].items():
            if name:
                _raise(named[table], word, weight)
                _raise(found[table].name, stored, likeness)
            _raise(found[table].columns, word, weight * share)
    for table, evidence in found.items():
        # `order` for "orders" rather than `order_status_history`.
        whole = 0.5 + 0.5 * _covered(index, table, evidence)
        for word, weight in named[table].items():
            evidence.explains(word, weight * whole)
        for word, weight in evidence.columns.items():
            evidence.explains(word, weight * COLUMN)
    spread = Counter(value for _, value in {(m.table, m.value.strip().lower()) for m in values})
    for match in values:
        if match.table in index.number:
            evidence = found[index.number[match.table]]
            value = match.value.strip().lower()
            # Squared: many values that are merely like a word are chance.
            weight = match.score**2 * log(1 + len(index.names) / spread[value])
            inside = [word for word in words(value) if word in asked]
            if len(inside) == 1 and inside[0] in _COMMON:
                weight *= COMMON
            evidence.explains(inside[0] if inside else value, weight)
            _raise(evidence.values, value, weight)
    return dict(found)


def _covered(index: _Index, table: int, evidence: _Evidence) -> float:
    """The share of the table's name that the question mentions, rare words counting more."""
    name = index.names[table]
    total = sum(index.weight[word] for word in name)
    return sum(index.weight[w] * evidence.name.get(w, 0.0) for w in name) / total if total else 0.0


# --- tables that are joined ---------------------------------------------------------

SEEDS = 40  # groups that are tried
GROUP = 6  # tables in one, at most
JOIN, BRIDGE = 0.4, 0.4  # what a table must explain to be joined; what one in between costs


def _groups(index: _Index, found: dict[int, _Evidence]) -> dict[int, float]:
    """The worth of the best group that each table is in.

    A group grows from one table, greedily, by the neighbour over keys that explains most of
    what is not explained yet, or by two of them where the first is only on the way: this is
    how a join path is completed.
    """
    totals = {table: sum(evidence.units.values()) for table, evidence in found.items()}
    best: dict[int, float] = {}
    for seed in sorted(totals, key=lambda table: (-totals[table], table))[:SEEDS]:
        group, explained, worth = [seed], dict(found[seed].units), totals[seed]
        while len(group) < GROUP:
            gain, step = max(_steps(index, found, group, explained), default=(0.0, ()))
            if gain <= 0:
                break
            worth += gain
            for table in step:
                group.append(table)
                for unit, much in _units(found, table).items():
                    _raise(explained, unit, much)
        for table in group:
            best[table] = max(best.get(table, 0.0), worth)
    return best


def _units(found: dict[int, _Evidence], table: int) -> dict[_Unit, float]:
    return found[table].units if table in found else {}


def _steps(
    index: _Index, found: dict[int, _Evidence], group: list[int], explained: dict[_Unit, float]
) -> Iterator[tuple[float, tuple[int, ...]]]:
    """What one more table of the neighbourhood, or two, would add."""
    for one in {near for table in group for near in index.near[table]}.difference(group):
        units = _units(found, one)
        gain = _surplus(units, explained)
        yield gain - JOIN, (one,)
        if len(index.near[one]) > _HUB // 4:
            continue
        for two in index.near[one]:
            if two in found and two not in group:
                more = found[two].units
                both = gain + _surplus(more, explained, units)
                yield both - JOIN - BRIDGE, (one, two)


def _surplus(units: dict[_Unit, float], *others: dict[_Unit, float]) -> float:
    """How much `units` explains beyond the best of the others."""
    surplus = 0.0
    for unit, much in units.items():
        known = max(other.get(unit, 0.0) for other in others)
        if much > known:
            surplus += much - known
    return surplus


# --- the other way: what of the question does a SQL not use? -------------------------

EXACT = 0.95  # the score from which a stored value is what the question says
VALUE = 2.0  # the weight of such a value, beside those of words
#: Phrases of a question that ask for one of a few constructions, and what SQL says then, in one
#: way or another. Of the questions of Spider's training set with such a phrase, gold SQL says
#: nothing of the kind in 32 of 3,509, most often because it sorts the wrong way.
_PHRASES = tuple(
    (re.compile(said, re.I), re.compile(sql, re.I | re.S))
    for said, sql in (
        (
            r"\b(?:never|without|neither|nor|not(?! (?:more|less|fewer|only|exceed))|excluding"
            r"|other than|except)\b|\w+n't\b",
            r"\bnot\b|\bexcept\b|!=|<>|null|<\s*1\b|=\s*0\b|'(?:n|f|un|in)",
        ),
        (
            r"(?<!no )(?<!not )\b(?:more|greater|larger|higher|older|longer|bigger|later) than\b"
            r"(?! or equal)|\b(?:at least|no (?:less|fewer) than) (?:\d|two|three|four|five|ten)",
            r">|between|desc|max|\bexcept\b|\bnot\b",
        ),
        (
            r"(?<!no )(?<!not )\b(?:less|fewer|lower|younger|smaller|shorter|earlier) than\b"
            r"|\b(?:at most|no more than) (?:\d|one|once|two|twice|three|four|five|ten)",
            r"<|between|min|\bexcept\b|\bnot\b",
        ),
        (r"\b(?:average|mean)\b", r"avg|average|mean|sum\("),
        (
            r"\b(?:highest|largest|biggest|longest|maximum|greatest|heaviest|tallest)\b",
            r"max|desc|>|most|highest|order by",
        ),
        (r"\btotal\b", r"sum|count|tot|\+"),
        (r"(?<!at )\bmost\b", r"desc|max|most"),
        (
            r"(?<!to )(?<!to the )"
            r"\b(?:lowest|smallest|shortest|minimum|cheapest|lightest|fewest)\b",
            r"min|lowest|order by(?!.*\bdesc\b)|\basc\b|<",
        ),
        (r"\b(?:descending|decreasing)\b", r"desc"),
        (r"\b(?:ascending|increasing|alphabetical(?:ly)?)\b|\bsorted by\b", r"order by"),
        (r"\btop (?:\d|two|three|four|five|ten)", r"limit|rank|top|<"),
        (
            r"\b(?:start|begin|end)(?:s|ning|ing)? with\b"
            r"|\b(?:contain|includ)\w* the (?:letter|(?:sub)?string|word|phrase)\b",
            r"like|glob|substr|instr",
        ),
        (r"\bbetween \d", r"between|>"),
        (r"\beither\b", r"\bor\b|\bunion\b|\bin\b"),
        (r"\bboth\b", r"\bintersect\b|\band\b|\bin\b|,"),
        (r"\brounded\b|\b(?:one|two|three|\d) decimals?\b", r"round|printf|format|cast"),
        (
            r"\b(?:leav(?:e|ing) out|skip|ignore)\b(?! (?:upper |lower )*case)",
            r"\bnot\b|!=|<>|>|\bexcept\b|\bin\b|\bis\b",
        ),
    )
)
# Gold SQL about names lacks these words in 59 of 2,472 such questions.
_NAMES = re.compile(r"\bnames?\b", re.I), re.compile(r"name|title|\*", re.I)


def unused_words(
    schema: Schema,
    question: Question,
    values: Sequence[ValueMatch],
    names: Iterable[str],
    texts: Iterable[str],
) -> tuple[tuple[str, ...], float]:
    """Words and stored values of the question that a SQL with these `names` and `texts` makes
    no use of, though the schema has the words and a table the values; and their share, by
    weight, of all such words and values of the question."""
    index = _index(schema)
    texts = [text.strip().lower() for text in texts]
    used = {word for text in (*names, *texts) for word in words(text)}
    exact = {match.value.lower() for match in values if match.score >= EXACT}
    inside = {word for value in exact for word in words(value)}
    asked: dict[str, dict[str, float]] = defaultdict(dict)
    for word, stored, likeness in _terms(index, question.text):
        if word not in _COMMON and word not in inside:
            asked[word][stored] = index.weight[stored] * likeness
    found: list[str] = []
    missed = total = 0.0
    for word, alike in asked.items():
        most = max(alike.values())
        said = max((much for stored, much in alike.items() if stored in used), default=0.0)
        total += most
        missed += most - said
        if said < most / 2:
            found.append(word)
    for value in sorted(exact):
        total += VALUE
        if not any(value in text for text in texts):
            missed += VALUE
            found.append(value)
    return tuple(found), missed / total if total else 0.0


def unmet_phrases(schema: Schema, question: str, sql: str) -> tuple[str, ...]:
    """The phrases of `question` ("never", "more than") for which `sql` has none of the
    constructions that SQL has for them, and "names" where the schema calls something so."""
    _, called = _NAMES
    named = any(called.search(column.name) for table in schema.tables for column in table.columns)
    return tuple(
        phrase.group().lower()
        for said, construction in ((*_PHRASES, _NAMES) if named else _PHRASES)
        if (phrase := said.search(question)) and not construction.search(sql)
    )


# --- ranking ------------------------------------------------------------------------

# Weights of softmax regressions over the tables of the merged file of Spider's databases, by
# `benchmarks linking spider-train --fit --limit 1500 --seed 7`.
WEIGHTS = {
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
# Once more, when it is known how likely each table is: many tables are called orders, and those
# beside the right customers are meant. The chances count as square roots.
WEIGHTS_AGAIN = {
    **dict(
        zip(
            WEIGHTS,
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
    "chance": -5.212,  # its own
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
    """The features that `WEIGHTS` names, for the tables that can matter, by place in the schema;
    given its values, those of `WEIGHTS_AGAIN`."""
    index = _index(schema)
    found = _evidence(index, _text(question), values)
    groups = _groups(index, found)
    most = max((sum(e.units.values()) for e in found.values()), default=0.0) or 1.0
    best = max(groups.values(), default=0.0) or 1.0
    nothing = _Evidence()
    features = {}
    for table in {*found, *(near for one in found for near in index.near[one])}:
        own = found.get(table, nothing)
        near = _together(found, index.near[table])
        far = _together(found, index.far[table])
        total = sum(own.units.values())
        name = index.names[table]
        features[table] = (
            sum(index.weight[word] * much for word, much in own.name.items()),
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
    return features if weights is None else _again(index, found, features, weights)


def _again(
    index: _Index,
    found: dict[int, _Evidence],
    features: dict[int, tuple[float, ...]],
    weights: Iterable[float],
) -> dict[int, tuple[float, ...]]:
    scores = _scores(features, weights)
    best = max(scores.values(), default=0.0)
    total = sum(exp(score - best) for score in scores.values())
    chances = {table: sqrt(exp(score - best) / total) for table, score in scores.items()}
    again = {}
    for table, own in chances.items():
        near = max(chances.keys() & index.near[table], key=chances.__getitem__, default=None)
        beside, behind, adds = 0.0, _FAR_BEHIND, False
        if near is not None:
            beside, behind = chances[near], max(scores[near] - best, _FAR_BEHIND)
            adds = _surplus(_units(found, table), _units(found, near)) > 0
        again[table] = (*features[table], own, beside, max(own, beside), beside * adds, behind)
    return again


def _scores(features: dict[int, tuple[float, ...]], weights: Iterable[float]) -> dict[int, float]:
    weights = tuple(weights)
    return {table: sum(map(mul, weights, own)) for table, own in features.items()}


def _together(found: dict[int, _Evidence], tables: Iterable[int]) -> dict[_Unit, float]:
    units: dict[_Unit, float] = {}
    for table in tables:
        for unit, much in _units(found, table).items():
            _raise(units, unit, much)
    return units


def rank_tables(schema: Schema, question: Question, values: Sequence[ValueMatch]) -> list[Table]:
    """All tables, those that the question is likeliest to need first.

    Tables that nothing speaks for keep the schema's order, after the others.
    """
    features = table_features(schema, question, values, WEIGHTS.values())
    scores = _scores(features, WEIGHTS_AGAIN.values())
    places = range(len(schema.tables))
    order = sorted(places, key=lambda at: (at not in scores, -scores.get(at, 0.0), at))
    return [schema.tables[at] for at in order]


def rank_columns(table: Table, question: Question, values: Sequence[ValueMatch]) -> list[Column]:
    """The table's columns: keys first, then those that store a mentioned value, then those
    whose names say most of what is asked (a prefix that all columns share says nothing)."""
    linked = {name.lower() for link in table.foreign_keys for name in link.columns}
    stored = {match.column for match in values if match.table == table.name}
    parts = [set(words(column.name)) for column in table.columns]
    spread = Counter(word for part in parts for word in part)
    asked = set(words(_text(question)))

    def rank(at: int) -> tuple:
        column = table.columns[at]
        is_key = column.primary_key > 0 or column.name.lower() in linked
        said = (
            sum(
                log(len(parts) / spread[word]) * max(_likeness(one, word) for one in asked)
                for word in parts[at]
            )
            if asked
            else 0.0
        )
        return not is_key, column.name not in stored, -said, at

    return [table.columns[at] for at in sorted(range(len(parts)), key=rank)]


def _text(question: Question) -> str:
    return "\n".join([question.text, question.evidence, *(t.question for t in question.history)])
