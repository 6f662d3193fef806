"""Recognize the task from the target: classification or regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pellucid.tables.conventions import Conventions
from pellucid.tables.table import Column, TableError
from pellucid.tables.text import numbers_from_text
from pellucid.tables.times_in_text import times_from_text

_PLAIN = Conventions()

Task = Literal["classification", "regression"]

TASKS: tuple[Task, ...] = ("classification", "regression")

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
    whole numbers with at most 20 different values that occur 5 times on average. All other numbers
    are for regression.

    Parameters
    ----------
    column : Column
        Must have no missing values (see :func:`read_target`).

    Raises
    ------
    TableError
        If the target holds dates or times, which are neither classes nor numbers.

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
        raise TableError(
            f"The target {column.name!r} holds dates or times. Predict a number instead, such as "
            "the days since a date. Or choose the task: regression predicts seconds since 1970, "
            "classification takes each date as a class."
        )
    return _task_of_numbers(column.as_float())


def _task_of_numbers(values: npt.NDArray[np.float64]) -> RecognizedTask:
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= 2:
        return RecognizedTask("classification", "two different numbers")
    if not np.all(distinct == np.floor(distinct)):
        return RecognizedTask("regression", "numbers that are not whole")
    if len(distinct) <= MOST_INTEGER_CLASSES and 5 * len(distinct) <= len(known):
        return RecognizedTask("classification", f"whole numbers, only {len(distinct)} different")
    return RecognizedTask("regression", f"whole numbers, {len(distinct):,} different")


def row_place(row: int) -> str:
    """Say where a row is, given its number from 0."""
    return f"row {row + 1:,}"


def read_target(
    column: Column,
    conventions: Conventions = _PLAIN,
    task: Task | None = None,
    place: Callable[[int], str] = row_place,
) -> Column:
    """Check a target column and convert text that contains numbers or dates to these.

    Parameters
    ----------
    column, conventions, task
        As for :func:`converted_target`.
    place : callable
        `(row) -> str` for messages: where row number `row`, from 0, is.

    Raises
    ------
    TableError
        If values are missing or infinite, or units are mixed. The message says how many and where
        the first one is.
    """
    given, column = column, converted_target(column, conventions, task)
    missing = column.missing()
    if missing.any():
        where = with_text(given, place)
        raise missing_target_error(f"The target {column.name!r}", missing, where)
    if column.storage == "number":
        infinite = ~np.isfinite(column.as_float())
        if infinite.any():
            raise TableError(
                f"The target {column.name!r} is infinite in {place(int(infinite.argmax()))}. "
                "Correct or remove such rows first."
            )
    return column


def converted_target(
    column: Column, conventions: Conventions = _PLAIN, task: Task | None = None
) -> Column:
    """Return a target column with text that contains numbers or dates as these.

    Text that is no plain number, such as "1.200,50 €" or "-" for a missing value, is converted if
    the target is for regression. Otherwise these texts are classes.

    Parameters
    ----------
    column : Column
    conventions : Conventions
        How the table writes numbers and dates.
    task : {"classification", "regression"}, optional
        The task, if it is known. By default, it is recognized from the values.

    Raises
    ------
    TableError
        If only some numbers of a target for regression have a percent sign, or currencies differ.
    """
    if column.storage != "text":
        return column
    if task == "classification" and column.name in conventions.text:
        return column
    known = conventions.of(column.name)
    wanted = task == "regression"
    numbers = numbers_from_text(column.values, None, known.numbers, certain=wanted)
    if numbers is not None:
        is_plain = not (numbers.stray or numbers.words or numbers.notes)
        if is_plain or (task or _task_of_numbers(numbers.values).task) == "regression":
            if numbers.mixture:
                raise TableError(
                    f"The target {column.name!r} mixes units: {numbers.mixture}. Convert all cells "
                    "to one unit, or choose the task classification, which takes each text as a "
                    "class."
                )
            return Column(column.name, "number", numbers.values)
        return column
    times = times_from_text(column.values, None, known.day_first)
    are_many = len(set(column.values.tolist())) > MOST_INTEGER_CLASSES
    if times is not None and (wanted or (task is None and are_many)):
        return Column(column.name, "datetime", times.values)
    return column


def with_text(column: Column, place: Callable[[int], str]) -> Callable[[int], str]:
    """Return what says where a row is, and which text is there if there is one."""

    def place_and_text(row: int) -> str:
        text = column.values[row] if column.storage == "text" else None
        return place(row) if text is None else f"{place(row)}: {text!r}"

    return place_and_text


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
