"""One self-contained HTML page about one run or several: no script, no font, no network."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.datasets import Dataset
from benchmarks.decodings import described
from benchmarks.results import (
    MEASURES,
    calibration_rows,
    suite_sentence,
    text_title,
    with_interval,
)
from benchmarks.suites import load_suite
from t2sql_tui.core.errors import T2SQLError
from t2sql_tui.core.types import Limits, Schema

_CASES = 6
_CASE_ROWS = 5


def write_report(runs: Sequence[Mapping[str, Any]], output: Path, data: Path | None) -> None:
    """Writes the page about `runs` (dicts with name, info, lines and results).

    Case studies execute their queries again, so they need the data; without it they show
    SQL alone.

    Raises: OSError when the file cannot be written.
    """
    names = run_names(runs)
    results = [run["results"] for run in runs]
    parts = [
        _header(results, names),
        _key(names),
        _measures(results, names),
        _figures(runs, results),
        _confidence(results, names),
        _databases(results, names),
        _errors(runs, names),
        _cases(runs[0], names[0], data),
        _components(results, names),
        _provenance(results, names),
    ]
    title = escape(f"{results[0]['identity']['suite']}: {', '.join(names)}")
    output.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n",
        "utf-8",
    )


def run_names(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells the runs apart: the model's name where that does, else the run's."""
    models = [run["info"]["identity"]["model"] for run in runs]
    return models if len(set(models)) == len(models) else [run["name"] for run in runs]


# --- sections -----------------------------------------------------------------------


def _header(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    first = results[0]
    identity, execution = first["identity"], first["measures"]["execution"]
    suites = list(dict.fromkeys(r["identity"]["suite"] for r in results))
    asked = f"{first['answered']:,} questions"
    if first["answered"] < identity.get("of", 0):
        asked += f" of {identity['of']:,}, a random sample"
        if identity.get("sample_seed") is not None:
            asked += f" (seed {identity['sample_seed']})"
    figures_ = [
        (
            f"{100 * execution['value']:.1f}<small> %</small>",
            "execution accuracy",
            f"95 %: {100 * execution['low']:.1f} to {100 * execution['high']:.1f}",
        ),
    ]
    for name, label in (("exact", "exact set match"), ("runs", "of the SQL runs")):
        if found := first["measures"].get(name):
            note = f"{found['right']:,} of {found['n']:,}"
            figures_.append((f"{100 * found['value']:.1f}<small> %</small>", label, note))
    if fast := first["speed"]:
        figures_.append(
            (
                f"{fast['seconds']['p50']:.2f}<small> s</small>",
                "a question, median",
                f"95 % within {fast['seconds']['p95']:.2f} s",
            )
        )
    boxes = "".join(
        f"<div><b>{value}</b><span>{label}</span><em>{note}</em></div>"
        for value, label, note in figures_
    )
    heading = " and ".join(suites)
    of = f"<p class=of>The large figures are of {escape(names[0])}.</p>" if len(names) > 1 else ""
    return (
        f"<header><p class=kind>Text-to-SQL benchmark</p><h1>{escape(heading)}</h1>"
        f"<p class=sub>{escape(', '.join(names))} · {escape(asked)} · "
        f"{escape(first['provenance'].get('date', '')[:10])}</p></header>"
        f"<section class=hero>{boxes}</section>{of}"
    )


def _key(names: Sequence[str]) -> str:
    if len(names) == 1:
        return ""
    items = "".join(
        f'<li><svg viewBox="0 0 12 12" class="s{n}"><circle cx="6" cy="6" r="5"/></svg>'
        f"{escape(name)}</li>"
        for n, name in enumerate(names)
    )
    return f"<ul class=key>{items}</ul>"


def _measures(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    rows = []
    for name, (title, _) in MEASURES.items():
        found = [r["measures"].get(name) for r in results]
        if any(found):
            rows.append([title, *(with_interval(f) for f in found)])
    for name in results[0]["text"]:
        rows.append([text_title(name), *(f"{r['text'][name]:.1f}" for r in results)])
    note = (
        "Percent, with 95 % intervals (bootstrap, questions clustered by gold SQL). Execution "
        "accuracy follows the official test-suite script"
        + (", with DISTINCT kept" if results[0]["identity"].get("keep_distinct") else "")
        + "; the strict one also wants types, the order of columns and DISTINCT as in the gold."
    )
    failing = [i for r in results for i in r["gold_fails"]]
    if failing:
        shown = ", ".join(dict.fromkeys(failing[:12]))
        note += f" The gold SQL of {len(failing)} questions fails; they count as wrong: {shown}."
    for text in dict.fromkeys(filter(None, map(suite_sentence, results))):
        note += f" {text}"
    for text in dict.fromkeys(t for r in results for t in r["provenance"].get("notes", ())):
        note += f" {text[0].upper()}{text[1:]}."
    table = _table(["", *(names if len(names) > 1 else [""])], rows)
    narrow = ' class="narrow"' if len(names) == 1 else ""
    return _section("Scores", f"<div{narrow}>{table}</div><p class=note>{escape(note)}</p>")


def _figures(runs: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> str:
    kinds: dict[str, int] = defaultdict(int)
    for r in results:
        for kind, n in r["errors"].items():
            kinds[kind] += n
    ranked = sorted(kinds, key=lambda k: -kinds[k])
    cells = []
    if levels := _by(results, "hardness"):
        cells.append(("Execution accuracy by hardness", figures.shares(levels)))
    cells.append(("By number of tables in the gold", figures.shares(_by(results, "tables"))))
    if ranked:
        rows = [
            (
                kind.split(" DISTINCT")[0] + " DISTINCT ..." if " DISTINCT" in kind else kind,
                [r["errors"].get(kind, 0) for r in results],
            )
            for kind in ranked[:14]
        ]
        cells.append(("What went wrong, in questions", figures.bars(rows)))
    kinds_of_query = []
    for name, label in (
        ("aggregation", "aggregation"),
        ("nesting", "nested"),
        ("set operation", "set operation"),
    ):
        for answer, sign in (("yes", ""), ("no", "no ")):
            values = [r["by"][name].get(answer) for r in results]
            if any(values):
                kinds_of_query.append((sign + label, values))
    cells.append(("By what the gold is made of", figures.shares(kinds_of_query)))
    if all("confidence" in r["by"] for r in results):
        title = "By the model's own confidence (log-probability of the SQL)"
        cells.append((title, figures.shares(_by(results, "confidence"))))
    timed = [r for r in runs if r["results"]["speed"]]
    if timed and len(timed) == len(runs):
        seconds = [[line["seconds"] for line in r["lines"]] for r in runs]
        marks = [[(p, r["speed"]["seconds"][p]) for p in ("p50", "p95")] for r in results]
        cells.append(("Seconds a question", figures.histogram(seconds, marks) + _pace(results)))
    body = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in cells
    )
    return (
        f"<section class=figures>{body}</section>"
        "<p class=note>Dots are shares of right answers in percent with 95 % intervals "
        "(Wilson); the grey number counts questions.</p>"
    )


def _confidence(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Whether the probability that the app states holds."""
    rows = calibration_rows(results)
    if not rows:
        return ""
    found = [r.get("calibration") or {"bins": {"equal mass": []}, "risk": []} for r in results]
    bins = [c["bins"]["equal mass"] for c in found]
    reliability = figures.unit_square(
        [[(b["stated"], b["value"]) for b in part] for part in bins],
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
    return _section(
        "Confidence",
        "<div class=figures><figure><figcaption>Reliability</figcaption>"
        f"{reliability}</figure><figure><figcaption>Risk and coverage</figcaption>{risk}</figure>"
        f"</div>{_table(['', *(names if len(names) > 1 else [''])], rows)}"
        f"<p class=note>{note}</p>",
    )


def _pace(results: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for r in results:
        fast = r["speed"]
        lines.append(
            f"first token after {fast['first_token_seconds']['p50']:.2f} s (median), "
            f"{fast['decode_tokens_per_second'] or 0:.0f} tokens a second, "
            f"{100 * fast['cached_share']:.0f} % of the prompt tokens reused, "
            f"{fast['seconds']['total'] / 60:.1f} min in all"
        )
    return "".join(f'<p class="pace s{n}"><i></i>{line}</p>' for n, line in enumerate(lines))


def _by(results: Sequence[Mapping[str, Any]], name: str) -> list[tuple[str, list[Any]]]:
    found = [r["by"].get(name, {}) for r in results]
    keys = list(dict.fromkeys(key for groups in found for key in groups))
    return [(key, [groups.get(key) for groups in found]) for key in keys]


def _databases(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    rows = _by(results, "database")
    if not rows:
        return ""
    rows.sort(key=lambda row: row[1][0]["value"] if row[1][0] else 2)
    shown = rows[:24]
    title = "Databases, the worst first"
    if len(shown) < len(rows):
        title += f" ({len(shown)} of {len(rows)})"
    half = (len(shown) + 1) // 2
    columns = "".join(
        f"<figure>{figures.shares(part)}</figure>" for part in (shown[:half], shown[half:]) if part
    )
    return _section(title, f"<div class=figures>{columns}</div>")


def _errors(runs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """An example of each kind, from the first run."""
    examples: dict[str, Mapping[str, Any]] = {}
    for line in runs[0]["lines"]:
        kind = line["score"].get("kind")
        # The shortest example says it best.
        if kind and (kind not in examples or len(line["gold"]) < len(examples[kind]["gold"])):
            examples[kind] = line
    if not examples:
        return ""
    counts = runs[0]["results"]["errors"]
    wrong = sum(counts.values())
    rows = []
    for kind, n in counts.items():
        line = examples[kind]
        error = line["score"]["error"]
        rows.append(
            f"<tr><th>{escape(kind)}<small>{n} · {100 * n / wrong:.0f} %</small></th><td>"
            f"<p class=question>{escape(line['question'])}</p>"
            f"<div class=pair><div><h4>gold</h4>{sql_html(line['gold'])}</div>"
            f"<div><h4>prediction</h4>{sql_html(line['sql'] or line['text'])}</div></div>"
            + (f"<p class=error>{escape(error)}</p>" if error else "")
            + "</td></tr>"
        )
    title = "The kinds of error, an example each"
    if len(names) > 1:
        title += f" ({names[0]})"
    return _section(title, f"<table class=kinds>{''.join(rows)}</table>")


def _components(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    parts = [r["components"] for r in results]
    if not any(parts):
        return ""
    rows = [
        [clause, *(f"{100 * p[clause]['f1']:.1f}" if p else "" for p in parts)]
        for clause in next(p for p in parts if p)
    ]
    table = _table(["clause", *names], rows)
    note = "<p class=note>F1 of each clause by Spider's rules, in percent.</p>"
    return _section("Exact set match by clause", f"<div class=narrow>{table}</div>{note}")


def _provenance(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    rows = []

    def add(label: str, get: Any) -> None:
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
    return _section("Provenance", _table(["", *names], rows, "provenance"))


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


# --- case studies -------------------------------------------------------------------


def _cases(run: Mapping[str, Any], name: str, data: Path | None) -> str:
    chosen = choose_cases(run["lines"])
    if not chosen:
        return ""
    try:
        dataset = load_suite(run["info"]["identity"]["suite"], data)
        missing = ""
    except T2SQLError as error:
        dataset, missing = None, f"<p class=note>Without results: {escape(error.message)}</p>"
    cases = "".join(_case(line, dataset) for line in chosen)
    return _section(f"Case studies: failures of {name}", missing + cases)


def choose_cases(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One failure of each of the most frequent kinds, each on another database, of middling
    length: what a reader can follow and learn from."""
    by_kind = defaultdict(list)
    for line in lines:
        if kind := line["score"].get("kind"):
            by_kind[kind].append(line)
    chosen: list[Mapping[str, Any]] = []
    used: set[str] = set()
    for kind in sorted(by_kind, key=lambda k: -len(by_kind[k])):
        fresh = [line for line in by_kind[kind] if line["database"] not in used] or by_kind[kind]
        # Executable predictions make better cases: both results can be shown.
        fresh.sort(key=lambda l: (not l["score"]["runs"], abs(len(l["gold"]) - 120), l["id"]))
        chosen.append(fresh[0])
        used.add(fresh[0]["database"])
        if len(chosen) == _CASES:
            break
    return chosen


def _case(line: Mapping[str, Any], dataset: Dataset | None) -> str:
    schema = gold = predicted = ""
    if dataset is not None and line["database"] in dataset.files:
        from t2sql_tui.core.database.database import open_database

        with open_database(dataset.files[line["database"]][0]) as database:
            schema = _schema_html(database.schema, line["gold"] + " " + line["sql"])
            gold = _result_html(database, line["gold"])
            predicted = _result_html(database, line["sql"])
    evidence = f"<p class=note>Hint: {escape(line['evidence'])}</p>" if line.get("evidence") else ""
    return (
        f"<article><h3><span>{escape(line['score'].get('kind', ''))}</span>"
        f"{escape(line['database'])} · {escape(line['id'])}</h3>"
        f"<p class=question>{escape(line['question'])}</p>{evidence}{schema}"
        f"<div class=pair><div><h4>gold</h4>{sql_html(line['gold'])}{gold}</div>"
        f"<div><h4>prediction</h4>{sql_html(line['sql'] or line['text'])}{predicted}</div></div>"
        "</article>"
    )


def _schema_html(schema: Schema, used: str) -> str:
    """The tables that either query mentions, keys underlined; the others by name alone."""
    words = {word.lower() for word in re.findall(r"\w+", used)}
    shown, others = [], []
    for table in schema.tables:
        if table.name.lower() not in words:
            others.append(table.name)
            continue
        linked = {c.lower() for key in table.foreign_keys for c in key.columns}
        columns = ", ".join(
            f"<u>{escape(c.name)}</u>"
            if c.primary_key
            else f"<i>{escape(c.name)}</i>"
            if c.name.lower() in linked
            else escape(c.name)
            for c in table.columns
        )
        shown.append(f"<b>{escape(table.name)}</b>({columns})")
    rest = f" <span>… {escape(', '.join(others))}</span>" if others else ""
    return f"<p class=schema>{' '.join(shown)}{rest}</p>"


def _result_html(database: Any, sql: str) -> str:
    """The first rows that `sql` gives, or why it gives none."""
    from t2sql_tui.core.sql.check import check
    from t2sql_tui.core.types import Rejection

    found = check(sql, database)
    if isinstance(found, Rejection):
        return f"<p class=error>{escape(found.message)}</p>"
    try:
        result = database.run(found, Limits(rows=1000, seconds=10.0))
    except T2SQLError as error:
        return f"<p class=error>{escape(error.message)}</p>"
    rows = [[_cell(value) for value in row] for row in result.rows[:_CASE_ROWS]]
    count = f"{len(result.rows):,}{' or more' if result.truncated else ''}"
    label = f"{count} row{'' if len(result.rows) == 1 else 's'}"
    return f"<div class=result>{_table(result.columns, rows)}</div><p class=rows>{label}</p>"


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = "NULL" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


# --- pieces -------------------------------------------------------------------------

_SQL_PART = re.compile(
    r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`)|([A-Za-z_][\w.]*)|(\s+)|(.)""", re.DOTALL
)
_CLAUSES = frozenset(
    """
    from where group having order limit union intersect except join left inner cross
    """.split()
)
_KEYWORDS = _CLAUSES | frozenset(
    """
    select distinct by offset all outer on as and or not in exists between like is null case
    when then else end asc desc with count sum avg min max cast over partition
    """.split()
)


def sql_html(sql: str) -> str:
    """SQL with keywords and strings marked and, outside parentheses, a line a clause."""
    parts: list[str] = []
    depth, previous = 0, ""
    for string, word, space, other in _SQL_PART.findall(sql.strip()):
        if string:
            parts.append(f"<q>{escape(string)}</q>")
        elif word.lower() in _KEYWORDS:
            begins = word.lower() in _CLAUSES and previous not in ("left", "inner", "cross")
            if begins and depth == 0 and parts and parts[-1] == " ":
                parts[-1] = "\n"
            parts.append(f"<b>{escape(word)}</b>")
        elif space:
            parts.append(" ")
            continue
        else:
            depth += (other == "(") - (other == ")")
            if other == "," and parts and parts[-1] == " ":
                parts.pop()
            parts.append(escape(word or other))
        previous = word.lower()
    return f"<pre>{''.join(parts)}</pre>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


_STYLE = """
:root{--ink:#1d2329;--soft:#66707a;--faint:#e4e7ea;--paper:#fff;--panel:#f6f7f8;--s0:#1f5fa8;
--s1:#c8641b;--s2:#3d8a52;--s3:#8a4fa3;--bad:#a8321f}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7ea;--soft:#98a2ab;--faint:#323940;
--paper:#14181c;--panel:#1c2126;--s0:#6aa8ec;--s1:#eb9a55;--s2:#76c38b;--s3:#c391da;--bad:#ef8672}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 Charter,"Bitstream Charter",
"Iowan Old Style","Source Serif 4",Georgia,serif}
main{max-width:1040px;margin:0 auto;padding:56px 32px 80px}
header{border-top:3px solid var(--ink);padding-top:18px}
.kind{margin:0;font:600 12px/1 "Inter",system-ui,sans-serif;letter-spacing:.09em;
text-transform:uppercase;color:var(--soft)}
h1{font-size:40px;line-height:1.15;margin:10px 0 6px;font-weight:600;letter-spacing:-.01em}
.sub{margin:0;color:var(--soft);font-size:17px}
h2{font-size:22px;margin:52px 0 14px;font-weight:600}
.hero{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:1px;
margin:30px 0 8px;
background:var(--faint);border:1px solid var(--faint)}
.hero div{background:var(--paper);padding:18px 20px 14px}
.hero b{display:block;font:600 40px/1.1 "Inter",system-ui,sans-serif;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.hero div:first-child b{color:var(--s0)}
.hero small{font-size:20px;font-weight:500;color:var(--soft)}
.hero span{display:block;margin-top:6px}
.hero em{font:13px/1.4 "Inter",system-ui,sans-serif;color:var(--soft)}
.of,.note{color:var(--soft);font-size:14px;line-height:1.5;max-width:78ch}
.key{list-style:none;display:flex;gap:22px;padding:0;margin:18px 0 0;
font:14px "Inter",system-ui,sans-serif}
.key li{display:flex;align-items:center}.key svg{width:11px;height:11px;margin-right:7px}
table{border-collapse:collapse;width:100%;font:14px/1.45 "Inter",system-ui,sans-serif;
font-variant-numeric:tabular-nums}
thead th{text-align:left;font-weight:600;border-bottom:1.5px solid var(--ink);
padding:6px 14px 6px 0}
tbody td{border-bottom:1px solid var(--faint);padding:6px 14px 6px 0;vertical-align:top}
.narrow table{max-width:520px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:34px 40px;
margin-top:44px}
section>.figures{margin-top:0}.figures+table{margin-top:24px}
figure{margin:0}
figcaption{font:600 14px "Inter",system-ui,sans-serif;margin-bottom:10px}
svg{display:block;width:100%;font:12.5px "Inter",system-ui,sans-serif}
svg text{fill:var(--ink)}
svg .tick{fill:var(--soft);font-size:11.5px}
svg .n{fill:var(--soft);font-size:10.5px}
svg .value{font-variant-numeric:tabular-nums}
svg g .value{fill:var(--c)}
.grid{stroke:var(--faint)}.axis{stroke:var(--soft)}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}
circle,rect[class^=s]{fill:var(--c)}
.whisker{stroke:var(--c);stroke-width:2;opacity:.55}
.area{fill:var(--c);fill-opacity:.28;stroke:var(--c);stroke-width:1.2}
.line{fill:none;stroke:var(--c);stroke-width:2}
.mark{stroke:var(--c);stroke-dasharray:2 3}
.pace{margin:8px 0 0;font:13px/1.45 "Inter",system-ui,sans-serif;color:var(--soft)}
.pace i{display:inline-block;width:8px;height:8px;border-radius:4px;background:var(--c);
margin-right:7px}
.kinds th{text-align:left;vertical-align:top;width:170px;padding:14px 14px 14px 0;font-weight:600;
border-bottom:1px solid var(--faint)}
.kinds td{padding:14px 0}
.kinds small{display:block;font-weight:400;color:var(--soft)}
.question{margin:0 0 8px;font:italic 16px/1.45 Charter,"Bitstream Charter",Georgia,serif}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:16px}
.pair>div{min-width:0}
h4{margin:0 0 4px;font:600 11px "Inter",system-ui,sans-serif;letter-spacing:.06em;
text-transform:uppercase;color:var(--soft)}
pre{margin:0;padding:10px 12px;background:var(--panel);border-radius:4px;overflow-x:auto;
white-space:pre-wrap;overflow-wrap:anywhere;
font:12.5px/1.5 "JetBrains Mono",ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace}
pre b{font-weight:600;color:var(--s0)}pre q{quotes:none;color:var(--s2)}
article{border-top:1px solid var(--faint);padding:22px 0 10px}
h3{margin:0 0 8px;font:500 14px "Inter",system-ui,sans-serif;color:var(--soft)}
h3 span{background:var(--bad);color:var(--paper);border-radius:3px;padding:2px 8px;
margin-right:10px;
font-weight:600;font-size:12.5px}
.schema{font:13px/1.6 ui-monospace,Menlo,"DejaVu Sans Mono",monospace;color:var(--soft);
margin:0 0 12px}
.schema b{color:var(--ink)}.schema u{text-underline-offset:3px}.schema span{opacity:.75}
.result{overflow-x:auto;margin-top:10px}
.result table{font-size:12.5px;width:auto}
.result td,.result th{padding:3px 12px 3px 0;white-space:nowrap}
.rows{margin:4px 0 0;font:12px "Inter",system-ui,sans-serif;color:var(--soft)}
.error{margin:8px 0 0;font:13px/1.45 "Inter",system-ui,sans-serif;color:var(--bad)}
.provenance td:first-child{white-space:nowrap;color:var(--soft)}
.provenance td{overflow-wrap:anywhere}
@media(max-width:760px){.pair{grid-template-columns:1fr}.figures{grid-template-columns:1fr}
main{padding:28px 18px}}
@media print{main{max-width:none;padding:0}article,figure,.kinds tr{break-inside:avoid}}
"""
