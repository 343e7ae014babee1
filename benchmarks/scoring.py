"""The scores of an answer, for `benchmarks run`, `benchmarks score` and the trainer alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from benchmarks.config import ScoringConfig
from benchmarks.datasets import DataError, Dataset
from benchmarks.metrics import errors, exact_match, execution, hardness, test_suites, text
from benchmarks.metrics.slices import features
from benchmarks.metrics.spider_grammar import OutsideGrammar, SpiderSchema
from benchmarks.realistic import MORE_COLUMNS
from benchmarks.records import Line, PredictedSQL, Prediction, Score
from benchmarks.suites import cache_folder
from t2sql_tui.core.database.database import open_database
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import Example, Schema

#: An answer that is stated less sure than this is doubted.
DOUBTED = 0.5


@dataclass(frozen=True, slots=True)
class TestSuite:
    """Further databases on which an answer must be right. `files_for` gives those of an
    example; `facts` says what the suite is, for the results."""

    __test__ = False  # not pytest's

    files_for: Callable[[Example], Sequence[Path]]
    facts: Mapping[str, Any]


class Scorer:
    """Scores answers to the examples of `dataset`. Not for several threads at once.

    `suite` are the further databases of test-suite accuracy. With `every_candidate` each
    candidate and each reading of a line gets its verdict too.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        keep_distinct: bool = False,
        suite: TestSuite | None = None,
        every_candidate: bool = False,
    ) -> None:
        self.suite = suite
        self._dataset = dataset
        self._keep_distinct = keep_distinct
        self._every_candidate = every_candidate
        self._schemas: dict[str, tuple[Schema, SpiderSchema]] = {}
        self._verdicts: dict[str, execution.ExecutionVerdict] = {}
        self._verdicts_of: Example | None = None

    def scored(self, example: Example, prediction: Prediction) -> Line:
        """`prediction` with its score and, where asked for, a "right" at every candidate and
        reading, from which other ways of choosing among them can be measured without asking
        again."""
        score = self.score(example, prediction)
        line = cast(Line, {**prediction, "score": score})
        if not self._every_candidate:
            return line

        def verdict(sql: str) -> bool:
            return bool(example.gold) and self._verdict(example, sql).correct

        if "candidates" in line:
            line["candidates"] = [{**c, "right": verdict(c["sql"])} for c in line["candidates"]]
        if "readings" in line:
            line["readings"] = [{**r, "right": verdict(r["sql"])} for r in line["readings"]]
        return line

    def score(self, example: Example, prediction: PredictedSQL) -> Score:
        """The verdicts on the SQL, the text and the candidates of `prediction`.

        Raises: DatabaseError if a database does not open.
        """
        if not example.gold:
            return _score_unanswerable(prediction)
        gold, predicted = example.gold, prediction["sql"]
        schema, spider = self._schema(example.database)
        found = self._verdict(example, predicted)
        score: Score = {
            "correct": found.correct,
            "strict": found.strict,
            "suite": self._on_suite(example, predicted, found.correct),
            "runs": found.predicted_runs,
            "gold_fails": found.gold_fails,
            "error": found.error,
            "timed_out": found.timed_out,
            "string": text.same_string(gold, predicted),
            "chatty": text.is_chatty(prediction["text"], predicted),
            "features": features(gold),
            "hardness": None,
            "exact": None,
        }
        _score_by_spiders_rules(score, gold, predicted, spider)
        if example.source == "bird":
            (first, *_) = self._dataset.files[example.database]
            score["bird"] = execution.bird_verdict(gold, predicted, first).correct
        if example.source in MORE_COLUMNS:
            score["more_columns"] = found.more_columns
        if not found.correct and not found.gold_fails:
            score["kind"] = errors.classify(gold, predicted, found, schema)
        # A search may find one answer alone; that question counts all the same.
        if candidates := prediction.get("candidates"):
            score["any"] = found.correct or any(
                self._verdict(example, sql).correct
                for sql in dict.fromkeys(c["sql"] for c in candidates)
                if sql != predicted
            )
        return score

    def _verdict(self, example: Example, predicted: str) -> execution.ExecutionVerdict:
        """The verdict on the example's own database. An answer is often a candidate and a reading
        as well, and runs once: it may take a minute."""
        if example != self._verdicts_of:
            self._verdicts_of, self._verdicts = example, {}
        if predicted not in self._verdicts:
            files = self._dataset.files[example.database]
            self._verdicts[predicted] = self._execute(example, predicted, files)
        return self._verdicts[predicted]

    def _execute(
        self, example: Example, predicted: str, files: Sequence[Path]
    ) -> execution.ExecutionVerdict:
        return execution.verdict_of_any(
            (example.gold, *example.accepted),
            predicted,
            files,
            keep_distinct=self._keep_distinct,
            more_columns=example.source in MORE_COLUMNS,
        )

    def _on_suite(self, example: Example, predicted: str, correct: bool) -> bool | None:
        if self.suite is None:
            return None
        files = self.suite.files_for(example)
        if not correct or not files:
            return correct
        return self._execute(example, predicted, files).correct

    def _schema(self, database: str) -> tuple[Schema, SpiderSchema]:
        if database not in self._schemas:
            with open_database(self._dataset.files[database][0]) as opened:
                schema = opened.schema
            entry = self._dataset.tables.get(database)
            self._schemas[database] = schema, SpiderSchema.from_database(schema, entry)
        return self._schemas[database]


def _score_unanswerable(prediction: PredictedSQL) -> Score:
    """Correct is what was refused (no SQL, or none that passes the check) or doubted."""
    accepted, confidence = prediction.get("accepted", True), prediction.get("confidence")
    refused = not accepted or (confidence is not None and confidence < DOUBTED)
    return {
        "correct": refused,
        "strict": refused,
        "suite": None,
        "runs": bool(accepted),
        "gold_fails": False,
        "error": "",
        "timed_out": False,
        "string": False,
        "chatty": text.is_chatty(prediction["text"], prediction["sql"]),
        "features": features(""),
        "hardness": None,
        "exact": None,
        "answerable": False,
    }


def _score_by_spiders_rules(score: Score, gold: str, predicted: str, schema: SpiderSchema) -> None:
    """Adds hardness and exact set match, where Spider's grammar can read the gold."""
    try:
        level = hardness.hardness(gold, schema)
        match = exact_match.score(gold, predicted, schema)
    except OutsideGrammar:
        return
    score["hardness"] = level
    score["exact"] = match.exact
    score["in_grammar"] = match.in_grammar
    score["components"] = {name: list(part) for name, part in match.components.items()}


def check_libraries() -> None:
    """Raises T2SQLError where the libraries of the metrics are missing, which the app does not
    need: better now than after an hour."""
    missing = [n for n in ("sacrebleu", "rouge_score", "sqlparse") if find_spec(n) is None]
    if missing:
        raise T2SQLError(
            f"The metrics need {', '.join(missing)}.", "Run: pip install 't2sql-tui[bench]'"
        )


# --- test suites --------------------------------------------------------------------


def scorer_for(
    config: ScoringConfig, dataset: Dataset, whole: Dataset, note: Callable[[str], None]
) -> Scorer:
    """The scorer for the examples of `dataset`, which are drawn from `whole`. `note` is called
    before each database whose neighbours are generated.

    Raises: DataError, DatabaseError.
    """
    suite = None
    if config.neighbours and config.suite_databases:
        raise DataError("--neighbours and --suite-databases are two test suites.", "Choose one.")
    if config.suite_databases:
        suite = distilled_suite(whole, config.suite_databases)
    if config.neighbours:
        suite = neighbour_suite(
            whole, config.neighbours, lambda name: note(f"Neighbours of {name} ...")
        )
    return Scorer(
        dataset,
        keep_distinct=config.keep_distinct,
        suite=suite,
        every_candidate=config.score_candidates,
    )


def distilled_suite(dataset: Dataset, folder: Path) -> TestSuite:
    """`folder`/ID/*.sqlite, as the official test suites are laid out.

    Raises: DataError when a database of `dataset` has none.
    """
    files = {name: tuple(sorted((folder / name).glob("*.sqlite"))) for name in dataset.files}
    if missing := [name for name, found in files.items() if not found]:
        raise DataError(
            f"{folder} has no databases for '{missing[0]}'.",
            "It should hold ID/*.sqlite for every database of the suite.",
        )
    facts = {"kind": "distilled", "databases": sum(map(len, files.values()))}
    return TestSuite(lambda example: files[example.database], facts)


def neighbour_suite(
    dataset: Dataset, count: int, on_database: Callable[[str], None] = lambda name: None
) -> TestSuite:
    """`count` generated neighbours of each database, built once and kept in the cache.

    `dataset` is the whole suite, so that a sample of it is judged on the same neighbours.
    `on_database` is called with each name before its neighbours are made.
    """
    golds: dict[str, list[str]] = {}
    for example in dataset.examples:
        golds.setdefault(example.database, []).append(example.gold)
    built = {}
    for name, asked in sorted(golds.items()):
        on_database(name)
        built[name] = test_suites.build(
            dataset.files[name][0], asked, count=count, folder=cache_folder() / "neighbours"
        )
    facts = {
        "kind": "generated",
        "databases": sum(len(suite.files) for suite in built.values()),
        "mutants": sum(suite.mutants for suite in built.values()),
        "killed_by_original": sum(suite.killed_by_original for suite in built.values()),
        "killed": sum(suite.killed for suite in built.values()),
    }
    return TestSuite(lambda e: built[e.database].files_for(e.gold), facts)
