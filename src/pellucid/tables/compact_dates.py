"""Dates that are written as numbers of eight digits, such as 20200103."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pellucid.tables.numeric import DAY
from pellucid.tables.row_weights import FloatVector
from pellucid.tables.table import Column

#: Smaller and larger numbers are no dates.
FIRST, LAST = 1900_01_01, 2100_12_31
#: At least so many different numbers must be dates, or it may be chance.
FEWEST_DATES = 3
#: Numbers are told of if at most this share of them is not a date, of so many different ones.
SHARE_OF_OTHERS, MOST_OTHERS = 0.2, 3
#: If one of so many numbers is no date, the others are not looked at.
FEW = 1000


def are_compact_dates(values: FloatVector) -> bool:
    """Return whether all numbers are dates of the years 1900 to 2100, and at least 3 differ.

    One of 28 numbers in this range is a date by chance.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables.compact_dates import are_compact_dates
    >>> are_compact_dates(np.array([20200103.0, 20200229, 20201231]))
    True
    >>> are_compact_dates(np.array([20200103.0, 20200230, 20201231]))
    False
    """
    if np.isnan(_seconds(values[:FEW])).any() or np.isnan(_seconds(values)).any():
        return False
    return len(np.unique(values)) >= FEWEST_DATES


def hint_at_compact_dates(values: FloatVector) -> str:
    """Return a remark on whole numbers that are dates except for a few others, or nothing.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables.compact_dates import hint_at_compact_dates
    >>> hint_at_compact_dates(np.array([20200103.0, 20200229, 20201231, 20210101, 0]))
    ', though most are dates: 0 is not (set datetime to take such numbers as missing)'
    """
    if np.isnan(_seconds(values[:FEW])).mean() > SHARE_OF_OTHERS:
        return ""
    are_others = np.isnan(_seconds(values))
    others, dates = values[are_others], values[~are_others]
    if not 0 < len(others) <= SHARE_OF_OTHERS * len(values):
        return ""
    if len(np.unique(others)) > MOST_OTHERS or len(np.unique(dates)) < FEWEST_DATES:
        return ""
    what = "dates: {:.0f} is not (set datetime to take such numbers as missing)"
    return f", though most are {what.format(others[0])}"


def as_dates(column: Column) -> Column:
    """Return numbers such as 20200103 as dates, and other numbers beside them as missing.

    A column without such numbers is returned as it is.
    """
    if column.storage != "number":
        return column
    seconds = _seconds(column.as_float())
    if np.isnan(seconds).all():
        return column
    return Column(column.name, "datetime", seconds)


def _seconds(values: FloatVector) -> npt.NDArray[np.float64]:
    """Return seconds since 1970, shape (n,); NaN for numbers that are no dates."""
    seconds = np.full(len(values), np.nan)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((values >= FIRST) & (values <= LAST) & (values == np.floor(values)))
    digits = values[rows].astype(np.int64)
    year, month, day = digits // 10_000, digits // 100 % 100, digits % 100
    months = (12 * (year - 1970) + month - 1).astype("M8[M]")
    days = months.astype("M8[D]") + (day - 1)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("M8[M]") == months)
    seconds[rows[valid]] = DAY * days[valid].astype(np.int64)
    return seconds
