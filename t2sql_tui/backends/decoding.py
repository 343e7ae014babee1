"""Logits in, text out: the part of decoding that the backends share.

A backend evaluates the prompt and hands over the logits after it, with an `Evaluate` for the
tokens of several branches at once. A branch is an answer while it is being written; branches
share the prompt, and often the beginning of their text.
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
    Finish,
    GenerationSettings,
    OnText,
    Prompt,
    ShouldStop,
)

#: Temperature of the candidates after the first where the settings ask for none.
SAMPLING_TEMPERATURE = 0.8
#: A token is drawn from those at least this times as likely as the likeliest.
MIN_P = 0.05
#: Tokens that are tried, likeliest first, for one that the constraint accepts.
TRIES = 64
#: A search drops branches whose log-probability is this far below that of the best answer:
#: MARGIN - DOUBT * (log-probability of the best answer), at most WIDEST. On 300 held-out
#: training questions WIDEST for all makes none to two more right (three adapters).
MARGIN, DOUBT, WIDEST = 1.0, 0.5, 2.5
#: Until an answer has ended, a search drops only branches this far below the likeliest one.
OPEN_MARGIN = 5.0
#: A token begins an alternative if its logit is at most this far below that of the token taken.
#: Wide, because names that do not exist are refused late: what was likely becomes unlikely then.
TURN_MARGIN = 8.0
#: Maximum number of tokens that a search evaluates.
SEARCH_TOKENS = 400
#: After this many tokens without an answer that ended (one in twenty is that long), a search
#: considers alternatives that are less likely than what is being written: a branch that repeats
#: itself is very sure of it.
PATIENCE = 64
#: Maximum number of candidates (rows of one `Evaluate`), and of branches of one prompt.
MAX_CANDIDATES = 16
MAX_BRANCHES = 2 * MAX_CANDIDATES


class Row(NamedTuple):
    """A token to evaluate after the first `known` tokens of a branch.

    A new branch has those of its parent. Branches are numbered from 0; 0 begins with the prompt.
    """

    branch: int
    parent: int
    known: int
    token: int


#: The logits after the token of each row, of shape (vocabulary,), valid until the next call.
Evaluate = Callable[[Sequence[Row]], Sequence[np.ndarray]]
#: The bytes that a token adds to the text of the tokens before it.
Piece = Callable[[Sequence[int], int], bytes]


def log_total(logits: np.ndarray) -> float:
    """The log-sum-exp of the logits: a logit minus this is its token's log-probability."""
    top = float(logits.max())
    return top + math.log(float(np.exp(logits - top).sum()))


def choose(logits: np.ndarray, temperature: float, random: np.random.Generator) -> int:
    """The token to take, by the logits of shape (vocabulary,).

    Temperature 0 takes the likeliest. Otherwise one is drawn from those at least MIN_P as
    likely as that one (min-p sampling, arXiv 2407.01082), which needs no sorting.
    """
    token = int(logits.argmax())
    if temperature > 0:
        top = float(logits[token])
        likely = np.flatnonzero(logits >= top + temperature * math.log(MIN_P))
        weights = np.exp((logits[likely] - top) / temperature, dtype=np.float64)
        token = int(random.choice(likely, p=weights / weights.sum()))
    return token


class AnswerText:
    """The text of one answer as its tokens arrive.

    Bytes are decoded as UTF-8 across token boundaries (bytes that can never become a
    character turn into U+FFFD). Text that may be the beginning of a stop string is held
    back until it is known, so `on_text` never sees any part of a stop string.
    """

    def __init__(self, stop: tuple[str, ...] = (), on_text: OnText | None = None) -> None:
        self._stop = tuple(filter(None, stop))
        self._on_text = on_text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.text = ""

    def feed(self, piece: bytes) -> bool:
        """Adds the bytes of one token. True once a stop string is complete."""
        self._held += self._decoder.decode(piece)
        ends = [index for s in self._stop if (index := self._held.find(s)) >= 0]
        if ends:
            self._release(min(ends))
            self._held = ""
            return True
        self._release(len(self._held) - self._undecided())
        return False

    def close(self) -> str:
        """The whole text, with what was held back (the answer ended without a stop string)."""
        self._held += self._decoder.decode(b"", final=True)
        self._release(len(self._held))
        return self.text

    def _undecided(self) -> int:
        """Number of characters at the end that may be the beginning of a stop string."""
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
    ) -> tuple[tuple[Candidate, ...], Finish]:
        """`count` candidates (a search may find fewer), and how the first one ended.

        `logits` are those after the prompt. `room` is the number of tokens that fit into the
        model's context after the prompt, of all candidates together.
        """
        if self.settings.search and count > 1:
            return _Search(self, count, room).run(logits, evaluate)
        return self._sample(logits, evaluate, count, room)

    def accepts(self, written: bytes, tokens: Sequence[int], token: int) -> bool:
        """Whether `token` may follow `tokens`, whose bytes are `written`."""
        if self.constraint is None:
            return True
        whole = self.ends(token)
        text = written if whole else written + self.piece(tokens, token)
        return self.constraint(text.decode("utf-8", "ignore"), whole)

    def first_branch(self, temperature: float = 0.0) -> _Branch:
        """Branch 0, whose text is shown while it is written."""
        branch = _Branch(self, 0, temperature=temperature)
        branch.stream = AnswerText(self.prompt.stop, self.on_text)
        return branch

    def stopped(self) -> bool:
        """Whether the caller wants no more tokens."""
        return self.should_stop is not None and self.should_stop()

    def _sample(
        self, logits: np.ndarray, evaluate: Evaluate, count: int, room: int
    ) -> tuple[tuple[Candidate, ...], Finish]:
        """Several samples, of which the first is greedy; one alone is drawn at the temperature
        of the settings. Each has a random stream of its own, so that none depends on how many
        there are."""
        settings = self.settings
        first = self.first_branch(settings.temperature if count == 1 else 0.0)
        temperature = settings.temperature or SAMPLING_TEMPERATURE
        others = [_Branch(self, n, temperature=temperature) for n in range(1, count)]
        branches = [first, *others]
        finish: Finish = "length"
        writing, after = branches, [logits] * count
        for number in range(most := min(settings.max_tokens, room // count)):
            for branch, logits in zip(writing, after, strict=True):
                branch.write(logits)
            writing = [branch for branch in writing if not branch.ended]
            if not writing or number + 1 == most:
                break
            if self.stopped():
                finish = "cancelled"
                break
            after = list(evaluate([branch.row() for branch in writing]))
        if first.ended:
            finish = "stop"
        return tuple(branch.candidate() for branch in branches), finish


class _Search:
    """The `count` likeliest answers, likeliest first, by best-first search.

    The greedy answer is written first. Each token that it might have taken instead begins
    an alternative, at most as likely as its beginning; the likeliest of these are written
    next, side by side, and so on until none can be among the `count` best. Where the model
    is sure, that costs no more than greedy decoding.
    """

    def __init__(self, decoder: Decoder, count: int, room: int) -> None:
        self.decoder = decoder
        self.count = count
        self.first = decoder.first_branch()
        self.writing = [self.first]
        self.over: list[_Branch] = []  # ended, or of the maximum length
        self.stuck: list[_Branch] = []  # the constraint accepted nothing that could follow
        self.alternatives: list[_Alternative] = []  # a heap
        self.tokens_left = min(room, SEARCH_TOKENS)
        self.branch_count = 1
        #: Stuck branches are written on, unconstrained: nothing else is left.
        self.unconstrained = False

    def run(self, logits: np.ndarray, evaluate: Evaluate) -> tuple[tuple[Candidate, ...], Finish]:
        """The candidates, and how the search ended."""
        after: Sequence[np.ndarray] = [logits]
        finish: Finish = "length"
        while True:
            self._write(after)
            floor = self._floor()
            self.writing = [branch for branch in self.writing if branch.logprob > floor]
            self._start_alternatives(floor)
            if not self.writing and not self.over and self.stuck:
                self.unconstrained = True
                self.writing = [max(self.stuck, key=lambda branch: branch.logprob)]
            self.tokens_left -= len(self.writing)
            if not self.writing or self.tokens_left < 0:
                break
            if self.decoder.stopped():
                finish = "cancelled"
                break
            after = evaluate([branch.row() for branch in self.writing])
        ended = [branch for branch in self.over if branch.ended]
        if ended and finish == "length":
            finish = "stop"
        best = sorted(ended or self.over or [self.first], key=lambda branch: -branch.logprob)
        return tuple(branch.candidate() for branch in best[: self.count]), finish

    def _write(self, after: Sequence[np.ndarray]) -> None:
        """Adds a token to every branch, and to the heap the tokens it did not take."""
        for branch, logits in zip(self.writing, after, strict=True):
            for alternative in branch.explore(logits):
                heapq.heappush(self.alternatives, alternative)
        self.over += [branch for branch in self.writing if branch.over]
        self.writing = [branch for branch in self.writing if not branch.over]
        if not self.unconstrained:
            self.stuck += [branch for branch in self.writing if not branch.constrained]
            self.writing = [branch for branch in self.writing if branch.constrained]

    def _floor(self) -> float:
        """The log-probability that a branch must exceed to be written on."""
        scores = sorted((branch.logprob for branch in self.over if branch.ended), reverse=True)
        if not scores:
            likeliest = max((branch.logprob for branch in self.writing), default=-math.inf)
            return likeliest - OPEN_MARGIN
        margin = min(MARGIN - DOUBT * scores[0], WIDEST)
        return max([scores[0] - margin, *scores[self.count - 1 : self.count]])

    def _start_alternatives(self, floor: float) -> None:
        """Begins new branches while there are alternatives that may be among the best."""
        limit = min(2 * self.count + len(self.stuck), MAX_BRANCHES)
        while self.alternatives and len(self.writing) < self.count and self.branch_count < limit:
            # As things stand, would it be among the best? While the first answer is
            # waited for: is it likelier than all that is being written?
            scores = sorted((b.logprob for b in self.over + self.writing), reverse=True)
            waiting = not self.over and self.tokens_left > SEARCH_TOKENS - PATIENCE
            rank = 0 if waiting else self.count - 1
            if self.alternatives[0].logprob <= max([floor, *scores[rank : rank + 1]]):
                break
            alternative = heapq.heappop(self.alternatives)
            if self.decoder.accepts(alternative.written, alternative.tokens, alternative.token):
                branch = _Branch.taking(alternative, self.branch_count)
                (self.over if branch.over else self.writing).append(branch)
                self.branch_count += 1


@dataclass(order=True)
class _Alternative:
    """A token that a branch did not take at `index`; the likeliest one sorts first."""

    cost: float
    branch: _Branch = field(compare=False)
    index: int = field(compare=False)
    token: int = field(compare=False)
    written: bytes = field(compare=False)

    @property
    def logprob(self) -> float:
        """Log-probability of the text up to this token: no answer that begins so is likelier."""
        return -self.cost

    @property
    def tokens(self) -> list[int]:
        return self.branch.tokens[: self.index]


@dataclass(eq=False)
class _Branch:
    """One answer while it is being written.

    `constrained` becomes False once the constraint accepted nothing that could follow.
    """

    decoder: Decoder
    number: int
    parent: int = 0
    temperature: float = 0.0
    tokens: list[int] = field(default_factory=list)
    written: bytes = b""
    logprob: float = 0.0
    constrained: bool = True
    ended: bool = False

    def __post_init__(self) -> None:
        self.stream = AnswerText(self.decoder.prompt.stop)
        self.random = np.random.default_rng((self.decoder.settings.seed, self.number))

    @classmethod
    def taking(cls, alternative: _Alternative, number: int) -> _Branch:
        """A new branch that takes the token which another did not."""
        parent, tokens, written = alternative.branch, alternative.tokens, alternative.written
        branch = cls(parent.decoder, number, parent.number, tokens=tokens, written=written)
        branch.stream.feed(written)
        branch._take(alternative.token, alternative.logprob)
        return branch

    @property
    def over(self) -> bool:
        """Whether nothing more is to be written."""
        return self.ended or len(self.tokens) >= self.decoder.settings.max_tokens

    def row(self) -> Row:
        """The row that evaluates the last token."""
        return Row(self.number, self.parent, len(self.tokens) - 1, self.tokens[-1])

    def write(self, logits: np.ndarray) -> None:
        """Adds one more token, by its logits of shape (vocabulary,)."""
        token = self._choose(logits)
        self._take(token, self.logprob + float(logits[token]) - log_total(logits))

    def explore(self, logits: np.ndarray) -> list[_Alternative]:
        """Adds one more token; returns those that might have been taken instead."""
        index, written, before = len(self.tokens), self.written, self.logprob
        self.write(logits)
        token = self.tokens[index]
        if not self.constrained:
            return []
        total = before + float(logits[token]) - self.logprob
        return [
            _Alternative(total - before - float(logits[other]), self, index, int(other), written)
            for other in np.flatnonzero(logits > logits[token] - TURN_MARGIN)
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
        if not self.constrained or self.decoder.accepts(self.written, self.tokens, token):
            return token
        logits = np.array(logits)  # nothing was masked as long as nothing was refused
        for _ in range(TRIES):
            logits[token] = -np.inf
            token = choose(logits, self.temperature, self.random)
            if self.decoder.accepts(self.written, self.tokens, token):
                return token
        self.constrained = False
        return first

    def candidate(self) -> Candidate:
        """The answer, complete or not."""
        return Candidate(self.stream.close(), logprob=self.logprob, tokens=len(self.tokens))
