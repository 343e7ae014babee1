"""Decoding over a language small enough to search it whole."""

import itertools
import math

import numpy as np
import pytest

from t2sql_tui.backends.decoding import ENDED_MARGIN, Decoder, log_total
from t2sql_tui.core.types import GenerationSettings, Prompt

LETTERS = "abcd"
END = len(LETTERS)
PROMPT = Prompt("v1", "chatml", "", "", stop=("<end>",))


def logits_after(text: str) -> np.ndarray:
    """Random, but always the same for one text; longer texts end sooner."""
    scores = np.random.default_rng([ord(c) for c in text] or [0]).normal(size=END + 1)
    scores[END] += len(text) - 2
    return scores.astype(np.float32)


class Rows:
    """A step over `logits_after`; `widths` records how many rows each call had."""

    def __init__(self) -> None:
        self.texts = [""]
        self.widths: list[int] = []

    def __call__(self, parents, tokens):
        self.texts = [self.texts[p] + LETTERS[t] for p, t in zip(parents, tokens, strict=True)]
        self.widths.append(len(parents))
        return [logits_after(text) for text in self.texts]


def decode(count=4, max_tokens=8, step=None, **given):
    settings = GenerationSettings(max_tokens, candidates=count, beam=given.pop("beam", True))
    decoder = Decoder(
        PROMPT, settings,
        piece=lambda _, token: LETTERS[token].encode(), ends=END.__eq__, **given,
    )  # fmt: skip
    return decoder.run(logits_after(""), step or Rows(), count, max_tokens)


def logprob(text: str) -> float:
    total = 0.0
    for place, token in enumerate([*map(LETTERS.index, text), END]):
        logits = logits_after(text[:place])
        total += float(logits[token]) - log_total(logits)
    return total


def every_text(longest: int):
    for size in range(longest + 1):
        yield from map("".join, itertools.product(LETTERS, repeat=size))


def test_a_wide_beam_finds_the_likeliest_texts() -> None:
    candidates, finish = decode(count=12)
    best = sorted(every_text(5), key=logprob, reverse=True)
    near = [text for text in best[:4] if logprob(text) > logprob(best[0]) - ENDED_MARGIN]
    assert finish == "stop" and [c.text for c in candidates[: len(near)]] == near
    for candidate in candidates:
        assert candidate.logprob == pytest.approx(logprob(candidate.text), abs=1e-4)
        assert candidate.tokens == len(candidate.text) + 1


def test_candidates_differ_and_the_likeliest_is_first() -> None:
    candidates, _ = decode(count=4)
    assert len({c.text for c in candidates}) == len(candidates) == 4
    scores = [c.logprob for c in candidates]
    assert scores == sorted(scores, reverse=True)


def test_what_is_far_behind_is_dropped() -> None:
    def sure(parents, tokens):
        widths.append(len(parents))
        row = np.zeros(END + 1, np.float32)
        row[END if widths[-1:] and len(widths) > 3 else 0] = 12.0
        return [row] * len(parents)

    widths: list[int] = []
    logits = np.array([12.0, 0, 0, 0, 0], np.float32)
    decoder = Decoder(
        PROMPT, GenerationSettings(8, candidates=4, beam=True),
        piece=lambda _, token: LETTERS[token].encode(), ends=END.__eq__,
    )  # fmt: skip
    candidates, _ = decoder.run(logits, sure, 4, 8)
    assert widths == [1, 1, 1, 1] and [c.text for c in candidates] == ["aaaa"]


def test_only_allowed_texts_are_found() -> None:
    allows = lambda text, whole: "a" not in text and (len(text) > 1 or not whole)  # noqa: E731
    for beam in (True, False):
        candidates, _ = decode(count=6, beam=beam, allows=allows)
        assert candidates and all("a" not in c.text and len(c.text) > 1 for c in candidates)


def test_where_nothing_is_allowed_the_answer_goes_on_unjudged() -> None:
    for beam in (True, False):
        candidates, finish = decode(count=2, beam=beam, allows=lambda text, whole: len(text) < 2)
        assert finish == "stop" and candidates[0].text


def test_cancelled_and_cut_short() -> None:
    candidates, finish = decode(should_stop=lambda: True)
    assert finish == "cancelled" and candidates
    endless = lambda text, whole: not whole  # noqa: E731
    candidates, finish = decode(max_tokens=3, allows=endless)
    assert finish == "length" and all(c.tokens == 3 for c in candidates)


def test_text_is_shown_once_it_is_settled() -> None:
    shown: list[str] = []
    candidates, _ = decode(on_text=shown.append)
    assert "".join(shown) == candidates[0].text


def test_a_beam_of_one_is_greedy() -> None:
    one, _ = decode(count=1)
    text = ""
    while (token := int(logits_after(text).argmax())) != END:
        text += LETTERS[token]
    assert one[0].text == text and one[0].logprob == pytest.approx(logprob(text), abs=1e-4)
    assert math.isfinite(one[0].logprob)
