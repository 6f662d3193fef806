"""Read tables and targets for the commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.cli.files import STANDARD_STREAM
from pellucid.cli.headerless import is_headerless, numbered_as_in_training
from pellucid.cli.options import ReadingOptions
from pellucid.cli.request import TaskChoice
from pellucid.cli.screen import Output
from pellucid.tables import (
    Column,
    Table,
    TableError,
    places_of_rows,
    read_table,
    read_target,
    recognize_task,
)
from pellucid.tables.conventions import Conventions
from pellucid.tables.conversion import as_text
from pellucid.tables.number_notation import plain_number
from pellucid.tables.target import (
    TASKS,
    Task,
    converted_target,
    missing_target_error,
    row_place,
    with_text,
)


@dataclass(frozen=True)
class Examples:
    """Features and targets of some rows.

    Attributes
    ----------
    X : Table, or ndarray of shape (n_rows, n_columns)
    y : ndarray of shape (n_rows,)
        Labels or numbers, depending on the task.
    """

    X: Any
    y: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: npt.NDArray[np.intp]) -> Examples:
        """Return the given rows only."""
        return Examples(self.X.take(rows), self.y[rows])


def read_rows(
    path: Path,
    reading: ReadingOptions,
    out: Output,
    conventions: Conventions | None = None,
    needed: Collection[str] | None = None,
) -> Table:
    """Read a table; show what the user should know about how it was read."""
    table = read_table(path, **reading.given(), conventions=conventions, needed=needed)
    for remark in table.remarks:
        out.note(f"{shown_name(path)}: {remark}")
    return table


def shown_name(path: Path) -> str:
    """Return what a table is called in messages."""
    return "standard input" if str(path) == STANDARD_STREAM else path.name


def column_in(table: Table, name: str) -> Column:
    """Find a column by name, or by its number (from 1) in a table without names."""
    headerless = all(re.fullmatch(r"column_\d+", n) for n in table.names)
    if headerless and name.isdecimal() and f"column_{int(name)}" in table.names:
        name = f"column_{int(name)}"
    return table[name]


def with_targets(
    table: Table,
    names: Sequence[str],
    task: str,
    path: Path,
    reading: ReadingOptions,
    out: Output,
    *,
    drops_missing: bool,
) -> tuple[Table, list[Column]]:
    """Return a table and its targets, found as by :func:`column_in` and read for a task.

    With `drops_missing`, rows without one of the targets are left out; else they are an error.
    """
    columns = [column_in(table, name) for name in names]
    place = place_in(path, reading)
    known = table.conventions, known_task(task)
    missing = [converted_target(column, *known).missing() for column in columns]
    lacks = np.logical_or.reduce(missing)
    if lacks.any() and not drops_missing:
        column, lacks = next(pair for pair in zip(columns, missing, strict=True) if pair[1].any())
        raise missing_target_error(
            f"{shown_name(path)}: the target {column.name!r}",
            lacks,
            with_text(column, place),
            "Fill them in, or leave these rows out with --drop-missing-target.",
        )
    which = " or ".join(repr(column.name) for column in columns)
    if lacks.all():
        raise TableError(f"{shown_name(path)}: the target {which} is missing in every row.")
    kept = np.flatnonzero(~lacks)
    if lacks.any():
        n = int(lacks.sum())
        rows = "row" if n == 1 else "rows"
        out.note(f"{shown_name(path)}: {n:,} {rows} left out, as the target {which} is missing.")
        out.add(rows_without_target=n)
        table, columns = table.take(kept), [column.take(kept) for column in columns]
    targets = [read_target(one, *known, lambda row: place(int(kept[row]))) for one in columns]
    return table, targets


def place_in(path: Path, reading: ReadingOptions) -> Callable[[int], str]:
    """Return what says in which line of a file a row is, given its number from 0."""
    written = {"header", "delimiter", "encoding", "comment"}
    options = {name: value for name, value in reading.given().items() if name in written}

    def place(row: int) -> str:
        try:
            return places_of_rows(path, [row], **options)[0]
        except TableError:  # A table without header can be read for a model without saying so.
            return row_place(row)

    return place


def target_names_of(model: Any) -> tuple[str, ...]:
    """Return the names of the targets of a model if it knows them.

    A series that was made of a column, such as ``table["age"] > 30``, has the name of that column,
    which is none of a target.
    """
    names = model.target_names_ or ()
    features = set(getattr(model, "feature_names_in_", ()))
    return () if features.intersection(names) else names


def known_task(choice: str) -> Task | None:
    """Return the task if it was chosen; None for "auto"."""
    return next((task for task in TASKS if task == choice), None)


def task_of(target: Column, choice: TaskChoice) -> tuple[str, str]:
    """Return the task and its reason."""
    if choice != "auto":
        return choice, "as specified"
    recognized = recognize_task(target)
    return recognized.task, recognized.reason


def target_values(target: Column, task: str) -> npt.NDArray[Any]:
    """Return labels for classification, float64 for regression."""
    if task == "regression":
        if target.storage == "text":
            raise TableError(
                f"The target {target.name!r} is text, such as {target.values[0]!r}, but regression "
                "needs numbers. Use --task classification."
            )
        return target.as_float()
    if target.storage == "text":
        return target.values.astype(np.str_)
    if target.storage == "number" and target.values.dtype.kind == "f":
        values = target.as_float()
        if np.all(values == np.floor(values)) and np.abs(values).max() < 2**53:
            return values.astype(np.int64)
        return as_text(target).values.astype(np.str_)
    return target.values if target.storage != "datetime" else as_text(target).values.astype(np.str_)


def read_model_table(
    path: Path, model: Any, reading: ReadingOptions, out: Output, others: Sequence[str] = ()
) -> Table:
    """Read a table for a model, as that of its training where the table itself does not tell.

    A table without header is read so if the model was trained without names; it need not have the
    target. Numbers that can be read in two ways, such as 1.234, are read as in training. Names of
    columns may be repeated, except those of the model and `others`.
    """
    if reading.header is None and is_headerless(model) and path.suffix not in {".parquet", ".pq"}:
        reading = replace(reading, header=False)
    encoder = getattr(getattr(model, "estimators_", [model])[0], "encoder_", None)
    conventions = Conventions() if encoder is None else encoder.conventions_
    conventions = replace(conventions, text=conventions.text | _targets_of_text(model))
    names = getattr(model, "feature_names_in_", None)
    used = names if names is None or encoder is None else encoder._used_names()
    needed = None if used is None else {*map(str, used), *others}
    table = read_rows(path, reading, out, conventions, needed)
    return numbered_as_in_training(table, model, path, out)


def _targets_of_text(model: Any) -> set[str]:
    """Return the names of targets whose classes are text that is not only numbers."""
    classes = getattr(model, "classes_", None)
    if not isinstance(classes, np.ndarray) or classes.dtype.kind not in "UO":
        return set()
    return (
        set()
        if all(plain_number(str(c)) is not None for c in classes)
        else set(target_names_of(model))
    )


def inputs_for(model: Any, table: Table, others: Sequence[str] = ()) -> Any:
    """Return the model's input from a table, with columns matched by name.

    For a model that knows no names, the input is all columns but `others`.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        for other in others:
            table = table.without(other)
        n_columns, n_expected = len(table.names), int(model.n_features_in_)
        if n_columns != n_expected:
            raise TableError(
                f"The table has {n_columns} columns to predict from, but the model was trained on "
                f"{n_expected} and does not know their names. Pass a table of these columns in "
                "the order of training."
            )
    if model.__sklearn_tags__().input_tags.string:
        return table  # The model finds the columns that it uses by name.
    if names is not None:
        table = table.select([str(name) for name in names])
    for column in table:
        if column.storage == "text":
            raise TableError(
                f"Column {column.name!r} is text, but the model is a {type(model).__name__}, which "
                "takes numbers only. Use a TabularClassifier or TabularRegressor instead."
            )
    return np.column_stack([column.as_float() for column in table])
