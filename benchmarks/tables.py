"""Results as tables: for the terminal, in Markdown for the README and the cards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.decodings import DEFAULT, described
from benchmarks.metrics import calibration
from benchmarks.results import MEASURES

# (title, rows, headers)
Table = tuple[str, Sequence[Sequence[Any]], Sequence[str]]


def percent(found: Mapping[str, Any] | None) -> str:
    """A share as percent, without the sign; "" for none."""
    return f"{100 * found['value']:.1f}" if found else ""


def text_title(name: str) -> str:
    """The name as papers write it: ROUGE-L for "rougeL"."""
    return name.upper().replace("ROUGE", "ROUGE-")


def with_interval(found: Mapping[str, Any] | None) -> str:
    """A share as percent with its interval, without the sign; "" for none."""
    if not found:
        return ""
    return f"{100 * found['value']:.1f} ({100 * found['low']:.1f} to {100 * found['high']:.1f})"


def summary_tables(results: Mapping[str, Any]) -> list[Table]:
    """What a person wants to see at the end of a run."""
    tables = [_score_table(results)]
    if levels := results["by"].get("hardness"):
        tables.append(_slice_table("By hardness", levels))
    if groups := results["by"].get("group"):
        tables.append(_slice_table("By group", groups))
    if mistakes := results["errors"]:
        tables.append(_mistake_table(mistakes))
    if speed := results["speed"]:
        tables.append(_speed_table(speed))
    if rows := calibration_rows([results]):
        tables.append(("Confidence", rows, ("", "")))
    return tables


def _score_table(results: Mapping[str, Any]) -> Table:
    identity = results["identity"]
    title = f"{identity['suite']}, {identity['model']}: {results['answered']:,} questions"
    if results["answered"] < identity.get("of", 0):
        title += f" of {identity['of']:,}"
    rows = [
        (MEASURES[name][0], with_interval(found), f"{found['right']:,} of {found['n']:,}")
        for name, found in results["measures"].items()
    ]
    rows += [(text_title(name), f"{value:.1f}", "") for name, value in results["text"].items()]
    return title, rows, ("", "% (95 % interval)", "count")


def _slice_table(title: str, levels: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        (
            level,
            found["n"],
            with_interval(found),
            f"{100 * found['exact']:.1f}" if "exact" in found else "",
        )
        for level, found in levels.items()
    ]
    return title, rows, ("", "questions", "execution %", "exact set %")


def _mistake_table(counts: Mapping[str, int]) -> Table:
    wrong = sum(counts.values())
    rows = [(kind, n, f"{100 * n / wrong:.0f} %") for kind, n in counts.items()]
    return "What went wrong", rows, ("", "questions", "of the wrong")


def _speed_table(speed: Mapping[str, Any]) -> Table:
    row = (
        *(f"{speed['seconds'][p]:.2f} s" for p in ("p50", "p95", "p99")),
        f"{speed['first_token_seconds']['p50']:.2f} s",
        f"{speed['decode_tokens_per_second'] or 0:.1f}",
        f"{100 * speed['cached_share']:.0f} %",
        f"{speed['seconds']['total'] / 60:.1f} min",
    )
    headers = ("p50", "p95", "p99", "first token", "tokens/s", "prompt cached", "in all")
    return "Speed", [row], headers


def calibration_rows(several: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """How well the confidence of each run holds: a row a number, a column a run; [] where no
    run states one."""
    found = [results.get("calibration") for results in several]
    if not any(found):
        return []
    texts: dict[str, Callable[[Mapping[str, Any]], str]] = {
        f"Calibration error, {calibration.BINS} bins of equal mass": lambda c: (
            f"{c['ece_equal_mass']:.3f}"
        ),
        f"Calibration error, {calibration.BINS} bins of equal width": lambda c: (
            f"{c['ece_equal_width']:.3f}"
        ),
        "Brier score": lambda c: f"{c['brier']:.3f}",
        "Area under the ROC curve": lambda c: "" if c["auc"] is None else f"{c['auc']:.3f}",
        # Results of before December 2026 do not have it.
        f"Wrong answers stated at {100 * calibration.SURE:.0f} % or surer": lambda c: (
            f"{c['wrong_but_sure']} of {c['wrong']}" if "wrong" in c else ""
        ),
    }
    rows = [(title, *(text(c) if c else "" for c in found)) for title, text in texts.items()]
    for index, coverage in enumerate(calibration.COVERAGES):
        title = f"% right where the surest {100 * coverage:.0f} % are answered"
        rows.append((title, *(with_interval(c["coverage"][index]) if c else "" for c in found)))
    return rows


def suite_sentence(results: Mapping[str, Any]) -> str:
    """What the test suite is and how many wrong queries it tells from the gold; "" without
    one."""
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
    """How well the confidence of each run holds, as Markdown; "" where no run states one."""
    rows = calibration_rows(several)
    return tabulate(rows, ("", *names), tablefmt="github", disable_numparse=True) if rows else ""


def markdown_table(several: Sequence[Mapping[str, Any]]) -> str:
    """The runs as Markdown, one row each; the columns are what is comparable between papers."""
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


def with_score_table(readme: str, several: Sequence[Mapping[str, Any]]) -> str:
    """`readme` with the text between its two markers replaced; unchanged without them."""
    table = f"{_BEGIN}\n{markdown_table(several)}\n{_END}"
    return re.sub(
        f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", lambda _: table, readme, flags=re.DOTALL
    )


def write_readme_table(path: Path, several: Sequence[Mapping[str, Any]]) -> None:
    """Rewrites the score table of the README at `path`."""
    path.write_text(with_score_table(path.read_text("utf-8"), several), "utf-8")
