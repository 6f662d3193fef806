"""Convert DataFrames, arrays and lists of rows to a :class:`Table`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.table import Column, Storage, Table, TableError, missing_columns_error
from pellucid.tables.text import clean_text, is_missing

_EPOCH = np.datetime64(0, "s")


def as_table(X: Any, needed: Sequence[str] | None = None) -> Table:
    """Convert any table to named NumPy columns. Numeric columns are not copied.

    Parameters
    ----------
    X : Table, DataFrame or Table of any library supported by narwhals, or 2-D array-like
        For example from pandas, polars, pyarrow or modin; arrays of numbers, strings or objects.
    needed : sequence of str, optional
        Names of columns that X must have, if its columns have names. Others are then not converted.

    Returns
    -------
    Table

    Raises
    ------
    ValueError, TypeError
        If X is not a table, has no rows or columns, has two columns with the same name, or lacks a
        column that is needed.

    Examples
    --------
    >>> from pellucid.tables import as_table
    >>> table = as_table([[1.5, 2.0], [3.0, 4.0]])
    >>> table.names
    ('x0', 'x1')
    """
    if isinstance(X, Table):
        if needed is not None and X.has_names:
            _check_are_there(needed, X.names)
        return X
    import narwhals as nw

    if nw.dependencies.is_into_dataframe(X):
        return _from_frame(X, needed)
    if isinstance(X, nw.LazyFrame) or nw.dependencies.is_polars_lazyframe(X):
        raise TypeError("X is a lazy table: call .collect() on it first.")
    return _from_array(X)


def column_from_values(name: str, values: Any) -> Column:
    """Convert a 1-D sequence (a list, array or series of any library) to a column.

    Examples
    --------
    >>> from pellucid.tables.columns import column_from_values
    >>> column_from_values("answer", ["yes", None]).storage
    'text'
    """
    import narwhals as nw

    if nw.dependencies.is_into_series(values):
        return _from_series(name, nw.from_native(values, series_only=True))
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {array.shape}.")
    return _from_vector(name, array)


def _from_frame(X: Any, needed: Sequence[str] | None) -> Table:
    import narwhals as nw

    try:
        frame = nw.from_native(X, eager_only=True)
    except nw.exceptions.DuplicateError as error:
        names = X.column_names if hasattr(X, "column_names") else X.columns
        raise _repeated_name_error([str(name) for name in names]) from error
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise _repeated_name_error(names)
    _check_not_empty(frame.shape)
    has_names = all(isinstance(name, str) for name in frame.columns)
    if needed is not None and has_names:
        _check_are_there(needed, names)
        return Table(tuple(_from_series(name, frame[name]) for name in needed))
    columns = tuple(_from_series(n, s) for n, s in zip(names, frame.iter_columns(), strict=True))
    return Table(columns, has_names)


def _repeated_name_error(names: Sequence[str]) -> TableError:
    repeated = sorted({name for name in names if names.count(name) > 1})
    return TableError(
        f"The table has more than one column named {repeated[0]!r}. "
        "Give every column a unique name."
    )


def _check_are_there(needed: Sequence[str], names: Sequence[str]) -> None:
    there = set(names)
    if missing := [name for name in needed if name not in there]:
        raise missing_columns_error(missing, names)


def _from_array(X: Any) -> Table:
    from sklearn.utils import check_array

    array = check_array(
        X, dtype=None, ensure_all_finite=False, ensure_min_samples=0, ensure_min_features=0
    )
    _check_not_empty(array.shape)
    columns = tuple(_from_vector(f"x{j}", array[:, j]) for j in range(array.shape[1]))
    return Table(columns, has_names=False)


def _check_not_empty(shape: tuple[int, ...]) -> None:
    # scikit-learn's estimator checks require this wording.
    for size, what in zip(shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise TableError(
                f"Found array with 0 {what}(s) (shape={tuple(shape)}) while a minimum of 1 is "
                f"required: the table has no {'rows' if what == 'sample' else 'columns'}."
            )


def _from_series(name: str, series: Any) -> Column:
    """Convert a narwhals series to a column. Equal values give equal columns in every library."""
    import narwhals as nw

    dtype = series.dtype
    if dtype.is_numeric():
        if dtype.is_decimal() or series.null_count() > 0:
            series = series.cast(nw.Float64)
        return Column(name, "number", series.to_numpy())
    if dtype == nw.Boolean:
        return _from_objects(name, series.to_list())
    if dtype == nw.Datetime or dtype == nw.Date:
        return Column(name, "datetime", _seconds(series.dt.timestamp("us")))
    if dtype == nw.Duration:
        return Column(name, "number", _seconds(series.dt.total_microseconds()))
    if dtype in (nw.List, nw.Struct, nw.Array):
        raise TypeError(
            f"Column {name!r} holds {dtype}: a cell must be a string or a number. "
            "Split it into several columns or drop it."
        )
    if dtype == nw.Object:
        return _from_objects(name, series.to_list())
    return Column(name, "text", clean_text(series.to_list()))


def _seconds(microseconds: Any) -> npt.NDArray[np.float64]:
    import narwhals as nw

    return np.asarray(microseconds.cast(nw.Float64).to_numpy() / 1e6, dtype=np.float64)


def _from_vector(name: str, values: npt.NDArray[Any]) -> Column:
    kind = values.dtype.kind
    if kind in "iuf":
        return Column(name, "number", values)
    if kind == "b":
        return Column(name, "boolean", values)
    if kind == "M":
        seconds = (values - _EPOCH) / np.timedelta64(1, "s")
        return Column(name, "datetime", seconds.astype(np.float64))
    if kind == "m":
        return Column(name, "number", values / np.timedelta64(1, "s"))
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} holds complex numbers.")
    return _from_objects(name, values.tolist())


def _from_objects(name: str, cells: list[Any]) -> Column:
    """Convert cells of any Python type: if all are numbers, booleans or times, to these."""
    missing = [is_missing(cell) for cell in cells]
    types = {type(cell) for cell, gone in zip(cells, missing, strict=True) if not gone}
    storage = _storage_of(types)
    if storage == "text":
        return Column(name, "text", clean_text(cells))
    if storage == "boolean" and not any(missing):
        return Column(name, "boolean", np.array(cells, dtype=np.bool_))
    if storage == "number" and types <= {int} and not any(missing):
        return Column(name, "number", _from_integers(cells))
    convert = _moment if storage == "datetime" else float
    values = [np.nan if m else convert(c) for c, m in zip(cells, missing, strict=True)]
    return Column(name, storage, np.array(values, dtype=np.float64))


def _from_integers(cells: list[int]) -> npt.NDArray[Any]:
    try:
        return np.array(cells, dtype=np.int64)
    except OverflowError:
        return np.array(cells, dtype=np.float64)


def _moment(cell: Any) -> float:
    """Return the seconds since 1970 of a date or time; without a time zone, UTC is assumed."""
    if isinstance(cell, np.datetime64):
        return float((cell - _EPOCH) / np.timedelta64(1, "s"))
    moment = cell if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _storage_of(types: set[type]) -> Storage:
    if types and all(issubclass(t, bool | np.bool_) for t in types):
        return "boolean"
    if types and all(issubclass(t, int | float | Decimal | np.number | np.bool_) for t in types):
        return "number"
    if types and all(issubclass(t, date | datetime | np.datetime64) for t in types):
        return "datetime"
    return "text"
