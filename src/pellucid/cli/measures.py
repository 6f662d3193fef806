"""Metrics as functions of the weights of rows, so that thousands of resamples are quick.

A measure takes weights (n_resamples, n_rows), how often each resample has each row, and returns a
value for each resample. With weights of one it is the metric of the rows as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import xlogy
from scipy.stats import rankdata

Floats: TypeAlias = NDArray[np.float64]
Measure: TypeAlias = Callable[[Floats], Floats]

CALIBRATION_BINS = 15
MOST_RESAMPLES, FEWEST_RESAMPLES = 1000, 200
#: Resamples times rows, beyond the fewest.
MOST_DRAWS = 20_000_000
#: Of each side of an interval.
TAIL = 0.025
_DRAWS_AT_ONCE = 200_000


def mean_of(rows: Any, value: Callable[[Floats], Floats] | None = None) -> Measure:
    """Return the measure that follows from weighted means over the rows.

    Parameters
    ----------
    rows : ndarray or sparse array of shape (n_rows, m), or ndarray of shape (n_rows,)
    value : callable, optional
        `(means (n_resamples, m)) -> (n_resamples,)`; None takes the mean itself.
    """
    table = rows.reshape(-1, 1) if rows.ndim == 1 else rows

    def measure(weights: Floats) -> Floats:
        means = (weights @ table) / weights.sum(axis=1, keepdims=True)
        found: Floats = means[:, 0] if value is None else value(means)
        return found

    return measure


def accuracy(P: Floats, codes: NDArray[np.intp]) -> Measure:
    """Return the share of rows whose most probable class is right; P is (n_rows, n_classes)."""
    return mean_of((P.argmax(axis=1) == codes).astype(np.float64))


def balanced_accuracy(P: Floats, codes: NDArray[np.intp]) -> Measure:
    """Return the mean recall of the classes that occur."""
    n = P.shape[1]
    is_right = P.argmax(axis=1) == codes

    def value(means: Floats) -> Floats:
        n_rows, n_right = means[:, :n], means[:, n:]
        occurs = n_rows > 0
        recall = np.divide(n_right, n_rows, out=np.zeros_like(n_rows), where=occurs)
        found: Floats = recall.sum(axis=1) / occurs.sum(axis=1)
        return found

    ones = np.ones(len(codes))
    rows = np.tile(np.arange(len(codes)), 2)
    columns = np.concatenate([codes, n + codes])
    values = np.concatenate([ones, is_right])
    return mean_of(csr_array((values, (rows, columns)), shape=(len(codes), 2 * n)), value)


def log_loss(P: Floats, codes: NDArray[np.intp]) -> Measure:
    """Return the mean of -log of the probability of the true class."""
    told = P[np.arange(len(codes)), codes]
    return mean_of(-np.log(np.clip(told, np.finfo(np.float64).eps, 1.0)))


def calibration_error(P: Floats, codes: NDArray[np.intp]) -> Measure:
    """Return the expected calibration error of the most probable class.

    The rows are put into 15 bins of equal width by the probability of their most probable class.
    The error is the mean over the rows of |accuracy - mean probability| of their bin
    (C. Guo et al., 2017).
    """
    confidence = P.max(axis=1)
    gaps = (P.argmax(axis=1) == codes) - confidence
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    rows = csr_array((gaps, (np.arange(len(gaps)), bins)), shape=(len(gaps), CALIBRATION_BINS))
    return mean_of(rows, lambda means: np.abs(means).sum(axis=1))


def roc_auc(P: Floats, codes: NDArray[np.intp]) -> Measure:
    """Return the area under the ROC curve; of several classes the mean of each against the rest.

    Classes that no row has, or all rows have, are left out of the mean.
    """
    if P.shape[1] == 2:
        return _auc_of(P[:, 1], codes == 1)
    occurring = np.unique(codes)
    each = [_auc_of(P[:, k], codes == k) for k in occurring]

    def measure(weights: Floats) -> Floats:
        values = np.stack([one(weights) for one in each])
        known = np.isfinite(values)
        n_known = np.maximum(known.sum(axis=0), 1)
        found: Floats = np.where(known, values, 0.0).sum(axis=0) / n_known
        return np.where(known.any(axis=0), found, np.nan)

    return measure


def _auc_of(scores: Floats, is_positive: NDArray[np.bool_]) -> Measure:
    """Return P(score of a positive > that of a negative) + P(equal)/2.

    Of a resample, to first order: the mean over its positives of the share of all negatives below
    them, plus the mean over its negatives of the share of all positives above, minus the area of
    the rows as they are (E. DeLong et al., 1988). NaN for a resample without both.
    """
    ranks = rankdata(scores)
    n_positive = int(np.count_nonzero(is_positive))
    n_negative = len(scores) - n_positive
    below, above = np.zeros(len(scores)), np.zeros(len(scores))
    own = rankdata(scores[is_positive])
    below[is_positive] = (ranks[is_positive] - own) / max(n_negative, 1)
    own = rankdata(scores[~is_positive])
    above[~is_positive] = 1.0 - (ranks[~is_positive] - own) / max(n_positive, 1)
    area = below.sum() / max(n_positive, 1)

    def value(means: Floats) -> Floats:
        positive, negative = means[:, 0], means[:, 2]
        has_both = (positive > 0) & (negative > 0)
        up, down = np.where(has_both, positive, 1.0), np.where(has_both, negative, 1.0)
        return np.where(has_both, means[:, 1] / up + means[:, 3] / down - area, np.nan)

    return mean_of(np.column_stack([is_positive, below, ~is_positive, above]), value)


def rmse(targets: Floats, predictions: Floats) -> Measure:
    """Return the root of the mean squared error."""
    return mean_of((targets - predictions) ** 2, lambda means: np.sqrt(means[:, 0]))


def mae(targets: Floats, predictions: Floats) -> Measure:
    """Return the mean absolute error."""
    return mean_of(np.abs(targets - predictions))


def r2(targets: Floats, predictions: Floats) -> Measure:
    """Return 1 - squared error over that of the mean; of constant targets 1 if exact, else 0."""
    centered = targets - targets.mean()
    rows = np.column_stack([(targets - predictions) ** 2, centered**2, centered])

    def value(means: Floats) -> Floats:
        error, variance = means[:, 0], means[:, 1] - means[:, 2] ** 2
        varies = variance > 1e-12 * np.maximum(means[:, 1], np.finfo(np.float64).tiny)
        constant = np.where(error == 0, 1.0, 0.0)
        return 1.0 - np.divide(error, variance, out=1.0 - constant, where=varies)

    return mean_of(rows, value)


def pinball(targets: Floats, predictions: Floats, level: float) -> Measure:
    """Return the mean of the quantile loss: level for each unit too low, 1 - level too high."""
    error = targets - predictions
    return mean_of(np.maximum(level * error, (level - 1.0) * error))


def coverage(targets: Floats, predictions: Floats) -> Measure:
    """Return the share of targets up to the predicted quantile."""
    return mean_of((targets <= predictions).astype(np.float64))


def poisson_deviance(targets: Floats, predictions: Floats) -> Measure:
    """Return the mean of 2(y log(y/p) - y + p).

    A prediction of 0 counts as 2.2e-308, so that a row adds at most about 1,417 y: the deviance
    stays finite where the exponential of an output underflows, as the log loss does.
    """
    told = np.maximum(predictions, np.finfo(np.float64).tiny)
    return mean_of(2.0 * (xlogy(targets, targets) - xlogy(targets, told) - targets + told))


def values_of(measures: Sequence[Measure], n_rows: int) -> Floats:
    """Return the value of each measure on the rows as they are."""
    weights = np.ones((1, n_rows))
    return np.array([measure(weights)[0] for measure in measures])


def n_resamples_for(n_rows: int) -> int:
    """Return how many resamples are drawn: 1,000, or fewer of large tables."""
    return max(FEWEST_RESAMPLES, min(MOST_RESAMPLES, MOST_DRAWS // n_rows))


def intervals_of(
    measures: Sequence[Measure], n_rows: int, n_resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Return the percentiles 2.5 and 97.5 of each measure over bootstrap resamples of the rows."""
    found = np.concatenate(
        [
            np.stack([measure(weights) for measure in measures], axis=1)
            for weights in resamples(n_rows, n_resamples, seed)
        ]
    )
    low, high = (_quantile(found, share) for share in (TAIL, 1.0 - TAIL))
    return low, high


def _quantile(found: Floats, share: float) -> Floats:
    known = [column[np.isfinite(column)] for column in found.T]
    return np.array([np.quantile(one, share) if len(one) else np.nan for one in known])


def resamples(n_rows: int, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each of some resamples, drawn with replacement, has each row."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // n_rows)
    for first in range(0, n_resamples, at_once):
        n = min(at_once, n_resamples - first)
        drawn = rng.integers(0, n_rows, size=(n, n_rows))
        drawn += n_rows * np.arange(n)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=n * n_rows)
        yield counts.reshape(n, n_rows).astype(np.float64)
