"""Read the numbers in many texts at once, by their shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from pellucid.tables.number_notation import (
    NumberAsText,
    WrittenNumber,
    are_addresses,
    is_code,
    is_scientific,
    may_be_code,
    plain_number,
    written_number,
)
from pellucid.tables.strays import are_few

#: Zeros become 2 and other digits 1; then 2 becomes 0 if it comes first, else 1.
_ZEROS_AND_OTHERS = str.maketrans("0123456789", "2111111111")
_FIRST_ZERO = re.compile(r"^([^12\n]*)2", re.MULTILINE)
#: Quotients of whole numbers and powers of ten up to so many digits are rounded correctly.
_MOST_DIGITS = 15
#: Fewer texts are read one by one.
_FEWEST_TEXTS = 10


class NumberShape:
    """Different texts that are alike except for their digits, such as "$1,234" and "$5,678".

    Whether the first digit is a zero is part of the shape. All else that is known of a written
    number, except its value, is therefore the same for all texts of a shape.

    Attributes
    ----------
    texts : list of str
    """

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    @cached_property
    def written(self) -> WrittenNumber | None:
        """The first text as a number; None if the texts are no numbers."""
        return written_number(self.texts[0])

    @cached_property
    def is_plain(self) -> bool:
        """Whether Python reads the texts as numbers."""
        return plain_number(self.texts[0]) is not None

    @property
    def is_number(self) -> bool:
        """Whether the texts are numbers."""
        return self.is_plain or self.written is not None

    @property
    def is_code(self) -> bool:
        """Whether the texts are codes, as "01234" is."""
        return is_code(self.texts[0])

    def is_whole(self, decimal: str) -> bool:
        """Return whether the texts are whole numbers that int64 holds."""
        first = self.texts[0]
        if first.removeprefix("-").isdecimal():
            return len(first) < 19
        if self.written is None or not self.written.is_whole(decimal):
            return False
        return sum(map(str.isdigit, self.written.digits)) < 19

    def plain_values(self) -> list[float]:
        """Return the numbers that Python reads."""
        return list(map(float, self.texts))

    def values(self, decimal: str) -> list[float] | None:
        """Return the numbers if `decimal` is the decimal mark; None if they cannot be."""
        if self.written is None or self.written.value(decimal) is None:
            return None
        places = self._places_of_digits
        if not places or len(places) > _MOST_DIGITS or len(self.texts) < _FEWEST_TEXTS:
            numbers = (written_number(text) for text in self.texts)
            return [value for n in numbers if n and (value := n.value(decimal)) is not None]
        n_decimals = len(self.written.digits.partition(decimal)[2])
        values = self._joined_digits(places) / 10.0**n_decimals
        signed: list[float] = (-values if self.written.negative else values).tolist()
        return signed

    def whole_values(self) -> list[int]:
        """Return whole numbers of at most 18 digits, exactly."""
        places = self._places_of_digits
        if self.written is None or not places or len(self.texts) < _FEWEST_TEXTS:
            return list(map(_whole_number, self.texts))
        values = self._joined_digits(places)
        signed: list[int] = (-values if self.written.negative else values).tolist()
        return signed

    @cached_property
    def _places_of_digits(self) -> list[int]:
        """Where the digits are; empty if they cannot be joined to a number."""
        text, written = self.texts[0], self.written
        if written is None or written.exact is not None or "e" in written.digits.lower():
            return []
        places = [i for i, character in enumerate(text) if character.isdigit()]
        return places if all(text[i].isascii() for i in places) else []

    def _joined_digits(self, places: list[int]) -> npt.NDArray[np.int64]:
        codes = np.array(self.texts).view(np.uint32).reshape(len(self.texts), -1)
        joined = np.zeros(len(self.texts), np.int64)
        for place in places:
            joined = 10 * joined + codes[:, place] - ord("0")
        return joined


def shapes_of(texts: Iterable[str]) -> list[NumberShape]:
    """Group different texts by their shapes, in the order in which the shapes occur.

    Examples
    --------
    >>> from pellucid.tables.number_shapes import shapes_of
    >>> shapes = shapes_of(["$1,234", "12 %", "$5,678", "Rome"])
    >>> [(shape.texts, shape.values(".")) for shape in shapes]
    [(['$1,234', '$5,678'], [1234.0, 5678.0]), (['12 %'], [12.0]), (['Rome'], None)]
    """
    texts = list(texts)
    joined = "\n".join(texts).translate(_ZEROS_AND_OTHERS)
    keys = _FIRST_ZERO.sub(r"\g<1>0", joined).replace("2", "1").split("\n")
    if len(keys) != len(texts) or NumberAsText in set(map(type, texts)):
        return [NumberShape([text]) for text in texts]
    groups: dict[str, list[str]] = {}
    for key, text in zip(keys, texts, strict=True):
        groups.setdefault(key, []).append(text)
    return list(map(NumberShape, groups.values()))


def numbers_in(texts: Iterable[str], decimal: str) -> dict[str, float]:
    """Return the number in each text that `number_notation.number_in` reads as one.

    Examples
    --------
    >>> from pellucid.tables.number_shapes import numbers_in
    >>> numbers_in(["12,5 %", "3", "Rome"], ",")
    {'12,5 %': 12.5, '3': 3.0}
    """
    found: dict[str, float] = {}
    for shape in shapes_of(texts):
        has_mark = "." in shape.texts[0] or "," in shape.texts[0]
        is_plain = (decimal == "." or not has_mark) and shape.is_plain
        values = shape.plain_values() if is_plain else shape.values(decimal)
        if values is not None:
            found.update(zip(shape.texts, values, strict=True))
    return found


def hold_codes(shapes: Sequence[NumberShape], counts: Mapping[str, float]) -> bool:
    """Return whether texts such as 10E3 are codes: they are not few, and no other has an exponent.

    Parameters
    ----------
    shapes : sequence of NumberShape
        All texts of a column.
    counts : mapping of str to float
        How many cells hold each text.
    """
    codes = [shape for shape in shapes if may_be_code(shape.texts[0])]
    if not codes or any(shape.is_number and is_scientific(shape.texts[0]) for shape in shapes):
        return False
    return not are_few([text for shape in codes for text in shape.texts], counts)


def hold_addresses(shapes: Sequence[NumberShape]) -> bool:
    """Return whether all texts are four numbers of a byte each, such as 192.168.0.1."""
    if not shapes or not are_addresses(s.written for s in shapes if s.written is not None):
        return False
    numbers = map(written_number, chain.from_iterable(shape.texts for shape in shapes))
    return are_addresses(number for number in numbers if number is not None)


def _whole_number(text: str) -> int:
    number = written_number(text)
    if number is None:
        return int(text)
    size = int("".join(filter(str.isdigit, number.digits)))
    return -size if number.negative else size
