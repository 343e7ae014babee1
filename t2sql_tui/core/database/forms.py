"""How a column writes dates and numbers, told from its values, and the SQL that reads each form.

SQLite has no type for dates, and a CSV import makes every column text: 31/12/2024, 12/31/2024
3:05 PM, seconds since 1970 or 2001, '$1,200.50' and '1.234,50' are all found in files. A form is
named only where every value fits it and no other order or unit does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# --- dates ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DateForm:
    """How dates are stored. `example` is a stored one, as text.

    `iso` is the SQL for its ISO text, with {c} for the column; "" where it is stored so or where
    the form is not sure enough ("day or month": either could be the first of 3/4/2024). Text in
    the form `sorts` like the dates; `year_first` says that it begins with the year's four digits.
    `sure` is False where the numbers could as well be amounts or ids.
    """

    name: str
    example: str
    iso: str = ""
    sorts: bool = True
    year_first: bool = False
    sure: bool = True


_TIME = r"(?P<time>[ T,]+(?P<hour>\d{1,2}):\d\d(?P<second>:\d\d(?:\.\d+)?)?)?"
_ZONE = r"(?: ?Z|[+-]\d\d:?\d\d)?"
_HALF = r"(?P<half> ?[AaPp]\.?[Mm]\.?)?"
_NAMED = r"(?P<month>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)\.?"
_ISO = re.compile(r"\d{4}-[01]\d-[0-3]\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?" + _ZONE)
_YEAR_FIRST = re.compile(r"\d{4}(?P<gap>[/.-])(?P<one>\d{1,2})(?P=gap)(?P<two>\d{1,2})" + _TIME)
_YEAR_LAST = re.compile(
    r"(?P<one>\d{1,2})(?P<gap>[/.-])(?P<two>\d{1,2})(?P=gap)(?P<year>\d{4}|\d\d)" + _TIME + _HALF
)
_DAY_NAMED = re.compile(
    r"(?P<one>\d{1,2})(?P<gap>[ -])" + _NAMED + r"(?P=gap)(?P<year>\d{4}|\d\d)" + _TIME + _HALF,
    re.IGNORECASE,
)
_NAMED_DAY = re.compile(_NAMED + r" (?P<one>\d{1,2}),? (?P<year>\d{4})" + _TIME + _HALF, re.I)
_COMPACT = re.compile(r"(1[7-9]|2[01])\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_COMPACT_TIME = re.compile(_COMPACT.pattern + r"T?([01]\d|2[0-3])[0-5]\d[0-5]\d")
_YEAR = re.compile(r"(1[7-9]|2[01])\d\d")
_MONTH = re.compile(r"(1[7-9]|2[01])\d\d-(0[1-9]|1[0-2])")

_FOUR_TWO_TWO = "substr({c}, 1, 4) || '-' || substr({c}, 5, 2) || '-' || substr({c}, 7, 2)"
_DAY_MONTH_YEAR = "substr({c}, 7, 4) || '-' || substr({c}, 4, 2) || '-' || substr({c}, 1, 2)"
_MONTH_DAY_YEAR = "substr({c}, 7, 4) || '-' || substr({c}, 1, 2) || '-' || substr({c}, 4, 2)"
#: The forms of text with fixed places.
FIXED_ISO = {
    "dmy": _DAY_MONTH_YEAR,
    "mdy": _MONTH_DAY_YEAR,
    "dmy and time": _DAY_MONTH_YEAR + " || substr({c}, 11)",
    "mdy and time": _MONTH_DAY_YEAR + " || substr({c}, 11)",
    "ymd": "replace(replace({c}, '/', '-'), '.', '-')",
    "compact": _FOUR_TWO_TWO,
    "year": "{c} || '-01-01'",
    "month": "{c} || '-01'",
}
#: What begins the SQL of the forms of text without fixed places.
PRINTED_DATE = "%04d-%02d-%02d"


def date_form(values: Sequence[Any], named_as_date: bool = False) -> DateForm | None:
    """How all of `values` store dates; None where they are no dates or of several forms.

    `named_as_date` says that the column is called as dates are: numbers that could as well be
    amounts are taken for days only then.
    """
    if not values:
        return None
    if all(isinstance(value, int | float) for value in values):
        return _number_dates(values, "{c}", str(values[0]), named_as_date)
    if not all(isinstance(value, str) for value in values):
        return None
    if all(re.fullmatch(r"\d{1,20}(\.\d+)?", value) for value in values):
        return _digit_dates(values, named_as_date)
    return _written_dates([value.strip() for value in values])


def _all(values: Sequence[object], pattern: re.Pattern[str]) -> bool:
    return all(pattern.fullmatch(str(value)) for value in values)


def _digit_dates(values: Sequence[str], named_as_date: bool) -> DateForm | None:
    """Dates as text of nothing but digits."""
    example = values[0]
    if _all(values, _COMPACT):
        return DateForm("compact", example, FIXED_ISO["compact"], year_first=True)
    if _all(values, _COMPACT_TIME):
        return _compact_time(values)
    if _all(values, _YEAR):
        return DateForm("year", example, FIXED_ISO["year"], year_first=True)
    number = (
        "CAST({c} AS REAL)" if any("." in value for value in values) else "CAST({c} AS INTEGER)"
    )
    numbers = [float(value) if "." in value else int(value) for value in values]
    return _number_dates(numbers, number, example, named_as_date)


def _compact_time(values: Sequence[str]) -> DateForm:
    at = 10 if all("T" in value for value in values) else 9
    time = " || ':' || ".join(f"substr({{c}}, {at + i}, 2)" for i in (0, 2, 4))
    iso = f"{_FOUR_TWO_TWO} || ' ' || {time}"
    return DateForm("compact and time", values[0], iso, year_first=True)


def _written_dates(values: Sequence[str]) -> DateForm | None:
    """Dates as text with separators or names of months."""
    example = values[0]
    if _all(values, _ISO):
        return DateForm("iso", example, year_first=True)
    if _all(values, _MONTH):
        return DateForm("month", example, FIXED_ISO["month"], year_first=True)
    if _all(values, _COMPACT_TIME) and len({"T" in value for value in values}) == 1:
        return _compact_time(values)
    for pattern, read in (
        (_YEAR_FIRST, _year_first),
        (_YEAR_LAST, _year_last),
        (_DAY_NAMED, _month_named),
        (_NAMED_DAY, _month_named),
    ):
        matches = [match for value in values if (match := pattern.fullmatch(value))]
        if len(matches) == len(values):
            return read(matches)
    return None


_Matches = Sequence[re.Match[str]]


def _year_first(matches: _Matches) -> DateForm | None:
    if any(int(m["one"]) > 12 or int(m["two"]) > 31 for m in matches):
        return None
    example = matches[0].group()
    if all(len(m["one"]) == len(m["two"]) == 2 for m in matches):
        if all(m["gap"] == "-" for m in matches):
            return DateForm("iso", example, year_first=True)
        return DateForm("ymd", example, FIXED_ISO["ymd"], year_first=True)
    gap = _gap(matches)
    if not gap:
        return None
    year, month, day = _three_parts("{c}", gap)
    iso = f"printf('{PRINTED_DATE}', {year}, {month}, {day}){_time_of(matches, '{c}')}"
    return DateForm("ymd without zeros", example, iso, sorts=False, year_first=True)


def _year_last(matches: _Matches) -> DateForm | None:
    example = matches[0].group()
    first, second = (max(int(m[part]) for m in matches) for part in ("one", "two"))
    if first > 31 or second > 31 or (first > 12 and second > 12):
        return None
    if first <= 12 and second <= 12:
        return DateForm("day or month", example, sorts=False)
    order = "dmy" if first > 12 else "mdy"
    time = " and time" if any(m["time"] for m in matches) else ""
    halves = any(m["half"] for m in matches)
    fixed = all(len(m["one"]) == len(m["two"]) == 2 and len(m["year"]) == 4 for m in matches)
    two_digit_hours = all(m["hour"] is None or len(m["hour"]) == 2 for m in matches)
    if fixed and two_digit_hours and not halves:
        return DateForm(order + time, example, FIXED_ISO[order + time], sorts=False)
    gap = _gap(matches)
    if not gap:
        return None
    one, two, last = _three_parts("{c}", gap)
    month, day = (two, one) if order == "dmy" else (one, two)
    year = _year_sql(last, matches)
    iso = f"printf('{PRINTED_DATE}', {year}, {month}, {day}){_time_of(matches, '{c}')}"
    detail = " of 12 hours" if halves else "" if fixed else " without zeros"
    return DateForm(f"{order}{time}{detail}", example, iso, sorts=False)


_MONTHS = "'janfebmaraprmayjunjulaugsepoctnovdec'"


def _month_named(matches: _Matches) -> DateForm | None:
    day_first = "gap" in matches[0].re.groupindex
    gap = _gap(matches) if day_first else " "
    if not gap:
        return None
    one, two, last = _three_parts("{c}", gap)
    day, name = (one, two) if day_first else (two, one)
    month = f"(instr({_MONTHS}, lower(substr({name}, 1, 3))) + 2) / 3"
    year = _year_sql(last, matches)
    iso = f"printf('{PRINTED_DATE}', {year}, {month}, {day}){_time_of(matches, '{c}')}"
    return DateForm("month named", matches[0].group(), iso, sorts=False)


def _gap(matches: _Matches) -> str:
    """The separator that all of these have; "" where they differ."""
    gaps = {m["gap"] for m in matches}
    return gaps.pop() if len(gaps) == 1 else ""


def _three_parts(text: str, gap: str) -> tuple[str, str, str]:
    """SQL for the texts before the first gap, between the two, and behind the second. printf and
    CAST read the number that a text begins with, and leave what stands behind it."""
    rest = f"substr({text}, instr({text}, '{gap}') + 1)"
    return (
        f"substr({text}, 1, instr({text}, '{gap}') - 1)",
        f"substr({rest}, 1, instr({rest}, '{gap}') - 1)",
        f"substr({rest}, instr({rest}, '{gap}') + 1)",
    )


def _year_sql(last: str, matches: _Matches) -> str:
    if all(len(m["year"]) == 4 for m in matches):
        return f"substr({last}, 1, 4)"
    # As POSIX reads two digits: 69 to 99 are 1969 to 1999.
    year = f"CAST({last} AS INTEGER)"
    return f"{year} + CASE WHEN {year} < 69 THEN 2000 WHEN {year} < 100 THEN 1900 ELSE 0 END"


def _time_of(matches: _Matches, text: str) -> str:
    """SQL that appends the time of day where the dates have one; "" where none has."""
    if not any(m["time"] for m in matches):
        return ""
    colon = f"instr({text}, ':')"
    hour = f"trim(substr({text}, {colon} - 2, 2), ' T,')"
    if "half" in matches[0].re.groupindex and any(m["half"] for m in matches):
        hour = f"({hour}) % 12 + CASE WHEN {text} LIKE '%p%m%' THEN 12 ELSE 0 END"
    length = 6 if all(m["second"] for m in matches) else 3
    time = f"printf(' %02d', {hour}) || substr({text}, {colon}, {length})"
    if all(m["time"] for m in matches):
        return f" || {time}"
    return f" || CASE WHEN {colon} > 0 THEN {time} ELSE '' END"


# --- dates as numbers -------------------------------------------------------------------------

_DAY = 86_400
_MAC_EPOCH = 978_307_200  # 2001-01-01 in seconds since 1970
_WEBKIT_EPOCH = 11_644_473_600  # seconds from 1601-01-01 to 1970


def _number_dates(
    values: Sequence[int | float], number: str, example: str, named_as_date: bool
) -> DateForm | None:
    """Dates as numbers: what unit and beginning their size allows. `number` is the SQL of one."""
    low, high = min(values), max(values)
    whole = all(float(value).is_integer() for value in values)

    def form(name: str, iso: str, *, sure: bool = named_as_date, **more: bool) -> DateForm:
        return DateForm(name, example, iso.format(n=number), sure=sure, **more)

    if whole and low >= 1700 and high <= 2200:
        year = number if number != "{c}" or isinstance(values[0], int) else "CAST({c} AS INTEGER)"
        return DateForm("year", example, f"{year} || '-01-01'", year_first=True, sure=named_as_date)
    if whole and _all([int(value) for value in values], _COMPACT):
        digits = number if isinstance(values[0], int) else "CAST({c} AS INTEGER)"
        return DateForm("compact", example, _FOUR_TWO_TWO.format(c=digits), year_first=True)
    if low >= 10**8 and high < 10**10:
        return _seconds(values, form)
    for name, unit, since, first, last in _UNITS:
        if first <= low and high < last:
            shift = f" - {since}" if since else ""
            return form(name, f"datetime({{n}} / {unit}{shift}, 'unixepoch')", sure=True)
    if named_as_date and low >= 2_378_496 and high < 2_500_000:  # 1800 to 2132
        return form("julian day", "datetime({n})")
    if named_as_date and low >= 18_000 and high < 75_000:  # 1949 to 2105
        function = "date" if whole else "datetime"
        return form("spreadsheet day", function + "({n} + 2415018.5)")
    return None


#: Units of time since 1970 or 1601: name, how many a second, beginning, and their range.
_UNITS = (
    ("milliseconds", 1000, 0, 10**11, 10**13),
    ("microseconds", 10**6, 0, 10**14, 5 * 10**15),
    ("microseconds since 1601", 10**6, _WEBKIT_EPOCH, 12 * 10**15, 14 * 10**15),
    ("nanoseconds", 10**9, 0, 5 * 10**17, 4 * 10**18),
)


def _seconds(values: Sequence[int | float], form: Callable[..., DateForm]) -> DateForm:
    """Seconds since 1970 or since 2001. Since 2001 where that gives times of the last years:
    since 1970 these would lie between 1985 and 1998, when few files of today were written."""
    if all(value % _DAY == 0 for value in values):
        return form("midnights", "date({n}, 'unixepoch')")
    now = datetime.now(UTC).timestamp() - _MAC_EPOCH
    if min(values) >= 15 * 365 * _DAY and max(values) <= now + 365 * _DAY:
        return form("seconds since 2001", f"datetime({{n}} + {_MAC_EPOCH}, 'unixepoch')")
    return form("seconds", "datetime({n}, 'unixepoch')")


# --- numbers as text --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How numbers are stored as text. `example` is one that shows it best.

    `thousands` and `decimal` are the separators ("" where there is none), `affixes` what stands
    before or behind a number ("$", "%", "kg"). `sql` reads one, with {c} for the column. `sure`
    is False where some texts are no numbers, or where '1,234' could be 1.234.
    """

    example: str
    sql: str
    thousands: str = ""
    decimal: str = ""
    affixes: tuple[str, ...] = ()
    sure: bool = True

    @property
    def plain(self) -> bool:
        """Whether CAST reads it as it is."""
        return not self.thousands and self.decimal != "," and not self.affixes

    @property
    def read_by_cast(self) -> bool:
        """Whether CAST, which leaves what stands behind a number, reads all of it."""
        return "REPLACE" not in self.sql

    def number(self, text: str) -> float | None:
        """The number that a text in this form stands for."""
        match = _NUMBER.fullmatch(text.strip())
        if match is None:
            return None
        digits = match["digits"].replace(self.thousands, "") if self.thousands else match["digits"]
        if self.decimal == ",":
            digits = digits.replace(",", ".")
        try:
            number = float(digits)
        except ValueError:
            return None
        minus = "-" in (match["sign"] or "") + (match["inner"] or "") or match["open"]
        return -number if minus else number


_NUMBER = re.compile(
    r"(?P<open>\()?(?P<sign>[-+])?"
    r"(?P<before>[^\w\s.,()+-]{1,2}|[A-Z]{2,3}\.? ?|[A-Z]{1,2}[^\w\s.,()-])? ?(?P<inner>[-+])?"
    r"(?P<digits>\d{1,3}(?:(?P<group>[.,' \u00a0\u202f])\d{3}(?:(?P=group)\d{3})*)(?:[.,]\d+)?"
    r"|\d+(?:[.,]\d+)?|\.\d+)"
    r"(?P<behind> ?%| ?[^\w\s.,()+-]{1,2}| [A-Za-z]{1,5}\.?|[A-Za-z]{2,4})?(?(open)\))"
)
#: Of the texts of a column, how many must be numbers.
_SHARE = 0.95


def number_form(values: Sequence[str]) -> NumberForm | None:
    """How texts (without those that stand for nothing) store numbers; None for other texts, and
    for codes: with leading zeros, or with several words around the digits."""
    if not values:
        return None
    matches = [m for value in values if (m := _NUMBER.fullmatch(value.strip()))]
    if len(matches) < _SHARE * len(values):
        return None
    if any(re.match(r"0\d", m["digits"]) for m in matches):
        return None
    affixes = {(m["before"] or "").strip() for m in matches}
    affixes |= {(m["behind"] or "").strip() for m in matches}
    affixes -= {""}
    if len(affixes) > 3 or not all(map(_is_affix, affixes)):
        return None
    separators = _separators([m["digits"] for m in matches])
    if separators is None:
        return None
    thousands, decimal, sure = separators
    example = max((m.group() for m in matches), key=lambda text: (_marks(text), len(text)))
    in_parentheses = any(m["open"] for m in matches)
    fronts = sorted({m["before"].strip() for m in matches if m["before"]})
    sql = _read_number(thousands, decimal, fronts, in_parentheses)
    sure = sure and len(matches) == len(values)
    return NumberForm(example, sql, thousands, decimal, tuple(sorted(affixes)), sure)


def _marks(text: str) -> int:
    return len(re.findall(r"[^\d]", text))


_CURRENCIES = frozenset(
    "USD EUR GBP CHF JPY CNY INR AUD CAD NZD SEK NOK DKK PLN CZK Rs US A C".split()
)


def _is_affix(affix: str) -> bool:
    """Whether this may stand beside an amount: a currency, a percent sign, a unit."""
    if affix.rstrip(".") in _CURRENCIES or affix in ("%", "‰", "°", "#"):
        return affix != "#"
    if any(unicodedata.category(character) == "Sc" for character in affix):
        return True
    return affix.rstrip(".").isalpha() and not affix.isupper()


def _separators(numbers: Sequence[str]) -> tuple[str, str, bool] | None:
    """The separators of thousands and decimals, and whether no other reading fits; None where
    the texts contradict one another."""
    marks = [re.sub(r"\d", "", number) for number in numbers]
    spaced = {mark[0] for mark in marks if mark and mark[0] in "' \u00a0\u202f"}
    if len(spaced) > 1:
        return None
    last = {mark[-1] for mark in marks if len(set(mark)) > 1} & {",", "."}
    if len(last) == 2:
        return None
    if last or spaced:
        group = spaced.pop() if spaced else ""
        used = {mark for text in marks for mark in text} & {",", "."}
        decimal = last.pop() if last else used.pop() if len(used) == 1 else ""
        return group or ("," if decimal == "." else "."), decimal, True
    used = {mark for text in marks for mark in text}
    if not used:
        return "", "", True
    if used == {",", "."}:  # never in one number: 1,234 and 12.5
        commas = [n for n in numbers if "," in n]
        return (",", ".", True) if all(map(_in_groups, commas)) else (".", ",", True)
    (mark,) = used
    if any(text.count(mark) > 1 for text in marks):
        return mark, "", True
    having = [number for number in numbers if mark in number]
    grouped = all(map(_in_groups, having))
    if mark == ",":
        return (",", "", len(having) > 1) if grouped else ("", ",", True)
    short = [number for number in numbers if mark not in number]
    if grouped and short and all(len(number) <= 3 for number in short):
        return ".", "", False
    return "", ".", True


def _in_groups(number: str) -> bool:
    """Whether it is written like 1,234: three digits behind the mark, none to three before."""
    head, *groups = re.split("[.,]", number)
    return 1 <= len(head) <= 3 and head != "0" and all(len(group) == 3 for group in groups)


def _read_number(thousands: str, decimal: str, fronts: Sequence[str], in_parentheses: bool) -> str:
    """SQL for the number. CAST leaves what stands behind it."""
    sql = "{c}"
    for text in (*fronts, "(" if in_parentheses else "", thousands):
        if text:
            quoted = text.replace("'", "''")
            sql = f"REPLACE({sql}, '{quoted}', '')"
    if decimal == ",":
        sql = f"REPLACE({sql}, ',', '.')"
    sql = f"CAST({sql} AS {'REAL' if decimal else 'INTEGER'})"
    if in_parentheses:
        sql = f"{sql} * CASE WHEN {{c}} LIKE '(%' THEN -1 ELSE 1 END"
    return sql
