"""Match the columns of a table with those that an estimator was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from pellucid.tables.columns import as_table
from pellucid.tables.scikit_learn_versions import with_names
from pellucid.tables.table import Table, TableError


def learn_columns(estimator: Any, X: Any) -> Table:
    """Read the table that an estimator is fitted on, and set the estimator's column names.

    Parameters
    ----------
    estimator : object
        Its ``n_features_in_`` and, if the table has names, ``feature_names_in_`` are set.
    X : any table

    Returns
    -------
    Table
    """
    table = as_table(X)
    if not isinstance(X, Table):
        _validate(estimator, X, table, reset=True)
        return table
    estimator.n_features_in_ = table.shape[1]
    vars(estimator).pop("feature_names_in_", None)
    if table.has_names:
        estimator.feature_names_in_ = np.array(table.names, dtype=object)
    return table


def match_columns(estimator: Any, X: Any, needed: Sequence[str]) -> Table:
    """Read a table for a fitted estimator.

    Where the estimator and X have names, columns are found by name: their order does not matter,
    and X may have others. Without names, X must have as many columns as in `fit`, in its order.

    Parameters
    ----------
    estimator : object
        With ``n_features_in_`` and, if it was fitted on a table with names,
        ``feature_names_in_``.
    X : any table
    needed : sequence of str
        Names of the columns that the estimator uses.

    Returns
    -------
    Table
        With names, it has the needed columns, in any order; without, all of X.

    Raises
    ------
    TableError
        If a column is missing, or X has too many or too few columns without names.
    """
    is_named = hasattr(estimator, "feature_names_in_")
    table = as_table(X, needed if is_named else None)
    if is_named and table.has_names:
        return table
    if not isinstance(X, Table):
        _validate(estimator, X, table, reset=False)
    elif table.shape[1] != estimator.n_features_in_:
        raise TableError(
            f"X has {table.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    return table


def check_same_order(X: Any, other: Any, name: str) -> None:
    """Raise TableError if the index of a series has the labels of the table's in another order.

    Rows are matched by position, as everywhere in scikit-learn. A series that was sorted or
    shuffled without its table would be matched with wrong rows.

    Parameters
    ----------
    X : any table
    other : series, such as y, or anything else
    name : str
        What the user calls it.
    """
    here: Any = getattr(X, "index", None)
    there: Any = getattr(other, "index", None)
    if not (hasattr(here, "is_unique") and hasattr(there, "is_unique")) or here.equals(there):
        return
    if len(here) != len(there) or not (here.is_unique and there.is_unique):
        return
    if here.isin(there).all():
        row = next(i for i, (a, b) in enumerate(zip(here, there, strict=True)) if a != b)
        raise TableError(
            f"The index of {name} has the labels of X's in another order: row {row + 1} is "
            f"{here[row]!r} in X and {there[row]!r} in {name}. Rows are matched by position: pass "
            f"{name}.loc[X.index] to match them by label, or {name}.to_numpy() if their positions "
            "are right."
        )


def _validate(estimator: Any, X: Any, table: Table, *, reset: bool) -> None:
    """Set or check names and number of columns as scikit-learn does."""
    shaped = with_names(X) if hasattr(X, "shape") else np.empty((0, table.shape[1]))
    validate_data(estimator, shaped, reset=reset, skip_check_array=True)
