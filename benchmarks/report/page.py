"""The page: its head, its scores and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.decodings import described
from benchmarks.records import Line
from benchmarks.report.cases import case_section
from benchmarks.report.charts import accuracy_figures, confidence_section, database_section
from benchmarks.report.html import section, sql_html, style_sheet, table
from benchmarks.results import MEASURES
from benchmarks.run_folder import Run
from benchmarks.tables import suite_sentence, text_title, with_interval

Results = Mapping[str, Any]


def write_report(
    runs: Sequence[Run], results: Sequence[Results], output: Path, data: Path | None
) -> None:
    """Writes the page about `runs` and their `results`, in the same order.

    Case studies execute their queries again, so they need the data; without it they show
    SQL alone.

    Raises: OSError when the file cannot be written.
    """
    names = run_names(runs)
    parts = [
        _header(results, names),
        _key(names),
        _scores(results, names),
        accuracy_figures(results, [run.lines for run in runs]),
        confidence_section(results, names),
        database_section(results),
        _mistakes(runs[0].lines, results[0], names),
        case_section(runs[0], names[0], data),
        _components(results, names),
        _provenance(results, names),
    ]
    title = escape(f"{results[0]['identity']['suite']}: {', '.join(names)}")
    output.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>\n{style_sheet()}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n",
        "utf-8",
    )


def run_names(runs: Sequence[Run]) -> list[str]:
    """The names that tell the runs apart: the models' where those do, else the runs'."""
    models = [run.identity["model"] for run in runs]
    return models if len(set(models)) == len(models) else [run.name for run in runs]


# --- head -----------------------------------------------------------------------------


def _header(results: Sequence[Results], names: Sequence[str]) -> str:
    first = results[0]
    suites = list(dict.fromkeys(r["identity"]["suite"] for r in results))
    boxes = "".join(
        f"<div><b>{value}</b><span>{label}</span><em>{note}</em></div>"
        for value, label, note in _large_figures(first)
    )
    of = f"<p class=of>The large figures are of {escape(names[0])}.</p>" if len(names) > 1 else ""
    return (
        f"<header><p class=kind>Text-to-SQL benchmark</p><h1>{escape(' and '.join(suites))}</h1>"
        f"<p class=sub>{escape(', '.join(names))} · {escape(_questions(first))} · "
        f"{escape(first['provenance'].get('date', '')[:10])}</p></header>"
        f"<section class=hero>{boxes}</section>{of}"
    )


def _questions(results: Results) -> str:
    """How many questions were asked, and how they were drawn."""
    identity = results["identity"]
    text = f"{results['answered']:,} questions"
    if results["answered"] < identity.get("of", 0):
        text += f" of {identity['of']:,}, a random sample"
        if identity.get("sample_seed") is not None:
            text += f" (seed {identity['sample_seed']})"
    return text


def _large_figures(results: Results) -> list[tuple[str, str, str]]:
    """(figure, what it is, remark) at the head of the page."""
    measures, execution = results["measures"], results["measures"]["execution"]
    found = [
        (
            f"{100 * execution['value']:.1f}<small> %</small>",
            "execution accuracy",
            f"95 %: {100 * execution['low']:.1f} to {100 * execution['high']:.1f}",
        ),
    ]
    for name, label in (("exact", "exact set match"), ("runs", "of the SQL runs")):
        if measure := measures.get(name):
            note = f"{measure['right']:,} of {measure['n']:,}"
            found.append((f"{100 * measure['value']:.1f}<small> %</small>", label, note))
    if fast := results["speed"]:
        found.append(
            (
                f"{fast['seconds']['p50']:.2f}<small> s</small>",
                "a question, median",
                f"95 % within {fast['seconds']['p95']:.2f} s",
            )
        )
    return found


def _key(names: Sequence[str]) -> str:
    """The colours of the runs; "" for a single one."""
    if len(names) == 1:
        return ""
    items = "".join(
        f'<li><svg viewBox="0 0 12 12" class="s{n}"><circle cx="6" cy="6" r="5"/></svg>'
        f"{escape(name)}</li>"
        for n, name in enumerate(names)
    )
    return f"<ul class=key>{items}</ul>"


# --- scores ---------------------------------------------------------------------------


def _scores(results: Sequence[Results], names: Sequence[str]) -> str:
    rows = []
    for name, (title, _) in MEASURES.items():
        found = [r["measures"].get(name) for r in results]
        if any(found):
            rows.append([title, *(with_interval(f) for f in found)])
    for name in results[0]["text"]:
        rows.append([text_title(name), *(f"{r['text'][name]:.1f}" for r in results)])
    scores = table(["", *(names if len(names) > 1 else [""])], rows)
    narrow = ' class="narrow"' if len(names) == 1 else ""
    note = escape(_remarks(results))
    return section("Scores", f"<div{narrow}>{scores}</div><p class=note>{note}</p>")


def _remarks(results: Sequence[Results]) -> str:
    """What a reader of the scores must know."""
    note = (
        "Percent, with 95 % intervals (bootstrap, questions clustered by gold SQL). Execution "
        "accuracy follows the official test-suite script"
        + (", with DISTINCT kept" if results[0]["identity"].get("keep_distinct") else "")
        + "; the strict one also wants types, the order of columns and DISTINCT as in the gold."
    )
    failing = [i for r in results for i in r["gold_fails"]]
    if failing:
        ids = ", ".join(dict.fromkeys(failing[:12]))
        note += f" The gold SQL of {len(failing)} questions fails; they count as wrong: {ids}."
    for text in dict.fromkeys(filter(None, map(suite_sentence, results))):
        note += f" {text}"
    for text in dict.fromkeys(t for r in results for t in r["provenance"].get("notes", ())):
        note += f" {text[0].upper()}{text[1:]}."
    return note


def _mistakes(lines: Sequence[Line], results: Results, names: Sequence[str]) -> str:
    """An example of each kind of mistake, from the first run."""
    examples: dict[str, Line] = {}
    for line in lines:
        kind = line["score"].get("kind")
        # The shortest example says it best.
        if kind and (kind not in examples or len(line["gold"]) < len(examples[kind]["gold"])):
            examples[kind] = line
    if not examples:
        return ""
    counts = results["errors"]
    rows = [_mistake(examples[kind], n, sum(counts.values())) for kind, n in counts.items()]
    title = "The kinds of error, an example each"
    if len(names) > 1:
        title += f" ({names[0]})"
    return section(title, f"<table class=kinds>{''.join(rows)}</table>")


def _mistake(line: Line, count: int, wrong: int) -> str:
    """A row of the table of mistakes: one of `count` of the kind, of `wrong` wrong answers."""
    kind, error = line["score"]["kind"], line["score"]["error"]
    return (
        f"<tr><th>{escape(kind)}<small>{count} · {100 * count / wrong:.0f} %</small></th><td>"
        f"<p class=question>{escape(line['question'])}</p>"
        f"<div class=pair><div><h4>gold</h4>{sql_html(line['gold'])}</div>"
        f"<div><h4>prediction</h4>{sql_html(line['sql'] or line['text'])}</div></div>"
        + (f"<p class=error>{escape(error)}</p>" if error else "")
        + "</td></tr>"
    )


def _components(results: Sequence[Results], names: Sequence[str]) -> str:
    parts = [r["components"] for r in results]
    if not any(parts):
        return ""
    rows = [
        [clause, *(f"{100 * p[clause]['f1']:.1f}" if p else "" for p in parts)]
        for clause in next(p for p in parts if p)
    ]
    scores = table(["clause", *names], rows)
    note = "<p class=note>F1 of each clause by Spider's rules, in percent.</p>"
    return section("Exact set match by clause", f"<div class=narrow>{scores}</div>{note}")


# --- provenance -----------------------------------------------------------------------


def _provenance(results: Sequence[Results], names: Sequence[str]) -> str:
    rows = []

    def add(label: str, get: Callable[[Results], Any]) -> None:
        values = [get(r) for r in results]
        if any(values):
            rows.append([label, *(str(v or "") for v in values)])

    add("command", lambda r: r["provenance"].get("command"))
    add("date (UTC)", lambda r: r["provenance"].get("date", "").replace("T", " ")[:16])
    add("git commit", lambda r: _commit(r["provenance"].get("git", {})))
    add("model SHA-256", lambda r: r["identity"].get("model_sha256"))
    add("data SHA-256", lambda r: r["identity"].get("data_sha256"))
    add("prompt", lambda r: _join(r["identity"], "prompt_version", "chat_format", "backend"))
    add("decoding", lambda r: _decoding(r["identity"]))
    add("machine", lambda r: _machine(r["provenance"]["machine"]))
    add("versions", lambda r: ", ".join(f"{k} {v}" for k, v in r["provenance"]["versions"].items()))
    return section("Provenance", table(["", *names], rows, "provenance"))


def _commit(git: Mapping[str, Any]) -> str:
    if not git:
        return ""
    changed = git["changed_files"]
    return git["commit"] + (f" and {changed} changed files" if changed else "")


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [machine["processor"], f"{machine['cores']} cores", f"{machine['memory_gib']} GiB"]
    return ", ".join([*parts, *machine.get("gpus", [])])


def _join(identity: Mapping[str, Any], *keys: str) -> str:
    return ", ".join(str(identity[key]) for key in keys if identity.get(key))


def _decoding(identity: Mapping[str, Any]) -> str:
    if "candidates" not in identity:
        return ""
    return (
        f"{described(identity)}: {identity['candidates']} candidate(s), temperature "
        f"{identity['temperature']:g}, {identity['repairs']} repairs, "
        f"at most {identity['max_tokens']} tokens, seed {identity['seed']}"
    )
