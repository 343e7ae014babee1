"""Forms: how a date or a number is stored, and the SQL expression that reads it back.

Every form is proved by reading back each row that was stored in it (`prove.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Form:
    """`store(x)` is what a file holds for the value `x`; `read` is SQL that gives `x` back from
    the column `{}`: dates as ISO text in the precision `keeps` (of strftime), numbers as numbers.
    """

    type: str
    store: Callable[[Any], Any] = lambda x: x
    read: str = "{}"
    keeps: str = ""

    @property
    def readable(self) -> bool:
        """Can a person read what is stored?"""
        return self.type == "TEXT" and "unixepoch" not in self.read


TEXT, INTEGER, REAL, UNTYPED = Form("TEXT"), Form("INTEGER"), Form("REAL"), Form("")

# --- dates as text ---------------------------------------------------------------------

_DAY, _MINUTE, _SECOND = "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"


def _as_text(form: str, read: str = "{}", keeps: str = _DAY) -> Form:
    return Form("TEXT", lambda x: x.strftime(form), read, keeps)


def _parts(year: int, month: int, day: int, time: int = 0) -> str:
    """SQL for a text whose parts begin at these places, counted from 1."""
    date = f"substr({{}},{year},4)||'-'||substr({{}},{month},2)||'-'||substr({{}},{day},2)"
    return f"({date}||' '||substr({{}},{time},5))" if time else f"({date})"


# The text before and after the first slash; what follows is split once more.
_BEFORE = "CAST(substr({},1,instr({},'/')-1) AS INTEGER)"
_REST = "substr({},instr({},'/')+1)"
_MIDDLE = f"CAST(substr({_REST},1,instr({_REST},'/')-1) AS INTEGER)"
_MONTHS = "'JanFebMarAprMayJunJulAugSepOctNovDec'"


def _month_named(at: int) -> str:
    return f"printf('%02d',(instr({_MONTHS},substr({{}},{at},3))+2)/3)"


ISO = _as_text(_DAY)
ISO_TIME = _as_text(_SECOND, keeps=_SECOND)
ISO_T = _as_text("%Y-%m-%dT%H:%M:%SZ", "datetime({})", _SECOND)
DMY_SLASH = _as_text("%d/%m/%Y", _parts(7, 4, 1))
MDY_SLASH = _as_text("%m/%d/%Y", _parts(7, 1, 4))
DMY_DOT = _as_text("%d.%m.%Y", _parts(7, 4, 1))
DMY_DOT_TIME = _as_text("%d.%m.%Y %H:%M", _parts(7, 4, 1, 12), _MINUTE)
DMY_TIME = _as_text("%d/%m/%Y %H:%M", _parts(7, 4, 1, 12), _MINUTE)
D_MON_Y = _as_text("%d-%b-%Y", f"(substr({{}},8,4)||'-'||{_month_named(4)}||'-'||substr({{}},1,2))")
MON_D_Y = _as_text(
    "%b %d, %Y", f"(substr({{}},9,4)||'-'||{_month_named(1)}||'-'||substr({{}},5,2))"
)
YMD_SLASH = _as_text("%Y/%m/%d", "REPLACE({},'/','-')")
#: 12/31/2024 03:05 PM; the hour is 12 at midnight and at noon.
MDY_AMPM = _as_text(
    "%m/%d/%Y %I:%M %p",
    f"({_parts(7, 1, 4)}||' '||printf('%02d',substr({{}},12,2)%12"
    "+CASE WHEN substr({},18,2)='PM' THEN 12 ELSE 0 END)||substr({},14,3))",
    _MINUTE,
)
#: 20241231T153000
COMPACT_TIME = _as_text(
    "%Y%m%dT%H%M%S",
    "(substr({},1,4)||'-'||substr({},5,2)||'-'||substr({},7,2)||' '||substr({},10,2)||':'"
    "||substr({},12,2)||':'||substr({},14,2))",
    _SECOND,
)
#: 31/12/2024 and 1/5/2024: days and months without a leading zero.
DMY_LOOSE = Form(
    "TEXT",
    lambda x: f"{x.day}/{x.month}/{x.year}",
    f"printf('%s-%02d-%02d',substr({{}},-4),{_MIDDLE},{_BEFORE})",
    _DAY,
)
MDY_LOOSE = Form(
    "TEXT",
    lambda x: f"{x.month}/{x.day}/{x.year}",
    f"printf('%s-%02d-%02d',substr({{}},-4),{_BEFORE},{_MIDDLE})",
    _DAY,
)

# --- dates as numbers ------------------------------------------------------------------

_UNIX, _MAC, _WEBKIT = datetime(1970, 1, 1), datetime(2001, 1, 1), datetime(1601, 1, 1)
_EXCEL = datetime(1899, 12, 30)


def _seconds(x: datetime, since: datetime = _UNIX) -> int:
    return round((x - since).total_seconds())


def _as_number(type_: str, store: Callable[[datetime], Any], read: str) -> Form:
    return Form(type_, store, read, _SECOND)


COMPACT = Form(
    "INTEGER",
    lambda x: int(x.strftime("%Y%m%d")),
    "(substr({},1,4)||'-'||substr({},5,2)||'-'||substr({},7,2))",
    _DAY,
)
EPOCH_S = _as_number("INTEGER", _seconds, "datetime({},'unixepoch')")
EPOCH_S_REAL = _as_number("REAL", lambda x: _seconds(x) + 0.25, "datetime({},'unixepoch')")
EPOCH_S_TEXT = _as_number(
    "TEXT", lambda x: str(_seconds(x)), "datetime(CAST({} AS INTEGER),'unixepoch')"
)
EPOCH_MS = _as_number(
    "INTEGER", lambda x: _seconds(x) * 1000 + 120, "datetime({}/1000,'unixepoch')"
)
EPOCH_MS_TEXT = _as_number(
    "TEXT",
    lambda x: str(_seconds(x) * 1000 + 120),
    "datetime(CAST({} AS INTEGER)/1000,'unixepoch')",
)
EPOCH_US = _as_number(
    "INTEGER", lambda x: _seconds(x) * 1_000_000 + 4711, "datetime({}/1000000,'unixepoch')"
)
#: Chrome and its kin: microseconds since 1601.
WEBKIT_US = _as_number(
    "INTEGER",
    lambda x: _seconds(x, _WEBKIT) * 1_000_000 + 4711,
    "datetime({}/1000000-11644473600,'unixepoch')",
)
#: Apple: seconds since 2001.
MAC_S = _as_number("REAL", lambda x: _seconds(x, _MAC) + 0.25, "datetime({}+978307200,'unixepoch')")
JULIAN = _as_number("REAL", lambda x: 2440587.5 + _seconds(x) / 86400, "datetime({})")
#: Spreadsheets: days since 1899-12-30.
EXCEL_DAY = Form("INTEGER", lambda x: (x - _EXCEL).days, "date({}+2415018.5)", _DAY)

# --- numbers as text -------------------------------------------------------------------


def _german(x: float, places: int) -> str:
    return f"{x:,.{places}f}".replace(",", " ").replace(".", ",").replace(" ", ".")


def _without(*marks: str) -> str:
    expression = "{}"
    for mark in marks:
        expression = f"REPLACE({expression},'{mark}','')"
    return expression


_GERMAN = f"CAST(REPLACE({_without('.')},',','.') AS REAL)"

NUMBER_TEXT = Form("TEXT", lambda x: f"{x:g}", "CAST({} AS REAL)")
DOLLARS = Form("TEXT", lambda x: f"${x:,.2f}", f"CAST({_without('$', ',')} AS REAL)")
WHOLE_DOLLARS = Form("TEXT", lambda x: f"${x:,.0f}", f"CAST({_without('$', ',')} AS REAL)")
THOUSANDS = Form("TEXT", lambda x: f"{x:,.0f}", f"CAST({_without(',')} AS INTEGER)")
THOUSANDS_MILES = Form("TEXT", lambda x: f"{x:,.0f} mi", f"CAST({_without(',')} AS INTEGER)")
GERMAN = Form("TEXT", lambda x: _german(x, 2), _GERMAN)
GERMAN_EURO = Form("TEXT", lambda x: _german(x, 2) + " €", _GERMAN)
GERMAN_WHOLE = Form("TEXT", lambda x: _german(x, 0), f"CAST({_without('.')} AS INTEGER)")
GERMAN_KWH = Form("TEXT", lambda x: _german(x, 1) + " kWh", _GERMAN)
PERCENT = Form("TEXT", lambda x: f"{x:g} %", "CAST({} AS REAL)")
PERCENT_TIGHT = Form("TEXT", lambda x: f"{x:g}%", "CAST({} AS REAL)")
GERMAN_PERCENT = Form("TEXT", lambda x: _german(x, 1) + " %", _GERMAN)
#: 7:32 for seven minutes and 32 seconds; the number is in seconds.
MINUTES_SECONDS = Form(
    "TEXT",
    lambda x: f"{x // 60}:{x % 60:02d}",
    "(CAST(substr({},1,instr({},':')-1) AS INTEGER)*60+CAST(substr({},-2) AS INTEGER))",
)
