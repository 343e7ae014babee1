"""Canned replies behind the Backend interface, for tests and to try the screen."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

from t2sql_tui.core.types import (
    Candidate,
    Constraint,
    Finish,
    Generation,
    GenerationSettings,
    ModelSpec,
    OnProgress,
    OnText,
    Prompt,
    ShouldStop,
)


class Forever(Enum):
    """The type of `FOREVER`."""

    FOREVER = auto()


#: A reply that never ends by itself; only `should_stop` or `max_tokens` ends it.
FOREVER = Forever.FOREVER

#: Text; several texts (one for each candidate); an exception to raise; or FOREVER.
#: "" is a model that writes nothing.
Fixed = str | Sequence[str] | Exception | Forever
#: A fixed reply, or one that is made from the prompt.
Reply = Fixed | Callable[[Prompt], str]


class ScriptedBackend:
    """Answers from `replies`, without a model.

    A sequence is used in order; its last reply then repeats. The keys of a mapping are looked
    for in the suffix of the prompt (the question); the key "" is for all others. `delay` is
    the pause before every word and `load_seconds` the time that the constructor takes, as a
    real model would, both in seconds. `prompts` and `warmed` record the calls.
    """

    def __init__(
        self,
        spec: ModelSpec | None = None,
        replies: Sequence[Reply] | Mapping[str, Reply] = ("SELECT 'scripted' AS answer",),
        *,
        delay: float = 0.0,
        load_seconds: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.spec = spec or ModelSpec("scripted", title="Canned replies")
        self.prompts: list[Prompt] = []
        self.warmed: list[str] = []
        self._replies = replies
        self._delay = delay
        self._lock = threading.Lock()
        for done in range(10 if load_seconds else 0):
            time.sleep(load_seconds / 10)
            if on_progress:
                on_progress(done + 1, 10)

    def count_tokens(self, text: str) -> int:
        """Number of words."""
        return len(_words(text))

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        """Records the prefix."""
        self.warmed.append(prefix)

    def generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings = GenerationSettings(),
        on_text: OnText | None = None,
        should_stop: ShouldStop | None = None,
        constraint: Constraint | None = None,
    ) -> Generation:
        """The reply to the prompt, word by word. `constraint` is ignored."""
        with self._lock:
            return self._generate(prompt, settings, on_text, should_stop)

    def _generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings,
        on_text: OnText | None,
        should_stop: ShouldStop | None,
    ) -> Generation:
        started = time.perf_counter()
        reply = self._reply_to(prompt)
        self.prompts.append(prompt)
        if isinstance(reply, Exception):
            raise reply
        words, others, pause = self._script(reply, settings.max_tokens)
        finish: Finish = "length" if len(words) >= settings.max_tokens else "stop"
        written: list[str] = []
        for word in words[: settings.max_tokens]:
            time.sleep(pause)
            if should_stop and should_stop():
                finish = "cancelled"
                break
            written.append(word)
            if on_text:
                on_text(word)
        candidates = [Candidate("".join(written), logprob=0.0, tokens=len(written))]
        candidates += [
            Candidate(text, logprob=-float(rank), tokens=len(_words(text)))
            for rank, text in enumerate(others[: settings.candidates - 1], 1)
        ]
        return Generation(
            prompt,
            tuple(candidates),
            self.spec.name,
            prompt_tokens=self.count_tokens(prompt.prefix) + self.count_tokens(prompt.suffix),
            completion_tokens=sum(candidate.tokens for candidate in candidates),
            first_token_seconds=self._delay,
            seconds=time.perf_counter() - started,
            finish=finish,
        )

    def _script(
        self, reply: str | Sequence[str] | Forever, max_tokens: int
    ) -> tuple[list[str], list[str], float]:
        """The words of the first candidate, the texts of the others, and the pause in seconds."""
        if isinstance(reply, Forever):
            # Forever means until somebody stops it, however fast this machine is.
            return ["word "] * max_tokens, [], max(self._delay, 0.001)
        first, *others = (reply,) if isinstance(reply, str) else reply
        return _words(first), others, self._delay

    def close(self) -> None:
        """Does nothing: there is no model."""

    def _reply_to(self, prompt: Prompt) -> Fixed:
        if isinstance(self._replies, Mapping):
            key = next((k for k in self._replies if k and k in prompt.suffix), "")
            reply = self._replies.get(key, "")
        else:
            reply = self._replies[min(len(self.prompts), len(self._replies) - 1)]
        return reply(prompt) if callable(reply) else reply


def _words(text: str) -> list[str]:
    """The words of the text with the space around them; joined, they are the text."""
    return re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text)
