"""What of a question does a SQL not use? Words and stored values without a part in it, and
phrases ("never", "at most 2") for which it has no construction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from t2sql_tui.core.english import LINKING_STOP_WORDS, NAMES_PHRASE, PHRASES, name_words
from t2sql_tui.core.prompting.schema_linking import matched_words, schema_index
from t2sql_tui.core.types import CheckedQuery, Question, Schema, ValueMatch

EXACT_SCORE = 0.95  # the score from which a stored value is what the question says
VALUE_WEIGHT = 2.0  # the weight of such a value, beside those of words


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a SQL does not use, as of `Reading`: `unused_words`, their share by weight of all
    that name something in the file, and `unmet_phrases`."""

    unused_words: tuple[str, ...] = ()
    unused_share: float = 0.0
    unmet_phrases: tuple[str, ...] = ()


def coverage(
    query: CheckedQuery, schema: Schema, question: Question, values: Sequence[ValueMatch]
) -> Coverage:
    """What of `question` the SQL of `query` does not use. `values` are the stored values that
    the question mentions. Nothing is said of SQL that sqlglot cannot parse."""
    tree = query.tree
    if tree is None:
        return Coverage()
    names = [node.name for node in tree.find_all(exp.Identifier)]
    if any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)):
        tables = [schema.table(table.name) for table in tree.find_all(exp.Table)]
        names += [column.name for table in tables if table for column in table.columns]
    texts = [node.this for node in tree.find_all(exp.Literal) if node.is_string]
    return Coverage(
        *_unused_words(schema, question, values, names, texts),
        unmet_phrases(schema, question.text, query.sql),
    )


def _unused_words(
    schema: Schema,
    question: Question,
    values: Sequence[ValueMatch],
    names: Iterable[str],
    texts: Iterable[str],
) -> tuple[tuple[str, ...], float]:
    """Words and stored values of the question that a SQL with these `names` and `texts` does
    not use, though the schema has the words and a table the values; and their share."""
    index = schema_index(schema)
    texts = [text.strip().lower() for text in texts]
    used = {word for text in (*names, *texts) for word in name_words(text)}
    exact = {match.value.lower() for match in values if match.score >= EXACT_SCORE}
    inside = {word for value in exact for word in name_words(value)}
    asked: dict[str, dict[str, float]] = defaultdict(dict)
    for word, stored, likeness in matched_words(index, question.text):
        if word not in LINKING_STOP_WORDS and word not in inside:
            asked[word][stored] = index.weights[stored] * likeness
    unused: list[str] = []
    missed = total = 0.0
    for word, weights in asked.items():
        most = max(weights.values())
        most_used = max((w for stored, w in weights.items() if stored in used), default=0.0)
        total += most
        missed += most - most_used
        if most_used < most / 2:
            unused.append(word)
    for value in sorted(exact):
        total += VALUE_WEIGHT
        if not any(value in text for text in texts):
            missed += VALUE_WEIGHT
            unused.append(value)
    return tuple(unused), missed / total if total else 0.0


def unmet_phrases(schema: Schema, question: str, sql: str) -> tuple[str, ...]:
    """The phrases of `question` ("never", "more than") for which `sql` has none of the
    constructions that SQL has for them, and "names" where the schema calls something so."""
    called = NAMES_PHRASE.sql
    named = any(called.search(column.name) for table in schema.tables for column in table.columns)
    return tuple(
        asked.group().lower()
        for phrase in ((*PHRASES, NAMES_PHRASE) if named else PHRASES)
        if (asked := phrase.question.search(question)) and not phrase.sql.search(sql)
    )
