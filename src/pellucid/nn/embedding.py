"""Embedding tables: a learned vector for each id.

h = x W with a one-hot x selects one row of W, and the gradient is nonzero in that row only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes
from pellucid.nn.random import Floats, Ints, Stream

_EXACT_IN_FLOAT32 = 2**24


def embed(ids: Array, table: Array) -> Array:
    """Return the rows of `table` (n_rows, dim) for ids (m, k), concatenated to (m, k·dim)."""
    m, k = ids.shape
    flat = ids.reshape(m * k)
    return namespace(table).take(table, flat, axis=0).reshape(m, k * table.shape[1])


def embed_backward(dy: Array, ids: Array, n_rows: int) -> Array:
    """Return dtable (n_rows, dim): row r is the sum of dy where the id is r, 0 for other rows.

    dy is (m, k·dim), ids (m, k).
    """
    xp = namespace(dy)
    pieces, flat = _pieces(dy, ids)
    dtable = xp.zeros((n_rows, pieces.shape[1]), dtype=dy.dtype)
    if hasattr(dtable, "at"):  # JAX arrays are immutable; this is their scatter
        return dtable.at[flat].add(pieces)
    np.add.at(dtable, flat, pieces)
    return dtable


def embed_backward_active(dy: Floats, ids: Ints) -> tuple[Ints, Floats]:
    """Return the distinct ids of a batch (r,), and their rows of dtable (r, dim).

    The gradient of all other rows is 0. Plain gradient descent on these rows is therefore the same
    step as on the whole table, but its cost does not depend on the table's size.
    """
    pieces, flat = _pieces(dy, ids)
    rows, places = np.unique(flat, return_inverse=True)
    drows = np.zeros((len(rows), pieces.shape[1]), dtype=dy.dtype)
    np.add.at(drows, places, pieces)
    return rows, drows


def lazy_step(before: Array, after: Array, rows: Ints) -> Array:
    """Return a table (n_rows, dim) after a lazy step: `after` in `rows`, `before` elsewhere.

    `after` is the result of the dense step. A lazy optimizer changes θ_r and its moments m_r and
    v_r for the rows r of the batch only.
    """
    stepped = before.copy()
    stepped[rows] = after[rows]
    return stepped


def _pieces(dy: Array, ids: Array) -> tuple[Array, Array]:
    """Return dy with one row per id, (m·k, dim), and the ids in the same order, (m·k,)."""
    m, k = ids.shape
    return dy.reshape(m * k, dy.shape[1] // k), ids.reshape(m * k)


@dataclass(frozen=True)
class Embedding(Layer):
    """Layer that replaces each id in 0 … n_rows - 1 by its row of a learned table.

    All columns of the input (m, k) use the same table, and the output is (m, k·dim). The table
    (role "embedding") is neither penalized nor decayed. Ids have no gradient; `backward` returns 0
    for them.

    Training is lazy with every optimizer: a step updates only the rows whose ids are in its batch.
    Each row has its own moments. With Adam, Adagrad and RMSProp,

        m_r ← b1·m_r + c1·g_r;  v_r ← b2·v_r + c2·g_r²;  θ_r ← θ_r - s_t·m_r/(√v_r + ε),

    where g_r is the sum of the gradients of all occurrences of id r in the batch. Gradient descent
    with momentum uses v_r ← μv_r - ηg_r; θ_r ← θ_r + v_r. Rows that are not in the batch keep θ_r,
    m_r and v_r: their moments do not decay and their momentum does not continue. The bias
    correction in s_t counts all steps t, not only those that update the row. For Adagrad and plain
    gradient descent, the lazy step equals the dense step; for the other optimizers it does not.
    Clipping treats the gradient of all other rows as 0.

    Parameters
    ----------
    n_rows : int
        Number of ids, at least 1.
    dim : int
        Length of each vector, at least 1.
    standard_deviation : float
        The initial table is drawn from N(0, standard_deviation²).

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import Embedding
    >>> table = np.array([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]])
    >>> Embedding(3, 2).forward({"table": table}, np.array([[2, 0]]))
    array([[2. , 2.1, 0. , 0.1]])
    """

    n_rows: int
    dim: int
    standard_deviation: float = 1.0

    def __post_init__(self) -> None:
        for name in ("n_rows", "dim"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        if not 0.0 <= self.standard_deviation < float("inf"):
            raise ValueError(
                f"standard_deviation must be at least 0, got {self.standard_deviation!r}"
            )

    def output_width(self, fan_in: int) -> int:
        """Return k·dim for k columns of ids."""
        return fan_in * self.dim

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of the table."""
        return {"table": ((self.n_rows, self.dim), "embedding")}

    def initial_parameters(self, fan_in: int, stream: Stream) -> dict[str, Floats]:
        """Return a table of normally distributed numbers."""
        table = stream.normal(self.n_rows * self.dim).reshape(self.n_rows, self.dim)
        return {"table": table * self.standard_deviation}

    def active_rows(self, x: Array) -> dict[str, Ints]:
        """Return the distinct ids in x (m, k)."""
        return {"table": np.unique(self._ids(x))}

    def forward(
        self, parameters: Mapping[str, Array], x: Array, context: Context = PREDICTION
    ) -> Array:
        """Return the vectors (m, k·dim) of the ids x (m, k)."""
        return embed(self._ids(x), parameters["table"])

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        x: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return zeros (m, k), and the table's gradient under its name."""
        dtable = embed_backward(dy, self._ids(x), self.n_rows)
        return namespace(dy).zeros(x.shape, dtype=dy.dtype), {"table": dtable}

    def _ids(self, x: Array) -> Array:
        """Return x as integers; raise if a value is not an id."""
        xp = namespace(x)
        if x.dtype == np.float32 and self.n_rows > _EXACT_IN_FLOAT32:
            raise ValueError(
                f"float32 cannot represent all ids of a table of {self.n_rows} rows (only up to "
                "2**24); use float64 parameters"
            )
        if isinstance(x, np.ndarray):
            wrong = ~((x >= 0) & (x < self.n_rows) & (x == np.floor(x)))
            if wrong.any():
                first = x[wrong][0].item()
                raise ValueError(
                    f"ids must be whole numbers from 0 to {self.n_rows - 1}, got {first}"
                )
        return xp.astype(x, xp.int32)
