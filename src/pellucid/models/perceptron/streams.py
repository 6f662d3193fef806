"""How the perceptrons take a `ParquetStream` in place of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from pellucid.models.perceptron.validation_set import ValidationData
from pellucid.models.streams import OpenStream, StreamRows, open_stream
from pellucid.tables.stream import ParquetStream

if TYPE_CHECKING:
    from pellucid.models.perceptron.multilayer_perceptron import MultilayerPerceptron


def take_stream(
    estimator: MultilayerPerceptron,
    stream: ParquetStream,
    y: Any,
    sample_weight: Any,
    validation: ValidationData,
) -> tuple[OpenStream | None, Any, NDArray[Any], NDArray[np.float64] | None]:
    """Return an open stream with X, y and weights of a few rows of its form.

    Where the buffer takes all rows, they are the rows themselves, and there is no stream any more;
    unless the stream names other classes than these rows have.

    Raises
    ------
    ValueError
        The estimator's parameters ask for what a stream cannot give, or the stream is wrong.
    """
    if estimator.solver == "lbfgs":
        raise ValueError(
            "solver='lbfgs' computes with all rows at once, which a stream never has; set "
            "solver='adam' or 'sgd'"
        )
    if estimator.early_stopping and validation.X is None:
        raise ValueError(
            "early_stopping=True holds out rows drawn from the whole table, which a stream never "
            "has; pass X_val and y_val to fit, or set early_stopping=False"
        )
    labels = is_classifier(estimator) and len(stream.targets) == 1
    counts = labels and estimator._options()["class_weight"] is not None
    opened = open_stream(stream, y, sample_weight, labels=labels, counts=counts)
    if opened.fits_in_memory:
        X, all_y, weights = opened.table()
        if opened.summary is None or np.array_equal(np.unique(all_y), opened.summary.labels):
            return None, opened.named(X), all_y, weights
    X, y = opened.form()
    return opened, opened.named(X), y, None


def rows_of(
    estimator: MultilayerPerceptron, opened: OpenStream, dtype: Any, seed: int, shuffle: bool
) -> StreamRows:
    """Return the rows of an open stream, once the estimator knows what y means."""
    factors, summary = None, opened.summary
    if summary is not None:
        # What the classes' weights make of one row of each label that has all its rows' weights.
        total = estimator._weights(summary.labels, summary.weights)
        if total is not None:
            factors = np.divide(
                total, summary.weights, out=np.ones_like(total), where=summary.weights > 0.0
            )
            factors = None if (factors == 1.0).all() else factors
    return StreamRows(
        opened,
        lambda y: estimator._block_targets(y, dtype),
        batch_size=1,
        shuffle=shuffle,
        seed=seed,
        class_factors=factors,
    )
