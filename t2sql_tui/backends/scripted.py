"""Canned replies behind the Backend interface: for tests, and to try the screen."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from t2sql_tui.core.types import (
    Candidate,
    Constraint,
    Generation,
    GenerationSettings,
    ModelSpec,
    OnProgress,
    OnText,
    Prompt,
    ShouldStop,
)

#: A reply that never ends by itself; only `should_stop` or `max_tokens` ends it.
FOREVER = object()

#: Text; several texts (one per candidate); text made from the prompt; an exception to
#: raise; or FOREVER. "" is a model that says nothing.
Reply = str | Sequence[str] | Callable[[Prompt], str] | Exception | object


class ScriptedBackend:
    """Answers from `replies`, without a model.

    A sequence is used up in order and its last reply then repeats. A mapping is looked up
    by text that the prompt's suffix contains (the question); the key "" is for the rest.
    `delay` is the pause in seconds before every word, `load_seconds` how long the
    constructor takes, as a real model would. `prompts` and `warmed` record the calls.
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
        return len(_words(text))

    def warm(self, prefix: str, should_stop: ShouldStop | None = None) -> None:
        self.warmed.append(prefix)

    def generate(
        self,
        prompt: Prompt,
        settings: GenerationSettings = GenerationSettings(),
        on_text: OnText | None = None,
        should_stop: ShouldStop | None = None,
        constraint: Constraint | None = None,
    ) -> Generation:
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
        texts = (reply,) if isinstance(reply, str) or reply is FOREVER else tuple(reply)
        words = ["word "] * settings.max_tokens if reply is FOREVER else _words(texts[0])
        finish = "length" if len(words) >= settings.max_tokens else "stop"
        said: list[str] = []
        for word in words[: settings.max_tokens]:
            # Forever means until somebody stops it, however fast this machine is.
            time.sleep(max(self._delay, 0.001 if reply is FOREVER else 0.0))
            if should_stop and should_stop():
                finish = "cancelled"
                break
            said.append(word)
            if on_text:
                on_text(word)
        candidates = [Candidate("".join(said), logprob=0.0, tokens=len(said))]
        candidates += [
            Candidate(text, logprob=-float(place), tokens=len(_words(text)))
            for place, text in enumerate(texts[1 : settings.candidates], 1)
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

    def close(self) -> None:
        pass

    def _reply_to(self, prompt: Prompt) -> Reply:
        if isinstance(self._replies, Mapping):
            key = next((k for k in self._replies if k and k in prompt.suffix), "")
            reply = self._replies.get(key, "")
        else:
            reply = self._replies[min(len(self.prompts), len(self._replies) - 1)]
        return reply(prompt) if callable(reply) else reply


def _words(text: str) -> list[str]:
    """Cut so that joining gives the text back."""
    return re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text)
