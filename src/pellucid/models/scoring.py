"""What makes a number of the network's output on validation rows."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.contract import ValidationRows
from pellucid.models.targets import Targets
from pellucid.nn import Chain
from pellucid.training import Validation

Score: TypeAlias = Callable[[NDArray[Any], float], float]
"""`(scores of the network (n, K), loss) -> float`, higher being better."""


ERRORS = {
    "rmse": ("RMSE", "root_mean_squared_error"),
    "mae": ("MAE", "mean_absolute_error"),
}
"""Errors of numbers by their name in `scoring`: what they are called, and in scikit-learn."""


def error_of(scoring: Any) -> str | None:
    """Return the name in `ERRORS` that `scoring` is, in whatever case; None for all else."""
    name = scoring.casefold() if isinstance(scoring, str) else None
    return name if name in ERRORS else None


def validation_of(
    rows: ValidationRows,
    targets: Targets,
    chain: Chain,
    scoring: Any,
    scorer: Callable[[], Score],
    *,
    chosen_by: str,
    compares: bool,
) -> Validation:
    """Return how rows are scored after each epoch.

    Parameters
    ----------
    rows : ValidationRows
        Their weights are not divided by their mean yet.
    targets : Targets
    chain : Chain
    scoring : str, callable or None
        None is the score of the targets, "loss" minus the loss, a name in `ERRORS` minus that
        error in the unit of the target; all else goes to `scorer`.
    scorer : callable
        `() -> Score`; makes the score of a scorer of scikit-learn.
    chosen_by : {"X_val", "rows_val", "validation_fraction"}
        What the user says which rows by; errors name it.
    compares : bool
        Whether scores compare with those of earlier calls.

    Raises
    ------
    ValueError
        The weights have no sum to divide by, or labels or several targets are to be scored by an
        error of numbers.
    """
    weight = rows.sample_weight
    if weight is not None:
        _check_sum(weight, chosen_by)
        rows = ValidationRows(rows.X, rows.targets, weight / weight.mean(), rows.rows)
    if isinstance(scoring, str) and scoring == "loss":
        return Validation(rows, lambda scores, loss: -loss, None, compares)
    if (name := error_of(scoring)) is not None:
        error = _error_of_numbers(name, rows.targets, weight, targets, chain)
        return Validation(rows, error, ERRORS[name][0], compares, is_error=True)
    if scoring is not None:
        what = "score" if callable(scoring) else str(scoring)
        return Validation(rows, scorer(), what, compares)
    link, known, given = chain.loss.link, rows.targets, weight

    def score(scores: NDArray[Any], loss: float) -> float:
        return targets.score(link(scores), known, given)

    return Validation(rows, score, targets.score_name, compares)


def _error_of_numbers(
    name: str, known: NDArray[Any], weight: Any, targets: Targets, chain: Chain
) -> Score:
    """Return minus an error of predictions in the unit of the targets."""
    from sklearn import metrics  # importing it would slow down `import pellucid`

    if targets.kind != "numbers":
        raise ValueError(
            f"scoring={name!r} is an error of numbers, but the targets are {targets.answer}. Use "
            "scoring='loss', or a score such as 'accuracy'."
        )
    if targets.n_outputs > 1:
        raise ValueError(
            f"scoring={name!r} would average errors of {targets.n_outputs} targets, whose units "
            "may differ. Use scoring='r2' for the mean R², or scoring='loss'."
        )
    error, link, truth = getattr(metrics, ERRORS[name][1]), chain.loss.link, targets.decode(known)

    def score(scores: NDArray[Any], loss: float) -> float:
        return -float(error(truth, targets.decode(link(scores)), sample_weight=weight))

    return score


def scorer_on(estimator: Any, scoring: Any, X: Any, y: Any, sample_weight: Any) -> Score:
    """Return what scores an estimator in training with one of scikit-learn's scorers.

    Parameters
    ----------
    estimator : estimator
        A fitted one whose weights are those of the moment.
    scoring : str or callable
        A name that scikit-learn knows, or `(estimator, X, y) -> float`; with `sample_weight` where
        the rows have weights.
    X, y, sample_weight
        The rows, as `fit` takes them.

    Raises
    ------
    ValueError
        No scorer has this name.
    TypeError
        The callable takes no weights, and the rows have some; or, later, returns no number.
    """
    # Importing it would slow down `import pellucid`.
    from sklearn.base import is_classifier
    from sklearn.metrics import check_scoring, get_scorer_names

    if isinstance(scoring, str) and scoring not in get_scorer_names():
        raise ValueError(
            f"scoring={scoring!r} is unknown. Use 'loss', 'rmse', 'mae', or a scorer of "
            "scikit-learn such as 'accuracy' or 'r2'."
        )
    scorer = check_scoring(estimator, scoring=scoring)
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    if weight and not _takes_weights(scorer):
        raise TypeError(
            f"scoring={scoring!r} must take sample_weight, since the rows to validate on have "
            "weights (sample_weight, sample_weight_val or class_weight): write it as "
            "scoring(estimator, X, y, sample_weight=None)"
        )

    def score(scores: NDArray[Any], loss: float) -> float:
        try:
            value = scorer(estimator, X, y, **weight)
        except ValueError as error:
            if callable(scoring):
                raise
            others = "'accuracy' or 'f1_macro'" if is_classifier(estimator) else "'r2' or 'rmse'"
            raise ValueError(
                f"scoring={scoring!r} does not fit these targets ({str(error).rstrip('.')}). Use "
                f"'loss', {others}."
            ) from error
        if not isinstance(value, Real):
            raise TypeError(f"scoring={scoring!r} must return a number, got {value!r:.80}")
        return float(value)

    return score


def _check_sum(weights: NDArray[np.float64], chosen_by: str) -> None:
    """Raise ValueError where weights of validation rows make no mean of scores."""
    name = "sample_weight_val" if chosen_by == "X_val" else "sample_weight"
    with np.errstate(over="ignore"):
        total = weights.sum()
    if total == 0.0:
        raise ValueError(
            f"{name}, times class_weight where it is set, must contain at least one number above "
            f"zero among the rows to validate on; choose others by {chosen_by}"
        )
    if not np.isfinite(total):
        raise ValueError(
            f"the sum of {name} over the rows to validate on is beyond float64, got weights up to "
            f"{weights.max():.3g}; divide all weights by the largest"
        )


def _takes_weights(scorer: Any) -> bool:
    try:
        signature(scorer).bind(None, None, None, sample_weight=None)
    except TypeError:
        return False
    except ValueError:  # Of some functions in C nothing is known.
        return True
    return True
