"""Recognize the kind of each column: number, boolean, category, time, or not useful."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pellucid.tables.compact_dates import are_compact_dates, as_dates, hint_at_compact_dates
from pellucid.tables.conventions import Conventions, recognize_number_format
from pellucid.tables.conversion import as_numbers, as_text, as_truth
from pellucid.tables.hints import hint_at_codes, hint_at_numbers
from pellucid.tables.row_counters import (
    FEWEST_ROWS_TO_JUDGE,
    is_id_name,
    is_in_order,
    may_be_id_name,
    may_count_rows,
    order_tells_of,
)
from pellucid.tables.row_weights import FloatVector, Weights, counts_of, n_rows, of
from pellucid.tables.table import Column, Table, TableError
from pellucid.tables.text import numbers_from_text, text_of_number
from pellucid.tables.times_in_text import recognize_day_first, times_from_text

Kind = Literal["numeric", "boolean", "categorical", "datetime", "left out"]

KINDS: tuple[Kind, ...] = ("numeric", "boolean", "categorical", "datetime", "left out")

#: Text with more distinct values than this fraction of the cells is free text.
FREE_TEXT_SHARE = 0.5


@dataclass(frozen=True)
class RecognizedColumn:
    """The recognized kind of a column, and the reason.

    Attributes
    ----------
    name : str
    kind : {"numeric", "boolean", "categorical", "datetime", "left out"}
    reason : str
        Short human-readable explanation.
    """

    name: str
    kind: Kind
    reason: str


@dataclass(frozen=True)
class RecognizedTable(Table):
    """A table whose columns have been recognized, so that `TableEncoder.fit` need not do it.

    Attributes
    ----------
    recognized : tuple of RecognizedColumn
        The kinds of the columns.
    converted : tuple of Column
        The columns in the storage for these kinds.
    wanted : dict of str to str
        Kinds that were set, not recognized.
    """

    recognized: tuple[RecognizedColumn, ...] = ()
    converted: tuple[Column, ...] = ()
    wanted: Mapping[str, Kind] = field(default_factory=dict)


class _Found(NamedTuple):
    """What was recognized of one column.

    `conventions` are those with which its text was read; None if they make no difference.
    """

    recognized: RecognizedColumn
    values: Column
    conventions: Conventions | None = None


def recognize_table(
    table: Table,
    wanted: Mapping[str, Kind],
    weights: Weights = None,
    y: npt.NDArray[Any] | None = None,
) -> RecognizedTable:
    """Recognize every column of a table that `wanted` does not set; see `recognize`.

    The conventions of the result are those with which its columns were read.
    """
    text = [c for c in table if c.storage == "text" and _is_read(wanted.get(c.name))]
    known = _conventions_of(table.conventions, [column.values for column in text])
    found = [_recognize(c, wanted.get(c.name), weights, known.of(c.name), y) for c in table]
    return RecognizedTable(
        columns=table.columns,
        has_names=table.has_names,
        conventions=_kept(known, found),
        remarks=table.remarks,
        recognized=tuple(column.recognized for column in found),
        converted=tuple(column.values for column in found),
        wanted=wanted,
    )


def recognize(
    column: Column,
    kind: Kind | None = None,
    weights: Weights = None,
    y: npt.NDArray[Any] | None = None,
) -> tuple[RecognizedColumn, Column]:
    """Recognize one column; return its kind and its values in the storage for this kind.

    Parameters
    ----------
    column : Column
    kind : str, optional
        Use this kind instead of recognizing it from the values.
    weights : ndarray of float64, shape (n_rows,), optional
        Number of rows that each row counts for.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs), optional
        The target. Numbers that count the rows are left out only if their order does not tell of
        it. Without y, numbers that may count the rows are left out.

    Returns
    -------
    recognized : RecognizedColumn
    column : Column
        Text that contains numbers or times is converted to these.

    Raises
    ------
    TableError
        If `kind` is numeric, boolean or datetime, and no cell can be read as such.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables import Column
    >>> from pellucid.tables.recognition import recognize
    >>> cells = np.array(["1.5", None, "2.5"], dtype=object)
    >>> recognize(Column("charge", "text", cells))[0]
    RecognizedColumn(name='charge', kind='numeric', reason='numbers stored as text, 1 missing')
    """
    found = _recognize(column, kind, weights, Conventions(), y)
    return found.recognized, found.values


def _is_read(kind: Kind | None) -> bool:
    return kind not in ("categorical", "left out")


def _conventions_of(known: Conventions, texts: list[npt.NDArray[np.object_]]) -> Conventions:
    """Return the conventions of the reader of the table, or else those of its text."""
    numbers, day_first = known.numbers, known.day_first
    if numbers == Conventions().numbers:
        numbers = recognize_number_format(texts)
    if day_first is None:
        day_first = recognize_day_first(texts)
    if day_first is None and numbers.decimal == ",":
        day_first = True  # Where decimals have commas, months do not come first.
    return Conventions(numbers, day_first, known.exceptions)


def _kept(known: Conventions, found: list[_Found]) -> Conventions:
    """Return the conventions with which the columns were read: of the table, and exceptions."""
    read = {f.recognized.name: f.conventions for f in found if f.conventions is not None}
    orders = Counter(c.day_first for c in read.values() if c.day_first is not None)
    common = Conventions(known.numbers, orders.most_common(1)[0][0] if orders else known.day_first)
    exceptions = {
        name: conventions
        for name, conventions in read.items()
        if conventions.numbers.decimal != common.numbers.decimal
        or conventions.day_first not in (None, common.day_first)
    }
    return replace(common, exceptions=exceptions)


def _recognize(
    column: Column,
    kind: Kind | None,
    weights: Weights,
    known: Conventions,
    y: npt.NDArray[Any] | None,
) -> _Found:
    if kind is not None:
        return _as_specified(column, kind, weights, known)
    # A column of a table stored by rows is read several times, which is faster from a copy. The
    # copy is released right away, so that the table is never in memory twice.
    contiguous = replace(column, values=np.ascontiguousarray(column.values))
    found = _judge(contiguous, weights, known, y)
    return found._replace(values=column) if found.values is contiguous else found


def _judge(
    column: Column, weights: Weights, known: Conventions, y: npt.NDArray[Any] | None
) -> _Found:
    if column.missing().all():
        return _Found(RecognizedColumn(column.name, "left out", "every value is missing"), column)
    if column.storage == "text":
        found = _recognize_text(column, weights, known, y)
    elif column.storage == "number":
        found = _recognize_number(column, weights, y)
    elif column.storage == "boolean":
        found = _Found(RecognizedColumn(column.name, "boolean", "true or false"), column)
    else:
        found = _Found(RecognizedColumn(column.name, "datetime", "dates or times"), column)
    recognized, column = found.recognized, found.values
    constant = _constant_value(column)
    if constant is not None:
        recognized = RecognizedColumn(column.name, "left out", f"constant: always {constant}")
        return _Found(recognized, column)
    missing = column.missing()
    n_missing = n_rows(of(weights, missing), int(missing.sum()))
    if n_missing and recognized.kind != "left out":
        recognized = replace(recognized, reason=f"{recognized.reason}, {n_missing:,} missing")
    return found._replace(recognized=recognized)


def _recognize_number(column: Column, weights: Weights, y: npt.NDArray[Any] | None) -> _Found:
    values = column.as_float()
    finite = values[np.isfinite(values)]
    if len(values) >= FEWEST_ROWS_TO_JUDGE and are_compact_dates(finite):
        reason = f"dates such as {finite[0]:.0f} (set numeric if they are numbers)"
        return _Found(RecognizedColumn(column.name, "datetime", reason), as_dates(column))
    judged = _judge_number(column, values, finite, weights, y)
    if len(finite) >= FEWEST_ROWS_TO_JUDGE and judged.kind == "numeric":
        judged = replace(judged, reason=judged.reason + hint_at_compact_dates(finite))
    return _Found(judged, column)


def _judge_number(
    column: Column,
    values: FloatVector,
    finite: FloatVector,
    weights: Weights,
    y: npt.NDArray[Any] | None,
) -> RecognizedColumn:
    name, n = column.name, n_rows(weights, len(finite))
    if not bool(np.all(finite == np.floor(finite))) or len(finite) == 0:
        return RecognizedColumn(name, "numeric", ", ".join(("numbers", *column.notes)))
    if len(finite) < len(values):
        return RecognizedColumn(name, "numeric", f"numbers{hint_at_codes(finite, n)}")
    if n >= FEWEST_ROWS_TO_JUDGE and _are_row_numbers(column, finite, n):
        return _recognize_row_numbers(name, finite, n, y)
    return RecognizedColumn(name, "numeric", f"whole numbers{hint_at_codes(finite, n)}")


def _are_row_numbers(column: Column, values: FloatVector, n: int) -> bool:
    """Return whether whole numbers may only identify rows, by their name or their range."""
    named = is_id_name(column.name) or may_be_id_name(column.name)
    return (named or may_count_rows(values, n)) and len(np.unique(column.values)) == n


def _recognize_row_numbers(
    name: str, values: FloatVector, n: int, y: npt.NDArray[Any] | None
) -> RecognizedColumn:
    if is_id_name(name):
        reason = "an id by its name"
    elif y is None and may_count_rows(values, n):
        reason = "an id: numbers that identify rows"
    elif not (is_in_order(values) and may_count_rows(values, n)) or y is None:
        hint = "(set left out if they identify rows)"
        return RecognizedColumn(name, "numeric", f"whole numbers, all different {hint}")
    elif order_tells_of(y):
        reason = "whole numbers in the order of the rows, which tells of the target"
        return RecognizedColumn(name, "numeric", reason)
    else:
        reason = "a row counter that tells nothing of the target"
    return RecognizedColumn(name, "left out", f"{reason} (set numeric to keep it)")


def _recognize_text(
    column: Column, weights: Weights, known: Conventions, y: npt.NDArray[Any] | None
) -> _Found:
    if column.is_category:
        return _recognize_categories(column, weights)
    name = column.name
    numbers = numbers_from_text(column.values, weights, known.numbers)
    if numbers is not None:
        recognized, number, _ = _recognize_number(
            Column(name, "number", numbers.values), weights, y
        )
        if recognized.kind == "numeric":
            _, comma, hint = recognized.reason.partition(", ")
            told = _told_missing(column, weights, numbers.stray, numbers.words)
            reason = ", ".join((f"numbers stored as text{told}", *numbers.notes)) + comma + hint
        else:
            reason = ", ".join((recognized.reason, *numbers.notes))
        recognized = replace(recognized, reason=reason)
        return _Found(recognized, number, Conventions(numbers.format))
    times = times_from_text(column.values, weights, known.day_first)
    if times is not None:
        what = "times of day" if times.are_clock_times else "dates or times"
        told = _told_missing(column, weights, times.stray, times.words)
        hint = ""
        if times.are_clock_times:
            known_times = times.values[~np.isnan(times.values)]
            n = n_rows(weights, len(known_times))
            hint = hint_at_codes(known_times, n, "ratios or scores")
        reason = ", ".join((f"{what} stored as text{told}", *times.notes)) + hint
        recognized = RecognizedColumn(name, "datetime", reason)
        conventions = Conventions(known.numbers, times.day_first)
        return _Found(recognized, Column(name, "datetime", times.values), conventions)
    return _recognize_categories(column, weights)


def _recognize_categories(column: Column, weights: Weights) -> _Found:
    name = column.name
    counts, _ = counts_of(column.values, weights)
    n, n_different = round(sum(counts.values())), len(counts)
    is_left_out = n >= FEWEST_ROWS_TO_JUDGE and n_different > FREE_TEXT_SHARE * n
    hint = "" if column.is_category else hint_at_numbers(counts, is_left_out=is_left_out)
    if is_left_out and n_different == n:
        reason = f"an id: every text is different{hint}"
        return _Found(RecognizedColumn(name, "left out", reason), column)
    if is_left_out:
        reason = f"free text: {n_different:,} different texts in {n:,} rows{hint}"
        return _Found(RecognizedColumn(name, "left out", reason), column)
    declared = " by its type" if column.is_category else ""
    reason = f"{n_different:,} categories{declared}{hint}"
    return _Found(RecognizedColumn(name, "categorical", reason), column)


def _told_missing(
    column: Column, weights: Weights, stray: tuple[str, ...], words: tuple[str, ...]
) -> str:
    texts = (*stray, *words)
    if not texts:
        return ""
    shown = ", ".join(map(repr, texts[:4])) + (", …" if len(texts) > 4 else "")
    counts, _ = counts_of(column.values, weights)
    n = round(sum(counts[text] for text in texts))
    where = "" if not stray else " in 1 row" if n == 1 else f" in {n:,} rows"
    return f" ({shown} treated as missing{where})"


def _constant_value(column: Column) -> str | None:
    """Return the only value of a column as text, or None if it varies or has missing values."""
    if column.storage == "text":
        first = column.values[0]
        same = first is not None and all(cell == first for cell in column.values)
        return repr(first) if same else None
    values = column.values
    same = bool(np.all(values == values[0]))
    return text_of_number(values[0]) if same else None


_CALLED = {"numeric": "a number", "boolean": "true or false", "datetime": "a date or time"}


def _as_specified(column: Column, kind: Kind, weights: Weights, known: Conventions) -> _Found:
    """Return the column in a kind that was asked for."""
    plain = RecognizedColumn(column.name, kind, "as specified")
    if kind == "categorical":
        return _Found(plain, as_text(column))
    if kind == "left out" or column.storage != "text" or column.missing().all():
        if kind == "datetime" and column.storage == "number":
            dates = as_dates(column)
            what = "as 20200103 are dates" if dates is not column else "are seconds since 1970"
            return _Found(replace(plain, reason=f"as specified, numbers {what}"), dates)
        return _Found(plain, column)
    notes: tuple[str, ...] = ()
    used = known
    if kind == "datetime":
        times = times_from_text(column.values, weights, known.day_first, certain=True)
        if times is None:
            raise _unreadable(column, kind)
        read = Column(column.name, "datetime", times.values)
        used, notes = Conventions(known.numbers, times.day_first), times.notes
    else:
        numbers = numbers_from_text(column.values, weights, known.numbers, certain=True)
        if numbers is not None:
            used, notes = Conventions(numbers.format), numbers.notes
        read = (as_truth if kind == "boolean" else as_numbers)(column, used)
    lost = read.missing() & ~column.missing()
    if lost.sum() == len(column.values) - column.missing().sum():
        raise _unreadable(column, kind)
    if lost.any():
        n_lost = n_rows(of(weights, lost), int(lost.sum()))
        example = column.values[int(lost.argmax())]
        notes = (*notes, f"{n_lost:,} missing as they are not {_CALLED[kind]}, such as {example!r}")
    return _Found(replace(plain, reason=", ".join(("as specified", *notes))), read, used)


def _unreadable(column: Column, kind: Kind) -> TableError:
    texts = list(dict.fromkeys(text for text in column.values if text is not None))
    shown = ", ".join(map(repr, texts[:3]))
    return TableError(
        f"Column {column.name!r} cannot be {kind}: none of its cells is {_CALLED[kind]}; they are "
        f"texts such as {shown}. Correct them, or set the column to another kind: categorical or "
        "left out."
    )
