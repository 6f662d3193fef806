"""Numbers as people write them: signs, currencies, percent, separators."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cache, cached_property

#: Characters that separate groups of digits, besides the one of ``.,`` that is no decimal mark.
BLANKS_AND_APOSTROPHES = " \u00a0\u202f\u2009'\u2019"

_CURRENCIES = (
    r"(?:US|AU|CA|NZ|HK|SG|A|C|S|R)?\$|[€£¥₹₽₩₺₪₫₴₦₱฿¢]|zł|Kč|kr\.?|Ft|Fr\.|Rs\.?"
    r"|USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|HKD|SGD|KRW|TWD|THB|IDR|MYR|PHP|VND|SEK|NOK|DKK"
    r"|ISK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|ILS|AED|SAR|EGP|ZAR|NGN|KES|BRL|MXN|ARS|CLP|COP|PEN"
)
_AFFIXED = re.compile(
    rf"""(?P<open>\()?\s*
    (?P<sign>[+\-\u2212\u2013])?\s*
    (?:(?P<before>{_CURRENCIES})\s*(?P<inner>[+\-\u2212\u2013])?\s*)?
    (?P<digits>(?:\d[\d.,{BLANKS_AND_APOSTROPHES}]*|[.,]\d+)(?<!\s)(?:[eE][+-]?\d+)?)
    (?:[.,][\-\u2212\u2013\u2014]{{1,2}}|/-)?\s*  # no cents: 12.- or 12,-- or 12/-
    (?P<percent>[%\uff05])?\s*
    (?P<after>{_CURRENCIES})?\s*
    (?P<trailing>(?<![.,])[-\u2212\u2013])?\s*
    (?P<close>\))?""",
    re.VERBOSE,
)
_NAMES_OF_SEPARATORS = {
    "": "",
    ",": "commas",
    ".": "points",
    **dict.fromkeys(" \u00a0\u202f\u2009", "blanks"),
    **dict.fromkeys("'\u2019", "apostrophes"),
}
_PLAIN = re.compile(r"(-?)(\d[\d.,]*)")
_SIMPLE = re.compile(r"(\d+)([.,])(\d+)")
_CODE = re.compile(r"0\d+|\+\d{9,}")
_EXPONENT = re.compile(r"[eE]")
_CODE_WITH_E = re.compile(r"\d+E\d+")
#: Whole numbers, if a point separates thousands.
THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:\.\d{3})+")
_LESS_THAN_A_THOUSAND = re.compile(r"-?\d{1,3}")
#: In fewer different numbers, three digits behind each point may be chance.
_FEWEST_THOUSANDS = 3
#: Lists and versions.
LIKE_A_NUMBER = re.compile(r"\d+([.,])\d+(?:\1\d+)+")
_MOST_CHARACTERS = 60


class NumberAsText(str):
    """The text of a cell that was a number, which no format of numbers reads otherwise."""

    __slots__ = ()


@dataclass(frozen=True)
class WrittenNumber:
    """A number as it is written, before its separators are understood.

    Attributes
    ----------
    digits : str
        Digits with separators, and an exponent if there is one.
    negative : bool
    currency : str
        The sign or code that was taken off; empty if there was none.
    percent, parentheses : bool
        Whether a percent sign, or the parentheses of a negative amount, were taken off.
    exact : float or None
        The number if the cell was one, not text.
    minus_behind : bool
        Whether the minus stands behind the number.
    """

    digits: str
    negative: bool = False
    currency: str = ""
    percent: bool = False
    parentheses: bool = False
    exact: float | None = None
    minus_behind: bool = False

    def value(self, decimal: str) -> float | None:
        """Return the number if `decimal` is the decimal mark; None if it cannot be.

        Examples
        --------
        >>> from pellucid.tables.number_notation import written_number
        >>> number = written_number("-1.234")
        >>> number.value("."), number.value(",")
        (-1.234, -1234.0)
        >>> written_number("1.234,5").value(".") is None
        True
        """
        return self.values[decimal == ","]

    @cached_property
    def values(self) -> tuple[float | None, float | None]:
        """The number with a decimal point, and with a decimal comma."""
        if self.exact is not None:
            return self.exact, self.exact
        if self.digits.isdigit():
            number = float(self.digits)
            number = -number if self.negative else number
            return number, number
        if (simple := _SIMPLE.fullmatch(self.digits)) is not None:
            return self._simple_values(*simple.groups())
        return self._value("."), self._value(",")

    def _simple_values(self, whole: str, mark: str, rest: str) -> tuple[float | None, float | None]:
        sign = "-" * self.negative
        with_mark = float(f"{sign}{whole}.{rest}")
        groups = len(rest) == 3 and len(whole) <= 3 and whole[0] != "0"
        without = float(f"{sign}{whole}{rest}") if groups else None
        return (with_mark, without) if mark == "." else (without, with_mark)

    def _value(self, decimal: str) -> float | None:
        mantissa, _, exponent = self.digits.lower().partition("e")
        whole, mark, fraction = mantissa.partition(decimal)
        if whole and not whole.isdigit():
            if not _grouped(decimal).fullmatch(whole):
                return None
            whole = "".join(filter(str.isdigit, whole))
        if (fraction and not fraction.isdigit()) or (mark == "," and not fraction):
            return None
        number = float(f"{whole}.{fraction}e{exponent or 0}")
        return -number if self.negative else number

    def is_whole(self, decimal: str) -> bool:
        """Return whether the number is written without fraction and exponent."""
        mark = decimal if self.exact is None else "."
        return mark not in self.digits and "e" not in self.digits.lower()

    def separator(self, decimal: str) -> str:
        """Return what separates groups of digits; empty if nothing does."""
        whole = self.digits.partition(decimal)[0]
        if self.exact is not None or whole.isdigit():
            return ""
        whole = whole.lower().partition("e")[0]
        return next((c for c in whole if not c.isdigit()), "")


def written_number(text: str) -> WrittenNumber | None:
    """Take signs, currency, percent and parentheses off a number; None if it is not a number.

    Examples
    --------
    >>> from pellucid.tables.number_notation import written_number
    >>> written_number("($1,234.50)").value(".")
    -1234.5
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    if isinstance(text, NumberAsText):
        return WrittenNumber(text.removeprefix("-"), text.startswith("-"), exact=float(text))
    if (plain := _PLAIN.fullmatch(text)) is not None:
        return WrittenNumber(plain[2], plain[1] == "-")
    parts = _AFFIXED.fullmatch(text)
    if parts is None or bool(parts["open"]) != bool(parts["close"]):
        return None
    signs = [parts[name] for name in ("sign", "inner", "trailing") if parts[name]]
    in_parentheses = parts["open"] is not None
    if len(signs) + in_parentheses > 1 or (parts["before"] and parts["after"]):
        return None
    return WrittenNumber(
        parts["digits"],
        in_parentheses or (bool(signs) and signs[0] != "+"),
        parts["before"] or parts["after"] or "",
        parts["percent"] is not None,
        in_parentheses,
        minus_behind=parts["trailing"] is not None,
    )


def plain_number(text: str) -> float | None:
    """Return the number that Python reads in a text; None if there is none."""
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_code(text: str) -> bool:
    """Return whether a text of digits is a code: it has a leading zero, or is a phone number.

    Examples
    --------
    >>> from pellucid.tables.number_notation import is_code
    >>> is_code("01234"), is_code("+4930123456"), is_code("+5")
    (True, True, False)
    """
    return _CODE.fullmatch(text) is not None


def may_be_code(text: str) -> bool:
    """Return whether a number with an exponent may as well be a code, such as 10E3.

    Programs write a sign or a decimal point, as in 1E+05 and 1.0E5, and people write 1e5.
    """
    return _CODE_WITH_E.fullmatch(text) is not None


def is_scientific(text: str) -> bool:
    """Return whether a number has an exponent, and is no code."""
    return _EXPONENT.search(text) is not None and not may_be_code(text)


def number_in(text: str, decimal: str) -> float | None:
    """Return the number in a cell, with a decimal point or a decimal comma; None if there is none.

    Examples
    --------
    >>> from pellucid.tables.number_notation import number_in
    >>> number_in("12,5 %", ","), number_in("12,5 %", ".")
    (12.5, None)
    """
    if decimal == "." or not ("." in text or "," in text):
        number = plain_number(text)
        if number is not None:
            return number
    written = written_number(text)
    return None if written is None else written.value(decimal)


def decimal_mark(numbers: Iterable[tuple[WrittenNumber, float]]) -> str | None:
    """Return the decimal mark with which more cells are numbers; None if both fit equally.

    Parameters
    ----------
    numbers : iterable of (WrittenNumber, float)
        Different numbers and how many cells hold each.

    Examples
    --------
    >>> from pellucid.tables.number_notation import decimal_mark, written_number
    >>> decimal_mark([(written_number("1.234"), 1), (written_number("12,5"), 1)])
    ','
    >>> decimal_mark([(written_number("1.234"), 1)]) is None
    True
    """
    surplus = 0.0
    for number, count in numbers:
        with_point, with_comma = number.values
        surplus += count * ((with_point is not None) - (with_comma is not None))
    return None if surplus == 0 else "." if surplus > 0 else ","


def are_grades(numbers: Iterable[WrittenNumber]) -> bool:
    """Return whether a minus stands behind numbers, and all of these have a single digit: 1, 1-, 2.

    Amounts with the minus behind have more digits.
    """
    with_minus = [number for number in numbers if number.minus_behind]
    return bool(with_minus) and all(len(number.digits) == 1 for number in with_minus)


def may_be_thousands(texts: Iterable[str], n_smaller: int = 0) -> bool:
    """Return whether the points in some numbers may separate thousands, as in 4.716 beside 360.

    Parameters
    ----------
    texts : iterable of str
        Plain numbers.
    n_smaller : int
        The least number of different whole numbers below 1000 beside them. Of decimals with three
        digits behind the point, few are whole, and others have fewer digits.

    Examples
    --------
    >>> from pellucid.tables.number_notation import may_be_thousands
    >>> may_be_thousands(["4.716", "360", "14.905", "1.000"], n_smaller=1)
    True
    >>> may_be_thousands(["4.716", "360", "14.905", "1.5"])
    False
    """
    different = dict.fromkeys(texts)
    thousands = [text for text in different if "." in text]
    smaller = [text for text in different if "." not in text]
    return (
        len(thousands) >= _FEWEST_THOUSANDS
        and len(smaller) >= n_smaller
        and all(map(THOUSANDS.fullmatch, thousands))
        and all(map(_LESS_THAN_A_THOUSAND.fullmatch, smaller))
    )


def note_on_thousands(texts: Iterable[str]) -> tuple[str, ...]:
    """Tell of a point that was read as a decimal mark, and may separate thousands.

    Examples
    --------
    >>> from pellucid.tables.number_notation import note_on_thousands
    >>> note_on_thousands(["360", "4.716", "14.905", "1.000"])
    ("'4.716' read as 4.716 (decimal mark ',' if it is 4716)",)
    """
    texts = list(texts)
    if not may_be_thousands(texts):
        return ()
    first = next(text for text in texts if "." in text)
    whole = first.replace(".", "")
    return (f"{first!r} read as {float(first):.15g} (decimal mark ',' if it is {whole})",)


def are_addresses(numbers: Iterable[WrittenNumber]) -> bool:
    """Return whether all of some numbers are four numbers of a byte each, such as 192.168.0.1."""
    return all(_is_address(number.digits) for number in numbers)


def _is_address(digits: str) -> bool:
    parts = digits.split(".")
    return len(parts) == 4 and all(p.isdigit() and len(p) <= 3 and int(p) < 256 for p in parts)


def notes_on(
    numbers: Sequence[WrittenNumber], decimal: str, separators: Set[str], is_ambiguous: bool
) -> tuple[str, ...]:
    """Tell what was understood in numbers beyond digits and a decimal point.

    Parameters
    ----------
    numbers : sequence of WrittenNumber
    decimal : str
        The decimal mark that they were read with.
    separators : set of str
        What separates groups of digits in them.
    is_ambiguous : bool
        Whether the other decimal mark would have fit as well.
    """
    notes = []
    unclear = next((n for n in numbers if is_ambiguous and n.values[0] != n.values[1]), None)
    if unclear is not None:
        known = ", as in the rest of the table" if decimal == "," else ""
        value = abs(unclear.value(decimal) or 0.0)
        notes.append(f"'{unclear.digits}' read as {value:.15g}{known}")
    elif decimal == "," and any("," in number.digits for number in numbers):
        notes.append("with decimal commas")
    names = {_NAMES_OF_SEPARATORS[separator] for separator in separators}
    if names and unclear is None:
        notes.append(f"thousands separated by {' and '.join(sorted(names))}")
    taken_off = sorted({number.currency for number in numbers} - {""})
    taken_off += ["%"] * any(number.percent for number in numbers)
    if taken_off:
        notes.append(f"{' and '.join(map(repr, taken_off))} taken off")
    if any(number.parentheses for number in numbers):
        notes.append("parentheses read as minus")
    if any(number.minus_behind for number in numbers):
        notes.append("'-' behind numbers read as minus")
    return tuple(notes)


def mixture_of_units(numbers: Iterable[tuple[str, WrittenNumber, float]]) -> str:
    """Tell how many cells have each unit, if percent signs or currencies differ; else nothing.

    Parameters
    ----------
    numbers : iterable of (str, WrittenNumber, float)
        Different texts, the numbers in them, and how many cells hold each.

    Examples
    --------
    >>> from pellucid.tables.number_notation import mixture_of_units, written_number
    >>> cells = {"12 %": 3, "0.5": 2}
    >>> mixture_of_units((text, written_number(text), n) for text, n in cells.items())
    "3 with '%' such as '12 %', 2 without such as '0.5'"
    """
    cells: dict[str, float] = {}
    examples: dict[str, str] = {}
    for text, number, count in numbers:
        unit = "%" if number.percent else number.currency
        cells[unit] = cells.get(unit, 0.0) + count
        examples.setdefault(unit, text)
    if len(cells) < 2 or (len(cells) == 2 and "" in cells and "%" not in cells):
        return ""  # An amount without its currency is usual.
    units = sorted(cells, key=lambda unit: unit == "")
    return ", ".join(
        f"{round(cells[unit]):,} {f'with {unit!r}' if unit else 'without'} such as "
        f"{examples[unit]!r}"
        for unit in units
    )


@cache
def _grouped(decimal: str) -> re.Pattern[str]:
    """Match whole numbers in groups of three digits, or of two as in 12,34,567."""
    other = "," if decimal == "." else r"\."
    return re.compile(
        rf"[1-9]\d{{0,2}}(?:(?P<by>[{other}{BLANKS_AND_APOSTROPHES}])\d{{3}})(?:(?P=by)\d{{3}})*"
        + (r"|[1-9]\d?(?:,\d{2})+,\d{3}" if decimal == "." else "")
    )
