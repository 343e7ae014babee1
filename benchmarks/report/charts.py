"""The sections of the page that are made of figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.records import Line
from benchmarks.report import figures
from benchmarks.report.html import section, table
from benchmarks.tables import calibration_rows

Results = Mapping[str, Any]

_KINDS = 14  # kinds of mistakes that are drawn, the most frequent first
_DATABASES = 24


def accuracy_figures(results: Sequence[Results], lines: Sequence[Sequence[Line]]) -> str:
    """Accuracy by what the gold is made of, the mistakes, and the seconds a question. `lines` are
    those of each run, in the order of `results`."""
    charts = [
        *_by_structure(results),
        *_mistakes(results),
        *_by_query(results),
        *_by_logprob(results),
        *_times(results, lines),
    ]
    return (
        f"<section class=figures>{''.join(charts)}</section>"
        "<p class=note>Dots are shares of right answers in percent with 95 % intervals "
        "(Wilson); the grey number counts questions.</p>"
    )


def _figure(title: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"


def _by_structure(results: Sequence[Results]) -> list[str]:
    found = []
    if levels := _by(results, "hardness"):
        found.append(_figure("Execution accuracy by hardness", figures.shares(levels)))
    if groups := _by(results, "group"):
        found.append(_figure("By group", figures.shares(groups)))
    tables = figures.shares(_by(results, "tables"))
    return [*found, _figure("By number of tables in the gold", tables)]


def _mistakes(results: Sequence[Results]) -> list[str]:
    counts: Counter[str] = Counter()
    for r in results:
        counts.update(r["errors"])
    rows = [
        (
            kind.split(" DISTINCT")[0] + " DISTINCT ..." if " DISTINCT" in kind else kind,
            [r["errors"].get(kind, 0) for r in results],
        )
        for kind in sorted(counts, key=lambda kind: -counts[kind])[:_KINDS]
    ]
    return [_figure("What went wrong, in questions", figures.bars(rows))] if rows else []


def _by_query(results: Sequence[Results]) -> list[str]:
    rows = []
    for name, label in (
        ("aggregation", "aggregation"),
        ("nesting", "nested"),
        ("set operation", "set operation"),
    ):
        for answer, prefix in (("yes", ""), ("no", "no ")):
            values = [r["by"][name].get(answer) for r in results]
            if any(values):
                rows.append((prefix + label, values))
    return [_figure("By what the gold is made of", figures.shares(rows))]


def _by_logprob(results: Sequence[Results]) -> list[str]:
    if not all("confidence" in r["by"] for r in results):
        return []
    title = "By the model's own confidence (log-probability of the SQL)"
    return [_figure(title, figures.shares(_by(results, "confidence")))]


def _times(results: Sequence[Results], lines: Sequence[Sequence[Line]]) -> list[str]:
    if not all(r["speed"] for r in results):
        return []
    seconds = [[line["seconds"] for line in of_run] for of_run in lines]
    marks = [[(p, r["speed"]["seconds"][p]) for p in ("p50", "p95")] for r in results]
    return [_figure("Seconds a question", figures.histogram(seconds, marks) + _pace(results))]


def _pace(results: Sequence[Results]) -> str:
    texts = []
    for r in results:
        fast = r["speed"]
        texts.append(
            f"first token after {fast['first_token_seconds']['p50']:.2f} s (median), "
            f"{fast['decode_tokens_per_second'] or 0:.0f} tokens a second, "
            f"{100 * fast['cached_share']:.0f} % of the prompt tokens reused, "
            f"{fast['seconds']['total'] / 60:.1f} min in all"
        )
    return "".join(f'<p class="pace s{n}"><i></i>{text}</p>' for n, text in enumerate(texts))


def confidence_section(results: Sequence[Results], names: Sequence[str]) -> str:
    """Whether the probability that the app states holds; "" where no run states one."""
    rows = calibration_rows(results)
    if not rows:
        return ""
    found = [r.get("calibration") or {"bins": {"equal mass": []}, "risk": []} for r in results]
    bins = [c["bins"]["equal mass"] for c in found]
    reliability = figures.unit_square(
        [[(b["stated"], b["value"]) for b in of_run] for of_run in bins],
        ("stated confidence", "right"),
        bins,
        diagonal=True,
    )
    risk = figures.unit_square([c["risk"] for c in found], ("questions answered", "wrong"))
    note = (
        "Left: ten bins of as many questions each; on the dashed line the confidence is the "
        "share of right answers. Right: the share of wrong answers where only the surest "
        "questions are answered. Intervals are Wilson's."
    )
    return section(
        "Confidence",
        "<div class=figures><figure><figcaption>Reliability</figcaption>"
        f"{reliability}</figure><figure><figcaption>Risk and coverage</figcaption>{risk}</figure>"
        f"</div>{table(['', *(names if len(names) > 1 else [''])], rows)}"
        f"<p class=note>{note}</p>",
    )


def database_section(results: Sequence[Results]) -> str:
    """Accuracy by database; "" where nearly every question has a database of its own."""
    rows = _by(results, "database")
    if not rows:
        return ""
    rows.sort(key=lambda row: row[1][0]["value"] if row[1][0] else 2)
    drawn = rows[:_DATABASES]
    title = "Databases, the worst first"
    if len(drawn) < len(rows):
        title += f" ({len(drawn)} of {len(rows)})"
    half = (len(drawn) + 1) // 2
    columns = "".join(
        f"<figure>{figures.shares(part)}</figure>" for part in (drawn[:half], drawn[half:]) if part
    )
    return section(title, f"<div class=figures>{columns}</div>")


def _by(results: Sequence[Results], name: str) -> list[tuple[str, list[Any]]]:
    """(category, share of each run) of one way to slice the questions."""
    found = [r["by"].get(name, {}) for r in results]
    keys = list(dict.fromkeys(key for groups in found for key in groups))
    return [(key, [groups.get(key) for groups in found]) for key in keys]
