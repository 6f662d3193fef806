"""Differences between the supported versions of scikit-learn (1.7 and newer)."""

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
"""Start of scikit-learn's error for a class with a single row, which cannot be split."""


class NamedTable:
    """A table that provides its column names to scikit-learn before 1.9.

    For all libraries except pandas, these versions use the DataFrame interchange protocol, which
    polars 2 no longer supports. Without names, columns in a different order would go unnoticed.

    Parameters
    ----------
    X : DataFrame
        Must have `columns` and `shape`.
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
    """Return `X` so that `validate_data` of the installed scikit-learn finds its column names."""
    silent = VERSION < (1, 9) and hasattr(X, "columns") and hasattr(X, "shape")
    return NamedTable(X) if silent and not hasattr(X, "__dataframe__") else X
