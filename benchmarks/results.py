"""A run in numbers: the compact results that are published.

Nothing of a data set's text goes into the results, so that they can be published.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.metrics import calibration, exact_match, hardness, statistics, text
from benchmarks.metrics.slices import Features
from benchmarks.provenance import portable
from benchmarks.records import Line, RunInfo, Score, rows_are_right
from benchmarks.run_folder import Run, read_json, write_json
from benchmarks.suites import FORMATS

RESULTS_FOLDER = Path(__file__).parent / "results"

# What is counted, in the order of the tables: name, title, and the verdict on a line.
MEASURES: dict[str, tuple[str, Callable[[Score], bool | None]]] = {
    "execution": ("Execution accuracy", lambda s: s["correct"]),
    "strict": ("Execution, strict", lambda s: s["strict"]),
    "suite": ("Test-suite accuracy", lambda s: s["suite"]),
    "bird": ("Execution by BIRD's rule", lambda s: s.get("bird")),
    "more_columns": ("Right with more columns than asked for", lambda s: s.get("more_columns")),
    "any": ("Any candidate right", lambda s: s.get("any")),
    "exact": ("Exact set match", lambda s: s["exact"]),
    "string": ("Exact string match", lambda s: s["string"]),
    "runs": ("SQL that runs", lambda s: s["runs"]),
    "unexecutable": ("SQL that does not run", lambda s: not s["runs"]),
    "chatty": ("Text outside the SQL", lambda s: s["chatty"]),
}


def summarise(lines: Sequence[Line], info: RunInfo) -> dict[str, Any]:
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
    stated = [c for line in lines if (c := line.get("confidence")) is not None]
    if not lines or len(stated) < len(lines):
        return {}
    return calibration.calibration(stated, [rows_are_right(line["score"]) for line in lines])


def share(values: Sequence[bool], clusters: Sequence[Any]) -> dict[str, Any]:
    """The share of true `values`, in [0, 1], with its 95 % interval: a bootstrap over whole
    `clusters`, the values of which stand or fall together."""
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


def _yes(found: Callable[[Features], bool | int]) -> Callable[[Line], str]:
    return lambda line: "yes" if found(line["score"]["features"]) else "no"


SLICES: dict[str, Callable[[Line], str]] = {
    "group": lambda line: line.get("group", "none"),
    "hardness": lambda line: line["score"]["hardness"] or "outside the grammar",
    "tables": _tables,
    "aggregation": _yes(lambda features: features["aggregation"]),
    "nesting": _yes(lambda features: features["nesting"]),
    "set operation": _yes(lambda features: features["set_operation"]),
    "database": lambda line: line["database"],
}


_QUARTERS = ("least sure quarter", "second quarter", "third quarter", "surest quarter")


def _slicings(lines: Sequence[Line]) -> dict[str, Callable[[Line], str]]:
    """Those of SLICES that tell these lines apart, and quarters by log-probability where every
    answer has one."""
    found = dict(SLICES)
    if not any("group" in line for line in lines):
        del found["group"]
    if all(line["score"]["hardness"] is None for line in lines):
        del found["hardness"]
    if len({line["database"] for line in lines}) > 200:  # a database for every question
        del found["database"]
    known = [logprob for line in lines if (logprob := line.get("logprob")) is not None]
    if len(known) == len(lines) and len(set(known)) >= 4:
        bounds = [percentile(known, p) for p in (25, 50, 75)]
        found["confidence"] = lambda line: _quarter(line, bounds)
    return found


def _quarter(line: Line, bounds: Sequence[float]) -> str:
    logprob = line.get("logprob")
    assert logprob is not None
    return _QUARTERS[sum(logprob > bound for bound in bounds)]


def _slices(lines: Sequence[Line], of: Callable[[Line], str]) -> dict[str, Any]:
    groups = defaultdict(list)
    for line in lines:
        groups[of(line)].append(line["score"])
    order = {level: rank for rank, level in enumerate((*hardness.LEVELS, *_QUARTERS))}
    found: dict[str, dict[str, Any]] = {}
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
    golds, predictions = [line["gold"] for line in lines], [line["sql"] for line in lines]
    return {"bleu": text.bleu(golds, predictions), **text.rouge(golds, predictions)}


# --- speed --------------------------------------------------------------------------


def percentile(values: Iterable[float], percent: float) -> float:
    """Linear interpolation between closest ranks. `values` must not be empty."""
    ranked = sorted(values)
    position = (len(ranked) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (position - below)


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


# --- published results ---------------------------------------------------------------


def published(folder: Path = RESULTS_FOLDER) -> list[dict[str, Any]]:
    """The published results, best first within a suite."""
    found = [read_json(path) for path in sorted(folder.glob("*.json"))]
    return sorted(
        (r for r in found if "measures" in r),
        key=lambda r: (r["identity"]["suite"], -r["measures"]["execution"]["value"]),
    )


def publish(run: Run, results: Mapping[str, Any], folder: Path = RESULTS_FOLDER) -> Path:
    """Keeps the results of a run among the published ones, without names of this machine's
    folders. Returns the file."""
    folder.mkdir(exist_ok=True)
    identity = dict(results["identity"])
    kind, colon, path = identity["suite"].partition(":")
    if colon and kind in FORMATS:
        identity["suite"] = f"{kind}:{portable(path)}"
    if databases := identity.get("suite_databases"):
        identity["suite_databases"] = portable(databases)
    target = folder / f"{run.name}.json"
    write_json(target, {**results, "identity": identity})
    return target
