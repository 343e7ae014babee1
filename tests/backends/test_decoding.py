"""Decoding over a language small enough to search it whole."""

import itertools
import math

import numpy as np
import pytest

from t2sql_tui.backends.decoding import (
    MARGIN,
    MAX_BRANCHES,
    MAX_CANDIDATES,
    SEARCH_TOKENS,
    Decoder,
    log_total,
)
from t2sql_tui.core.types import GenerationSettings, Prompt

LETTERS = "abcd"
END = len(LETTERS)
PROMPT = Prompt("v1", "chatml", "", "", stop=("<end>",))


def logits_after(text: str) -> np.ndarray:
    """Random, but always the same for one text; longer texts end sooner."""
    scores = np.random.default_rng([ord(c) for c in text] or [0]).normal(size=END + 1)
    scores[END] += len(text) - 2
    return scores.astype(np.float32)


class Model:
    """An `Evaluate` over `logits_after`, which checks that what is said to be known is.
    `calls` records how many rows each call had."""

    def __init__(self, logits=logits_after) -> None:
        self.held = {0: ""}
        self.calls: list[int] = []
        self.logits = logits

    def __call__(self, rows):
        self.calls.append(len(rows))
        for branch, parent, known, token in rows:
            text = self.held.get(branch, self.held[parent])
            assert known == len(text) if branch in self.held else known <= len(text)
            self.held[branch] = text[:known] + LETTERS[token]
        assert len(rows) <= MAX_CANDIDATES and len(self.held) <= MAX_BRANCHES
        return [self.logits(self.held[row.branch]) for row in rows]


def decode(count=4, max_tokens=8, model=None, room=1000, **given):
    settings = GenerationSettings(max_tokens, candidates=count, search=given.pop("search", True))
    decoder = Decoder(
        PROMPT,
        settings,
        piece=lambda _, token: LETTERS[token].encode(),
        ends=END.__eq__,
        **given,
    )
    model = model or Model()
    return decoder.run(model.logits(""), model, count, room)


def logprob(text: str) -> float:
    total = 0.0
    for place, token in enumerate([*map(LETTERS.index, text), END]):
        logits = logits_after(text[:place])
        total += float(logits[token]) - log_total(logits)
    return total


def every_text(longest: int):
    for size in range(longest + 1):
        yield from map("".join, itertools.product(LETTERS, repeat=size))


def test_a_search_finds_the_likeliest_texts() -> None:
    candidates, finish = decode(count=12)
    best = sorted(every_text(5), key=logprob, reverse=True)
    near = [text for text in best[:4] if logprob(text) > logprob(best[0]) - MARGIN]
    assert finish == "stop" and [c.text for c in candidates[: len(near)]] == near
    for candidate in candidates:
        assert candidate.logprob == pytest.approx(logprob(candidate.text), abs=1e-4)
        assert candidate.tokens == len(candidate.text) + 1


def test_candidates_differ_and_the_likeliest_is_first() -> None:
    candidates, _ = decode(count=4)
    assert len({c.text for c in candidates}) == len(candidates) == 4
    scores = [c.logprob for c in candidates]
    assert scores == sorted(scores, reverse=True)


def test_what_is_far_behind_is_not_written() -> None:
    def sure(text: str) -> np.ndarray:
        return np.array([0, 0, 0, 0, 12] if len(text) == 4 else [12, 0, 0, 0, 0], np.float32)

    model = Model(sure)
    candidates, _ = decode(model=model)
    assert model.calls == [1] * 4 and [c.text for c in candidates] == ["aaaa"]


@pytest.mark.parametrize("rivals, found", [(1, 1), (2, 2), (3, 2), (4, 2)])
def test_a_doubtful_answer_has_more_rivals(rivals: int, found: int) -> None:
    """Each letter may be followed by another text that is e^1.4 less likely; where there are
    more of these letters the greedy text is less likely itself."""

    def logits(text: str) -> np.ndarray:
        if len(text) >= 4:
            return np.array([-20, -20, -20, -20, 0], np.float32)
        unsure = len(text) < rivals and set(text) <= {"a"}
        return np.array([0, -1.4 if unsure else -20, -20, -20, -20], np.float32)

    candidates, _ = decode(model=Model(logits), count=2)
    assert len(candidates) == found and candidates[0].text == "aaaa"


def test_others_are_written_side_by_side_from_where_they_leave() -> None:
    def one_choice(text: str) -> np.ndarray:
        likely = END if len(text) == 12 else len(text) % 3
        logits = np.full(END + 1, -20, np.float32)
        logits[likely] = 0
        if len(text) in (2, 5):
            logits[3] = -0.5
        return logits

    model = Model(one_choice)
    candidates, finish = decode(model=model, max_tokens=20)
    assert finish == "stop" and [c.text for c in candidates] == [
        "abcabcabcabc",
        "abcabdabcabc",
        "abdabcabcabc",
        "abdabdabcabc",
    ]
    # The greedy text; two that leave it at the third letter and the sixth; one that leaves both.
    assert model.calls == [1] * 12 + [2] * 3 + [3] * 4 + [2] * 3


def test_what_is_stuck_gives_way_to_what_seemed_unlikely() -> None:
    def eager(text: str) -> np.ndarray:
        return np.array([0, -5, -20, -20, 0] if text else [0, -5, -20, -20, -20], np.float32)

    # "a" may begin an answer, but none can go on or end so.
    candidates, _ = decode(
        model=Model(eager),
        constraint=lambda text, whole: text[:1] != "a" or (text == "a" and not whole),
    )
    assert candidates[0].text == "b" and all(c.text.startswith("b") for c in candidates)


def test_what_repeats_itself_is_not_waited_for() -> None:
    def loops(text: str) -> np.ndarray:
        sure = text.startswith("a")
        return np.array([0, -3, -20, -20, -20 if sure or not text else 3], np.float32)

    model = Model(loops)
    candidates, finish = decode(model=model, max_tokens=1000)
    assert candidates[0].text == "b" and finish == "stop"
    assert sum(model.calls) <= SEARCH_TOKENS


def test_a_search_ends_where_there_is_no_room() -> None:
    model = Model()
    candidates, _ = decode(count=6, room=9, model=model)
    assert candidates and sum(model.calls) <= 9


def test_only_allowed_texts_are_found() -> None:
    constraint = lambda text, whole: "a" not in text and (len(text) > 1 or not whole)  # noqa: E731
    for search in (True, False):
        candidates, _ = decode(count=6, search=search, constraint=constraint)
        assert candidates and all("a" not in c.text and len(c.text) > 1 for c in candidates)


def test_where_nothing_is_allowed_the_answer_goes_on_unjudged() -> None:
    short = lambda text, whole: len(text) < 2  # noqa: E731
    for search in (True, False):
        candidates, finish = decode(count=2, search=search, constraint=short)
        assert finish == "stop" and candidates[0].text


def test_cancelled_and_cut_short() -> None:
    candidates, finish = decode(should_stop=lambda: True)
    assert finish == "cancelled" and candidates
    endless = lambda text, whole: not whole  # noqa: E731
    candidates, finish = decode(max_tokens=3, constraint=endless)
    assert finish == "length" and all(c.tokens == 3 for c in candidates)


def test_text_is_shown_once_it_is_settled() -> None:
    shown: list[str] = []
    candidates, _ = decode(on_text=shown.append)
    assert "".join(shown) == candidates[0].text


def test_a_search_for_one_is_greedy() -> None:
    one, _ = decode(count=1)
    text = ""
    while (token := int(logits_after(text).argmax())) != END:
        text += LETTERS[token]
    assert one[0].text == text and one[0].logprob == pytest.approx(logprob(text), abs=1e-4)
    assert math.isfinite(one[0].logprob)
