"""Repairs that the official Spider scripts make to a SQL before they judge it."""

from __future__ import annotations

import re

_CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


def prediction_text(gold: str, predicted: str) -> str:
    """`evaluate()` in evaluation.py puts 1 for the placeholder `value` of models that
    predict no values, even inside a column's name. Where the gold itself has the letters
    (no gold of Spider dev does) we leave the prediction alone: it would be spoilt."""
    return predicted if "value" in gold else predicted.replace("value", "1")


def joined_operators(sql: str) -> str:
    """`postprocess()` in exec_eval.py: models trained on split words write `> =`."""
    return sql.replace("> =", ">=").replace("< =", "<=").replace("! =", "!=")


def current_year(sql: str) -> str:
    """`replace_cur_year()` in exec_eval.py: the year of MySQL's CURDATE() is 2020."""
    return _CURRENT_YEAR.sub("2020", sql)


def without_distinct(sql: str) -> str:
    """`remove_distinct()` in parse.py: drop each DISTINCT, and all but the first statement.

    sqlparse splits the words, as it does there, so that the same ones go.
    """
    from sqlparse.engine import FilterStack

    statement = next(iter(FilterStack().run(sql)), ())
    return "".join(token.value for token in statement if token.value.lower() != "distinct")


def is_one_statement(sql: str) -> bool:
    """Does `cursor.execute()` of Python take it? One semicolon may end it, a second one
    is already another statement. Only --keep_distinct leaves anything to refuse."""
    from sqlparse.engine import FilterStack
    from sqlparse.tokens import Comment

    statements = [
        statement
        for statement in FilterStack().run(sql)
        if any(not (token.is_whitespace or token.ttype in Comment) for token in statement)
    ]
    return len(statements) <= 1
