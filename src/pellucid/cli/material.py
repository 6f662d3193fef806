"""The rows of a training command: read, without those to drop, split for training and testing."""

from __future__ import annotations

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
from pellucid.cli.request import Request
from pellucid.cli.screen import Output
from pellucid.tables import Column, Table, TableError
from pellucid.tables.conventions import Conventions

IntVector = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Material:
    """What a model is trained and tested on.

    Attributes
    ----------
    target, task, reason : str
        The target, the task, and why it is this task.
    training : Examples
    testing, validation : Examples or None
    all_rows : Examples
        The rows of the table: those for training, and those held out of it for testing.
    dropped : tuple of str
        Columns to leave out.
    """

    target: str
    task: str
    reason: str
    training: Examples
    testing: Examples | None
    validation: Examples | None
    all_rows: Examples
    dropped: tuple[str, ...] = ()


def read_material(request: Request, out: Output) -> Material:
    """Read the tables, recognize the task and split the rows."""
    table, truth = _read(request.path, request.target, request.task, request, out)
    if len(np.unique(truth.values.astype(np.str_))) == 1:
        raise TableError(
            f"The target {truth.name!r} has only one distinct value, {truth.values[0]!r}, so there "
            "is nothing to learn. Add rows with other values."
        )
    if len(table.names) == 1:
        raise TableError(
            f"The table has no column but the target {truth.name!r}, so there is nothing to learn "
            "from. Add columns."
        )
    task, reason = task_of(truth, request.task)
    if task == "classification" and len(set(truth.values.tolist())) == len(truth.values):
        raise TableError(
            f"The target {truth.name!r} is different in each of the {len(table):,} rows, such as "
            f"{truth.values[0]!r}: no class occurs twice, so there is nothing to learn. Choose "
            "another target, or --task regression if it is a number."
        )
    examples = Examples(table.without(truth.name), target_values(truth, task))
    dropped = _columns_to_drop(request, examples.X)
    texts = frozenset(c.name for c in (*examples.X, truth) if c.storage == "text")
    conventions = replace(table.conventions, text=texts)

    def read(path: Path) -> Examples:
        other, values = _read(path, truth.name, task, request, out, conventions)
        return Examples(other.without(truth.name), target_values(values, task))

    validation = None if request.validation_path is None else read(request.validation_path)
    training, testing = examples, None
    if request.rows.test_table is not None:
        testing = read(request.rows.test_table)
    elif request.rows.held_out:
        train_rows, test_rows = split_rows(examples.y, request.rows.held_out, task, request.seed)
        training, testing = examples.take(train_rows), examples.take(test_rows)
    return Material(truth.name, task, reason, training, testing, validation, examples, dropped)


def _read(
    path: Path,
    target: str,
    task: str,
    request: Request,
    out: Output,
    conventions: Conventions | None = None,
) -> tuple[Table, Column]:
    """Return a table and its target."""
    table = read_rows(path, request.reading, out, conventions)
    table, [column] = with_targets(
        *(table, [target], task, path, request.reading, out),
        drops_missing=request.rows.drop_missing_target,
    )
    return table, column


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
