"""Dates: the forms they are stored in, and the SQL that reads each form."""

from __future__ import annotations

from datetime import datetime

FORMS = {"iso": 35, "datetime": 25, "epoch": 14, "dmy": 14, "mdy": 12}  # and how often
_PATTERNS = {
    "iso": "%Y-%m-%d",
    "datetime": "%Y-%m-%d %H:%M:%S",
    "dmy": "%d.%m.%Y",
    "mdy": "%m/%d/%Y",
}
_MONTH_AT = {"dmy": 4, "mdy": 1}
_DAY_AT = {"dmy": 1, "mdy": 4}


def stored(moment: datetime, form: str) -> str | int:
    """A moment as a column of that form holds it."""
    if form == "epoch":
        return int(moment.timestamp())
    return moment.strftime(_PATTERNS[form])


def day_of(column: str, form: str) -> str:
    """YYYY-MM-DD of a stored date, whatever form it is stored in."""
    if form in _DAY_AT:
        return f"{month_of(column, form)} || '-' || substr({column}, {_DAY_AT[form]}, 2)"
    return column if form == "iso" else f"date({_moment(column, form)})"


def month_of(column: str, form: str) -> str:
    """SQL for YYYY-MM of a stored date, whatever its form."""
    if form in _MONTH_AT:
        return f"{year_of(column, form)} || '-' || substr({column}, {_MONTH_AT[form]}, 2)"
    return f"strftime('%Y-%m', {_moment(column, form)})"


def year_of(column: str, form: str) -> str:
    """SQL for YYYY of a stored date, whatever its form."""
    if form in _MONTH_AT:
        return f"substr({column}, 7, 4)"
    return f"strftime('%Y', {_moment(column, form)})"


def in_year(column: str, form: str, year: int) -> str:
    """A condition. Text that begins with the year needs no function."""
    if form in ("iso", "datetime"):
        return f"{column} LIKE '{year}%'"
    return f"{year_of(column, form)} = '{year}'"


def in_order(column: str, form: str) -> str:
    """What sorts by time: the column itself, unless it is text that begins with day or month."""
    return day_of(column, form) if form in _DAY_AT else column


def _moment(column: str, form: str) -> str:
    """The arguments that SQLite's date functions take for a stored date."""
    return f"{column}, 'unixepoch'" if form == "epoch" else column
