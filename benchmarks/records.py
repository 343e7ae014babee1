"""The records of a run: a line of predictions.jsonl, its score, and run.json.

A line is written once and read for years, so keys are renamed here alone: `read_record` gives
lines that an older version wrote the keys of today.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from benchmarks.metrics.slices import Features


class CandidateRecord(TypedDict):
    """One SQL that the model wrote for a question.

    `logprob` is the sum of the log-probabilities of its `tokens` tokens, None where nothing
    measured it; `accepted` says that it passed the check; `right` is its verdict, where every
    candidate was scored.
    """

    sql: str
    logprob: float | None
    tokens: int
    accepted: bool
    right: NotRequired[bool]


class ReadingRecord(TypedDict):
    """Candidates with the same rows, as `t2sql_tui.core.types.Reading` explains its fields."""

    sql: str
    votes: int
    share: float
    warnings: list[str]
    unused_words: list[str]
    unmet_phrases: list[str]
    right: NotRequired[bool]


class Score(TypedDict):
    """The verdicts on one answer.

    `correct` is the official execution accuracy and `strict` the stricter one; `suite` is the
    verdict on the test suite (None without one), `bird` that of BIRD's rule (BIRD's questions
    alone), `any` says that some candidate is correct. `more_columns` is only where columns that
    were not asked for are no fault, and says that a correct answer has such columns.
    `answerable` is there, and False, where the file cannot answer: `correct` then means that the
    answer was refused or doubted. `runs` says that the SQL as written runs,
    `gold_fails` that the gold does not; `error` is why a side did not run. `string` is exact
    string match, `chatty` text beside the SQL. `exact`, `in_grammar`, `components` and
    `hardness` follow Spider's rules; None, or absent, where its grammar cannot read the gold.
    `kind` is the kind of mistake of a wrong answer.
    """

    correct: bool
    strict: bool
    suite: bool | None
    runs: bool
    gold_fails: bool
    error: str
    timed_out: bool
    string: bool
    chatty: bool
    features: Features
    hardness: str | None
    exact: bool | None
    in_grammar: NotRequired[bool]
    components: NotRequired[dict[str, list[Any]]]
    bird: NotRequired[bool]
    kind: NotRequired[str]
    any: NotRequired[bool]
    more_columns: NotRequired[bool]
    answerable: NotRequired[bool]


def rows_are_right(score: Score) -> bool:
    """Does the answer give the right rows, which is what its confidence is the probability of?
    No answer does where the file cannot answer, doubted or not."""
    return bool(score["correct"]) and score.get("answerable", True)


class PredictedSQL(TypedDict):
    """The part of a line that is scored, which is all that other people's files need."""

    sql: str
    text: str
    accepted: NotRequired[bool]
    confidence: NotRequired[float | None]
    candidates: NotRequired[list[CandidateRecord]]
    readings: NotRequired[list[ReadingRecord]]


class Prediction(PredictedSQL):
    """A line of predictions.jsonl before it is scored.

    What follows `gold` is known of answers made by `benchmarks run` alone. `text` is what the
    model wrote and `sql` the SQL taken from it; `prompt_digest` identifies the first prompt
    (`benchmarks.replay.prompt_digest`). `features` are those that `confidence`, the stated
    probability of being right, is made of (core/answers/confidence.py). Times are in seconds;
    tokens and times are sums over the first answer and its `repairs`. `left_out` are tables that
    did not fit into the prompt; `group` is that of the example.
    """

    id: str
    database: str
    question: str
    gold: str
    prompt_digest: NotRequired[str]
    logprob: NotRequired[float | None]
    tokens: NotRequired[int]
    features: NotRequired[dict[str, float]]
    seconds: NotRequired[float]
    first_token_seconds: NotRequired[float]
    generation_seconds: NotRequired[float]
    prompt_tokens: NotRequired[int]
    cached_tokens: NotRequired[int]
    completion_tokens: NotRequired[int]
    finish: NotRequired[Literal["stop", "length", "cancelled"]]
    repairs: NotRequired[int]
    evidence: NotRequired[str]
    group: NotRequired[str]
    left_out: NotRequired[list[str]]


class Line(Prediction):
    """A whole line of predictions.jsonl."""

    score: Score


class RunInfo(TypedDict):
    """run.json: `identity` is everything that must be equal for two lines to belong to one run,
    `provenance` where it was made, `resumed` the provenance of each time it went on."""

    identity: dict[str, Any]
    provenance: dict[str, Any]
    resumed: NotRequired[list[dict[str, Any]]]


# --- older names ----------------------------------------------------------------------

# Until December 2026 the program had words of its own for warnings, rewrites and what of a
# question an SQL does not use. Runs that took hours, and the confidence fitted on them, go on
# counting; so their lines are read under the new names, and nothing but this module knows the
# old ones.
_LINE_KEYS = {"prompt": "prompt_digest"}
_READING_KEYS = {"signs": "warnings", "ignored": "unused_words", "unsaid": "unmet_phrases"}
_FEATURES = {"ignored_share": "unused_share", "mended": "rewritten", "unsaid": "unmet_phrases"}
_FEATURE_PREFIX = ("sign ", "warning ")  # "sign fan-out" is "warning fan-out" now


def read_record(line: dict[str, Any]) -> dict[str, Any]:
    """`line`, as json.loads gave it, with the keys of today."""
    line = _renamed(line, _LINE_KEYS)
    if "features" in line:
        line["features"] = {_feature(name): value for name, value in line["features"].items()}
    if "readings" in line:
        line["readings"] = [_renamed(reading, _READING_KEYS) for reading in line["readings"]]
    return line


def _renamed(record: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in record.items()}


def _feature(name: str) -> str:
    old, new = _FEATURE_PREFIX
    return new + name.removeprefix(old) if name.startswith(old) else _FEATURES.get(name, name)
