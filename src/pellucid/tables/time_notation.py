"""Dates and times of day as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

_CLOCK = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d{1,9})?))?)?"
_HALF = r"\s*(?P<half>[ap])\.?m\.?"
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})"
_TIME = rf"(?:(?:T|,?\s)\s*(?=\d+(?::|\s*[ap])){_CLOCK}(?:{_HALF})?(?:{_ZONE})?)?"
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,?\s+)?"
_MONTH = r"(?P<month>[^\W\d_]{3,10})\.?"
_BETWEEN = r"(?:[\s\-/,]|\bof\b|\bde\b)*"
_ORDINAL = r"(?:st|nd|rd|th|\.)?"

_ONLY_CLOCK = re.compile(rf"(?=.*[:apAP]){_CLOCK}(?:{_HALF})?", re.IGNORECASE)
_FORMS = [
    re.compile(rf"{form}{_TIME}", re.IGNORECASE)
    for form in (
        r"(?P<year>\d{4})(?P<by>[/.\-])(?P<a>\d{1,2})(?P=by)(?P<b>\d{1,2})",
        r"(?P<a>\d{1,2})(?P<by>[/.\-])(?P<b>\d{1,2})(?P=by)(?P<year>\d{4}|\d{2})",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}}){_ORDINAL}{_BETWEEN}{_MONTH}{_BETWEEN}'?"
        r"(?P<year>\d{4}|\d{2})",
        rf"{_WEEKDAY}{_MONTH}{_BETWEEN}(?P<day>\d{{1,2}}){_ORDINAL},?\s+(?P<year>\d{{4}})",
        rf"(?P<year>\d{{4}}){_BETWEEN}{_MONTH}{_BETWEEN}(?P<day>\d{{1,2}})",
        rf"{_MONTH}{_BETWEEN}(?P<year>\d{{4}})",
        rf"{_MONTH}(?:-|\s?')(?P<year>\d{{2}})",
        r"(?P<year>\d{4})(?P<by>[/\-])(?P<number>\d{2})",
        r"(?P<number>\d{2})(?P<by>/)(?P<year>\d{4})",
        r"(?P<year>\d{4})(?P<by>\. )(?P<a>\d{1,2})\. (?P<b>\d{1,2})\.?",
        r"(?P<year>\d{4})(?P<by>年)(?P<a>\d{1,2})月(?P<b>\d{1,2})日",
        r"(?P<a>\d{1,2})(?P<by>\.) (?P<b>\d{1,2})\. (?P<year>\d{4})",
    )
]
_ISO = re.compile(
    r"(?:\d{4}-(?:\d\d-\d\d|W\d\d(?:-\d)?)|(?:19|20|21)\d{6})(?:[Tt _]\d\d(?::?\d\d.*)?)?",
    re.ASCII,
)
#: Dates of logs, and what they are rewritten to.
_OF_LOGS = [
    (
        re.compile(rf"(?:\w{{3}} )?([A-Z]\w\w +\d\d?) ([\d:]{{8}})({_ZONE})? (\d{{4}})"),
        r"\1, \5 \2\3",
    ),
    (re.compile(r"(\d\d/[A-Z]\w\w/\d{4}):(\d\d:\d\d:\d\d.*)"), r"\1 \2"),
]
_VERSION = re.compile(r"[1-9]\d\.[1-9]\d\.[1-9]\d")
#: Times of day, months, and what looks like them: scores, durations, seasons.
LIKE_A_TIME = re.compile(r"\d{1,4}:\d{1,2}(?::\d{2})?|\d{4}[/\-]\d{2}|\d{2}/\d{4}", re.ASCII)
_MOST_CHARACTERS = 50
_THREE_DIGITS = re.compile(r"\d{3}")
_MAY_BEGIN_WITH_YEAR = re.compile(r"(\d\d)[/.\-](\d\d)[/.\-](\d\d)(?!\d)", re.ASCII)
_FIRST_YEAR_OF_TWO_DIGITS = 1969
_LIKELY_YEARS = range(1500, 2201)
_LIKELY_YEARS_OF_MONTHS = range(1900, 2101)

_NAMES = """
january jan januar janvier enero ene gennaio gen janeiro januari
february feb februar février févr fév fevrier febrero febbraio fevereiro fev februari
march mar märz mrz mars marzo março marco maart mrt
april apr avril avr abril abr aprile
may mai mayo maggio mag maio mei
june jun juni juin junio giugno giu junho
july jul juli juillet juil julio luglio lug julho
august aug août aout agosto ago augustus
september sep sept septembre septiembre settembre set setembro
october oct oktober okt octobre octubre ottobre ott outubro out
november nov novembre noviembre novembro
december dec dezember dez décembre déc decembre diciembre dic dicembre dezembro
"""
_MONTHS = {name: i + 1 for i, line in enumerate(_NAMES.split("\n")[1:-1]) for name in line.split()}


class Readings(NamedTuple):
    """What a text means as a time.

    Attributes
    ----------
    day_first, month_first : float or None
        Seconds since 1970 if the day comes before the month, and if it comes after it. They are
        equal if the text leaves no choice; None if the text is no date in that order.
    is_clock : bool
        Whether the text is a time of day, in seconds since midnight.
    """

    day_first: float | None
    month_first: float | None
    is_clock: bool = False

    @property
    def is_ambiguous(self) -> bool:
        """Whether both orders are possible and differ."""
        orders = (self.day_first, self.month_first)
        return None not in orders and self.day_first != self.month_first

    def seconds(self, day_first: bool) -> float | None:
        """Return the seconds for an order of day and month."""
        return self.day_first if day_first else self.month_first


def readings(text: str) -> Readings | None:
    """Return what a text means as a date or a time of day; None if it is neither.

    Examples
    --------
    >>> from pellucid.tables.time_notation import readings
    >>> readings("13:05").day_first / 3600
    13.083333333333334
    >>> readings("3/1/1970").day_first / 86400, readings("3/1/1970").month_first / 86400
    (2.0, 59.0)
    >>> readings("28 Dec 2020") == readings("2020-12-28")
    True
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    if text[:4].isdigit() and _ISO.fullmatch(text) is not None:
        moment = _iso(text)
        if moment is not None:
            return Readings(moment, moment)
    if (clock := _ONLY_CLOCK.fullmatch(text)) is not None:
        seconds = _seconds_of_day(clock)
        return None if seconds is None else Readings(seconds, seconds, is_clock=True)
    for form in _FORMS:
        if (parts := form.fullmatch(text)) is not None:
            return _readings_of(parts)
    if text.count(":") >= 2:
        for log, rewritten in _OF_LOGS:
            if (parts := log.fullmatch(text)) is not None:
                return readings(parts.expand(rewritten))
    return None


def may_be_version(text: str) -> bool:
    """Return whether a date may as well be a version, such as 10.11.12.

    Versions have no leading zeros, which few columns of dates are without.
    """
    return _VERSION.fullmatch(text) is not None


def notes_on_short_years(moments: Mapping[str, float]) -> tuple[str, ...]:
    """Tell how years of two digits were read, if they may come first or are beyond the present.

    They may come first if all dates can be read so, and the last numbers differ more than the
    first, as days do.

    Parameters
    ----------
    moments : mapping of str to float
        Different dates, and the seconds since 1970 that they were read as.

    Examples
    --------
    >>> from pellucid.tables.time_notation import notes_on_short_years, readings
    >>> dates = ["20-10-17", "20-11-05"]
    >>> notes_on_short_years({text: readings(text).day_first for text in dates})
    ("'20-10-17' read as 2017-10-20 (write years with four digits if they come first)",)
    """
    short = [text for text in moments if _THREE_DIGITS.search(text) is None]
    if not short:
        return ()
    parts = [found.groups() for text in short if (found := _MAY_BEGIN_WITH_YEAR.match(text))]
    if len(parts) == len(short) and len({p[0] for p in parts}) < len({p[2] for p in parts}):
        dates = (_date(_full_year(year), int(month), int(day), 0.0) for year, month, day in parts)
        if all(date is not None for date in dates):
            way_out = "write years with four digits if they come first"
            return (f"{short[0]!r} read as {_day_of(moments[short[0]])} ({way_out})",)
    latest = max(short, key=moments.__getitem__)
    if moments[latest] <= datetime.now(UTC).timestamp():
        return ()
    way_out = "write years with four digits if it is earlier"
    return (f"{latest!r} read as {_day_of(moments[latest])} ({way_out})",)


def _day_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def order_of_day_and_month(times: Iterable[tuple[Readings, float]]) -> bool | None:
    """Return whether the day comes first, by which more cells are dates; None if both fit equally.

    Parameters
    ----------
    times : iterable of (Readings, float)
        Different times and how many cells hold each.
    """
    surplus = sum(
        count * ((time.day_first is not None) - (time.month_first is not None))
        for time, count in times
    )
    return None if surplus == 0 else surplus > 0


def _iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _readings_of(parts: re.Match[str]) -> Readings | None:
    found = parts.groupdict()
    of_day = _seconds_of_day(parts) if found["hour"] else 0.0
    if of_day is None:
        return None
    year = _full_year(found["year"])
    if "month" in found:
        month = _MONTHS.get(found["month"].lower())
        if "day" not in found and year not in _LIKELY_YEARS:
            return None  # A name and a number, such as "Set 1000".
        seconds = None if month is None else _date(year, month, int(found.get("day") or 1), of_day)
        return None if seconds is None else Readings(seconds, seconds)
    if "number" in found:
        likely = year in _LIKELY_YEARS_OF_MONTHS
        seconds = _date(year, int(found["number"]), 1, of_day) if likely else None
        return None if seconds is None else Readings(seconds, seconds)
    if found["by"] == "." and len(found["year"]) == 2 and len(found["a"] + found["b"]) < 4:
        return None  # A version, such as 3.10.12.
    a, b = int(found["a"]), int(found["b"])
    day_first, month_first = _date(year, b, a, of_day), _date(year, a, b, of_day)
    if parts.start("year") == 0:
        day_first = month_first  # The year comes first: so does the month before the day.
    elif found["by"] == "." and day_first is not None:
        month_first = day_first  # Nobody writes months first with points.
    if day_first is None and month_first is None:
        return None
    return Readings(day_first, month_first)


def _date(year: int, month: int, day: int, of_day: float) -> float | None:
    try:
        return datetime(year, month, day, tzinfo=UTC).timestamp() + of_day
    except ValueError:
        return None


def _full_year(digits: str) -> int:
    """Return the year; two digits are one of the 100 years from 1969 on, as in POSIX."""
    year = int(digits)
    if len(digits) == 4:
        return year
    return _FIRST_YEAR_OF_TWO_DIGITS + (year - _FIRST_YEAR_OF_TWO_DIGITS) % 100


def _seconds_of_day(parts: re.Match[str]) -> float | None:
    """Return the seconds since midnight, in UTC if the text names a time zone."""
    found = parts.groupdict()
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    second = float((found["second"] or "0").replace(",", "."))
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found["half"].lower() == "p")
    is_end_of_day = (hour, minute, second) == (24, 0, 0.0)
    if not is_end_of_day and (hour > 23 or minute > 59 or second >= 60):
        return None
    zone = (found.get("zone") or "").replace(":", "")
    ahead = int(f"{zone[0]}1") * (int(zone[1:3]) * 60 + int(zone[3:])) if zone[1:].isdigit() else 0
    return 3600.0 * hour + 60.0 * (minute - ahead) + second
