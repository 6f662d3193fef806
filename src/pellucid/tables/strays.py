"""Cells that are not what most cells of their column are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

#: A text column is read as numbers if at most this fraction of its cells are not numbers, and …
STRAY_SHARE = 0.05
#: … those cells have at most this many different values ("see below", "ca. 3").
MOST_STRAY_TEXTS = 3
#: Or if at most this fraction is not, with at most so many different values, …
STRAY_SHARE_OF_MANY, MOST_STRAY_TEXTS_OF_MANY = 0.2, 50
#: … and there are more different numbers than this, and as many times more than other values.
MANY_NUMBERS, NUMBERS_PER_STRAY_TEXT = 20, 10
#: If more than this fraction of the cells has the form of the others, but cannot be read, then the
#: column holds something else: 26:00 among 13:00 are no times of day, 1.2.3 among 1.2 no numbers.
TELLING_SHARE = 0.01


def are_few(stray: Sequence[str], counts: Mapping[str, float]) -> bool:
    """Return whether a column is what its cells are, except for some other texts.

    Parameters
    ----------
    stray : sequence of str
        The other texts.
    counts : mapping of str to float
        How many cells hold each text of the column.
    """
    n, n_stray = sum(counts.values()), sum(counts[text] for text in stray)
    if len(stray) <= MOST_STRAY_TEXTS and n_stray <= STRAY_SHARE * n:
        return True
    are_many = len(counts) - len(stray) > MANY_NUMBERS
    return are_many and n_stray <= STRAY_SHARE_OF_MANY * n and not are_too_many(len(stray), counts)


def are_too_many(n_others: int, counts: Mapping[str, float]) -> bool:
    """Return whether that many different texts which are no numbers make a column of text."""
    most = (len(counts) - n_others) // NUMBERS_PER_STRAY_TEXT
    return n_others > max(MOST_STRAY_TEXTS, min(MOST_STRAY_TEXTS_OF_MANY, most))


def show_another_kind(others: Mapping[str, float], n: float, form: re.Pattern[str]) -> bool:
    """Return whether so many of the other texts have a form that they show what the column is.

    Parameters
    ----------
    others : mapping of str to float
        How many cells hold each of the other texts.
    n : float
        Number of cells of the column.
    form : re.Pattern

    Examples
    --------
    >>> import re
    >>> from pellucid.tables.strays import show_another_kind
    >>> clock = re.compile("[0-9]+:[0-9]+")
    >>> show_another_kind({"26:00": 2}, 100, clock), show_another_kind({"26:00": 2}, 1000, clock)
    (True, False)
    """
    return sum(count for text, count in others.items() if form.fullmatch(text)) > TELLING_SHARE * n
