"""The rows of one step, as arrays that the formulas of `nn` take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.engine.plan import TrainingData
from pellucid.nn.random import Ints


@dataclass(frozen=True)
class Batch:
    """Some rows of the training data."""

    X: np.ndarray[Any, Any]
    targets: np.ndarray[Any, Any]
    sample_weight: np.ndarray[Any, Any] | None


def gather(data: TrainingData, rows: Ints, dtype: np.dtype[Any]) -> Batch:
    """Return the rows of one batch, dense and in the precision of the arithmetic."""
    targets = data.targets[rows]
    if targets.ndim == 2:
        targets = targets.astype(dtype, copy=False)
    weight = None if data.sample_weight is None else data.sample_weight[rows]
    return Batch(dense(data.X[rows], dtype), targets, weight)


def dense(X: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return X as a dense array of `dtype`."""
    is_sparse: bool = scipy.sparse.issparse(X)
    return np.asarray(X.toarray() if is_sparse else X, dtype=dtype)
