"""Scores of a fitted network, in the precision that weights and table need together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.batch import dense
from pellucid.models.default_engine import predict_scores
from pellucid.nn.network import Network
from pellucid.nn.parameters import Parameters


def fitted_scores(network: Network, parameters: Parameters, X: Any) -> NDArray[Any]:
    """Return the scores (n_rows, n_outputs) of X, in the dtype that NumPy's X @ W would have.

    So float32 weights meet a table of float64, or of integers beyond 24 bits, in float64: no value
    of the table is rounded. A copy of the weights is widened, never the table.

    Raises
    ------
    ValueError
        A score is not finite; the message tells whether the weights or the table made it so.
    """
    dtype = np.result_type(parameters.flat.dtype, X.dtype)
    if parameters.flat.dtype != dtype:
        parameters = Parameters(parameters.flat.astype(dtype), parameters.layout)
    scores = predict_scores(network, parameters, X)
    check_finite(scores, parameters, X)
    return scores


def check_finite(scores: NDArray[Any], parameters: Parameters, X: Any) -> None:
    """Raise ValueError where a score of X is not finite; say what made it so."""
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        bad = np.flatnonzero(~is_finite.all(axis=1))
        raise ValueError(
            f"the network's scores of {len(bad)} of {len(scores)} rows are not finite, first of "
            f"row {bad[0]}: {_cause(parameters, X[bad[:1]])}"
        )


def _cause(parameters: Parameters, row: Any) -> str:
    if not np.isfinite(parameters.flat).all():
        return "the weights hold NaN or infinity. Put finite numbers in, or fit again."
    dtype = parameters.flat.dtype
    largest = np.abs(dense(row, np.dtype(np.float64))).max()
    wider = ", or pass it as float64" if dtype == np.float32 else ""
    return (
        f"X has values as large as {largest:.3g} there, and their products with the weights "
        f"overflow {dtype}. Scale the columns of X as those that the model was fitted on{wider}."
    )
