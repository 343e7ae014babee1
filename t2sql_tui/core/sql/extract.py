"""The SQL in a model's answer."""

from __future__ import annotations

import json
import re

from t2sql_tui.core.sql.lexer import before_semicolon, tokenize

_FENCE = re.compile(r"```[ \t]*(?:\w+[ \t]*\n)?(.*?)(?:```|\Z)", re.S)
# One backtick, as in Markdown: `SELECT ...` is the query.
_TICKS = re.compile(r"(?<!`)`\s*(?=(?:select|with|values)\b)([^`]+)`(?!`)", re.I)
# "with" and "values" are words of plain English as well.
_START = re.compile(
    r"(?:\A|(?<=[\s:(`\"'=>*]))(select\b|values\s*\(|explain\s+(query|select|with)\b"
    r"|with\s+(recursive\s+)?(\w+|\"[^\"]*\")\s*(\([^)]*\)\s*)?as\b)",
    re.I,
)
# Any other statement is passed on as it is, so that the check can say what is wrong with it.
_STATEMENT = re.compile(
    r"\A\W*(insert|update|delete|replace|create|drop|alter|pragma|attach|detach|vacuum|reindex)\b",
    re.I,
)
# Prose after a blank line is no part of the statement.
_PROSE = re.compile(r"\n\s*\n(?=[A-Z][a-z]+ [a-z])")
_KEYS = ("sql", "query", "sqlquery", "sql_query", "answer", "statement")


def extract_sql(text: str) -> str:
    """The first SQL statement in a model's answer, without fences, prose or semicolon.

    Returns "" where the answer holds none.
    """
    fence = _FENCE.search(text)
    body = fence.group(1) if fence and fence.group(1).strip() else text
    if (value := _in_json(body)) is not None:
        body = value
    if not fence and (ticks := _TICKS.search(body)) and _is_first(body, ticks):
        return before_semicolon(ticks.group(1)).strip()
    if not _STATEMENT.match(body):
        start = _START.search(body)
        if not start:
            return ""
        body = _opened_before(body, start.start())
    body = before_semicolon(body.split("```")[0])
    if not fence:
        body = _PROSE.split(body)[0]
    return body.strip()


def _in_json(text: str) -> str | None:
    """The text under a key such as "sql" of an answer that is a JSON object; None if it is not."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return None
    fields = {key.lower(): item for key, item in value.items()}
    found = next((fields[key] for key in _KEYS if isinstance(fields.get(key), str)), None)
    return found if isinstance(found, str) else None


def _is_first(body: str, ticks: re.Match[str]) -> bool:
    """Whether a text in backticks stands before any other SQL."""
    start = _START.search(body)
    return start is None or start.start() >= ticks.start()


def _opened_before(body: str, start: int) -> str:
    """`body` from `start`, without the end of the quotes or the parenthesis opened before it."""
    before, rest = body[:start].rstrip(), body[start:]
    if before[-1:] in ('"', "'"):
        end = re.search(rf"(?<!{before[-1]}){before[-1]}\s*(?:[,}}\];.].*)?\Z", rest, re.S)
        return rest[: end.start()] if end else rest
    if before[-1:] in (">", "*"):  # <sql>...</sql>, **...**
        closing = r"</\w+>" if before[-1] == ">" else r"\*\*"
        return re.split(closing, rest, maxsplit=1)[0]
    if before[-1:] == "(":
        depth = offset = 0
        for _, token in tokenize(rest):
            depth += (token == "(") - (token == ")")
            if depth < 0:
                return rest[:offset]
            offset += len(token)
    return rest
