"""The threshold perceptron and its learning rule.

F. Rosenblatt, "The perceptron: a probabilistic model for information storage and organization in
the brain", 1958; A. B. J. Novikoff, "On convergence proofs for perceptrons", 1962.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.nn.activations import step
from pellucid.nn.linear import affine
from pellucid.nn.random import Floats, Ints


@dataclass(frozen=True)
class Perceptron:
    """A trained perceptron, ŷ = step(x·w + b), and the outcome of its training.

    Attributes
    ----------
    W : array of shape (fan_in, 1)
    b : array of shape (1,)
    mistakes : tuple of int
        Number of misclassified rows in each epoch. Each mistake causes one update.
    converged : bool
        Whether the last epoch had no mistakes. If so, the rows are linearly separable.
    cycled : bool
        Whether an epoch ended with the same weights as an earlier epoch. The rule is deterministic,
        so it would repeat forever: the rows are not linearly separable.
    margin_bound : float
        Upper bound on the margin of any separating hyperplane in the space of (x, 1). The margin of
        a unit vector u is the minimum of |u·(x, 1)|. k updates give ‖(w, b)‖ ≥ k·margin, so the
        margin is at most ‖(w, b)‖/k. Distances in the space of x are larger, by a factor of up to
        ‖(x, 1)‖ if columns are far from 0. Center and scale the columns of X to get a meaningful
        bound on them. Infinite before the first update.
    """

    W: Floats
    b: Floats
    mistakes: tuple[int, ...]
    converged: bool
    cycled: bool
    margin_bound: float

    @property
    def n_epochs(self) -> int:
        """Number of passes through the rows."""
        return len(self.mistakes)

    @property
    def n_updates(self) -> int:
        """Number of updates (mistakes) in all epochs."""
        return sum(self.mistakes)

    def predict(self, X: Floats) -> Ints:
        """Return 0 or 1 for each row of X (m, fan_in); (m,) int64."""
        return np.asarray(step(affine(X, self.W, self.b)), dtype=np.int64)[:, 0]

    def __str__(self) -> str:
        done = f"{self.n_epochs} epochs and {self.n_updates} updates"
        if self.converged:
            return f"converged after {done}: the rows are linearly separable"
        if self.cycled:
            return (
                f"cannot converge: after {done} the weights repeat, so the rows are "
                "not linearly separable. A network with a hidden layer can separate them."
            )
        return (
            f"has not converged after {done}: a hyperplane that separates the rows, if one exists, "
            f"has a margin of at most {self.margin_bound:.3g}, measured in the space of "
            "(x, 1). Center and scale the columns of X, train for more epochs, or use a network "
            "with a hidden layer."
        )


def train_perceptron(X: Any, y: Any, max_epochs: int = 1000) -> Perceptron:
    """Train a perceptron: after each mistake, w ← w + (y - ŷ)x and b ← b + (y - ŷ).

    Training starts from zero and processes the rows in their order. There is no learning rate,
    since it would only scale w and b. If a unit vector in the space of (x, 1) separates the rows
    with margin γ, and R is the maximum ‖(x, 1)‖, the rule makes at most (R/γ)² mistakes. Center and
    scale the columns to keep R/γ small. Otherwise, even clearly separable rows can take millions
    of epochs.

    Parameters
    ----------
    X : array of shape (m, fan_in)
    y : array of shape (m,)
        Labels, 0 or 1.
    max_epochs : int
        Maximum number of passes through the rows.

    Returns
    -------
    Perceptron
        Its `str()` summarizes how training ended.

    Examples
    --------
    >>> from pellucid.nn.perceptron import train_perceptron
    >>> corners = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> print(train_perceptron(corners, [0, 0, 0, 1]))
    converged after 6 epochs and 10 updates: the rows are linearly separable
    >>> train_perceptron(corners, [0, 1, 1, 0]).cycled
    True
    """
    rows, wanted = _checked(X, y)
    if max_epochs < 1:
        raise ValueError(f"max_epochs must be a positive integer, got {max_epochs!r}")
    weights = np.zeros(rows.shape[1])
    seen = {weights.tobytes()}
    mistakes: list[int] = []
    cycled = False
    while len(mistakes) < max_epochs and not cycled:
        mistakes.append(_run_epoch(weights, rows, wanted))
        if mistakes[-1] == 0:
            break
        state = (weights + 0.0).tobytes()  # -0.0 + 0.0 is 0.0: equal weights, equal bytes
        cycled = state in seen
        seen.add(state)
    n_updates = sum(mistakes)
    bound = float(np.linalg.norm(weights)) / n_updates if n_updates else float("inf")
    W, b = weights[:-1, None].copy(), weights[-1:].copy()
    return Perceptron(W, b, tuple(mistakes), mistakes[-1] == 0, cycled, bound)


def _run_epoch(weights: Floats, rows: Floats, wanted: Floats) -> int:
    """Apply the rule to each row (x, 1), update `weights` in place and return the mistakes."""
    mistakes = 0
    for row, y in zip(rows, wanted, strict=True):
        error = y - (1.0 if row @ weights > 0 else 0.0)
        if error != 0.0:
            weights += error * row
            mistakes += 1
    return mistakes


def _checked(X: Any, y: Any) -> tuple[Floats, Floats]:
    """Return the rows (x, 1) and the targets as float64; raise if they are invalid."""
    X = np.asarray(X, dtype=np.float64)
    y = np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise ValueError(
            f"X must have shape (m, fan_in) and y shape (m,), got {X.shape} and {y.shape}"
        )
    if not np.isfinite(X).all():
        raise ValueError("X must be finite, got NaN or infinity")
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError(f"y must hold 0 and 1 only, got {np.unique(y)}")
    return np.column_stack([X, np.ones(len(X))]), y
