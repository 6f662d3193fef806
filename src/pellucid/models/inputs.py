"""Tables, targets and weights as the engine takes them, without copying the table."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_sample_weight, validate_data

from pellucid.tables.scikit_learn_versions import with_names
from pellucid.tables.table import TableError

CHUNK_ROWS = 4096
ENGINE_KINDS = "biuf"
"""Boolean, signed and unsigned integer and floating dtypes: the engine converts row by row."""


@dataclass(frozen=True)
class NormalizedWeights:
    """Sample weights whose mean over the rows trained on is one.

    Parameters
    ----------
    values : ndarray of float64 of shape (n_rows,), or None
        None where all weights are one.
    scale : float
        The mean before normalization: the objective divides the penalty by the sum of the weights
        that the user gave, so that weight k means k repetitions of the row.
    """

    values: NDArray[np.float64] | None = None
    scale: float = 1.0


def is_stream(X: Any) -> bool:
    """Return whether X is a `ParquetStream`; nobody else waits for its module to be imported."""
    module = sys.modules.get("pellucid.tables.stream")
    return module is not None and isinstance(X, module.ParquetStream)


def check_in_memory(X: Any) -> None:
    """Raise ValueError where a call that takes rows in memory got a stream."""
    if is_stream(X):
        raise ValueError(
            "only fit and resume of MLPClassifier, MLPRegressor and Network take a ParquetStream, "
            "and only as X; take its rows block by block here: for block in stream.blocks(): … "
            "block.X, block.y"
        )


def checked_table(estimator: BaseEstimator, X: Any, *, reset: bool) -> Any:
    """Return `X` for prediction: an ndarray or CSR matrix of its own dtype, not copied."""
    check_in_memory(X)
    with _with_ways_out(estimator):
        X = validate_data(estimator, with_names(X), reset=reset, **_table_options(X))
    return as_engine_takes_it(X, type(estimator).__name__)


def checked_table_and_targets(
    estimator: BaseEstimator, X: Any, y: Any, *, reset: bool, y_numeric: bool
) -> tuple[Any, Any]:
    """Return `X` and `y` for training; `X` is an ndarray or CSR matrix of its own dtype.

    Raises
    ------
    ValueError
        NaN or infinity, text where numbers belong, lengths that differ, too few rows, or another
        number of columns than before.
    """
    _check_has_rows(y)
    options = {"reset": reset, "multi_output": True, "y_numeric": y_numeric, **_table_options(X)}
    with _with_ways_out(estimator):
        X, y = validate_data(estimator, with_names(X), y, **options)
    return as_engine_takes_it(X, type(estimator).__name__), y


def parameter_dtype(dtype: Any, X: Any) -> np.dtype[Any]:
    """Return the dtype of a new model's parameters.

    That of the constructor parameter `dtype`, where "bfloat16" keeps them in float32; for None
    float32 for a float32 table and float64 for all others.
    """
    if dtype is None:
        is_single = X.dtype.newbyteorder("=") == np.float32
        return np.dtype(np.float32 if is_single else np.float64)
    return np.dtype(np.float32 if dtype == "bfloat16" else dtype)


def raw_weights(
    sample_weight: Any, X: Any, name: str = "sample_weight"
) -> NDArray[np.float64] | None:
    """Return the weights as an array, one for each row of X; None stays None."""
    if sample_weight is None:
        return None
    with renaming(sample_weight=name):
        weights: NDArray[np.float64] = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    return weights


def normalized_weights(
    values: NDArray[np.float64] | None, rows: NDArray[np.int64] | None
) -> NormalizedWeights:
    """Return weights divided by their mean over `rows` (None: all rows)."""
    if values is None:
        return NormalizedWeights()
    mean = _mean(values if rows is None else values[rows])
    if mean == 0.0:
        raise ValueError(
            "sample_weight, times class_weight where it is set, must contain at least one non-zero "
            "number among the rows that are trained on; early_stopping=True holds out the others"
        )
    return NormalizedWeights(values / mean, mean)


@contextmanager
def renaming(**names: str) -> Iterator[None]:
    """Let errors of checks that know an argument as `X` name it as the user does: `X="X_val"`."""
    try:
        yield
    except (ValueError, TypeError) as error:
        text = str(error)
        for given, name in names.items():
            text = re.sub(rf"\b{given}\b", name, text)
        if text == str(error):
            if any(re.search(rf"\b{name}\b", text) for name in names.values()):
                raise
            text = f"{' and '.join(names.values())}: {text}"
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise (TableError if isinstance(error, TableError) else kind)(text) from error


@contextmanager
def speaking_for(member: BaseEstimator, estimator: BaseEstimator) -> Iterator[None]:
    """Let errors about the data that a member finds name the estimator that the user called."""
    try:
        yield
    except (ValueError, TypeError) as error:
        own, called = type(member).__name__, type(estimator).__name__
        text = re.sub(rf"\b(This|but|required by) {own}\b", rf"\1 {called}", str(error))
        if text == str(error):
            raise
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise (TableError if isinstance(error, TableError) else kind)(text) from error


def _check_has_rows(y: Any) -> None:
    """Raise TypeError where y is a single value, whose error in scikit-learn does not name it."""
    is_rows = hasattr(y, "__array__") or hasattr(y, "__len__")
    is_single = isinstance(y, str | bytes | Mapping) or getattr(y, "shape", None) == ()
    if y is not None and (is_single or not is_rows):
        raise TypeError(f"y must hold a target for each row, got {y!r:.80}")


def _mean(weights: NDArray[np.float64]) -> float:
    """Return the mean, also where the sum is beyond float64."""
    with np.errstate(over="ignore"):
        mean = float(weights.mean())
    if np.isfinite(mean):
        return mean
    largest = float(weights.max())
    return float((weights / largest).mean()) * largest


@contextmanager
def _with_ways_out(estimator: BaseEstimator) -> Iterator[None]:
    """Say what to do about text, NaN, and columns of other names or in another order."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        if "feature names should match" in text:
            first = "Add or rename the missing columns, then pass" if "missing" in text else "Pass"
            raise ValueError(
                f"{text.rstrip()}\n{first} X[list(model.feature_names_in_)]."
            ) from error
        name = type(estimator).__name__
        other = "TabularClassifier" if is_classifier(estimator) else "TabularRegressor"
        if text.startswith("Input X contains NaN"):
            raise ValueError(
                f"Input X contains NaN. {name} takes no missing values: fill them in, or use "
                f"{other}, which takes them as they are."
            ) from error
        if not any(sign in text for sign in ("could not convert string", "bytes/strings")):
            raise
        raise ValueError(
            f"{name} needs a table of numbers, but X holds text: {text.rstrip('.')}. "
            f"Encode it first, or use {other}, which encodes columns of text itself."
        ) from error


def _table_options(X: Any) -> dict[str, Any]:
    # scikit-learn adds up the values to look for NaN, and a sum in float16 soon overflows.
    half = getattr(X, "dtype", None) == np.float16
    return {"accept_sparse": "csr", "dtype": "numeric", "ensure_all_finite": not half}


def as_engine_takes_it(X: Any, name: str) -> Any:
    """Return `X` as it is where the engine can read its numbers; errors say who needs them."""
    if X.dtype.kind not in ENGINE_KINDS:
        raise ValueError(
            f"{name} needs a table of numbers, got dtype {X.dtype}; turn dates, durations and text "
            "into numbers first"
        )
    if X.dtype == np.float16:
        _check_half_precision(X, name)
    if X.dtype.itemsize > np.dtype(np.float64).itemsize:
        X = X.astype(np.float64)
    return X


def _check_half_precision(X: Any, estimator_name: str) -> None:
    values = X if isinstance(X, np.ndarray) else X.data.reshape(-1, 1)
    for start in range(0, values.shape[0], CHUNK_ROWS):
        chunk = values[start : start + CHUNK_ROWS].astype(np.float32)
        assert_all_finite(chunk, estimator_name=estimator_name, input_name="X")
