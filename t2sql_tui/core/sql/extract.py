"""The SQL in a model's answer."""

from __future__ import annotations

import re

from t2sql_tui.core.sql.lexer import before_semicolon

_FENCE = re.compile(r"```[ \t]*(?:\w+[ \t]*\n)?(.*?)(?:```|\Z)", re.S)
# "with" and "values" are words of plain English as well.
_START = re.compile(
    r"(?:\A|(?<=[\s:(`]))(select\b|values\s*\(|explain\s+(query|select|with)\b"
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


def extract_sql(text: str) -> str:
    """The first SQL statement in a model's answer, without fences, prose or semicolon.

    Returns "" where the answer holds none.
    """
    fence = _FENCE.search(text)
    body = fence.group(1) if fence and fence.group(1).strip() else text
    if not _STATEMENT.match(body):
        start = _START.search(body)
        if not start:
            return ""
        body = body[start.start() :]
    body = before_semicolon(body.split("```")[0])
    if not fence:
        body = _PROSE.split(body)[0]
    return body.strip()
