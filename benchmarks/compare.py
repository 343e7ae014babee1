"""Comparison of runs, question by question: paired tests, and the examples that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.datasets import DataError
from benchmarks.decodings import described
from benchmarks.metrics import statistics
from benchmarks.metrics.hardness import LEVELS
from benchmarks.records import Line
from benchmarks.results import summarise
from benchmarks.run_folder import Run
from benchmarks.tables import percent, with_interval

Lines = Mapping[str, Line]

# The verdicts that are compared: key in a line's score, title.
_VERDICTS = {
    "correct": "Execution accuracy",
    "strict": "Execution, strict",
    "suite": "Test-suite accuracy",
    "exact": "Exact set match",
    "runs": "SQL that runs",
}


def comparison(a: Run, b: Run) -> dict[str, Any]:
    """All that `benchmarks compare` prints, as plain JSON. Only questions that both runs
    answered are compared; differences are B minus A, intervals are of 95 %.

    Raises: DataError when the runs share no question, or ask it differently.
    """
    first = {line["id"]: line for line in a.lines}
    second = {line["id"]: line for line in b.lines}
    ids = [id_ for id_ in first if id_ in second]
    if not ids:
        raise DataError(
            f"{a.name} and {b.name} have no question in common.",
            "Compare two runs of one suite.",
        )
    other = [i for i in ids if first[i]["gold"] != second[i]["gold"]]
    if other:
        raise DataError(
            f"{len(other)} questions have another gold SQL in {b.name}, such as '{other[0]}'.",
            "The runs are of different data; run one of them again.",
        )
    gains = {i: second[i]["score"]["correct"] - first[i]["score"]["correct"] for i in ids}
    return {
        "a": a.name,
        "b": b.name,
        "questions": len(ids),
        "left_out": {"a": len(first) - len(ids), "b": len(second) - len(ids)},
        "measures": _measures(first, second, ids),
        "hardness": _by_hardness(first, second, ids),
        "fixed": [_change(first[i], second[i]) for i in ids if gains[i] > 0],
        "broken": [_change(first[i], second[i]) for i in ids if gains[i] < 0],
    }


def _measures(first: Lines, second: Lines, ids: Sequence[str]) -> dict[str, Any]:
    """Each of _VERDICTS, where both runs have it."""
    clusters = [(first[i]["database"], first[i]["gold"]) for i in ids]
    found = {}
    for key, title in _VERDICTS.items():
        pairs = [
            (first[i]["score"].get(key), second[i]["score"].get(key), c)
            for i, c in zip(ids, clusters, strict=True)
        ]
        known = [(bool(x), bool(y), c) for x, y, c in pairs if x is not None and y is not None]
        if known:
            found[key] = {"title": title, **_paired(known)}
    return found


def _paired(known: Sequence[tuple[bool, bool, Any]]) -> dict[str, Any]:
    """One measure of both runs; `known` are (right in A, right in B, cluster)."""
    x, y, clusters = ([*column] for column in zip(*known, strict=True))
    test = statistics.mcnemar(x, y)
    gain = statistics.paired_difference(x, y, clusters)
    return {
        "a": sum(x) / len(x),
        "b": sum(y) / len(y),
        "difference": gain.mean,
        "low": gain.low,
        "high": gain.high,
        "both": sum(p and q for p, q in zip(x, y, strict=True)),
        "only_a": test.only_first,
        "only_b": test.only_second,
        "neither": sum(not p and not q for p, q in zip(x, y, strict=True)),
        "mcnemar_p": test.p,
    }


def _by_hardness(first: Lines, second: Lines, ids: Sequence[str]) -> list[dict[str, Any]]:
    levels: dict[str, list[str]] = {}
    for i in ids:
        levels.setdefault(first[i]["score"]["hardness"] or "outside the grammar", []).append(i)
    return [
        {
            "level": level,
            "questions": len(levels[level]),
            "a": sum(first[i]["score"]["correct"] for i in levels[level]) / len(levels[level]),
            "b": sum(second[i]["score"]["correct"] for i in levels[level]) / len(levels[level]),
        }
        for level in (*LEVELS, *sorted(levels.keys() - set(LEVELS)))
        if level in levels
    ]


def _change(before: Line, after: Line) -> dict[str, Any]:
    return {
        "id": before["id"],
        "database": before["database"],
        "question": before["question"],
        "gold": before["gold"],
        "a": before["sql"],
        "b": after["sql"],
    }


def comparison_text(found: Mapping[str, Any], changed: int) -> str:
    """The comparison for a person, with at most `changed` examples each way."""
    parts = [
        f"A: {found['a']}\nB: {found['b']}\n{found['questions']:,} questions that both answered"
    ]
    for which, n in found["left_out"].items():
        if n:
            parts.append(f"Left out: {n:,} that {which.upper()} alone answered")
    parts += [_measure_table(found["measures"]), _hardness_table(found["hardness"])]
    for title, key in (("Right in B alone", "fixed"), ("Right in A alone", "broken")):
        if found[key]:
            parts += _changed_examples(title, found[key], changed)
    return "\n\n".join(parts)


def _measure_table(measures: Mapping[str, Any]) -> str:
    rows = [
        (
            m["title"],
            f"{100 * m['a']:.1f}",
            f"{100 * m['b']:.1f}",
            f"{100 * m['difference']:+.1f} ({100 * m['low']:+.1f} to {100 * m['high']:+.1f})",
            m["only_a"],
            m["only_b"],
            _p(m["mcnemar_p"]),
        )
        for m in measures.values()
    ]
    headers = ("", "A %", "B %", "B - A (95 %)", "A alone", "B alone", "McNemar p")
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True)


def _hardness_table(levels: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            h["level"],
            h["questions"],
            f"{100 * h['a']:.1f}",
            f"{100 * h['b']:.1f}",
            f"{100 * (h['b'] - h['a']):+.1f}",
        )
        for h in levels
    ]
    headers = ("hardness", "questions", "A %", "B %", "B - A")
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True)


def _changed_examples(title: str, examples: Sequence[Mapping[str, Any]], most: int) -> list[str]:
    parts = [f"{title}: {len(examples)}"]
    parts += [
        f"  {e['id']} {e['database']}: {e['question']}\n"
        f"    gold  {e['gold']}\n    A     {e['a']}\n    B     {e['b']}"
        for e in examples[:most]
    ]
    if len(examples) > most:
        parts.append(f"  ... and {len(examples) - most} more (--changed N)")
    return parts


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


# --- several runs -------------------------------------------------------------------


def ablation(runs: Sequence[Run]) -> dict[str, Any]:
    """A row a run, in the order given, each against the first, as plain JSON. Accuracies are
    shares with 95 % intervals, differences are paired; `p50` and `p95` are seconds a question.

    Raises: DataError unless all runs answer the same questions.
    """
    first, *others = runs
    asked = _questions_and_golds(first)
    for run in others:
        if _questions_and_golds(run) != asked:
            raise DataError(
                f"{run.name} does not answer the questions of {first.name}.",
                "Compare runs of one suite with one --limit and --seed, each run to its end.",
            )
    rows = [_ablation_row(run, first if run is not first else None) for run in runs]
    for row in rows:
        row["p50_ratio"] = row["p50"] / rows[0]["p50"] if row["p50"] and rows[0]["p50"] else None
    return {"suite": first.identity["suite"], "questions": len(asked), "rows": rows}


def _questions_and_golds(run: Run) -> dict[str, tuple[str, str]]:
    return {line["id"]: (line["question"], line["gold"]) for line in run.lines}


def _ablation_row(run: Run, first: Run | None) -> dict[str, Any]:
    results = summarise(run.lines, run.info)
    measures, seconds = results["measures"], results["speed"].get("seconds", {})
    against = comparison(first, run)["measures"]["correct"] if first else None
    return {
        "run": run.name,
        "decoding": described(results["identity"]),
        "model": results["identity"]["model"],
        "model_sha256": results["identity"].get("model_sha256"),
        "machine": results["provenance"].get("machine"),
        **{name: measures.get(name) for name in ("execution", "exact", "unexecutable", "any")},
        "against_first": against,
        "p50": seconds.get("p50"),
        "p95": seconds.get("p95"),
    }


def ablation_text(found: Mapping[str, Any]) -> str:
    """The ablation as Markdown."""
    headers = (
        "run",
        "decoding",
        "execution % (95 %)",
        "difference (95 %), McNemar",
        "any candidate %",
        "exact set %",
        "does not run %",
        "p50, s",
        "p95, s",
        "p50 ratio",
    )
    rows = [_ablation_cells(row) for row in found["rows"]]
    text = f"{found['suite']}, {found['questions']:,} questions:\n\n"
    text += tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    if len({str(row["machine"]) for row in found["rows"]}) > 1:
        text += "\n\nThe runs were made on different machines: their times do not compare."
    return text


def _ablation_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    gain = row["against_first"]
    return (
        row["run"],
        row["decoding"],
        with_interval(row["execution"]),
        f"{100 * gain['difference']:+.1f} ({100 * gain['low']:+.1f} to "
        f"{100 * gain['high']:+.1f}), p {_p(gain['mcnemar_p'])}"
        if gain
        else "",
        percent(row["any"]) or "-",
        percent(row["exact"]) or "-",
        percent(row["unexecutable"]),
        *(f"{row[p]:.2f}" if row[p] else "-" for p in ("p50", "p95")),
        f"{row['p50_ratio']:.2f}" if row["p50_ratio"] else "-",
    )
