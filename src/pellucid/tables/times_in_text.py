"""Parse text columns as dates or times of day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pellucid.tables.conventions import CELLS_LOOKED_AT, Cells
from pellucid.tables.missing_words import missing_words
from pellucid.tables.row_weights import Weights, counts_of
from pellucid.tables.strays import (
    MOST_STRAY_TEXTS,
    are_few,
    are_too_many,
    show_another_kind,
)
from pellucid.tables.time_notation import (
    LIKE_A_TIME,
    Readings,
    may_be_version,
    notes_on_short_years,
    order_of_day_and_month,
    readings,
)


@dataclass(frozen=True)
class TimesInText:
    """Result of parsing text as dates or times of day.

    Attributes
    ----------
    values : ndarray of float64, shape (n,)
        Seconds since 1970, or since midnight for times of day; NaN for missing values.
    are_clock_times : bool
        Whether the cells are times of day, without a date.
    stray, words : tuple of str
        Distinct texts that are treated as missing, as in `NumbersInText`.
    day_first : bool or None
        Whether the day comes before the month; None if no cell leaves a choice.
    notes : tuple of str
        Which order of day and month was taken, and why, and how years of two digits were read.
    """

    values: npt.NDArray[np.float64]
    are_clock_times: bool
    stray: tuple[str, ...]
    words: tuple[str, ...]
    day_first: bool | None
    notes: tuple[str, ...]


def times_from_text(
    values: npt.NDArray[np.object_],
    weights: Weights = None,
    day_first: bool | None = None,
    *,
    certain: bool = False,
) -> TimesInText | None:
    """Parse a cleaned text column as dates or times of day; return None if it contains others.

    The order of day and month is the one in which more cells are dates, else `day_first`, else
    month before day as in pandas. Missing values are treated as in
    :func:`~pellucid.tables.text.numbers_from_text`. Dates such as 10.11.12 may be versions; these
    have no leading zeros, so that 01.11.12 shows that they are dates. If more than 1 % of the cells
    look like times or months, but are none (26:00, 2012-13), no cell is one.

    Parameters
    ----------
    values : ndarray of object, shape (n,)
        Result of :func:`~pellucid.tables.text.clean_text`.
    weights : ndarray of float64, shape (n,), optional
        Number of rows that each cell counts for.
    day_first : bool, optional
        Order of day and month in the table, if it is known.
    certain : bool
        Whether the column is known to hold dates or times. Any number of other cells are then
        allowed.

    Examples
    --------
    >>> from pellucid.tables.text import clean_text
    >>> from pellucid.tables.times_in_text import times_from_text
    >>> times_from_text(clean_text(["3/1/1970", "13/1/1970", "-"])).values / 86_400
    array([ 2., 12., nan])
    """
    counts, _ = counts_of(values, weights)
    words = missing_words(counts)
    for text in words:
        del counts[text]
    found: dict[str, Readings] = {}
    n_others = 0
    for text in counts:
        time = readings(text)
        if time is not None:
            found[text] = time
        elif not certain and are_too_many(n_others := n_others + 1, counts):
            return None
    clock = bool(found) and all(time.is_clock for time in found.values())
    decided = order_of_day_and_month((time, counts[text]) for text, time in found.items())
    known = decided if decided is not None else day_first
    seconds: dict[str | None, float] = dict.fromkeys([None, *words], np.nan)
    for text, time in found.items():
        moment = time.seconds(bool(known)) if clock or not time.is_clock else None
        if moment is not None:
            seconds[text] = moment
    stray = tuple(text for text in counts if text not in seconds)
    if len(stray) == len(counts) or not (certain or _are_times(found, stray, counts)):
        return None
    moments = {text: seconds[text] for text in found if text in seconds}
    seconds |= dict.fromkeys(stray, np.nan)
    result = np.fromiter(map(seconds.__getitem__, values), np.float64, len(values))
    open_ones = [text for text, time in found.items() if time.is_ambiguous]
    matters = decided is not None or bool(open_ones)
    notes = _notes_on_order(found, open_ones, decided, day_first) if matters else ()
    notes += () if clock else notes_on_short_years(moments)
    return TimesInText(result, clock, stray, words, bool(known) if matters else None, notes)


def _are_times(
    found: Mapping[str, Readings], stray: Sequence[str], counts: Mapping[str, float]
) -> bool:
    """Return whether texts that can be read as times, but for the stray ones, are times."""
    unread = {text: counts[text] for text in stray if text not in found}
    n = sum(counts.values())
    if not are_few(stray, counts) or show_another_kind(unread, n, LIKE_A_TIME):
        return False
    return not all(map(may_be_version, found))


def recognize_day_first(columns: Iterable[Cells]) -> bool | None:
    """Recognize from the text columns of a table whether the day comes before the month.

    Each column of dates in which a cell decides it, such as "28/12/2020", has one vote. Returns
    None without a majority.
    """
    votes = 0
    for cells in columns:
        times = [readings(text) for text in dict.fromkeys(cells[: MOST_STRAY_TEXTS + 1]) if text]
        if any(times):
            some = Counter(cells[:: 1 + len(cells) // CELLS_LOOKED_AT])
            known = ((readings(text), count) for text, count in some.items() if text)
            order = order_of_day_and_month((time, n) for time, n in known if time is not None)
            votes += 0 if order is None else 1 if order else -1
    return None if votes == 0 else votes > 0


def _notes_on_order(
    found: dict[str, Readings], open_ones: list[str], decided: bool | None, day_first: bool | None
) -> tuple[str, ...]:
    """Tell which order of day and month was taken for the cells that leave it open."""
    if not open_ones:
        return ()
    order = "day/month" if (decided if decided is not None else day_first) else "month/day"
    if decided is not None:
        other = [text for text, time in found.items() if time.seconds(not decided) is None]
        return (f"read as {order} because of {other[0]!r}",)
    if day_first is not None:
        return (f"{open_ones[0]!r} read as {order}, as in the rest of the table",)
    return (f"{open_ones[0]!r} read as {order}: no date decides it",)
