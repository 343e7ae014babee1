"""Logits in, text out: the part of decoding that the backends share.

A backend evaluates the prompt and hands over the logits after it, with a `Step` that
evaluates one more token in each of several rows; rows are texts that go on from one prompt.
"""

from __future__ import annotations

import codecs
import heapq
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from t2sql_tui.core.types import (
    Allows,
    Candidate,
    GenerationSettings,
    OnText,
    Prompt,
    ShouldStop,
)

#: Candidates after the first are sampled; at this temperature where none is asked for,
#: from the tokens at least MIN_P as likely as the likeliest.
SAMPLING_TEMPERATURE = 0.8
MIN_P = 0.05
#: So many tokens are looked at for one that `allows` says yes to.
TRIES = 64
#: A beam drops what is e^5 (148) times less likely than its best, and once an answer has ended
#: what is e^3 (20) times less likely than that: where the model is sure, beam search then costs
#: little more than greedy decoding. On held-out training questions, answers further behind were
#: never the only right ones.
BEAM_MARGIN = 5.0
ENDED_MARGIN = 3.0

#: step(parents, tokens): row i of the next rows is row parents[i] of the present ones with
#: tokens[i] behind it. Returns their logits, each of shape (vocabulary,), valid until the
#: next step. The rows begin as one: the prompt.
Step = Callable[[Sequence[int], Sequence[int]], Sequence[np.ndarray]]
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
    allows: Allows | None = None

    def run(
        self, logits: np.ndarray, step: Step, count: int, max_tokens: int
    ) -> tuple[tuple[Candidate, ...], str]:
        """`count` candidates of at most `max_tokens` tokens, of a beam perhaps fewer, and how
        the first ended ("stop", "cancelled", "length"). `logits` are those after the prompt."""
        decode = self._beam if self.settings.beam and count > 1 else self._sample
        return decode(logits, step, count, max_tokens)

    def may(self, written: bytes, tokens: Sequence[int], token: int) -> bool:
        """Whether `token` may follow `tokens`, whose bytes are `written`."""
        if self.allows is None:
            return True
        whole = self.ends(token)
        text = written if whole else written + self.piece(tokens, token)
        return self.allows(text.decode("utf-8", "ignore"), whole)

    # --- greedy and sampled ---------------------------------------------------------

    def _sample(
        self, logits: np.ndarray, step: Step, count: int, max_tokens: int
    ) -> tuple[tuple[Candidate, ...], str]:
        """Of several the first is greedy and the others are sampled, each from a random
        stream of its own, so that none depends on how many there are."""
        settings = self.settings
        sampled = settings.temperature or SAMPLING_TEMPERATURE
        temperatures = [settings.temperature] if count == 1 else [0.0] + [sampled] * (count - 1)
        answers = [
            _Answer(
                self,
                AnswerText(self.prompt.stop, None if place else self.on_text),
                temperature,
                np.random.default_rng((settings.seed, place)),
            )
            for place, temperature in enumerate(temperatures)
        ]
        finish = "length"
        writing, rows = [(answer, 0) for answer in answers], [logits]  # with their rows
        for number in range(max_tokens):
            for answer, row in writing:
                answer.write(rows[row])
            writing = [(answer, row) for answer, row in writing if not answer.ended]
            if not writing or number + 1 == max_tokens:
                break
            if self.should_stop and self.should_stop():
                finish = "cancelled"
                break
            rows = step([row for _, row in writing], [answer.tokens[-1] for answer, _ in writing])
            writing = [(answer, row) for row, (answer, _) in enumerate(writing)]
        if answers[0].ended:
            finish = "stop"
        return tuple(answer.candidate() for answer in answers), finish

    # --- beam search ----------------------------------------------------------------

    def _beam(
        self, logits: np.ndarray, step: Step, count: int, max_tokens: int
    ) -> tuple[tuple[Candidate, ...], str]:
        """The likeliest answers that a beam `count` wide finds, likeliest first."""
        stream = AnswerText(self.prompt.stop, self.on_text)
        shown = 0
        paths, rows = [_Path()], [logits]
        ended: list[_Path] = []
        finish = "stop"
        for number in range(max_tokens):
            parents, paths, new = self._extend(paths, rows, count, ended)
            ended = sorted(ended + new, key=lambda path: -path.logprob)[:count]
            floor = max(path.logprob for path in ended + paths) - BEAM_MARGIN
            if ended:
                floor = max(floor, ended[0].logprob - ENDED_MARGIN)
            if len(ended) == count:  # nothing gets likelier by going on
                floor = max(floor, ended[-1].logprob)
            alive = [place for place, path in enumerate(paths) if path.logprob > floor]
            parents, paths = [parents[p] for p in alive], [paths[p] for p in alive]
            settled = os.path.commonprefix([path.written for path in ended + paths])
            if len(settled) > shown:
                stream.feed(settled[shown:])
                shown = len(settled)
            if not paths:
                break
            if number + 1 == max_tokens:
                finish = "length"
                break
            if self.should_stop and self.should_stop():
                finish = "cancelled"
                break
            rows = step(parents, [path.tokens[-1] for path in paths])
        if not ended:
            ended = sorted(paths, key=lambda path: -path.logprob)
        elif finish == "length":
            finish = "stop"
        stream.feed(ended[0].written[shown:])
        texts = [stream] + [AnswerText(self.prompt.stop) for _ in ended[1:]]
        for text, path in zip(texts[1:], ended[1:]):
            text.feed(path.written)
        return tuple(
            Candidate(text.close(), logprob=path.logprob, tokens=len(path.tokens))
            for text, path in zip(texts, ended)
        ), finish

    def _extend(
        self, paths: list[_Path], rows: Sequence[np.ndarray], count: int, ended: list[_Path]
    ) -> tuple[list[int], list[_Path], list[_Path]]:
        """The `count` likeliest ways to go on by one token: the places of their parents, the
        paths, and those that end here (which take no place in the beam)."""
        likeliest = []  # of every row: (log-probabilities, tokens), likeliest first
        for row in rows:
            top = float(row.max())
            near = np.flatnonzero(row >= top - 2 * BEAM_MARGIN)
            near = near[np.argsort(row[near])[::-1][:TRIES]]
            likeliest.append((row[near] - log_total(row), near))
        queue = [
            (-paths[place].logprob - float(scores[0]), place, 0)
            for place, (scores, _) in enumerate(likeliest)
        ]
        heapq.heapify(queue)
        parents: list[int] = []
        new: list[_Path] = []
        over: list[_Path] = []
        while queue and len(new) < count:
            cost, place, rank = heapq.heappop(queue)
            path, (scores, tokens) = paths[place], likeliest[place]
            known = new + over + ended
            if known and -cost < max(p.logprob for p in known) - BEAM_MARGIN:
                break
            if rank + 1 < len(tokens):
                cost_of_next = -path.logprob - float(scores[rank + 1])
                heapq.heappush(queue, (cost_of_next, place, rank + 1))
            token = int(tokens[rank])
            if path.judged and not self.may(path.written, path.tokens, token):
                continue
            self._go_on(path, token, -cost, place, parents, new, over)
        if not new and not over and not ended:
            # Nothing is allowed to follow: the likeliest path goes on unjudged.
            place = max(range(len(paths)), key=lambda p: paths[p].logprob)
            scores, tokens = likeliest[place]
            path = _Path(**{**vars(paths[place]), "judged": False})
            score = path.logprob + float(scores[0])
            self._go_on(path, int(tokens[0]), score, place, parents, new, over)
        return parents, new, over

    def _go_on(
        self, path: _Path, token: int, logprob: float, place: int,
        parents: list[int], new: list[_Path], over: list[_Path],
    ) -> None:  # fmt: skip
        ends = self.ends(token)
        written = path.written if ends else path.written + self.piece(path.tokens, token)
        longer = _Path((*path.tokens, token), logprob, written, path.judged)
        if ends or any(stop.encode() in written for stop in self.prompt.stop if stop):
            over.append(longer)
        else:
            parents.append(place)
            new.append(longer)


@dataclass
class _Path:
    """One text in a beam. `judged` is False once nothing allowed could follow it."""

    tokens: tuple[int, ...] = ()
    logprob: float = 0.0
    written: bytes = b""
    judged: bool = True


@dataclass
class _Answer:
    """One candidate while it is being written, a token at a time."""

    decoder: Decoder
    stream: AnswerText
    temperature: float
    random: np.random.Generator
    tokens: list[int] = field(default_factory=list)
    written: bytes = b""
    logprob: float = 0.0
    judged: bool = True
    ended: bool = False

    def write(self, logits: np.ndarray) -> None:
        """Take one more token, by its logits of shape (vocabulary,)."""
        token = self._choose(logits)
        self.logprob += float(logits[token]) - log_total(logits)
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
