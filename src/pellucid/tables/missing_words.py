"""Texts that stand for a missing value."""

from __future__ import annotations

from collections.abc import Iterable

#: Texts that mean a missing value in every column, compared after stripping whitespace.
MISSING_TEXT = frozenset(
    [
        "",
        "?",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "NaN",
        "nan",
        "NAN",
        "null",
        "NULL",
        "None",
        "NaT",
        "<NA>",
    ]
)

#: Texts that mean a missing value among numbers and times, in lower case. Elsewhere they may be
#: categories: "none", or "-" beside "+".
MISSING_AMONG_NUMBERS = frozenset(text.lower() for text in MISSING_TEXT) | frozenset(
    [
        *("-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "\u2026", "*", "??", "???"),
        *("n.a.", "n.a", "n/d", "nd", "n.d.", "nil", "none", "(none)", "(null)", "(blank)", "\\n"),
        *("missing", "unknown", "unknown?", "not available", "not applicable", "no data", "#na"),
        *("k.a.", "k. a.", "keine angabe", "unbekannt", "n/v", "n.v."),
        *("0000-00-00", "0000-00-00 00:00:00", "9999-12-31", "9999-12-31 00:00:00"),
        *("31.12.9999", "31/12/9999", "12/31/9999"),
        *("#value!", "#ref!", "#div/0!", "#num!", "#name?", "#null!"),
    ]
)


def is_missing_word(text: str) -> bool:
    """Return whether a cell among numbers or times says that there is no value.

    Examples
    --------
    >>> from pellucid.tables.missing_words import is_missing_word
    >>> is_missing_word("n.a."), is_missing_word("-"), is_missing_word("-1")
    (True, True, False)
    """
    return text.lower() in MISSING_AMONG_NUMBERS


def missing_words(texts: Iterable[str]) -> tuple[str, ...]:
    """Return those of some cells for which `is_missing_word` is true."""
    return tuple(text for text in texts if text.lower() in MISSING_AMONG_NUMBERS)
