"""Convert DataFrames, arrays and lists of rows to a :class:`Table`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.table import Column, Storage, Table, TableError, missing_columns_error
from pellucid.tables.text import clean_text, is_missing

#: Whole numbers up to this are exact in float64.
LARGEST_EXACT = 2**53
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
        names = [str(name) for name in frame.columns]
    except nw.exceptions.DuplicateError:
        names = [str(n) for n in (X.column_names if hasattr(X, "column_names") else X.columns)]
    if repeated := {name for name, count in Counter(names).items() if count > 1}:
        if needed is None or repeated.intersection(needed):
            raise TableError(
                f"The table has more than one column named {min(repeated)!r}. "
                "Give every column a unique name."
            )
        _check_are_there(needed, names)
        chosen = list(needed)
        return _from_frame(X.select(chosen) if hasattr(X, "column_names") else X[chosen], needed)
    _check_not_empty(frame.shape)
    has_names = all(isinstance(name, str) for name in frame.columns)
    kept = set(names)
    if needed is not None and has_names:
        _check_are_there(needed, names)
        kept = set(needed)
    named = zip(names, frame.iter_columns(), strict=True)
    return Table(tuple(_from_series(n, s) for n, s in named if n in kept), has_names)


def _check_are_there(needed: Sequence[str], names: Sequence[str]) -> None:
    there = set(names)
    if missing := [name for name in needed if name not in there]:
        raise missing_columns_error(missing, names)


def _from_array(X: Any) -> Table:
    from sklearn.utils import check_array

    # A sparse matrix may be a dict.
    is_dict = isinstance(X, Mapping) and not hasattr(X, "shape")
    if is_dict or (isinstance(X, list | tuple) and X and isinstance(X[0], Mapping)):
        what = "a dict" if is_dict else "a list of dicts"
        raise TypeError(f"X is {what}: make a DataFrame of it, such as pandas.DataFrame(X).")
    if isinstance(X, np.ma.MaskedArray):
        X = _filled(X)
    array = check_array(
        X, dtype=None, ensure_all_finite=False, ensure_min_samples=0, ensure_min_features=0
    )
    _check_not_empty(array.shape)
    columns = tuple(_from_vector(f"x{j}", array[:, j]) for j in range(array.shape[1]))
    return Table(columns, has_names=False)


def _filled(X: np.ma.MaskedArray[Any, Any]) -> npt.NDArray[Any]:
    """Return an array in which masked cells are missing."""
    mask = np.ma.getmaskarray(X)
    if not mask.any():
        return np.asarray(X)
    is_number = X.dtype.kind in "iuf"
    filled = np.array(X.data, dtype=np.float64 if is_number else object)
    filled[mask] = np.nan if is_number else None
    return filled


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
        if _needs_digits(series):
            return _text_column(name, series.to_list())
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
            f"Column {name!r} holds {dtype}: the argument must be a string or a number in every "
            "cell. Split it into several columns or drop it."
        )
    if dtype in (nw.Categorical, nw.Enum):
        return _text_column(name, series.to_list(), is_category=True)
    if dtype in (nw.Object, nw.Unknown):
        return _from_objects(name, series.to_list())
    return _text_column(name, series.to_list())


def _needs_digits(series: Any) -> bool:
    """Return whether whole numbers are so large that neither int64 nor float64 holds them."""
    import narwhals as nw

    if series.dtype in (nw.Int128, nw.UInt128):
        return True
    if not series.dtype.is_integer() or series.null_count() in (0, len(series)):
        return False
    return bool(max(-int(series.min()), int(series.max())) > LARGEST_EXACT)


def _text_column(name: str, cells: list[Any], *, is_category: bool = False) -> Column:
    try:
        return Column(name, "text", clean_text(cells), is_category)
    except (TypeError, TableError) as error:
        raise type(error)(f"Column {name!r}: {error}") from error


def _seconds(microseconds: Any) -> npt.NDArray[np.float64]:
    # pyarrow casts only whole numbers that float64 holds exactly, unlike those of the year 9999.
    seconds: npt.NDArray[np.float64] = microseconds.to_numpy().astype(np.float64) / 1e6
    return seconds


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
        return _text_column(name, cells)
    if storage == "boolean" and not any(missing):
        return Column(name, "boolean", np.array(cells, dtype=np.bool_))
    if storage == "number" and all(map(_is_whole, types)):
        return _from_integers(name, cells, missing)
    convert = _moment if storage == "datetime" else _number
    values = [np.nan if m else convert(c) for c, m in zip(cells, missing, strict=True)]
    return Column(name, storage, np.array(values, dtype=np.float64))


def _is_whole(kind: type) -> bool:
    return issubclass(kind, int | np.integer) and not issubclass(kind, np.timedelta64)


def _from_integers(name: str, cells: list[Any], missing: list[bool]) -> Column:
    known = [int(cell) for cell, gone in zip(cells, missing, strict=True) if not gone]
    largest = max(map(abs, known))
    if len(known) == len(cells) and largest < 2**63:
        return Column(name, "number", np.array(known, dtype=np.int64))
    if largest > LARGEST_EXACT:
        return _text_column(name, cells)
    values = [np.nan if gone else float(cell) for cell, gone in zip(cells, missing, strict=True)]
    return Column(name, "number", np.array(values))


def _number(cell: Any) -> float:
    """Return a number as float64, a duration in seconds."""
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    if isinstance(cell, np.timedelta64):
        return float(cell / np.timedelta64(1, "s"))
    try:
        return float(cell)
    except OverflowError:  # A whole number beyond float64.
        return math.inf if cell > 0 else -math.inf


def _moment(cell: Any) -> float:
    """Return the seconds since 1970 of a date or time; without a time zone, UTC is assumed."""
    if isinstance(cell, np.datetime64):
        return float((cell - _EPOCH) / np.timedelta64(1, "s"))
    cell = cell.start_time if _is_period(type(cell)) else cell
    moment = cell if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _is_period(kind: type) -> bool:
    """Return whether a type is that of pandas for a span of time, without importing pandas."""
    return kind.__name__ == "Period" and kind.__module__.partition(".")[0] == "pandas"


_NUMBERS = (int, float, Decimal, np.integer, np.floating, np.bool_, timedelta, np.timedelta64)
_TIMES = (date, datetime, np.datetime64)


def _storage_of(types: set[type]) -> Storage:
    if types and all(issubclass(t, bool | np.bool_) for t in types):
        return "boolean"
    if types and all(
        issubclass(t, _NUMBERS) and not issubclass(t, np.complexfloating) for t in types
    ):
        return "number"
    if types and all(issubclass(t, _TIMES) or _is_period(t) for t in types):
        return "datetime"
    return "text"
