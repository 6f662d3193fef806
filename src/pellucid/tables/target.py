"""Recognize the task from the target: classification or regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

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


def read_target(column: Column) -> Column:
    """Check a target column and convert text that contains numbers to numbers.

    Raises
    ------
    TableError
        If values are missing or infinite. The message names the first such row.
    """
    if column.storage == "text":
        numbers = numbers_from_text(column.values)
        if numbers is not None and not numbers.stray:
            column = Column(column.name, "number", numbers.values)
    missing = column.missing()
    if missing.any():
        raise TableError(
            f"The target {column.name!r} is missing in {int(missing.sum()):,} of {len(missing):,} "
            f"rows (the first is row {int(missing.argmax()) + 1}). "
            "Fill in or remove these rows first."
        )
    if column.storage == "number":
        infinite = ~np.isfinite(column.as_float())
        if infinite.any():
            raise TableError(
                f"The target {column.name!r} is infinite in row {int(infinite.argmax()) + 1}. "
                "Correct or remove such rows first."
            )
    return column
