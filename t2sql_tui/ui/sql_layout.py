"""Line breaks for SQL that was written on one line."""

from __future__ import annotations

# Names of sqlglot's token types. Clauses begin a line of their own.
_CLAUSES = frozenset(
    """
    SELECT FROM WHERE GROUP_BY HAVING ORDER_BY LIMIT UNION EXCEPT INTERSECT WINDOW VALUES
    """.split()
)
_JOIN_WORDS = frozenset(["JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "OUTER"])
_SUBQUERY_STARTS = ("SELECT", "WITH", "VALUES")


def lay_out(sql: str) -> str:
    """`sql` with its clauses on lines of their own.

    Only white space between tokens changes, never a token, so what is shown is what the
    model wrote and what will run. SQL that has line breaks already, or cannot be cut into
    tokens, comes back as it is.
    """
    sql = sql.strip()
    if "\n" in sql:
        return sql
    from sqlglot import Dialect  # 0.15 s that the first paint need not wait for
    from sqlglot.errors import SqlglotError

    try:
        tokens = Dialect.get_or_raise("sqlite").tokenize(sql)
    except SqlglotError:
        return sql
    kinds = [token.token_type.name for token in tokens]
    pieces: list[str] = []
    nested: list[bool] = []  # per open bracket: does it hold a subquery?
    for index, token in enumerate(tokens):
        kind, before = kinds[index], kinds[index - 1] if index else ""
        gap = sql[tokens[index - 1].end + 1 : token.start] if index else ""
        if gap and not gap.isspace():
            pieces.append(gap)  # a comment: leave it alone
        elif index and _starts_line(kind, before, nested):
            pieces.append("\n" + "  " * sum(nested))
        elif kind == "R_PAREN" and nested and nested[-1]:
            pieces.append("\n" + "  " * (sum(nested) - 1))
        else:
            pieces.append(gap)
        pieces.append(sql[token.start : token.end + 1])
        if kind == "L_PAREN":
            nested.append(index + 1 < len(kinds) and kinds[index + 1] in _SUBQUERY_STARTS)
        elif kind == "R_PAREN" and nested:
            nested.pop()
    end = tokens[-1].end + 1 if tokens else 0
    return "".join(pieces) + sql[end:]


def lay_out_partial(sql: str) -> str:
    """`lay_out` for SQL that is still being written: from an open quote on, it is left alone."""
    for quote in "'", '"':
        if sql.count(quote) % 2:
            cut = sql.rindex(quote)
            start = sql[:cut].rstrip()
            return lay_out(start) + sql[len(start) :]
    return lay_out(sql)


def on_one_line(sql: str) -> str:
    """`sql` with every run of white space replaced by one blank."""
    return " ".join(sql.split())


def _starts_line(kind: str, before: str, nested: list[bool]) -> bool:
    if nested and not nested[-1]:
        return False  # inside a plain bracket, such as OVER (ORDER BY x)
    if before == "L_PAREN" and kind in _SUBQUERY_STARTS:
        return True
    if kind in _JOIN_WORDS:
        return before not in _JOIN_WORDS
    return kind in _CLAUSES
