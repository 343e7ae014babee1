"""A run in numbers: the compact results that are published, and the tables made of them.

Nothing of a data set's text goes into the results, so that they can be published.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.decodings import DEFAULT, described
from benchmarks.metrics import calibration, exact_match, hardness, statistics, text
from benchmarks.runner import read_json

Line = Mapping[str, Any]
Table = tuple[str, list[Sequence[Any]], Sequence[str]]

# What is counted, in the order of the tables: name, title, and the verdict on a line.
MEASURES: dict[str, tuple[str, Callable[[Mapping[str, Any]], bool | None]]] = {
    "execution": ("Execution accuracy", lambda s: s["correct"]),
    "strict": ("Execution, strict", lambda s: s["strict"]),
    "suite": ("Test-suite accuracy", lambda s: s["suite"]),
    "bird": ("Execution by BIRD's rule", lambda s: s.get("bird")),
    "any": ("Any candidate right", lambda s: s.get("any")),
    "exact": ("Exact set match", lambda s: s["exact"]),
    "string": ("Exact string match", lambda s: s["string"]),
    "runs": ("SQL that runs", lambda s: s["runs"]),
    "unexecutable": ("SQL that does not run", lambda s: not s["runs"]),
    "chatty": ("Text outside the SQL", lambda s: s["chatty"]),
}


def summarise(lines: Sequence[Line], info: Mapping[str, Any]) -> dict[str, Any]:
    """The results of a run, as plain JSON; `info` is its run.json.

    Shares are in [0, 1] with 95 % intervals: bootstrap, clustered by gold SQL, where
    questions with one gold stand or fall together.
    """
    clusters = [(line["database"], line["gold"]) for line in lines]
    measures = {}
    for name, (_, verdict) in MEASURES.items():
        values = [verdict(line["score"]) for line in lines]
        known = [(bool(v), c) for v, c in zip(values, clusters, strict=True) if v is not None]
        if known:
            measures[name] = share(*zip(*known, strict=True))
    kinds = Counter(line["score"]["kind"] for line in lines if "kind" in line["score"])
    return {
        "identity": dict(info["identity"]),
        "provenance": dict(info["provenance"]),
        "answered": len(lines),
        "measures": measures,
        "text": _text_scores(lines),
        "by": {name: _slices(lines, of) for name, of in _slicings(lines).items()},
        "components": _components(lines),
        "errors": dict(kinds.most_common()),
        "gold_fails": [line["id"] for line in lines if line["score"]["gold_fails"]],
        "speed": speed(lines),
        "calibration": _calibration(lines),
    }


def _calibration(lines: Sequence[Line]) -> dict[str, Any]:
    """How well the app's own confidence holds; {} unless every answer states one."""
    stated = [line.get("confidence") for line in lines]
    if not lines or None in stated:
        return {}
    return calibration.calibration(stated, [line["score"]["correct"] for line in lines])


def share(values: Sequence[bool], clusters: Sequence[Any]) -> dict[str, Any]:
    _, low, high = statistics.cluster_bootstrap(values, clusters)
    return {
        "value": sum(values) / len(values),
        "low": low,
        "high": high,
        "right": sum(values),
        "n": len(values),
    }


# --- slices -------------------------------------------------------------------------


def _tables(line: Line) -> str:
    tables = line["score"]["features"]["tables"]
    return str(tables) if tables < 4 else "4+"


def _yes(name: str) -> Callable[[Line], str]:
    return lambda line: "yes" if line["score"]["features"][name] else "no"


SLICES: dict[str, Callable[[Line], str]] = {
    "hardness": lambda line: line["score"]["hardness"] or "outside the grammar",
    "tables": _tables,
    "aggregation": _yes("aggregation"),
    "nesting": _yes("nesting"),
    "set operation": _yes("set_operation"),
    "database": lambda line: line["database"],
}


_QUARTERS = ("least sure quarter", "second quarter", "third quarter", "surest quarter")


def _slicings(lines: Sequence[Line]) -> dict[str, Callable[[Line], str]]:
    """Those of SLICES that say something of these lines, and quarters by log-probability
    where every answer has one."""
    found = dict(SLICES)
    if all(line["score"]["hardness"] is None for line in lines):
        del found["hardness"]
    if len({line["database"] for line in lines}) > 200:  # a database for every question
        del found["database"]
    known = [line.get("logprob") for line in lines]
    if None not in known and len(set(known)) >= 4:
        bounds = [percentile(known, p) for p in (25, 50, 75)]
        found["confidence"] = lambda line: _QUARTERS[sum(line["logprob"] > b for b in bounds)]
    return found


def _slices(lines: Sequence[Line], of: Callable[[Line], str]) -> dict[str, Any]:
    groups = defaultdict(list)
    for line in lines:
        groups[of(line)].append(line["score"])
    order = {level: place for place, level in enumerate((*hardness.LEVELS, *_QUARTERS))}
    found = {}
    for key in sorted(groups, key=lambda k: (order.get(k, 9), k)):
        right, n = sum(s["correct"] for s in groups[key]), len(groups[key])
        _, low, high = statistics.wilson(right, n)
        found[key] = {"value": right / n, "low": low, "high": high, "right": right, "n": n}
        exact = [s["exact"] for s in groups[key] if s["exact"] is not None]
        if exact:
            found[key]["exact"] = sum(exact) / len(exact)
    return found


def _components(lines: Sequence[Line]) -> dict[str, Any]:
    """F1 of each clause by Spider's rules."""
    matches = [
        exact_match.ExactMatch(
            s["exact"], {n: exact_match.Component(*p) for n, p in s["components"].items()}
        )
        for line in lines
        if (s := line["score"])["exact"] is not None
    ]
    scores = exact_match.partial_scores(matches) if matches else {}
    return {name: score._asdict() for name, score in scores.items()}


def _text_scores(lines: Sequence[Line]) -> dict[str, float]:
    golds, predictions = [l["gold"] for l in lines], [l["sql"] for l in lines]
    return {"bleu": text.bleu(golds, predictions), **text.rouge(golds, predictions)}


# --- speed --------------------------------------------------------------------------


def percentile(values: Iterable[float], percent: float) -> float:
    """Linear interpolation between closest ranks. `values` must not be empty."""
    ranked = sorted(values)
    place = (len(ranked) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (place - below)


def speed(lines: Sequence[Line]) -> dict[str, Any]:
    """Seconds a question and tokens a second; {} where the lines carry no times."""
    timed = [line for line in lines if line.get("completion_tokens")]
    if not timed:
        return {}
    seconds = [line["seconds"] for line in timed]
    once = [line for line in timed if not line["repairs"]]
    fresh = sum(line["prompt_tokens"] - line["cached_tokens"] for line in once)
    waiting = sum(line["first_token_seconds"] for line in once)
    writing = sum(line["generation_seconds"] for line in once) - waiting
    # The first token of an answer comes out of the prompt's evaluation.
    written = sum(line["completion_tokens"] - 1 for line in once)
    cached = sum(line["cached_tokens"] for line in timed)
    return {
        "seconds": {
            "total": sum(seconds),
            "mean": sum(seconds) / len(seconds),
            **{f"p{p}": percentile(seconds, p) for p in (50, 95, 99)},
        },
        "first_token_seconds": {
            f"p{p}": percentile((line["first_token_seconds"] for line in timed), p)
            for p in (50, 95, 99)
        },
        "prompt_tokens_per_second": fresh / waiting if waiting else None,
        "decode_tokens_per_second": written / writing if writing > 0 else None,
        "prompt_tokens": sum(line["prompt_tokens"] for line in timed),
        "cached_share": cached / sum(line["prompt_tokens"] for line in timed),
        "completion_tokens": sum(line["completion_tokens"] for line in timed),
    }


# --- tables -------------------------------------------------------------------------


def percent(found: Mapping[str, Any] | None) -> str:
    return f"{100 * found['value']:.1f}" if found else ""


def text_title(name: str) -> str:
    """The name as papers write it: ROUGE-L for "rougeL"."""
    return name.upper().replace("ROUGE", "ROUGE-")


def with_interval(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    return f"{100 * found['value']:.1f} ({100 * found['low']:.1f} to {100 * found['high']:.1f})"


def summary_tables(results: Mapping[str, Any]) -> list[Table]:
    """(title, rows, headers) of what a person wants to see at the end of a run."""
    identity = results["identity"]
    title = f"{identity['suite']}, {identity['model']}: {results['answered']:,} questions"
    if results["answered"] < identity.get("of", 0):
        title += f" of {identity['of']:,}"
    rows = [
        (MEASURES[name][0], with_interval(found), f"{found['right']:,} of {found['n']:,}")
        for name, found in results["measures"].items()
    ]
    rows += [(text_title(name), f"{value:.1f}", "") for name, value in results["text"].items()]
    tables: list[Table] = [(title, rows, ("", "% (95 % interval)", "count"))]
    if levels := results["by"].get("hardness"):
        rows = [
            (
                level,
                found["n"],
                with_interval(found),
                f"{100 * found['exact']:.1f}" if "exact" in found else "",
            )
            for level, found in levels.items()
        ]
        tables.append(("By hardness", rows, ("", "questions", "execution %", "exact set %")))
    if results["errors"]:
        wrong = sum(results["errors"].values())
        tables.append(
            (
                "What went wrong",
                [(kind, n, f"{100 * n / wrong:.0f} %") for kind, n in results["errors"].items()],
                ("", "questions", "of the wrong"),
            )
        )
    if fast := results["speed"]:
        tables.append(
            (
                "Speed",
                [
                    (
                        *(f"{fast['seconds'][p]:.2f} s" for p in ("p50", "p95", "p99")),
                        f"{fast['first_token_seconds']['p50']:.2f} s",
                        f"{fast['decode_tokens_per_second'] or 0:.1f}",
                        f"{100 * fast['cached_share']:.0f} %",
                        f"{fast['seconds']['total'] / 60:.1f} min",
                    )
                ],
                ("p50", "p95", "p99", "first token", "tokens/s", "prompt cached", "in all"),
            )
        )
    if rows := calibration_rows([results]):
        tables.append(("Confidence", rows, ("", "")))
    return tables


def calibration_rows(several: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """How well the confidence of each run holds: a row a number, a column a run; [] where no
    run states one."""
    found = [results.get("calibration") for results in several]
    if not any(found):
        return []
    titles: dict[str, Callable[[Mapping[str, Any]], str]] = {
        f"Calibration error, {calibration.BINS} bins of equal mass": lambda c: (
            f"{c['ece_equal_mass']:.3f}"
        ),
        f"Calibration error, {calibration.BINS} bins of equal width": lambda c: (
            f"{c['ece_equal_width']:.3f}"
        ),
        "Brier score": lambda c: f"{c['brier']:.3f}",
        "Area under the ROC curve": lambda c: "" if c["auc"] is None else f"{c['auc']:.3f}",
    }
    for place, coverage in enumerate(calibration.COVERAGES):
        title = f"% right where the surest {100 * coverage:.0f} % are answered"
        titles[title] = lambda c, place=place: with_interval(c["coverage"][place])
    return [(title, *(text(c) if c else "" for c in found)) for title, text in titles.items()]


def suite_sentence(results: Mapping[str, Any]) -> str:
    """What the test suite is and how good; "" without one."""
    facts = results["provenance"].get("test_suite")
    if not facts:
        return ""
    if facts["kind"] == "distilled":
        return f"Test-suite accuracy is on {facts['databases']:,} given databases."
    return (
        f"Test-suite accuracy is on {facts['databases']:,} generated neighbour databases: of "
        f"{facts['mutants']:,} mutated golds they and the originals tell {facts['killed']:,} from "
        f"the gold ({100 * facts['killed'] / max(facts['mutants'], 1):.1f} %), the originals alone "
        f"{facts['killed_by_original']:,}."
    )


def markdown_calibration(several: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """ "" where no run states a confidence."""
    rows = calibration_rows(several)
    return tabulate(rows, ("", *names), tablefmt="github", disable_numparse=True) if rows else ""


def markdown_table(several: Sequence[Mapping[str, Any]]) -> str:
    """One row a run; the columns are what is comparable between papers."""
    rows = []
    for results in several:
        identity, measures = results["identity"], results["measures"]
        answered, of = results["answered"], identity.get("of", 0)
        suite = f"{identity['suite']} ({answered:,}{f' of {of:,}' if answered < of else ''})"
        fast = results["speed"]
        rows.append(
            (
                suite,
                identity["model"] + _decoding(identity),
                with_interval(measures["execution"]),
                percent(measures.get("suite")) or "-",
                percent(measures.get("exact")) or "-",
                percent(measures["runs"]),
                f"{fast['seconds']['p50']:.2f} s" if fast else "-",
            )
        )
    headers = (
        "suite",
        "model",
        "execution % (95 %)",
        "test suite %",
        "exact set %",
        "runs %",
        "median",
    )
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _decoding(identity: Mapping[str, Any]) -> str:
    text = described(identity)
    return f", {text}" if text not in ("", DEFAULT) else ""


# --- the README ---------------------------------------------------------------------

_BEGIN, _END = "<!-- scores: made by `benchmarks report --readme` -->", "<!-- /scores -->"


def published(folder: Path) -> list[dict[str, Any]]:
    """The published results, best first within a suite."""
    found = [read_json(path) for path in sorted(folder.glob("*.json"))]
    return sorted(
        (r for r in found if "measures" in r),
        key=lambda r: (r["identity"]["suite"], -r["measures"]["execution"]["value"]),
    )


def with_score_table(readme: str, several: Sequence[Mapping[str, Any]]) -> str:
    """`readme` with the text between its two markers replaced; unchanged without them."""
    table = f"{_BEGIN}\n{markdown_table(several)}\n{_END}"
    return re.sub(
        f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", lambda _: table, readme, flags=re.DOTALL
    )


def write_readme_table(path: Path, several: Sequence[Mapping[str, Any]]) -> None:
    path.write_text(with_score_table(path.read_text("utf-8"), several), "utf-8")
