"""An exploratory report of a data artefact: tables and pictures, as Markdown and as one page."""

from __future__ import annotations

import base64
import html
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from trainer.data import Artefact
from trainer.plots import pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
Rows = dict[str, list[Row]]  # by split

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


def data_summary(artefact: Artefact) -> str:
    """The statistics of an artefact as a table with one column a split."""
    headers = ["", *artefact.about["statistics"]]
    return tabulate(_statistics_table(artefact), headers=headers, intfmt=",")


def write_data_report(artefact: Artefact, folder: Path) -> Path:
    """Writes index.html (self-contained), report.md and its plots into `folder`.

    Returns the path of index.html.
    """
    data = artefact.load()
    rows = {split: data[split].remove_columns("prefix").to_list() for split in data}
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    pictures = [Picture(name, title, draw(rows)) for name, title, draw in _PICTURES]
    for picture in pictures:
        (plots / f"{picture.name}.png").write_bytes(picture.png)
    overlap = _overlap(rows)
    (folder / "report.md").write_text(_markdown(artefact, overlap, pictures), encoding="utf-8")
    page = folder / "index.html"
    page.write_text(_page(artefact, overlap, pictures), encoding="utf-8")
    return page


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot of the report."""

    name: str
    title: str
    png: bytes


# --- text ---------------------------------------------------------------------------


def _title(artefact: Artefact) -> str:
    return f"Data: {', '.join(artefact.about['config']['data'])}"


def _statistics_table(artefact: Artefact) -> list[list[Any]]:
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


def _tables(artefact: Artefact, overlap: list[list[Any]], style: str) -> tuple[str, str]:
    """The statistics and the overlap as text in a style of tabulate."""
    headers = ["", *artefact.about["statistics"]]
    return (
        tabulate(_statistics_table(artefact), headers, tablefmt=style, intfmt=","),
        tabulate(overlap, ["", "value"], tablefmt=style, intfmt=","),
    )


def _markdown(artefact: Artefact, overlap: list[list[Any]], pictures: Sequence[Picture]) -> str:
    statistics, shared = _tables(artefact, overlap, "github")
    parts = [
        f"# {_title(artefact)}",
        f"`{artefact.folder}`",
        statistics,
        "## Overlap of the splits",
        shared,
    ]
    if notes := artefact.about["notes"]:
        parts.append("\n".join(["## Notes\n", *(f"- {note}" for note in notes)]))
    parts += [f"## {p.title}\n\n![{p.title}](plots/{p.name}.png)" for p in pictures]
    return "\n\n".join(parts) + "\n"


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;"
    "text-align:right}td:first-child{text-align:left}img{max-width:100%}"
)


def _page(artefact: Artefact, overlap: list[list[Any]], pictures: Sequence[Picture]) -> str:
    title = html.escape(_title(artefact))
    statistics, shared = _tables(artefact, overlap, "html")
    body = [
        f"<h1>{title}</h1><p><code>{html.escape(str(artefact.folder))}</code></p>",
        statistics,
        "<h2>Overlap of the splits</h2>",
        shared,
    ]
    if notes := artefact.about["notes"]:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        body.append(f"<h2>Notes</h2><ul>{items}</ul>")
    for picture in pictures:
        heading = html.escape(picture.title)
        encoded = base64.b64encode(picture.png).decode()
        body.append(f"<h2>{heading}</h2>")
        body.append(f'<img alt="{heading}" src="data:image/png;base64,{encoded}">')
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style>{''.join(body)}</html>"
    )


# --- counts -------------------------------------------------------------------------


def _overlap(rows: Rows) -> list[list[Any]]:
    """What the held-out examples have in common with the training examples."""
    train, held = rows["train"], rows["heldout"]

    def in_both(key: str) -> int:
        return len({row[key] for row in held} & {row[key] for row in train})

    shapes = {_shape(row) for row in train}
    return [
        ["databases in both", in_both("database")],
        ["questions in both, word for word", in_both("question")],
        ["SQL in both, word for word", in_both("sql")],
        [
            "held-out SQL that equals training SQL but for its values",
            sum(_shape(row) in shapes for row in held),
        ],
    ]


def _shape(row: Row) -> str:
    """The SQL with every literal replaced by "?"."""
    return re.sub(r"'[^']*'|\b\d+(\.\d+)?\b", "?", row["sql"])


def _keywords(row: Row) -> list[str]:
    sql = re.sub(r"'[^']*'", "", row["sql"].upper())
    return [word for word in _KEYWORDS if re.search(rf"\b{word}\b", sql)]


def _joins(row: Row) -> list[int]:
    return [min(5, len(re.findall(r"\bJOIN\b", row["sql"].upper())))]


def _selects(row: Row) -> list[int]:
    return [row["sql"].upper().count("SELECT")]


def _hardness(row: Row) -> list[str]:
    return [row["hardness"] or "other"]


# --- pictures -----------------------------------------------------------------------


def _bars(
    rows: Rows,
    labels_of: Callable[[Row], Iterable[Any]],
    order: Sequence[Any] | None = None,
    horizontal: bool = False,
) -> bytes:
    """A bar chart: for every label, the share of each split's examples that have it."""
    counts = {
        split: Counter(v for row in part for v in labels_of(row)) for split, part in rows.items()
    }
    labels = [n for n in order or sorted({n for c in counts.values() for n in c})]
    labels = [n for n in labels if any(c[n] for c in counts.values())]
    height = max(3.2, 0.28 * len(labels) if horizontal else 0)
    figure, axes = pyplot().subplots(figsize=(7, height))
    width = 0.8 / len(rows)
    for number, (split, found) in enumerate(counts.items()):
        positions = [index + number * width for index in range(len(labels))]
        shares = [100 * found[label] / max(1, len(rows[split])) for label in labels]
        (axes.barh if horizontal else axes.bar)(positions, shares, width, label=split)
    middles = [index + width * (len(rows) - 1) / 2 for index in range(len(labels))]
    (axes.set_yticks if horizontal else axes.set_xticks)(middles, [str(n) for n in labels])
    (axes.set_xlabel if horizontal else axes.set_ylabel)("% of examples")
    return _png(figure, axes)


def _histogram(rows: Rows, series: dict[str, Callable[[Row], float]], label: str) -> bytes:
    """Histograms of one or more values of the examples of each split."""
    figure, axes = pyplot().subplots(figsize=(7, 3.2))
    for name, value in series.items():
        for split, part in rows.items():
            axes.hist(
                [value(row) for row in part],
                bins=40,
                histtype="step",
                density=True,
                label=f"{split} {name}".strip(),
            )
    axes.set_xlabel(label)
    axes.set_yticks([])
    return _png(figure, axes)


def _png(figure: Figure, axes: Any) -> bytes:
    axes.legend()
    figure.tight_layout()
    target = io.BytesIO()
    figure.savefig(target, dpi=110)
    pyplot().close(figure)
    return target.getvalue()


def _field_histogram(name: str, label: str) -> Callable[[Rows], bytes]:
    return lambda rows: _histogram(rows, {"": lambda row: row[name]}, label)


_LEVELS = ("easy", "medium", "hard", "extra", "other")
_LENGTHS: dict[str, Callable[[Row], float]] = {
    "question": lambda row: len(row["question"]),
    "SQL": lambda row: len(row["sql"]),
}
# Name of the file, title, and what draws it.
_PICTURES: tuple[tuple[str, str, Callable[[Rows], bytes]], ...] = (
    (
        "hardness",
        "Difficulty (Spider's levels)",
        lambda rows: _bars(rows, _hardness, _LEVELS),
    ),
    ("nesting", "Complexity: SELECTs in a query", lambda rows: _bars(rows, _selects)),
    ("joins", "Joins in a query (5 or more as 5)", lambda rows: _bars(rows, _joins)),
    ("keywords", "SQL keywords", lambda rows: _bars(rows, _keywords, _KEYWORDS[::-1], True)),
    (
        "characters",
        "Length in characters",
        lambda rows: _histogram(rows, _LENGTHS, "characters"),
    ),
    (
        "tokens",
        "Length in tokens of the base model's tokenizer",
        _field_histogram("tokens", "tokens of prompt and SQL"),
    ),
    (
        "sql_tokens",
        "Length of the SQL in tokens",
        _field_histogram("sql_tokens", "tokens of SQL"),
    ),
    ("tables", "Size of the schema: tables", _field_histogram("tables", "tables")),
    ("columns", "Size of the schema: columns", _field_histogram("columns", "columns")),
)
