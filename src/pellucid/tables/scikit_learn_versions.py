"""What differs between the versions of scikit-learn that Pellucid works with (1.7 and newer)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn

VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
"""Major and minor version of the installed scikit-learn."""

LEAST_POPULATED = (
    "The least populated classes in y have only 1 member"
    if VERSION >= (1, 8)
    else "The least populated class in y has only 1 member"
)
"""How the error about a class of a single row begins, which cannot be split."""


class NamedTable:
    """A table that tells its names as scikit-learn before 1.9 asks for them.

    It asks every library but pandas for the DataFrame interchange protocol, which polars 2 has no
    more; the names would be lost, and columns in another order go unnoticed.

    Parameters
    ----------
    X : DataFrame
        With `columns` and `shape`.
    """

    def __init__(self, X: Any) -> None:
        self._X = X
        self.shape = X.shape

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self._X, dtype=dtype) if copy else np.asarray(self._X, dtype=dtype)

    def __dataframe__(self) -> NamedTable:
        return self

    def column_names(self) -> list[str]:
        """Return the names of the columns, in order."""
        return list(self._X.columns)


def with_names(X: Any) -> Any:
    """Return `X` such that the installed scikit-learn's `validate_data` finds its column names."""
    silent = VERSION < (1, 9) and hasattr(X, "columns") and hasattr(X, "shape")
    return NamedTable(X) if silent and not hasattr(X, "__dataframe__") else X
