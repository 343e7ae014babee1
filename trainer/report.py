"""Pictures and tables: the curves of a run, and what is in a data artefact."""

from __future__ import annotations

import base64
import html
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def pyplot():
    import matplotlib  # 1 s: not for `--help`

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


# --- a run --------------------------------------------------------------------------


def plot_run(folder: Path) -> list[Path]:
    """Loss, learning rate and accuracy of a run as PNG files in its `plots` folder."""
    from trainer.fit import read_log

    plt = pyplot()

    lines = read_log(folder / "metrics.jsonl")
    steps = [row for row in lines if "loss" in row]
    measured = [row for row in lines if "execution_accuracy" in row]
    target = folder / "plots"
    target.mkdir(exist_ok=True)
    curves = {
        "loss": [("training", steps, "loss"), ("held out", measured, "eval_loss")],
        "learning_rate": [("learning rate", steps, "learning_rate")],
        "accuracy": [
            ("execution accuracy", measured, "execution_accuracy"),
            ("valid SQL", measured, "valid_sql"),
        ],
    }
    written = []
    for name, series in curves.items():
        figure, axes = plt.subplots(figsize=(6, 3.5))
        for label, rows, key in series:
            axes.plot(
                [r["step"] for r in rows],
                [r[key] for r in rows],
                label=label,
                marker="o" if rows is measured else None,
            )
        axes.set_xlabel("step")
        axes.set_ylabel(name.replace("_", " "))
        axes.legend()
        axes.grid(alpha=0.3)
        figure.tight_layout()
        written.append(target / f"{name}.png")
        figure.savefig(written[-1], dpi=120)
        plt.close(figure)
    return written


# --- a data artefact ----------------------------------------------------------------

_KEYWORDS = (
    "DISTINCT",
    "JOIN",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "ORDER BY",
    "LIMIT",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "IN",
    "LIKE",
    "BETWEEN",
    "CASE",
    "EXISTS",
    "OVER",
    "WITH",
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
)


def write_data_report(artefact, folder: Path) -> Path:
    """An exploratory report of an artefact: index.html (self-contained), report.md and its
    plots in `folder`. Returns the page."""
    data = artefact.load()
    rows = {split: data[split].remove_columns("prefix").to_list() for split in data}
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    summary = _summary_rows(artefact)
    overlap = _overlap(rows)
    sections: list[tuple[str, str, bytes]] = []
    for name, title, draw in _PICTURES:
        picture = draw(rows)
        (plots / f"{name}.png").write_bytes(picture)
        sections.append((name, title, picture))
    headers = ["", *artefact.about["statistics"]]
    (folder / "report.md").write_text(_markdown(artefact, headers, summary, overlap, sections))
    page = folder / "index.html"
    page.write_text(_page(artefact, headers, summary, overlap, sections), encoding="utf-8")
    return page


def _markdown(artefact, headers, summary, overlap, sections) -> str:
    from tabulate import tabulate

    parts = [
        f"# Data: {', '.join(artefact.about['config']['data'])}",
        f"`{artefact.folder}`",
        tabulate(summary, headers, tablefmt="github", intfmt=","),
        "## Overlap of the splits",
        tabulate(overlap, ["", "value"], tablefmt="github", intfmt=","),
    ]
    if notes := artefact.about["notes"]:
        parts.append("\n".join(["## Notes\n", *(f"- {note}" for note in notes)]))
    parts += [f"## {title}\n\n![{title}](plots/{name}.png)" for name, title, _ in sections]
    return "\n\n".join(parts) + "\n"


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;"
    "text-align:right}td:first-child{text-align:left}img{max-width:100%}"
)


def _page(artefact, headers, summary, overlap, sections) -> str:
    from tabulate import tabulate

    title = html.escape(f"Data: {', '.join(artefact.about['config']['data'])}")
    body = [
        f"<h1>{title}</h1><p><code>{html.escape(str(artefact.folder))}</code></p>",
        tabulate(summary, headers, tablefmt="html", intfmt=","),
        "<h2>Overlap of the splits</h2>",
        tabulate(overlap, ["", "value"], tablefmt="html", intfmt=","),
    ]
    if notes := artefact.about["notes"]:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        body.append(f"<h2>Notes</h2><ul>{items}</ul>")
    for _, heading, picture in sections:
        encoded = base64.b64encode(picture).decode()
        body.append(f"<h2>{html.escape(heading)}</h2>")
        body.append(f'<img alt="{html.escape(heading)}" src="data:image/png;base64,{encoded}">')
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style>{''.join(body)}</html>"
    )


Rows = dict[str, list[dict[str, Any]]]


def _overlap(rows: Rows) -> list[list[Any]]:
    """What the held-out examples share with those trained on."""
    train, held = rows["train"], rows["heldout"]
    shared = lambda key: len({r[key] for r in held} & {r[key] for r in train})  # noqa: E731
    shape = lambda r: re.sub(r"'[^']*'|\b\d+(\.\d+)?\b", "?", r["sql"])  # noqa: E731
    shapes = {shape(r) for r in train}
    return [
        ["databases in both", shared("database")],
        ["questions in both, word for word", shared("question")],
        ["SQL in both, word for word", shared("sql")],
        [
            "held-out SQL whose shape (values aside) was trained on",
            sum(shape(r) in shapes for r in held),
        ],
    ]


def _bars(rows: Rows, count, order: Sequence[str] | None = None, horizontal: bool = False) -> bytes:
    """Share of each split's examples for every value that `count(row)` yields."""
    plt = pyplot()
    counts = {split: Counter(v for row in of for v in count(row)) for split, of in rows.items()}
    names = [n for n in order or sorted({n for c in counts.values() for n in c})]
    names = [n for n in names if any(c[n] for c in counts.values())]
    figure, axes = plt.subplots(figsize=(7, max(3.2, 0.28 * len(names) if horizontal else 0)))
    size = 0.8 / len(rows)
    for number, (split, found) in enumerate(counts.items()):
        places = [place + number * size for place in range(len(names))]
        shares = [100 * found[name] / max(1, len(rows[split])) for name in names]
        (axes.barh if horizontal else axes.bar)(places, shares, size, label=split)
    middles = [place + size * (len(rows) - 1) / 2 for place in range(len(names))]
    (axes.set_yticks if horizontal else axes.set_xticks)(middles, [str(n) for n in names])
    (axes.set_xlabel if horizontal else axes.set_ylabel)("% of examples")
    return _png(figure, axes)


def _histogram(rows: Rows, series: dict[str, Any], label: str) -> bytes:
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for name, value in series.items():
        for split, of in rows.items():
            axes.hist(
                [value(r) for r in of],
                bins=40,
                histtype="step",
                density=True,
                label=f"{split} {name}".strip(),
            )
    axes.set_xlabel(label)
    axes.set_yticks([])
    return _png(figure, axes)


def _png(figure, axes) -> bytes:
    axes.legend()
    figure.tight_layout()
    target = io.BytesIO()
    figure.savefig(target, dpi=110)
    pyplot().close(figure)
    return target.getvalue()


def _keywords(row: dict[str, Any]) -> list[str]:
    sql = re.sub(r"'[^']*'", "", row["sql"].upper())
    return [word for word in _KEYWORDS if re.search(rf"\b{word}\b", sql)]


def _joins(row: dict[str, Any]) -> list[int]:
    return [min(5, len(re.findall(r"\bJOIN\b", row["sql"].upper())))]


def _nesting(row: dict[str, Any]) -> list[int]:
    return [row["sql"].upper().count("SELECT")]


_PICTURES = (
    (
        "hardness",
        "Difficulty (Spider's levels)",
        lambda rows: _bars(
            rows, lambda r: [r["hardness"] or "other"], ("easy", "medium", "hard", "extra", "other")
        ),
    ),
    ("nesting", "Complexity: SELECTs in a query", lambda rows: _bars(rows, _nesting)),
    ("joins", "Joins in a query (5 or more as 5)", lambda rows: _bars(rows, _joins)),
    ("keywords", "SQL keywords", lambda rows: _bars(rows, _keywords, _KEYWORDS[::-1], True)),
    (
        "characters",
        "Length in characters",
        lambda rows: _histogram(
            rows,
            {"question": lambda r: len(r["question"]), "SQL": lambda r: len(r["sql"])},
            "characters",
        ),
    ),
    (
        "tokens",
        "Length in tokens of the base model's tokenizer",
        lambda rows: _histogram(rows, {"": lambda r: r["tokens"]}, "tokens of prompt and SQL"),
    ),
    (
        "sql_tokens",
        "Length of the SQL in tokens",
        lambda rows: _histogram(rows, {"": lambda r: r["sql_tokens"]}, "tokens of SQL"),
    ),
    (
        "tables",
        "Size of the schema: tables",
        lambda rows: _histogram(rows, {"": lambda r: r["tables"]}, "tables"),
    ),
    (
        "columns",
        "Size of the schema: columns",
        lambda rows: _histogram(rows, {"": lambda r: r["columns"]}, "columns"),
    ),
)


def data_summary(artefact) -> str:
    """The statistics of an artefact as a table, a column a split."""
    from tabulate import tabulate

    headers = ["", *artefact.about["statistics"]]
    return tabulate(_summary_rows(artefact), headers=headers, intfmt=",")


def _summary_rows(artefact) -> list[list[Any]]:
    splits = artefact.about["statistics"]
    rows: list[list[Any]] = []
    for name in next(iter(splits.values())):
        values = [split[name] for split in splits.values()]
        if isinstance(values[0], dict):
            rows += [
                [f"{name}: {key}", *(value.get(key, 0) for value in values)]
                for key in dict.fromkeys(k for value in values for k in value)
            ]
        else:
            rows.append([name, *values])
    return [[row[0].replace("_", " "), *row[1:]] for row in rows]
