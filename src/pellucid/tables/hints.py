"""Remarks on columns that may be meant otherwise: what they could be, and how to say so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pellucid.tables.conventions import may_be_lists
from pellucid.tables.missing_words import is_missing_word
from pellucid.tables.number_notation import written_number
from pellucid.tables.number_shapes import numbers_in
from pellucid.tables.row_weights import FloatVector
from pellucid.tables.time_notation import readings

#: Values with 3 to this many different ones, that occur 5 times on average, may be codes.
MOST_CODES = 20
#: If at most this share of so many texts are not numbers (or dates), the hint tells so.
SHARE_OF_TEXT, TEXTS_LOOKED_AT = 0.2, 500
#: If so few texts are no dates, the others are not looked at.
FEW_TEXTS = 5
#: Numbers with units are written in at most so many ways, such as "12 MB" and "12 KB".
MOST_UNITS = 5

_BEGINNING = re.compile(
    r"\d{4}([-/.])\d{1,2}\1\d{1,2}(?!\d)|\d{1,2}([-/.])\d{1,2}\2\d{4}(?!\d)"
    r"|[^\W\d_]{3} [^\W\d_]{3} \d{1,2} \d{4}(?!\d)"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*", re.ASCII)
_WITH_UNIT = re.compile(
    r"[^\w#]{0,3}(?:PT?)?#\s?[^\W\d_]+(?:\s.*|.*[^\W\d_])?"  # 3.4 MB, 2h 30m, PT2H30M
    r"|[~<>≈=±]{1,2}\s?#|[^\w#]{0,3}#\s?[^\w\s#/:.,;()-]+.*"  # ~5, 52°31'
    r"|#:#(?::#)?|#/#|#[,;]\s?#"  # 39:12:00, 120/80, 52.5, 13.4
)


def hint_at_codes(values: FloatVector, n: int, what: str = "codes") -> str:
    """Return a remark on whole numbers that may be codes of categories, or nothing.

    Parameters
    ----------
    values : ndarray of float64, shape (n_values,)
    n : int
        Number of rows that the values count for.
    what : str
        What they may be.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables.hints import hint_at_codes
    >>> hint_at_codes(np.arange(60) % 4, 60)
    ', 4 different (set categorical if they are codes)'
    """
    if len(np.unique(values[:1000])) > MOST_CODES:
        return ""
    n_different = len(np.unique(values))
    if 3 <= n_different <= MOST_CODES and 5 * n_different <= n:
        return f", {n_different} different (set categorical if they are {what})"
    return ""


def hint_at_numbers(counts: Mapping[str, float], *, is_left_out: bool) -> str:
    """Return a remark on text of which most could be numbers or dates, or nothing.

    Parameters
    ----------
    counts : mapping of str to float
        How many cells hold each text of the column.
    is_left_out : bool
        Whether the column is left out otherwise.

    Examples
    --------
    >>> from pellucid.tables.hints import hint_at_numbers
    >>> hint_at_numbers({"1": 9, "2": 9, "4+": 1}, is_left_out=False)
    ", though 95 % are numbers: '4+' is not (set numeric to take such cells as missing)"
    """
    texts = [text for text in counts if not is_missing_word(text)]
    texts = texts[:: 1 + len(texts) // TEXTS_LOOKED_AT]
    some = {text: counts[text] for text in texts}
    numbers = numbers_in(texts, ".").keys() | numbers_in(texts, ",").keys()
    if texts and len(numbers) == len(texts):
        if may_be_lists(n for text in texts if (n := written_number(text)) is not None):
            pair = next(text for text in texts if "," in text)
            return f", though all could be decimals such as {pair!r} (set numeric if they are)"
        return ", though all could be numbers (set numeric if they are)" if is_left_out else ""
    if hint := _hint_at_others(some, numbers, "numbers", "numeric"):
        return hint
    if any(map(readings, texts[:FEW_TEXTS])):
        times = {text for text in texts if readings(text)}
        if len(times) == len(texts):
            return ", though all could be dates (set datetime if they are)"
        if hint := _hint_at_others(some, times, "dates or times", "datetime"):
            return hint
    return _hint_at_beginnings(texts) or _hint_at_units(texts)


def _hint_at_beginnings(texts: Sequence[str]) -> str:
    """Return a remark on texts that begin with dates, such as "2020-10-28 13:27:00 CET"."""
    dates = {text: found[0] for text in texts if (found := _BEGINNING.match(text)) is not None}
    if len(dates) < max(FEW_TEXTS, len(texts)) or not all(map(readings, dates.values())):
        return ""
    return f", though they begin with dates, such as {texts[0]!r} (leave only these to use them)"


def _hint_at_others(
    counts: Mapping[str, float], found: Collection[str], what: str, kind: str
) -> str:
    others = [text for text in counts if text not in found]
    n, n_others = sum(counts.values()), sum(counts[text] for text in others)
    if not others or n_others > SHARE_OF_TEXT * n:
        return ""
    share = min(99, round(100 * (1 - n_others / n)))
    return (
        f", though {share} % are {what}: {others[0]!r} is not "
        f"(set {kind} to take such cells as missing)"
    )


def _hint_at_units(texts: Sequence[str]) -> str:
    """Return a remark on numbers with units, such as "3.4 MB" and "2h 30m", or nothing."""
    if len(texts) <= MOST_CODES:
        return ""
    forms = Counter(_NUMBER.sub("#", text) for text in texts).most_common(MOST_UNITS)
    with_unit = {form: n for form, n in forms if _WITH_UNIT.fullmatch(form)}
    if sum(with_unit.values()) + dict(forms).get("#", 0) < (1 - SHARE_OF_TEXT) * len(texts):
        return ""
    example = next((text for text in texts if _NUMBER.sub("#", text) in with_unit), None)
    if example is None:
        return ""
    return f", though they hold numbers, such as {example!r} (leave only the numbers to use them)"
