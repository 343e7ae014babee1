"""Logits in, text out: the part of decoding that the backends share."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from t2sql_tui.core.types import Candidate, GenerationSettings, OnText, Prompt

#: Candidates after the first are sampled; at this temperature where none is asked for,
#: from the tokens at least MIN_P as likely as the likeliest.
SAMPLING_TEMPERATURE = 0.8
MIN_P = 0.05


def choose(
    logits: np.ndarray, temperature: float, random: np.random.Generator
) -> tuple[int, float]:
    """A token and its log-probability (at temperature 1) from logits of shape (vocabulary,).

    Temperature 0 takes the likeliest; else one is drawn from those at least MIN_P as
    likely as it (min-p sampling, arXiv 2407.01082), which needs no sorting.
    """
    token = int(logits.argmax())
    top = float(logits[token])
    if temperature > 0:
        likely = np.flatnonzero(logits >= top + temperature * math.log(MIN_P))
        weights = np.exp((logits[likely] - top) / temperature, dtype=np.float64)
        token = int(random.choice(likely, p=weights / weights.sum()))
    return token, float(logits[token]) - top - math.log(float(np.exp(logits - top).sum()))


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
class Answer:
    """One candidate while it is being written.

    `piece` gives the bytes of a token, `ends` whether a token ends the answer.
    """

    stream: AnswerText
    temperature: float
    random: np.random.Generator
    piece: Callable[[int], bytes]
    ends: Callable[[int], bool]
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    ended: bool = False

    def write(self, logits: np.ndarray) -> None:
        """Take one more token, by its logits of shape (vocabulary,).

        The one place where logits become a token of an answer.
        """
        token, logprob = choose(logits, self.temperature, self.random)
        self.tokens.append(token)
        self.logprob += logprob
        self.ended = self.ends(token) or self.stream.feed(self.piece(token))

    def candidate(self) -> Candidate:
        return Candidate(self.stream.close(), logprob=self.logprob, tokens=len(self.tokens))


def begin_answers(
    prompt: Prompt,
    settings: GenerationSettings,
    count: int,
    on_text: OnText | None,
    new_piece: Callable[[], Callable[[int], bytes]],
    ends: Callable[[int], bool],
) -> list[Answer]:
    """`count` empty answers. Of several the first is greedy and the others are sampled,
    each from a random stream of its own, so that none depends on how many there are."""
    sampled = settings.temperature or SAMPLING_TEMPERATURE
    temperatures = [settings.temperature] if count == 1 else [0.0] + [sampled] * (count - 1)
    return [
        Answer(
            stream=AnswerText(prompt.stop, None if place else on_text),
            temperature=temperature,
            random=np.random.default_rng((settings.seed, place)),
            piece=new_piece(),
            ends=ends,
        )
        for place, temperature in enumerate(temperatures)
    ]
