"""Compare how several files write the numbers and dates of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pellucid.tables.conventions import Cells, mark_of_column
from pellucid.tables.times_in_text import recognize_day_first


class Notation(NamedTuple):
    """How the cells of a column are written; None where they leave it open.

    Attributes
    ----------
    decimal : str or None
        The decimal mark of numbers.
    day_first : bool or None
        Whether dates begin with the day.
    """

    decimal: str | None
    day_first: bool | None


def notation_of(cells: Cells, usual: str = "") -> Notation:
    """Recognize how the cells of a column are written.

    Parameters
    ----------
    cells : sequence of str or None
    usual : str
        The decimal mark of cells that contain it, but could be read with another one.

    Examples
    --------
    >>> from pellucid.tables.notation import notation_of
    >>> notation_of(["1,5", "1.200"]), notation_of(["28/12/2020"])
    (Notation(decimal=',', day_first=None), Notation(decimal=None, day_first=True))
    """
    return Notation(mark_of_column(cells, usual), recognize_day_first([cells]))


def difference(notations: Sequence[Notation]) -> tuple[int, int, str] | None:
    """Return the numbers of two files that differ and how they do; None if all agree.

    Examples
    --------
    >>> from pellucid.tables.notation import Notation, difference
    >>> difference([Notation(",", None), Notation(None, None), Notation(".", None)])
    (0, 2, 'numbers have a decimal comma in the former and a decimal point in the latter')
    """
    for field, words in _WORDS.items():
        found = [
            (i, value) for i, n in enumerate(notations) if (value := getattr(n, field)) is not None
        ]
        for i, value in found:
            if value != found[0][1]:
                return found[0][0], i, words.format(_NAMES[found[0][1]], _NAMES[value])
    return None


_WORDS = {
    "decimal": "numbers have a decimal {} in the former and a decimal {} in the latter",
    "day_first": "dates begin with the {} in the former and with the {} in the latter",
}
_NAMES: dict[str | bool, str] = {".": "point", ",": "comma", True: "day", False: "month"}
