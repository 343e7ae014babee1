"""Small SVG figures: no library, no script, one string each.

Colours are CSS classes (`.s0`, `.s1`, ... for the series), so that the page's style sheet
sets them once, for light and for dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

# One series' share of a category: value, low and high in [0, 1], and n.
Share = Mapping[str, Any]

_WIDTH = 460
_RIGHT = 84  # room for the numbers at the end of a row


def shares(rows: Sequence[tuple[str, Sequence[Share | None]]]) -> str:
    """Dots with 95 % intervals on a scale from 0 to 100 %: a row a category, a dot a series."""
    series = max(len(values) for _, values in rows)
    step = 15 * series + 11
    left, right = _label_width(rows), _WIDTH - _RIGHT
    height = step * len(rows) + 26

    def x(value: float) -> float:
        return left + value * (right - left)

    parts = [
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="4" y2="{height - 22}"/>'
        f'<text class="tick" x="{x(t):.1f}" y="{height - 8}" text-anchor="middle">{100 * t:.0f}'
        f"{' %' if t == 1 else ''}</text>"
        for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    for row, (label, values) in enumerate(rows):
        top = 4 + row * step
        middle = top + step / 2
        parts.append(
            f'<text class="label" x="{left - 10}" y="{middle + 4:.1f}" text-anchor="end">'
            f"{escape(label)}</text>"
        )
        for number, share in enumerate(values):
            if share is None:
                continue
            y = middle + (number - (series - 1) / 2) * 15
            value = share["value"]
            parts.append(
                f'<g class="s{number}"><line class="whisker" x1="{x(share["low"]):.1f}" '
                f'x2="{x(share["high"]):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="4.5"><title>{100 * value:.1f} % '
                f"({100 * share['low']:.1f} to {100 * share['high']:.1f}), "
                f"{share['n']} questions</title></circle></g>"
                f'<text class="value" x="{right + 12}" y="{y + 4:.1f}">{100 * value:.1f}'
                f'<tspan class="n" dx="6">{share["n"] if number == 0 else ""}</tspan></text>'
            )
    return _svg(height, parts)


def bars(rows: Sequence[tuple[str, Sequence[int]]]) -> str:
    """Horizontal bars of counts: a row a category, a bar a series."""
    series = max(len(values) for _, values in rows)
    thick = 13
    step = thick * series + 9
    left, right = _label_width(rows), _WIDTH - 40
    most = max((max(values) for _, values in rows), default=1) or 1
    parts = []
    for row, (label, values) in enumerate(rows):
        top = 4 + row * step
        parts.append(
            f'<text class="label" x="{left - 10}" y="{top + (step - 9) / 2 + 4:.1f}" '
            f'text-anchor="end">{escape(label)}</text>'
        )
        for number, value in enumerate(values):
            y = top + number * thick
            width = value / most * (right - left)
            parts.append(
                f'<rect class="s{number}" x="{left}" y="{y}" width="{width:.1f}" '
                f'height="{thick - 1}" rx="1.5"/>'
                f'<text class="value" x="{left + width + 6:.1f}" y="{y + thick / 2 + 3.5:.1f}">'
                f"{value}</text>"
            )
    return _svg(step * len(rows) + 4, parts)


def unit_square(
    series: Sequence[Sequence[tuple[float, float]]],
    axes: tuple[str, str],
    whiskers: Sequence[Sequence[Share]] = (),
    diagonal: bool = False,
) -> str:
    """Lines through (x, y) points, both from 0 to 100 %, with `axes` as titles. `whiskers` are
    the points' shares, drawn as dots with their intervals; `diagonal` is where x = y."""
    left, right, top, bottom = _SQUARE
    x, y = _scale(left, right), _scale(bottom, top)
    parts = _square_grid(axes)
    if diagonal:
        parts.append(
            f'<line class="axis" x1="{x(0)}" x2="{x(1)}" y1="{y(0)}" y2="{y(1)}" '
            'stroke-dasharray="4 4"/>'
        )
    for number, points in enumerate(series):
        if path := "L".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points):
            parts.append(f'<path class="line s{number}" d="M{path}"/>')
    for number, found in enumerate(whiskers):
        for (a, b), share in zip(series[number], found, strict=True):
            parts.append(
                f'<g class="s{number}"><line class="whisker" x1="{x(a):.1f}" x2="{x(a):.1f}" '
                f'y1="{y(share["low"]):.1f}" y2="{y(share["high"]):.1f}"/>'
                f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="4"><title>{100 * a:.1f} %: '
                f"{100 * b:.1f} % right ({100 * share['low']:.1f} to {100 * share['high']:.1f}), "
                f"{share['n']} questions</title></circle></g>"
            )
    return _svg(bottom + 40, parts)


# Left, right, top and bottom of the square.
_SQUARE = (44, _WIDTH - 20, 22, 270)


def _scale(start: float, end: float) -> Callable[[float], float]:
    """The function from [0, 1] to coordinates between `start` and `end`."""
    return lambda value: start + value * (end - start)


def _square_grid(axes: tuple[str, str]) -> list[str]:
    """The lines every 25 %, their numbers, and the titles of the axes."""
    left, right, top, bottom = _SQUARE
    x, y = _scale(left, right), _scale(bottom, top)
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{bottom}"/>'
            f'<line class="grid" x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
            f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle">'
            f"{100 * tick:.0f}</text>"
            f'<text class="tick" x="{left - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">'
            f"{100 * tick:.0f}</text>"
        )
    parts.append(
        f'<text class="label" x="{right}" y="{bottom + 32}" text-anchor="end">'
        f"{escape(axes[0])}, %</text>"
        f'<text class="label" x="{left - 22}" y="{top - 10}">{escape(axes[1])}, %</text>'
    )
    return parts


_SECOND_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
_BINS = 36


def histogram(
    series: Sequence[Sequence[float]], marks: Sequence[Sequence[tuple[str, float]]]
) -> str:
    """Seconds on a logarithmic axis; the height is the share of the series' questions.

    `marks` are (name, seconds) pairs to point at, for each series.
    """
    flat = [value for values in series for value in values]
    low, high = _exponent(min(flat)) - 0.05, _exponent(max(flat)) + 0.05
    width = (high - low) / _BINS
    heights = [_bin_shares(values, low, width) for values in series]
    peak = max(max(row) for row in heights)
    left, right, top, bottom = 12, _WIDTH - 12, 14 + 13 * len(series), 196

    def x(exponent: float) -> float:
        return left + (exponent - low) / (high - low) * (right - left)

    parts = [f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>']
    for tick in _SECOND_TICKS:
        if low <= math.log10(tick) <= high:
            at = x(math.log10(tick))
            parts.append(
                f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}"/>'
                f'<text class="tick" x="{at:.1f}" y="{bottom + 15}" text-anchor="middle">'
                f"{tick:g} s</text>"
            )
    for number, row in enumerate(heights):
        path = f"M{x(low):.1f},{bottom}"
        for index, share in enumerate(row):
            y = bottom - share / peak * (bottom - top)
            path += f"V{y:.1f}H{x(low + (index + 1) * width):.1f}"
        parts.append(f'<path class="area s{number}" d="{path}V{bottom}Z"/>')
        for name, seconds in marks[number]:
            parts.append(_mark(name, x(_exponent(seconds)), number, bottom))
    return _svg(bottom + 22, parts)


def _exponent(seconds: float) -> float:
    """Of ten; times under a millisecond count as one."""
    return math.log10(max(seconds, 1e-3))


def _bin_shares(values: Sequence[float], low: float, width: float) -> list[float]:
    """The share of `values` in each bin; the bins begin at the exponent `low`."""
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int((_exponent(value) - low) / width))] += 1
    return [count / len(values) for count in counts]


def _mark(name: str, at: float, number: int, bottom: float) -> str:
    """A dotted line at `at` with its name above it, in the colour of series `number`."""
    height = 12 + 13 * number
    return (
        f'<g class="s{number}"><line class="mark" x1="{at:.1f}" x2="{at:.1f}" '
        f'y1="{height + 3}" y2="{bottom}"/>'
        f'<text class="value" x="{at:.1f}" y="{height}" text-anchor="middle">'
        f"{escape(name)}</text></g>"
    )


def _label_width(rows: Sequence[tuple[str, Any]]) -> float:
    """Room for the longest label, whose characters are about 6.7 units wide."""
    return max(64, 14 + 6.7 * max(len(label) for label, _ in rows))


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
