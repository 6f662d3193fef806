"""How the text of a table writes numbers and dates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.missing_words import is_missing_word
from pellucid.tables.number_notation import (
    LIKE_A_NUMBER,
    WrittenNumber,
    are_addresses,
    decimal_mark,
    may_be_thousands,
    written_number,
)
from pellucid.tables.strays import show_another_kind

Cells = Sequence[str | None] | npt.NDArray[np.object_]

#: Number of cells of a column, evenly spaced, from which the format of a table is recognized.
CELLS_LOOKED_AT = 500
#: At least this share of them must be numbers, or the column is not asked.
SHARE_OF_NUMBERS = 0.8
#: Where these delimit cells, points in 4.716 beside 360 and 72 separate thousands: this many
#: smaller numbers show it.
DELIMITERS_BESIDE_THOUSANDS, FEWEST_SMALLER = (";", "\t"), 2


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

    Attributes
    ----------
    decimal : str
        The decimal mark: ``"."`` or ``","``.
    thousands : str
        What separates groups of three digits; empty if nothing does.

    Examples
    --------
    >>> from pellucid.tables.conventions import NumberFormat
    >>> NumberFormat(decimal=",", thousands=".").plain("1.234,5")
    '1234.5'
    """

    decimal: str = "."
    thousands: str = ""

    def plain(self, text: str) -> str:
        """Return the text of a number with a decimal point and without separators."""
        if self.thousands:
            text = text.replace(self.thousands, "")
        return text if self.decimal == "." else text.replace(self.decimal, ".")

    @property
    def pattern(self) -> str:
        """A regular expression for numbers of digits, decimal mark and groups of three digits.

        Examples
        --------
        >>> import re
        >>> from pellucid.tables.conventions import NumberFormat
        >>> pattern = NumberFormat(",", ".").pattern
        >>> [bool(re.fullmatch(pattern, text)) for text in ("-1.234,5", "12.34", "5,")]
        [True, False, False]
        """
        separator = re.escape(self.thousands)
        grouped = rf"|[1-9]\d{{0,2}}(?:{separator}\d{{3}})+" if separator else ""
        return rf"-?(?:\d+{grouped})(?:{re.escape(self.decimal)}\d+)?"

    def to_state(self) -> dict[str, Any]:
        """Return the format as plain data."""
        return {"decimal": self.decimal, "thousands": self.thousands}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NumberFormat:
        """Build the format that `to_state` described; raise ValueError if it is none."""
        decimal, thousands = str(state["decimal"]), str(state["thousands"])
        if decimal not in (".", ",") or len(thousands) > 1 or thousands == decimal:
            raise ValueError(f"numbers cannot be written with {decimal!r} and {thousands!r}")
        return cls(decimal, thousands)


_PLAIN = NumberFormat()


@dataclass(frozen=True)
class Conventions:
    """How the text of a table writes numbers and dates.

    Attributes
    ----------
    numbers : NumberFormat
    day_first : bool or None
        Whether dates such as 3/1/2020 begin with the day; None if no column decides it.
    exceptions : dict of str to Conventions
        Columns that are written differently from the rest of the table, by name.
    text : frozenset of str
        Columns whose cells stay as they are written, even if all of them are numbers: 1.10 and 1.1
        are two versions.
    """

    numbers: NumberFormat = field(default_factory=NumberFormat)
    day_first: bool | None = None
    exceptions: Mapping[str, Conventions] = field(default_factory=dict)
    text: frozenset[str] = frozenset()

    def of(self, name: str) -> Conventions:
        """Return the conventions of a column."""
        return self.exceptions.get(name) or Conventions(self.numbers, self.day_first)

    def to_state(self) -> dict[str, Any]:
        """Return the conventions as plain data."""
        exceptions = {name: other.to_state() for name, other in self.exceptions.items()}
        return {
            "numbers": self.numbers.to_state(),
            "day_first": self.day_first,
            **({"exceptions": exceptions} if exceptions else {}),
            **({"text": sorted(self.text)} if self.text else {}),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Conventions:
        """Build the conventions that `to_state` described; raise ValueError if they are none."""
        day_first = state["day_first"]
        if day_first not in (None, True, False):
            raise ValueError(f"day_first must be true, false or null, got {day_first!r}")
        exceptions = {
            str(name): Conventions(NumberFormat.from_state(e["numbers"]), e["day_first"])
            for name, e in state.get("exceptions", {}).items()
        }
        text = frozenset(map(str, state.get("text", ())))
        return cls(NumberFormat.from_state(state["numbers"]), day_first, exceptions, text)


def recognize_number_format(
    columns: Iterable[Cells], otherwise: NumberFormat = _PLAIN, delimiter: str = ""
) -> NumberFormat:
    """Recognize how a table writes numbers, from the cells of its text columns.

    Each column of numbers in which a cell decides it, such as "12,5" or "1.234.567", has one vote;
    columns such as "1", "1,2", "2,3" have none, as they may hold lists of the same few numbers.

    Parameters
    ----------
    columns : iterable of sequences of str
        Cells without surrounding blanks. Columns that hold other text do no harm.
    otherwise : NumberFormat
        What is taken for granted without a majority.
    delimiter : str
        What separates the cells of the file. Where it is a semicolon, and `otherwise` tells
        nothing, commas that may be decimal marks are. Where it is a semicolon or tab, points in
        4.716 beside 360 and 72 separate thousands.

    Examples
    --------
    >>> from pellucid.tables.conventions import recognize_number_format
    >>> recognize_number_format([["1.234", "7.800"], ["12,5", "13,25"], ["Rome", "Oslo"]])
    NumberFormat(decimal=',', thousands='.')
    """
    found = [numbers for cells in columns if (numbers := _numbers_in(cells))]
    marks = [
        None if may_be_lists(number for number, _ in numbers) else decimal_mark(numbers)
        for numbers in found
    ]
    lead = marks.count(",") - marks.count(".")
    decimal = otherwise.decimal if lead == 0 else "," if lead > 0 else "."
    if lead == 0 and otherwise == _PLAIN and usual_mark(delimiter) == ",":
        decimal = "," if any(_contain(numbers, ",") for numbers in found) else "."
    if lead == 0 and otherwise == _PLAIN and delimiter in DELIMITERS_BESIDE_THOUSANDS:
        texts = ([number.digits for number, _ in numbers] for numbers in found)
        decimal = "," if any(may_be_thousands(t, FEWEST_SMALLER) for t in texts) else decimal
    separators: dict[str, float] = {}
    for numbers, mark in zip(found, marks, strict=True):
        if mark in (decimal, None):
            for number, count in numbers:
                if number.value(decimal) is not None:
                    separator = number.separator(decimal)
                    separators[separator] = separators.get(separator, 0.0) + count
    separators.pop("", None)
    usual = otherwise.thousands if decimal == otherwise.decimal else ""
    return NumberFormat(decimal, max(separators, key=separators.__getitem__, default=usual))


def may_be_lists(numbers: Iterable[WrittenNumber]) -> bool:
    """Return whether all numbers with a comma are ascending pairs of others, as 1,2 is.

    Examples
    --------
    >>> from pellucid.tables.conventions import may_be_lists
    >>> from pellucid.tables.number_notation import WrittenNumber
    >>> may_be_lists(map(WrittenNumber, ["1", "3", "1,3", "3,4", "4"]))
    True
    >>> may_be_lists(map(WrittenNumber, ["1", "3", "1,3", "3,1"]))
    False
    """
    digits = [number.digits.split(",") for number in numbers]
    parts = [[int(d) for d in part if d.isdigit() and d[0] != "0"] for part in digits]
    pairs = [part for part in parts if len(part) == 2]
    ends = {part[-1] for part in pairs}
    others = {part[0] for part in parts if part}
    return len(ends) > 1 and all(a < b for a, b in pairs) and ends <= others


def mark_of_column(cells: Cells, usual: str = "") -> str | None:
    """Return the decimal mark of a column; None if it holds other text or leaves it open.

    Parameters
    ----------
    cells : sequence of str or None
    usual : str
        The mark of numbers that contain it, but could be read with the other one as well.
    """
    numbers = _numbers_in(cells)
    mark = decimal_mark(numbers)
    return usual if mark is None and usual and _contain(numbers, usual) else mark


def usual_mark(delimiter: str) -> str:
    """Return the usual decimal mark beside a delimiter; empty if there is none."""
    return {";": ",", ",": "."}.get(delimiter, "")


def _contain(numbers: list[tuple[WrittenNumber, float]], mark: str) -> bool:
    return any(mark in number.digits for number, _ in numbers)


def _numbers_in(cells: Cells) -> list[tuple[WrittenNumber, float]]:
    """Return the different numbers in some cells, and how many hold each; none if other text."""
    counts = Counter(cells[:: 1 + len(cells) // CELLS_LOOKED_AT])
    numbers: list[tuple[WrittenNumber, float]] = []
    others: dict[str, float] = {}
    n_others, most_others = 0, (1 - SHARE_OF_NUMBERS) * counts.total()
    for text, count in counts.items():
        if text is None or is_missing_word(text):
            continue
        number = written_number(text)
        if number is not None and number.values != (None, None):
            numbers.append((number, count))
        elif (n_others := n_others + count) > most_others:
            return []
        else:
            others[text] = count
    if show_another_kind(others, counts.total(), LIKE_A_NUMBER):
        return []  # 1,2 beside 1,2,3 is a list.
    return [] if are_addresses(number for number, _ in numbers) else numbers
