"""Scrollbars as thin lines: Textual's are blocks, too loud along the bottom of a grid."""

from __future__ import annotations

from typing import Any

from rich.segment import Segment, Segments
from rich.style import Style
from textual.scrollbar import ScrollBarRender


class ThinScrollBar(ScrollBarRender):
    """Draws the bar as Textual does, and then its thumb as a line."""

    @classmethod
    def render_bar(cls, *args: Any, **options: Any) -> Segments:
        """Textual's bar with a thin thumb."""
        bar = super().render_bar(*args, **options)
        glyph = "┃" if options.get("vertical", True) else "━"
        bar.segments = [cls._thin(segment, glyph) for segment in bar.segments]
        return bar

    @staticmethod
    def _thin(segment: Segment, glyph: str) -> Segment:
        style = segment.style
        if style is None or style.meta.get("@mouse.down") != "grab":
            return segment
        # Textual draws the thumb as reversed blanks: its colour is always the foreground.
        thin = Style(color=style.color, meta=style.meta)
        return Segment(glyph * len(segment.text), thin)
