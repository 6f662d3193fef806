"""Piecewise-linear embedding of numbers: the position of each number within each bin.

Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in tabular deep
learning", 2022.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes
from pellucid.nn.random import Floats, Stream


def piecewise_linear(x: Array, edges: Sequence[float]) -> Array:
    """Return the T components (m, T) of the encoding of x (m,) with edges b_0 < … < b_T.

    Component t is (x - b_{t-1})/(b_t - b_{t-1}), clamped to 0 below its bin and to 1 above it. The
    first component is not clamped below its bin and the last not above it, so the encoding extends
    linearly beyond the edges.
    """
    xp = namespace(x)
    ramps, low, high = _ramps(x, edges)
    return xp.minimum(xp.maximum(ramps, low), high)


def piecewise_linear_backward(dy: Array, x: Array, edges: Sequence[float]) -> Array:
    """Return dx = Σ_t dy_t/(b_t - b_{t-1}) over the components that vary at x; (m,).

    At an inner edge, where two components meet, both are treated as constant.
    """
    xp = namespace(x)
    ramps, low, high = _ramps(x, edges)
    widths = xp.asarray(np.diff(np.asarray(edges)), dtype=x.dtype)
    moving = (ramps > low) & (ramps < high)
    return xp.sum(xp.where(moving, dy / widths, xp.zeros_like(dy)), axis=1)


def _ramps(x: Array, edges: Sequence[float]) -> tuple[Array, Array, Array]:
    """Return the unclamped components (m, T) and their lower and upper limits, (T,) each."""
    xp, b = namespace(x), np.asarray(edges, dtype=np.float64)
    lower, widths = (xp.asarray(a, dtype=x.dtype) for a in (b[:-1], np.diff(b)))
    low, high = np.zeros(len(b) - 1), np.ones(len(b) - 1)
    low[0], high[-1] = -np.inf, np.inf
    ramps = (x[:, None] - lower) / widths
    return ramps, xp.asarray(low, dtype=x.dtype), xp.asarray(high, dtype=x.dtype)


def quantile_edges(X: Floats, n_bins: int) -> tuple[tuple[float, ...], ...]:
    """Return edges for each column of X (n, d) so that bins hold equal numbers of rows.

    With ties, bins can differ in size. A column with equal quantiles gets fewer bins; a constant c
    gets the edges (c, c + 1).
    """
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins!r}")
    levels = np.linspace(0.0, 1.0, n_bins + 1)
    columns = (np.unique(np.quantile(column, levels)).tolist() for column in np.asarray(X).T)
    return tuple(tuple(e) if len(e) > 1 else (e[0], e[0] + 1.0) for e in columns)


@dataclass(frozen=True, init=False)
class PiecewiseLinearEmbedding(Layer):
    """Layer that encodes each column by its bins and optionally maps the code to a vector.

    The output for column j is its T_j components c_j, or c_j W_j + b_j with W_j (T_j, dim), which
    is a piecewise-linear function of the number.

    Parameters
    ----------
    edges : sequence of sequences of float
        At least two increasing numbers for each column; see `quantile_edges`.
    dim : int, optional
        Length of the vector of each column. If None, the codes themselves are the output.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import PiecewiseLinearEmbedding
    >>> layer = PiecewiseLinearEmbedding([(0.0, 1.0, 3.0, 4.0)])
    >>> layer.forward({}, np.array([[0.5], [2.0], [5.0]]))
    array([[0.5, 0. , 0. ],
           [1. , 0.5, 0. ],
           [1. , 1. , 2. ]])
    """

    edges: tuple[tuple[float, ...], ...]
    dim: int | None

    def __init__(self, edges: Iterable[Iterable[float]], dim: int | None = None) -> None:
        as_tuples = tuple(tuple(float(edge) for edge in column) for column in edges)
        object.__setattr__(self, "edges", as_tuples)
        object.__setattr__(self, "dim", dim)
        if not as_tuples:
            raise ValueError("edges must hold the edges of at least one column, got none")
        for j, column in enumerate(as_tuples):
            if len(column) < 2 or not np.isfinite(column).all() or min(np.diff(column)) <= 0:
                raise ValueError(
                    f"edges of column {j} must be at least two increasing finite numbers, got "
                    f"{column}"
                )
        if dim is not None and (not isinstance(dim, int) or dim < 1):
            raise ValueError(f"dim must be a positive integer or None, got {dim!r}")

    @property
    def n_components(self) -> tuple[int, ...]:
        """Number of components T_j of each column."""
        return tuple(len(column) - 1 for column in self.edges)

    def output_width(self, fan_in: int) -> int:
        """Return the total number of components, or dim times the number of columns."""
        if fan_in != len(self.edges):
            raise ValueError(
                f"PiecewiseLinearEmbedding has edges for {len(self.edges)} columns, but the input "
                f"has {fan_in}; give edges for every column, or use Columns"
            )
        return sum(self.n_components) if self.dim is None else fan_in * self.dim

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of W (all W_j stacked vertically) and of b."""
        if self.dim is None:
            return {}
        return {
            "W": ((sum(self.n_components), self.dim), "weight"),
            "b": ((fan_in, self.dim), "bias"),
        }

    def initial_parameters(self, fan_in: int, stream: Stream) -> dict[str, Floats]:
        """Return W_j drawn from U(-1/√T_j, 1/√T_j) and b = 0."""
        if self.dim is None:
            return {}
        bounds = np.concatenate([np.full(n, 1.0 / math.sqrt(n)) for n in self.n_components])
        W = stream.uniform(len(bounds) * self.dim).reshape(-1, self.dim)
        return {"W": (2.0 * W - 1.0) * bounds[:, None], "b": np.zeros((fan_in, self.dim))}

    def kink_sides(self, x: Array) -> Array | None:
        """Return the side of each inner edge on which each number of x (m, d) lies."""
        xp = namespace(x)
        return xp.concat(
            [xp.sign(x[:, j, None] - xp.asarray(e[1:-1])) for j, e in enumerate(self.edges)], axis=1
        )

    def forward(
        self, parameters: Mapping[str, Array], x: Array, context: Context = PREDICTION
    ) -> Array:
        """Return the codes (m, Σ T_j) or the vectors (m, d·dim) of the numbers x (m, d)."""
        codes = self._codes(x)
        if self.dim is not None:
            W, b = parameters["W"], parameters["b"]
            codes = [c @ W[rows] + b[j] for j, (c, rows) in enumerate(self._with_rows(codes))]
        return namespace(x).concat(codes, axis=1)

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        x: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx (m, d), and dW and db under their names."""
        xp, gradients = namespace(x), {}
        if self.dim is None:
            dcodes = [dy[:, rows] for _, rows in self._with_rows(self.edges)]
        else:
            W = parameters["W"]
            dv = [dy[:, j * self.dim : (j + 1) * self.dim] for j in range(len(self.edges))]
            rows_of = [rows for _, rows in self._with_rows(self.edges)]
            dcodes = [d @ W[rows].T for d, rows in zip(dv, rows_of, strict=True)]
            dW = [c.T @ d for c, d in zip(self._codes(x), dv, strict=True)]
            gradients = {"W": xp.concat(dW, axis=0), "b": xp.stack([d.sum(axis=0) for d in dv])}
        dx = [
            piecewise_linear_backward(dcode, x[:, j], self.edges[j])
            for j, dcode in enumerate(dcodes)
        ]
        return xp.stack(dx, axis=1), gradients

    def _codes(self, x: Array) -> list[Array]:
        return [piecewise_linear(x[:, j], edges) for j, edges in enumerate(self.edges)]

    def _with_rows(self, items: Iterable[Array]) -> list[tuple[Array, slice]]:
        """Return each column's item with the slice of W that belongs to the column."""
        ends = list(accumulate(self.n_components))
        rows = [slice(end - n, end) for end, n in zip(ends, self.n_components, strict=True)]
        return list(zip(items, rows, strict=True))
