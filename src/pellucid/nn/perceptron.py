"""The threshold perceptron and its learning rule: where the field begins, and where it stops.

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
    """A trained perceptron, ŷ = step(x·w + b), and how its training ended.

    Attributes
    ----------
    W : array of shape (fan_in, 1)
    b : array of shape (1,)
    mistakes : tuple of int
        Rows on the wrong side, epoch by epoch; each was followed by an update.
    converged : bool
        Whether the last epoch had no mistake: the rows are linearly separable.
    cycled : bool
        Whether the weights came back to what they were at the end of an earlier epoch. The rule is
        deterministic, so it would repeat itself for ever: the rows are not linearly separable.
    margin_bound : float
        No hyperplane separates the rows with a margin above this, measured in the space of (x, 1):
        the margin of the unit vector u is the smallest |u·(x, 1)|. k updates give
        ‖(w, b)‖ ≥ k·margin, so the margin is at most ‖(w, b)‖/k. Distances in the space of x are
        larger, by up to ‖(x, 1)‖ where columns are far from 0: centre and scale the columns of X
        for a bound that tells something of them. Infinite before the first update.
    """

    W: Floats
    b: Floats
    mistakes: tuple[int, ...]
    converged: bool
    cycled: bool
    margin_bound: float

    @property
    def n_epochs(self) -> int:
        """Passes through the rows."""
        return len(self.mistakes)

    @property
    def n_updates(self) -> int:
        """Mistakes, and so updates, in all epochs."""
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
                f"cannot converge: after {done} the weights repeat themselves, so the rows are "
                "not linearly separable. A network with a hidden layer can separate them."
            )
        return (
            f"has not converged after {done}: a hyperplane that separates the rows, if there is "
            f"one, has a margin of at most {self.margin_bound:.3g}, measured in the space of "
            "(x, 1). Centre and scale the columns of X, train for more epochs, or use a network "
            "with a hidden layer."
        )


def train_perceptron(X: Any, y: Any, max_epochs: int = 1000) -> Perceptron:
    """Train a perceptron by its rule: after each mistake, w ← w + (y - ŷ)x and b ← b + (y - ŷ).

    It starts from zero and takes the rows in their order. A learning rate would only scale w and
    b, and is left out. If some unit vector of the space of (x, 1) separates the rows with margin
    γ, and R is the length of the longest (x, 1), the rule makes at most (R/γ)² mistakes. Columns
    that are centred and scaled keep R/γ small; without, rows that a hyperplane clearly separates
    can take millions of epochs.

    Parameters
    ----------
    X : array of shape (m, fan_in)
    y : array of shape (m,)
        0 or 1.
    max_epochs : int
        After how many passes to give up.

    Returns
    -------
    Perceptron
        `print` it to read how the training ended.

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
    """Apply the rule to each row (x, 1) in turn, updating `weights`; return the mistakes."""
    mistakes = 0
    for row, y in zip(rows, wanted, strict=True):
        error = y - (1.0 if row @ weights > 0 else 0.0)
        if error != 0.0:
            weights += error * row
            mistakes += 1
    return mistakes


def _checked(X: Any, y: Any) -> tuple[Floats, Floats]:
    """Return the rows (x, 1) and the targets as float64, or say what is wrong with them."""
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
