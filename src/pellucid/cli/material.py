"""The rows of a training command: read, without those to drop, split for training and testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pellucid.cli.data import (
    Examples,
    column_in,
    read_rows,
    target_values,
    task_of,
    with_targets,
)
from pellucid.cli.request import Request, TaskChoice
from pellucid.cli.screen import Output
from pellucid.tables import Column, Table, TableError
from pellucid.tables.conventions import Conventions
from pellucid.tables.target import converted_target

IntVector = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Material:
    """What a model is trained and tested on.

    Attributes
    ----------
    targets : tuple of str
        Names of the targets: one, or several numbers.
    task, reason : str
        The task, and why it is this task.
    training : Examples
    testing, validation : Examples or None
    all_rows : Examples
        The rows of the table: those for training, and those held out of it for testing.
    dropped : tuple of str
        Columns to leave out.
    """

    targets: tuple[str, ...]
    task: str
    reason: str
    training: Examples
    testing: Examples | None
    validation: Examples | None
    all_rows: Examples
    dropped: tuple[str, ...] = ()

    @property
    def target(self) -> str | tuple[str, ...]:
        """The name of the target, or the names of several."""
        return self.targets[0] if len(self.targets) == 1 else self.targets


def read_material(request: Request, out: Output) -> Material:
    """Read the tables, recognize the task and split the rows."""
    table, truths = _read(request.path, request.targets, request.task, request, out)
    for truth in truths:
        if len(np.unique(truth.values.astype(np.str_))) == 1:
            raise TableError(
                f"The target {truth.name!r} has only one distinct value, {truth.values[0]!r}, so "
                "there is nothing to learn. Add rows with other values."
            )
    if len(table.names) == len(truths):
        raise TableError(
            f"The table has no column but {_called(truths)}, so there is nothing to learn from. "
            "Add columns."
        )
    task, reason = _task_of(truths, request.task)
    truth = truths[0]
    if task == "classification" and len(set(truth.values.tolist())) == len(truth.values):
        raise TableError(
            f"The target {truth.name!r} is different in each of the {len(table):,} rows, such as "
            f"{truth.values[0]!r}: no class occurs twice, so there is nothing to learn. Choose "
            "another target, or --task regression if it is a number."
        )
    examples = _examples(table, truths, task)
    dropped = _columns_to_drop(request, examples.X)
    texts = frozenset(c.name for c in (*examples.X, *truths) if c.storage == "text")
    conventions = replace(table.conventions, text=texts)
    names = tuple(truth.name for truth in truths)

    def read(path: Path) -> Examples:
        return _examples(*_read(path, names, task, request, out, conventions), task)

    validation = None if request.validation_path is None else read(request.validation_path)
    training, testing = examples, None
    if request.rows.test_table is not None:
        testing = read(request.rows.test_table)
    elif request.rows.held_out:
        train_rows, test_rows = split_rows(examples.y, request.rows.held_out, task, request.seed)
        training, testing = examples.take(train_rows), examples.take(test_rows)
    return Material(names, task, reason, training, testing, validation, examples, dropped)


def _called(truths: Sequence[Column]) -> str:
    """Return what the targets are called in messages."""
    names = ", ".join(repr(truth.name) for truth in truths)
    return f"the target {names}" if len(truths) == 1 else f"the targets {names}"


def _task_of(truths: Sequence[Column], choice: TaskChoice) -> tuple[str, str]:
    """Return the task and its reason; several targets must be numbers."""
    if len(truths) == 1:
        return task_of(truths[0], choice)
    for truth in truths:
        task, reason = task_of(truth, choice)
        if task == "classification":
            is_text = any(_is_text(one) for one in truths)
            way = "" if is_text else ", or pass --task regression to predict their numbers"
            raise TableError(
                f"{truth.name!r} holds classes ({reason}), but to be predicted together, all of "
                f"{_called(truths)} must be numbers. Train a model for each of them{way}."
            )
    return "regression", reason


def _is_text(truth: Column) -> bool:
    """Return whether a target cannot be read as numbers."""
    try:
        return converted_target(truth, task="regression").storage == "text"
    except TableError:  # Units are mixed.
        return True


def _examples(table: Table, truths: Sequence[Column], task: str) -> Examples:
    """Return the columns that are no targets, and the targets."""
    for truth in truths:
        table = table.without(truth.name)
    values = [target_values(truth, task) for truth in truths]
    return Examples(table, values[0] if len(values) == 1 else np.column_stack(values))


def _read(
    path: Path,
    targets: Sequence[str],
    task: str,
    request: Request,
    out: Output,
    conventions: Conventions | None = None,
) -> tuple[Table, list[Column]]:
    """Return a table and its targets."""
    return with_targets(
        read_rows(path, request.reading, out, conventions),
        *(targets, task, path, request.reading, out),
        drops_missing=request.rows.drop_missing_target,
    )


def _columns_to_drop(request: Request, table: Table) -> tuple[str, ...]:
    """Return the names of the columns to leave out, which must be in the table."""
    return tuple(column_in(table, name).name for name in request.rows.drop or ())


def split_rows(
    y: npt.NDArray[np.generic], test: float, task: str, seed: int
) -> tuple[IntVector, IntVector]:
    """Split the rows into training and test rows; every test label occurs in training, too.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    test : float
        Share of the rows for testing, or a number of rows from 2 on.
    task : {"classification", "regression"}
    seed : int
    """
    n_rows = len(y)
    n_test = round(test * n_rows) if test < 1 else int(test)
    order = np.random.default_rng(seed).permutation(n_rows)
    held_out, train = order[:n_test], order[n_test:]
    if task == "classification":
        known = np.isin(y[held_out], y[train])
        held_out, train = held_out[known], np.concatenate([train, held_out[~known]])
    if n_test < 1 or len(train) < 2 or len(held_out) < 1:
        how_many = f"{test:g} of them" if test < 1 else f"{n_test:,}"
        raise TableError(
            f"The table has {n_rows:,} rows: too few to hold out {how_many} for testing. Use "
            "--test 0, or --test-table with other rows."
        )
    return np.sort(train), np.sort(held_out)
