"""The pieces of the page: SQL, sections and tables as HTML, and the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources

from t2sql_tui.core.sql.lexer import tokenize

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
    for kind, text in tokenize(sql.strip()):
        if kind == "space":
            parts.append(" ")
            continue
        word = text.lower()
        if kind in ("string", "quoted"):
            parts.append(f"<q>{escape(text)}</q>")
        elif word in _KEYWORDS and previous != ".":
            begins = word in _CLAUSES and previous not in ("left", "inner", "cross")
            if begins and depth == 0 and parts and parts[-1] == " ":
                parts[-1] = "\n"
            parts.append(f"<b>{escape(text)}</b>")
        else:
            depth += (text == "(") - (text == ")")
            if text == "," and parts and parts[-1] == " ":
                parts.pop()
            parts.append(escape(text))
        previous = word
    return f"<pre>{''.join(parts)}</pre>"


def section(title: str, body: str) -> str:
    """A section with its heading; `body` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table of plain texts; `kind` is its CSS class."""
    head = "".join(f"<th>{escape(h)}</th>" for h in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def style_sheet() -> str:
    """The CSS of the page; the colours of the series are set there for light and for dark."""
    return resources.files("benchmarks.report").joinpath("style.css").read_text("utf-8")
