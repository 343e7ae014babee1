"""Logits in, text out: the part of decoding that the backends share.

A backend evaluates the prompt and hands over the logits after it, with an `Evaluate` for the
tokens of several branches at once: texts that go on from one prompt, and share beginnings.
"""

from __future__ import annotations

import codecs
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from t2sql_tui.core.types import (
    Candidate,
    Constraint,
    GenerationSettings,
    OnText,
    Prompt,
    ShouldStop,
)

#: Candidates after the first are sampled; at this temperature where none is asked for,
#: from the tokens at least MIN_P as likely as the likeliest.
SAMPLING_TEMPERATURE = 0.8
MIN_P = 0.05
#: Tokens that are tried, likeliest first, for one that the constraint accepts.
TRIES = 64
#: A search drops what is e (2.7) times less likely than the best answer, and more where that
#: is doubtful itself: e^1.5 where it is likely by 1 in e, at most e^2.5. On 300 held-out training
#: questions e^2.5 for all makes none to two more right (three adapters).
MARGIN, DOUBT, WIDEST = 1.0, 0.5, 2.5
#: Until an answer has ended it drops only what is e^5 times less likely than the likeliest
#: beginning, and another beginning may be as far behind the token that was taken as e^8: names
#: that do not exist are refused late, and what was likely becomes unlikely then.
OPEN_MARGIN = 5.0
TURN_MARGIN = 8.0
#: A search evaluates so many tokens at most; and if after so many no answer has ended (one
#: in twenty is that long), it no longer waits for one. What repeats itself is very sure of it.
SEARCH_TOKENS = 400
PATIENCE = 64
#: Limits for the backends: candidates (rows of one `Evaluate`), and branches of one prompt.
MAX_CANDIDATES = 16
MAX_BRANCHES = 2 * MAX_CANDIDATES


class Row(NamedTuple):
    """A token to evaluate behind `known` others of a branch. A branch that is new has those
    of its parent. Branches are numbered from 0; the first begins with the prompt."""

    branch: int
    parent: int
    known: int
    token: int


#: The logits after the token of each row, of shape (vocabulary,), valid until the next call.
Evaluate = Callable[[Sequence[Row]], Sequence[np.ndarray]]
#: The bytes that a token adds to the text of the tokens before it.
Piece = Callable[[Sequence[int], int], bytes]


def log_total(logits: np.ndarray) -> float:
    """What to subtract from a logit to get its log-probability at temperature 1."""
    top = float(logits.max())
    return top + math.log(float(np.exp(logits - top).sum()))


def choose(logits: np.ndarray, temperature: float, random: np.random.Generator) -> int:
    """A token from logits of shape (vocabulary,).

    Temperature 0 takes the likeliest; else one is drawn from those at least MIN_P as
    likely as it (min-p sampling, arXiv 2407.01082), which needs no sorting.
    """
    token = int(logits.argmax())
    if temperature > 0:
        top = float(logits[token])
        likely = np.flatnonzero(logits >= top + temperature * math.log(MIN_P))
        weights = np.exp((logits[likely] - top) / temperature, dtype=np.float64)
        token = int(random.choice(likely, p=weights / weights.sum()))
    return token


class AnswerText:
    """The text of one answer while its tokens arrive.

    Bytes are decoded as UTF-8 across token boundaries (bytes that can never become a
    character turn into U+FFFD). Text that may be the beginning of a stop string is held
    back until it is decided, so `on_text` never sees any part of a stop string.
    """

    def __init__(self, stop: tuple[str, ...] = (), on_text: OnText | None = None) -> None:
        self._stop = tuple(filter(None, stop))
        self._on_text = on_text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.text = ""

    def feed(self, piece: bytes) -> bool:
        """Take the bytes of one token. True once a stop string is complete."""
        self._held += self._decoder.decode(piece)
        ends = [at for s in self._stop if (at := self._held.find(s)) >= 0]
        if ends:
            self._release(min(ends))
            self._held = ""
            return True
        self._release(len(self._held) - self._undecided())
        return False

    def close(self) -> str:
        """Release what was held back (the answer ended without a stop string)."""
        self._held += self._decoder.decode(b"", final=True)
        self._release(len(self._held))
        return self.text

    def _undecided(self) -> int:
        """How many characters at the end may be the beginning of a stop string."""
        longest = max(map(len, self._stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(s.startswith(self._held[-size:]) for s in self._stop):
                return size
        return 0

    def _release(self, size: int) -> None:
        fresh, self._held = self._held[:size], self._held[size:]
        self.text += fresh
        if fresh and self._on_text:
            self._on_text(fresh)


@dataclass
class Decoder:
    """Writes the answers to one prompt. `ends` says whether a token ends an answer."""

    prompt: Prompt
    settings: GenerationSettings
    piece: Piece
    ends: Callable[[int], bool]
    on_text: OnText | None = None
    should_stop: ShouldStop | None = None
    constraint: Constraint | None = None

    def run(
        self, logits: np.ndarray, evaluate: Evaluate, count: int, room: int
    ) -> tuple[tuple[Candidate, ...], str]:
        """`count` candidates, of a search perhaps fewer, and how the first ended ("stop",
        "cancelled", "length"). `logits` are those after the prompt; behind it the model has
        `room` for so many tokens, of all candidates together."""
        write = self._search if self.settings.search and count > 1 else self._sample
        return write(logits, evaluate, count, room)

    def may(self, written: bytes, tokens: Sequence[int], token: int) -> bool:
        """Whether `token` may follow `tokens`, whose bytes are `written`."""
        if self.constraint is None:
            return True
        whole = self.ends(token)
        text = written if whole else written + self.piece(tokens, token)
        return self.constraint(text.decode("utf-8", "ignore"), whole)

    def _sample(
        self, logits: np.ndarray, evaluate: Evaluate, count: int, room: int
    ) -> tuple[tuple[Candidate, ...], str]:
        """Of several the first is greedy and the others are sampled, each from a random
        stream of its own, so that none depends on how many there are."""
        settings = self.settings
        sampled = settings.temperature or SAMPLING_TEMPERATURE
        temperatures = [settings.temperature] if count == 1 else [0.0] + [sampled] * (count - 1)
        branches = [
            _Branch(self, number, temperature=temperature)
            for number, temperature in enumerate(temperatures)
        ]
        branches[0].stream = AnswerText(self.prompt.stop, self.on_text)
        finish = "length"
        writing, after = branches, [logits] * count
        for number in range(most := min(settings.max_tokens, room // count)):
            for branch, logits in zip(writing, after, strict=True):
                branch.write(logits)
            writing = [branch for branch in writing if not branch.ended]
            if not writing or number + 1 == most:
                break
            if self.should_stop and self.should_stop():
                finish = "cancelled"
                break
            after = evaluate([branch.row() for branch in writing])
        if branches[0].ended:
            finish = "stop"
        return tuple(branch.candidate() for branch in branches), finish

    def _search(
        self, logits: np.ndarray, evaluate: Evaluate, count: int, room: int
    ) -> tuple[tuple[Candidate, ...], str]:
        """The `count` likeliest answers, likeliest first, by best-first search.

        The greedy answer is written first. Each token that it might have taken instead
        begins another answer, at most as likely as its beginning; the likeliest of these are
        written next, side by side, and so on until none can be among the `count` best. Where
        the model is sure, that costs no more than greedy decoding.
        """
        first = _Branch(self, 0)
        first.stream = AnswerText(self.prompt.stop, self.on_text)
        started = 1
        writing, after = [first], [logits]
        over: list[_Branch] = []  # ended, or as long as they may be
        stuck: list[_Branch] = []  # nothing allowed could follow them
        others: list[_Other] = []  # heap of the beginnings that nothing follows yet
        left = min(room, SEARCH_TOKENS)
        resort = False  # one that is stuck goes on unjudged: there is nothing else
        finish = "length"
        while True:
            for branch, logits in zip(writing, after, strict=True):
                for other in branch.explore(logits):
                    heapq.heappush(others, other)
            over += [branch for branch in writing if branch.over]
            if not resort:
                stuck += [branch for branch in writing if not branch.over and not branch.judged]
                writing = [branch for branch in writing if branch.judged]
            writing = [branch for branch in writing if not branch.over]
            scores = sorted((b.logprob for b in over if b.ended), reverse=True)
            if scores:
                margin = min(MARGIN - DOUBT * scores[0], WIDEST)
                floor = max([scores[0] - margin, *scores[count - 1 : count]])
            else:
                floor = max((b.logprob for b in writing), default=-math.inf) - OPEN_MARGIN
            writing = [branch for branch in writing if branch.logprob > floor]
            limit = min(2 * count + len(stuck), MAX_BRANCHES)
            while others and len(writing) < count and started < limit:
                # As things stand, would it be among the best? While the first answer is
                # waited for: is it likelier than all that is being written?
                scores = sorted((b.logprob for b in over + writing), reverse=True)
                waiting = not over and left > SEARCH_TOKENS - PATIENCE
                rank = 0 if waiting else count - 1
                if others[0].logprob <= max([floor, *scores[rank : rank + 1]]):
                    break
                other = heapq.heappop(others)
                if self.may(other.written, other.tokens, other.token):
                    branch = _Branch.leaving(other, started)
                    (over if branch.over else writing).append(branch)
                    started += 1
            if not writing and not over and stuck:
                resort = True
                writing = [max(stuck, key=lambda branch: branch.logprob)]
            left -= len(writing)
            if not writing or left < 0:
                break
            if self.should_stop and self.should_stop():
                finish = "cancelled"
                break
            after = evaluate([branch.row() for branch in writing])
        found = [branch for branch in over if branch.ended]
        if found and finish == "length":
            finish = "stop"
        found = sorted(found or over or [first], key=lambda branch: -branch.logprob)
        return tuple(branch.candidate() for branch in found[:count]), finish


@dataclass(order=True)
class _Other:
    """A token that a branch did not take; the likeliest beginning is the least."""

    cost: float
    branch: _Branch = field(compare=False)
    place: int = field(compare=False)
    token: int = field(compare=False)
    written: bytes = field(compare=False)

    @property
    def logprob(self) -> float:
        """Of the text up to this token: no answer that begins so is likelier."""
        return -self.cost

    @property
    def tokens(self) -> list[int]:
        return self.branch.tokens[: self.place]


@dataclass(eq=False)
class _Branch:
    """One answer while it is being written. `judged` is False once nothing allowed could
    follow it."""

    decoder: Decoder
    number: int
    parent: int = 0
    temperature: float = 0.0
    tokens: list[int] = field(default_factory=list)
    written: bytes = b""
    logprob: float = 0.0
    judged: bool = True
    ended: bool = False

    def __post_init__(self) -> None:
        self.stream = AnswerText(self.decoder.prompt.stop)
        self.random = np.random.default_rng((self.decoder.settings.seed, self.number))

    @classmethod
    def leaving(cls, other: _Other, number: int) -> _Branch:
        """A new branch that takes the token which another did not."""
        parent = other.branch
        branch = cls(
            parent.decoder, number, parent.number, tokens=other.tokens, written=other.written
        )
        branch.stream.feed(other.written)
        branch._take(other.token, other.logprob)
        return branch

    @property
    def over(self) -> bool:
        return self.ended or len(self.tokens) >= self.decoder.settings.max_tokens

    def row(self) -> Row:
        return Row(self.number, self.parent, len(self.tokens) - 1, self.tokens[-1])

    def write(self, logits: np.ndarray) -> None:
        """Take one more token, by its logits of shape (vocabulary,)."""
        token = self._choose(logits)
        self._take(token, self.logprob + float(logits[token]) - log_total(logits))

    def explore(self, logits: np.ndarray) -> list[_Other]:
        """The same; returns those that might have been taken instead."""
        place, written, before = len(self.tokens), self.written, self.logprob
        self.write(logits)
        token = self.tokens[place]
        total = before + float(logits[token]) - self.logprob
        near = np.flatnonzero(logits > logits[token] - TURN_MARGIN) if self.judged else []
        return [
            _Other(total - before - float(logits[other]), self, place, int(other), written)
            for other in near
            if other != token and logits[other] <= logits[token]
        ]

    def _take(self, token: int, logprob: float) -> None:
        self.logprob = logprob
        if self.decoder.ends(token):
            self.ended = True
        else:
            piece = self.decoder.piece(self.tokens, token)
            self.written += piece
            self.ended = self.stream.feed(piece)
        self.tokens.append(token)

    def _choose(self, logits: np.ndarray) -> int:
        first = token = choose(logits, self.temperature, self.random)
        if not self.judged or self.decoder.may(self.written, self.tokens, token):
            return token
        logits = np.array(logits)  # nothing was masked as long as nothing was refused
        for _ in range(TRIES):
            logits[token] = -np.inf
            token = choose(logits, self.temperature, self.random)
            if self.decoder.may(self.written, self.tokens, token):
                return token
        self.judged = False
        return first

    def candidate(self) -> Candidate:
        return Candidate(self.stream.close(), logprob=self.logprob, tokens=len(self.tokens))
