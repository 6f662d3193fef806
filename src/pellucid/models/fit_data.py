"""What the user gives `fit`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.models.inputs import is_stream


class FitData(NamedTuple):
    """The arguments of `fit`: rows to train on and, if there are any, rows to validate on."""

    X: Any
    y: Any = None
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    rows: Any = None
    rows_val: Any = None
    classes: Any = None

    def target_names(self) -> tuple[str, ...] | None:
        """Return the name of y, or those of its columns, if they are text."""
        named = getattr(self.y, "columns", None)
        if self.y is None and is_stream(self.X):
            named = self.X.targets
        given = [getattr(self.y, "name", None)] if named is None else list(named)
        names = tuple(name for name in given if isinstance(name, str))
        return names if len(names) == len(given) else None

    def check(self, solver: str = "adam") -> None:
        """Raise ValueError for parts without others, a stream to validate on, or L-BFGS."""
        if is_stream(self.X_val):
            raise ValueError(
                "X_val must be rows in memory, got a ParquetStream; take some of them: "
                "block = next(iter(stream.blocks())), then X_val=block.X, y_val=block.y"
            )
        if self.X_val is None:
            for name in ("y_val", "sample_weight_val"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} needs X_val, which is None; pass both or neither")
            return
        if self.rows_val is not None:
            raise ValueError("give either rows_val or X_val with y_val, not both")
        if self.y_val is None:
            raise ValueError("X_val needs y_val, which is None; pass both or neither")
        if solver == "lbfgs":
            raise ValueError(
                "X_val is measured after each epoch, which solver='lbfgs' does not have; set "
                "solver='adam' or 'sgd', or leave X_val and y_val out"
            )


def row_numbers(name: str, rows: Any, n: int) -> NDArray[np.int64] | None:
    """Return row numbers, from numbers or a mask (n,) of booleans."""
    if rows is None:
        return None
    array = np.asarray(rows)
    if array.dtype == np.bool_ and array.shape == (n,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) == 0:
        raise ValueError(
            f"{name} must be a vector of row numbers, at least one, or a mask of {n} booleans; got "
            f"shape {array.shape} and dtype {array.dtype}"
        )
    if not 0 <= array.min() <= array.max() < n:
        raise ValueError(f"{name} must be from 0 to {n - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int64, copy=False)


def training_rows(data: FitData, n: int) -> tuple[Any, Any]:
    """Return the row numbers to train on (None: all) and those of `rows_val` (None: none)."""
    rows, held_out = row_numbers("rows", data.rows, n), row_numbers("rows_val", data.rows_val, n)
    if held_out is None:
        return rows, None
    if rows is None:
        rows = np.setdiff1d(np.arange(n), held_out)
        if len(rows) == 0:
            raise ValueError("rows_val holds out every row; leave some to train on")
    elif len(both := np.intersect1d(rows, held_out)):
        raise ValueError(
            f"rows and rows_val must not share any row, got {both[:5].tolist()} in both"
        )
    return rows, held_out
