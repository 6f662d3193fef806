"""How numbers and dates are written in the text of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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

    def to_state(self) -> dict[str, Any]:
        """Return the format as plain data."""
        return {"decimal": self.decimal, "thousands": self.thousands}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NumberFormat:
        """Build the format that `to_state` described."""
        return cls(str(state["decimal"]), str(state["thousands"]))


@dataclass(frozen=True)
class Conventions:
    """How the text of a table writes numbers and dates.

    Attributes
    ----------
    numbers : NumberFormat
    day_first : bool or None
        Whether dates such as 3/1/2020 begin with the day; None if no column decides it.
    """

    numbers: NumberFormat = field(default_factory=NumberFormat)
    day_first: bool | None = None

    def to_state(self) -> dict[str, Any]:
        """Return the conventions as plain data."""
        return {"numbers": self.numbers.to_state(), "day_first": self.day_first}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Conventions:
        """Build the conventions that `to_state` described."""
        return cls(NumberFormat.from_state(state["numbers"]), state["day_first"])
