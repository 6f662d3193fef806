"""Rows held out of training, and what is measured on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import _approximate_mode

from pellucid.engine.contract import Trainer, ValidationRows

Rows: TypeAlias = NDArray[np.int64]

SMALLEST_VALIDATION_SET = 2


class ValidationResult(NamedTuple):
    """How the weights of the moment do on rows that training does not see."""

    score: float
    """Higher is better; NaN where predictions are not finite."""
    loss: float
    """Weighted mean of the loss, without the penalty."""


@dataclass(frozen=True)
class Validation:
    """The rows to measure the weights on after each epoch, and their score.

    The weights that score highest are put back when training ends, however it ends; where no epoch
    had a finite score, the last weights stay.

    Parameters
    ----------
    rows : ValidationRows
    score : callable
        `(output of the network (m, K), loss) -> float`; higher is better.
    name : str or None
        What the score is called, "accuracy" for example; None where it is minus the loss.
    compares_with_before : bool
        Whether the best score of an earlier run was measured alike. Otherwise a run that goes on
        scores its first weights anew.
    is_error : bool
        Whether `name` is an error, of which the score is minus the value.
    share_threads : callable, optional
        `(n_threads) -> None`, told the threads of the run before each score that predicts itself.
    """

    rows: ValidationRows
    score: Callable[[NDArray[Any], float], float]
    name: str | None = None
    compares_with_before: bool = True
    is_error: bool = False
    share_threads: Callable[[int | None], None] | None = None

    def measure(self, trainer: Trainer) -> ValidationResult:
        """Return score and loss at the weights of the moment."""
        loss, scores = trainer.measure(self.rows)
        if math.isnan(loss):
            return ValidationResult(math.nan, math.nan)
        if self.share_threads is not None:
            self.share_threads(trainer.n_threads)
        with np.errstate(over="ignore", invalid="ignore"):
            return ValidationResult(float(self.score(scores, loss)), loss)


def hold_out(
    n_rows: int,
    fraction: float,
    random_state: np.random.RandomState,
    stratify: NDArray[np.bool_] | None = None,
) -> tuple[Rows, Rows]:
    """Return the row numbers to train on and those held out.

    The draws, and so the rows, are those of scikit-learn's `train_test_split`; but neither the
    table nor Python lists of its rows are made, so that a million rows need little memory.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    fraction : float
        Share of the rows to hold out.
    random_state : numpy.random.RandomState
        Where the draws come from.
    stratify : ndarray of bool of shape (n_rows,), optional
        Keep the shares of True and False equal in both parts.

    Raises
    ------
    ValueError
        Too few rows would be held out or left to train on.
    """
    n_held_out = math.ceil(fraction * n_rows)
    n_train = n_rows - n_held_out
    n_groups = 1 if stratify is None else len(np.unique(stratify))
    if n_held_out < SMALLEST_VALIDATION_SET or n_train < n_groups:
        what = "validation" if n_held_out < SMALLEST_VALIDATION_SET else "training"
        change = "Increase" if what == "validation" else "Decrease"
        raise ValueError(
            f"The {what} set is too small. {change} 'validation_fraction' or increase the size of "
            f"your dataset: validation_fraction={fraction} of {n_rows} rows holds out "
            f"{n_held_out} and leaves {n_train} to train on."
        )
    if stratify is not None:
        return _stratified(stratify, n_train, n_held_out, random_state)
    rows = random_state.permutation(n_rows)
    return rows[n_held_out:], rows[:n_held_out]


def _stratified(
    groups: NDArray[np.bool_], n_train: int, n_held_out: int, random_state: np.random.RandomState
) -> tuple[Rows, Rows]:
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    sizes = np.array([len(rows) for rows in members])
    train_sizes = _approximate_mode(sizes, n_train, random_state)
    held_out_sizes = _approximate_mode(sizes - train_sizes, n_held_out, random_state)
    train, held_out = [], []
    for rows, n, m in zip(members, train_sizes, held_out_sizes, strict=True):
        rows = rows[random_state.permutation(len(rows))]
        train.append(rows[:n])
        held_out.append(rows[n : n + m])
    return (
        random_state.permutation(np.concatenate(train)),
        random_state.permutation(np.concatenate(held_out)),
    )
