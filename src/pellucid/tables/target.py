"""Recognize the task from the target: classification or regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pellucid.tables.table import Column, TableError
from pellucid.tables.text import numbers_from_text

Task = Literal["classification", "regression"]

#: Maximum number of distinct whole numbers that are treated as classes.
MOST_INTEGER_CLASSES = 20


@dataclass(frozen=True)
class RecognizedTask:
    """The recognized task, and the reason.

    Attributes
    ----------
    task : {"classification", "regression"}
    reason : str
        Short human-readable explanation.
    """

    task: Task
    reason: str


def recognize_task(column: Column) -> RecognizedTask:
    """Choose between classification and regression from the values of the target.

    Text and booleans are classes. Numbers with only two different values are classes, too. So are
    whole numbers with at most 20 different values that occur 5 times on average. All other targets
    are for regression.

    Parameters
    ----------
    column : Column
        Must have no missing values (see :func:`read_target`).

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables import Column, recognize_task
    >>> recognize_task(Column("price", "number", np.array([1.5, 2.25, 8.0])))
    RecognizedTask(task='regression', reason='numbers that are not whole')
    """
    if column.storage == "text":
        n_classes = len(set(column.values.tolist()))
        return RecognizedTask("classification", f"text with {n_classes:,} different values")
    if column.storage == "boolean":
        return RecognizedTask("classification", "true or false")
    if column.storage == "datetime":
        return RecognizedTask("regression", "dates or times")
    values = column.as_float()
    distinct = np.unique(values)
    if len(distinct) <= 2:
        return RecognizedTask("classification", "two different numbers")
    if not np.all(distinct == np.floor(distinct)):
        return RecognizedTask("regression", "numbers that are not whole")
    if len(distinct) <= MOST_INTEGER_CLASSES and 5 * len(distinct) <= len(values):
        return RecognizedTask("classification", f"whole numbers, only {len(distinct)} different")
    return RecognizedTask("regression", f"whole numbers, {len(distinct):,} different")


def row_place(row: int) -> str:
    """Say where a row is, given its number from 0."""
    return f"row {row + 1:,}"


def read_target(column: Column, place: Callable[[int], str] = row_place) -> Column:
    """Check a target column and convert text that contains numbers to numbers.

    Parameters
    ----------
    column : Column
    place : callable
        `(row) -> str` for messages: where row number `row`, from 0, is.

    Raises
    ------
    TableError
        If values are missing or infinite. The message says how many and where the first one is.
    """
    column = converted_target(column)
    missing = column.missing()
    if missing.any():
        raise missing_target_error(f"The target {column.name!r}", missing, place)
    if column.storage == "number":
        infinite = ~np.isfinite(column.as_float())
        if infinite.any():
            raise TableError(
                f"The target {column.name!r} is infinite in {place(int(infinite.argmax()))}. "
                "Correct or remove such rows first."
            )
    return column


def converted_target(column: Column) -> Column:
    """Return a target column with text that contains numbers as numbers."""
    if column.storage == "text":
        numbers = numbers_from_text(column.values)
        if numbers is not None and not numbers.stray:
            return Column(column.name, "number", numbers.values)
    return column


def missing_target_error(
    what: str,
    missing: npt.NDArray[np.bool_],
    place: Callable[[int], str] = row_place,
    way_out: str = "Fill in or remove these rows first.",
) -> TableError:
    """Return an error that says how many targets are missing, and where the first one is."""
    n = int(missing.sum())
    rows = "row" if len(missing) == 1 else "rows"
    return TableError(
        f"{what} is missing in {n:,} of {len(missing):,} {rows} (the first is "
        f"{place(int(missing.argmax()))}). {way_out}"
    )
