"""Bytes of tokens in, clean text out: the part of streaming that backends share."""

from __future__ import annotations

import codecs

from t2sql_tui.core.types import OnText


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
