"""The words on agreement, doubt and differences."""

from __future__ import annotations

import pytest

from t2sql_tui.core.answers.describe import (
    agreement,
    asks_which,
    certainty,
    difference,
    same_rows,
    summary,
    tell_apart,
)
from t2sql_tui.core.types import (
    CHECK_KEY,
    Answer,
    Candidate,
    CheckedQuery,
    QueryResult,
    Question,
    Reading,
    Schema,
)

ROWS = QueryResult(("n",), ((1,), (2,)))
WIDER = QueryResult(("name", "n"), (("b", 2), ("a", 1)))


CHECKED = CheckedQuery("SELECT 1", ("1",), (), CHECK_KEY)


def reading(
    votes: int, warnings: tuple[str, ...] = (), result: QueryResult | None = ROWS
) -> Reading:
    sentences = tuple(f"It is {name}." for name in warnings)
    return Reading(
        Candidate("SELECT 1", verdict=CHECKED),
        votes,
        votes / 4,
        warnings,
        result,
        warning_sentences=sentences,
    )


def answer(*readings: Reading, confidence: float | None = None) -> Answer:
    return Answer(
        Question("?"), Candidate("SELECT 1"), (), readings=readings, confidence=confidence
    )


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        ([], ""),
        ([reading(1)], ""),
        ([reading(4)], "4 of 4 candidates agree"),
        ([reading(3), reading(1)], "3 of 4 agree; 1 gives other rows"),
        ([reading(2), reading(1), reading(1)], "2 of 4 agree; 2 give other rows"),
        ([reading(1), reading(1)], "1 of 2 candidates gives these rows; 1 gives other rows"),
        (
            [reading(2), reading(1), reading(1, ("error",), None)],
            "2 of 4 agree; 1 gives other rows, 1 could not be run to the end",
        ),
        (
            [reading(1), reading(1, (), WIDER), reading(2)],
            "1 of 4 candidates gives these columns; "
            "1 shows other columns of the same rows, 2 give other rows",
        ),
        ([reading(2, (), None), reading(2, (), None)], "The 4 candidates could not be compared"),
    ],
)
def test_agreement(readings: list[Reading], words: str) -> None:
    assert agreement(readings) == words


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (1.0, "Sure (99 %)"),
        (0.9, "Sure (90 %)"),
        (0.85, "Sure (85 %)"),
        (0.84, "Likely right (84 %)"),
        (0.7, "Likely right (70 %)"),
        (0.69, "Could be right (69 %)"),
        (0.5, "Could be right (50 %)"),
        (0.49, "Unsure (49 %)"),
        (0.0, "Unsure (1 %)"),
    ],
)
def test_certainty_never_claims_to_know(confidence: float, words: str) -> None:
    assert certainty(confidence) == words


def test_a_single_doubtful_reading_may_mean_that_the_file_cannot_answer() -> None:
    cannot = "This database may not be able to answer the question."
    assert summary(answer(reading(4, ("empty",)), confidence=0.2)) == (
        f"Unsure (20 %) · 4 of 4 candidates agree. It is empty. {cannot}"
    )
    assert summary(answer(reading(4), confidence=0.2)).endswith(
        "Read the SQL before you rely on it."
    )
    assert cannot not in summary(answer(reading(3, ("empty",)), reading(1), confidence=0.2))
    assert summary(answer(reading(1, ("cross-product",)))) == "It is cross-product."
    assert summary(answer()) == ""
    assert summary(answer(confidence=0.95)) == "Sure (95 %)."


def test_differences_count_repeated_rows_and_not_their_order() -> None:
    first = QueryResult(("a",), ((1,), (1,), (None,), ("x",)))
    second = QueryResult(("a",), (("x",), (1,), (b"",)))
    found = difference(first, second)
    assert found.only_first == ((1,), (None,))
    assert found.only_second == ((b"",),)
    assert (found.both, found.compared) == (2, None)
    assert difference(second, first).only_first == found.only_second
    cut = QueryResult(("a",), ((1,),), "rows")
    assert difference(first, cut).compared == 1


@pytest.mark.parametrize(
    ("rows", "same"),
    [
        ((("b", 2), ("a", 1)), True),
        (((2, 2), (1, 1)), True),
        (((1, 1), (2, 1)), True),
        ((("b", 2), ("a", 3)), False),
        ((("b", 2), ("a", 1), ("a", 1)), False),
        (((1,), (2,)), False),  # the very rows: one reading, not two
    ],
)
def test_readings_that_differ_in_columns_alone_are_not_asked_about(rows, same: bool) -> None:
    other = reading(1, (), QueryResult(("c",) * len(rows[0]), rows))
    assert same_rows(reading(1), other) is same_rows(other, reading(1)) is same
    assert asks_which(answer(reading(1), other, confidence=0.3)) is not same
    assert not asks_which(answer(reading(1), other, confidence=0.6))


def test_rows_are_the_same_only_where_it_is_known() -> None:
    def of(rows, limit="") -> Reading:
        return reading(1, (), QueryResult(("c",) * len(rows[0]) if rows else (), rows, limit))

    assert not same_rows(of(((1,), (2,)), "rows"), of(((1, 1), (2, 2))))
    assert not same_rows(of(()), of(((1, 1),)))
    assert not same_rows(of(((5,),)), of(((5, 3),)))  # two numbers may be equal by chance
    assert same_rows(of((("Ann",),)), of((("Ann", 3),)))
    # Both columns hold the same values, but not side by side.
    assert not same_rows(of((("a", 1), ("b", 2))), of((("a", 2, 0), ("b", 1, 0))))


def test_words_tell_readings_apart() -> None:
    plain, where = "SELECT a FROM t", "SELECT a FROM t WHERE b = 1"
    assert tell_apart([plain, where], Schema(())) == [
        "Leaves out: Keeps the rows where b is 1.",
        "Keeps the rows where b is 1.",
    ]
    assert tell_apart([plain, "SELECT a FROM u"], Schema(()))[1] == "Reads u."
    # One explanation for both, or none at all: the SQL itself.
    assert tell_apart([plain, f"{plain} "], Schema(())) == [plain, plain]
    assert tell_apart(["SELECT ((", "nonsense ("], Schema(())) == ["SELECT ((", "nonsense ("]
