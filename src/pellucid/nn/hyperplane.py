"""The hyperplanes of a linear layer, one for each of its K units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.nn.random import Floats


@dataclass(frozen=True)
class Hyperplane:
    """The points x with x·normal + offset = 0; the score of x is x·normal + offset.

    Attributes
    ----------
    normal : array of shape (fan_in,)
        Direction in which the score grows. In a network without hidden layers, it is the input
        pattern that the class responds to most.
    offset : float
    """

    normal: Floats
    offset: float

    def score(self, X: Floats) -> Floats:
        """Return x·normal + offset for each row of X (m, fan_in); (m,)."""
        return X @ self.normal + self.offset

    def distance(self, X: Floats) -> Floats:
        """Return the signed distance of each row of X (m, fan_in) from the hyperplane; (m,)."""
        return self.score(X) / float(np.linalg.norm(self.normal))

    def __sub__(self, other: Hyperplane) -> Hyperplane:
        """Return the hyperplane on which both scores are equal: the boundary of two classes."""
        return Hyperplane(self.normal - other.normal, self.offset - other.offset)


def hyperplanes(W: Floats, b: Floats) -> tuple[Hyperplane, ...]:
    """Return the hyperplane of each of the K units of a layer with W (fan_in, K) and b (K,).

    Unit k is column k of W: row k of Wᵀ, the weight matrix when examples are columns.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn.hyperplane import hyperplanes
    >>> first, second = hyperplanes(np.array([[3.0, 0.0], [4.0, 1.0]]), np.array([-5.0, 0.0]))
    >>> first.distance(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [-1.0, 4.0]
    """
    if W.ndim != 2 or b.shape != W.shape[1:]:
        raise ValueError(f"W must be (fan_in, K) and b (K,), got {W.shape} and {b.shape}")
    return tuple(Hyperplane(W[:, k].copy(), float(b[k])) for k in range(W.shape[1]))
