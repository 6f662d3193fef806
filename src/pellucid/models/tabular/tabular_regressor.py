"""Quantities for the rows of a raw table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_y, check_is_fitted

from pellucid.engine.contract import ValidationRows
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import renaming
from pellucid.models.perceptron.loss import regressor_loss
from pellucid.models.perceptron.parameters import REGRESSOR_CONSTRAINTS
from pellucid.models.perceptron.regression import Regression
from pellucid.models.prepared_fit import Learned
from pellucid.models.saving import Arrays, saveable
from pellucid.models.tabular.importance import Errors
from pellucid.models.tabular.tabular import (
    TABULAR_CONSTRAINTS,
    TabularPerceptron,
    check_none_missing,
)
from pellucid.models.targets import NumberTargets, Targets, number_targets, targets_from_state
from pellucid.tables import row_weights
from pellucid.tables.row_weights import Weights, as_repetitions


@saveable
class TabularRegressor(Regression, TabularPerceptron):
    """Multi-layer perceptron that takes a raw DataFrame and predicts quantities.

    Missing values, text, categories, dates and numbers on any scale go in as they are:
    :class:`pellucid.TableEncoder` makes network inputs of them. The target is standardized for
    training, and predictions and scores come back on its own scale. Training stops when R² on
    held-out rows no longer rises, and the weights that scored best are kept; tables of fewer than
    100 rows are trained on whole, until the training loss no longer falls. Losses that ask for
    something else than means (absolute_error, huber, quantile) are the score themselves. A
    `ConvergenceWarning` tells when R² is below 0, that of the mean.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(128, 64)
        Units of each hidden layer.
    learning_rate_init : float, default=0.001
        Learning rate of Adam.
    alpha : float, default=0.1
        L2 penalty on the weights; it is divided by the rows of a step, so that it matters most for
        small tables.
    batch_size : int or 'auto', default='auto'
        Rows of a step; 'auto' means a twentieth of the rows, but at least 8 and at most 256.
    max_iter : int, default=200
        Maximum number of epochs.
    validation_fraction : float, default=0.1
        Share of the rows held out to tell when to stop.
    n_iter_no_change : int, default=10
        Training stops after more epochs than this in a row without a better validation score.
    columns : dict of str to str, optional
        Kinds of columns that you know better: ``{"zip": "categorical", "note": "left out"}``.
    dtype : {'float32', 'float64'}, default='float32'
        Precision of the encoded table and the arithmetic.
    random_state : int, RandomState instance or None, default=None
        An integer makes the result repeatable.
    verbose : bool, default=False
        Whether to print each epoch.
    callbacks : list of callbacks, default=None
        `pellucid.ProgressBar()`, functions of an `EpochReport`, or `pellucid.Callback` objects. A
        callback that returns True after an epoch ends training. `clone` copies callbacks; model
        files do not contain them.
    activation, dropout, normalization, residual, weight_decay, schedule, clipping, scoring,
    n_threads
        As in :class:`MLPRegressor`. A `scoring` needs rows to validate on:
        with fewer than 100 rows and no `X_val` it is not used.
    checkpoint_path : str, Path or None, default=None
        Folder for checkpoints, from which `resume` goes on. Model files do not contain the path.
    checkpoint_every : int, default=1
        Epochs between checkpoints.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the encoder of the last call.
    loss, quantile
        As in :class:`MLPRegressor`. The loss is that of the standardized target, which matters for
        the width of 'huber'; of 'poisson' the target is only divided by its mean, and a loss of
        your own gets it as it is.

    Attributes
    ----------
    target_names_ : tuple of str or None
        The name of y, or those of its columns, if they are text.
    target_mean_ : float, or ndarray of shape (n_outputs,)
        Weighted mean of the target in the training rows: what a guess without a model would be.
    target_scale_ : float, or ndarray of shape (n_outputs,)
        A prediction is target_mean_ + target_scale_ * output of the network; with loss='poisson'
        target_scale_ * output, and with a loss of your own the output itself.
    encoder_ : TableEncoder
        Encodes the columns; `encoder_.recognized_` tells how each is used.
    coefs_, intercepts_, chain_, parameters_, loss_curve_, validation_scores_, \
    validation_loss_curve_, best_validation_score_, n_iter_, loss_
        As in :class:`MLPRegressor`; the network takes what `encoder_` makes, and predicts
        standardized targets.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str
        Their names, where the table has them.

    Examples
    --------
    >>> import pandas as pd
    >>> from pellucid import TabularRegressor
    >>> rows = range(200)
    >>> area = [20.0 + i % 50 for i in rows]
    >>> table = pd.DataFrame({"area": area, "city": ["Rome", "Oslo"] * 100})
    >>> price = [1000 * area + 9000 * (city == "Oslo") for area, city in table.values]
    >>> model = TabularRegressor(random_state=0).fit(table, price)
    >>> bool(model.score(table, price) > 0.9)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TABULAR_CONSTRAINTS,
        **REGRESSOR_CONSTRAINTS,
    }

    _baseline = "for the mean"

    target_mean_: Any

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 64),
        *,
        learning_rate_init: float = 1e-3,
        alpha: float = 0.1,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        columns: Mapping[str, str] | None = None,
        dtype: str = "float32",
        random_state: Any = None,
        verbose: bool = False,
        callbacks: Any = None,
        activation: Any = "relu",
        dropout: Any = 0.0,
        normalization: str | None = None,
        residual: bool = False,
        weight_decay: float = 0.0,
        schedule: Any = None,
        clipping: Any = None,
        scoring: Any = None,
        n_threads: int | None = None,
        checkpoint_path: Any = None,
        checkpoint_every: int = 1,
        warm_start: bool = False,
        loss: Any = "squared_error",
        quantile: float = 0.5,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.columns = columns
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.residual = residual
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clipping = clipping
        self.scoring = scoring
        self.n_threads = n_threads
        self.checkpoint_path = checkpoint_path
        self.checkpoint_every = checkpoint_every
        self.warm_start = warm_start
        self.loss = loss
        self.quantile = quantile

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on a table.

        Parameters
        ----------
        X : DataFrame of any library that narwhals knows, or array-like, (n_rows, n_columns)
            The table, as it is.
        y : array-like or series of shape (n_rows,) or (n_rows, n_outputs)
            Finite numbers.
        sample_weight : array-like of shape (n_rows,), optional
            Rows of weight zero are left out before anything is learned. Weight k counts as k rows
            in what is learned about columns and targets and in the loss, but is one row of a batch
            and of the held-out rows.
        X_val, y_val, sample_weight_val : optional
            Other rows of the same columns, their targets and weights: training stops when their
            score stops improving, and keeps the weights that scored best. Nothing is held out then.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A parameter or an input is wrong; the estimator is then as it was before.
        """
        return self._train(FitData(X, y, sample_weight, X_val, y_val, sample_weight_val))

    @property
    def target_scale_(self) -> Any:
        """What the target was divided by."""
        check_is_fitted(self)
        targets = self._number_targets()
        return _like_y(targets.scale or (1.0,) * targets.n_outputs, targets)

    def _number_targets(self) -> NumberTargets:
        targets = self._known_targets()
        assert isinstance(targets, NumberTargets)
        return targets

    def _checked_y(self, y: Any, name: str) -> NDArray[Any]:
        with renaming(y=name):
            check_none_missing(y)
            checked = _check_y(y, multi_output=True, y_numeric=True, estimator=self)
            if checked.dtype.kind in "mM":
                raise ValueError(
                    f"y holds {checked.dtype}, not numbers. Predict a number instead, such as the "
                    "days since a date: (y - y.min()).dt.days in pandas."
                )
            numbers: NDArray[np.float64] = np.asarray(checked, dtype=np.float64)
            assert_all_finite(numbers, input_name=name)
        return numbers

    def _errors_on(self, y: NDArray[Any]) -> Errors:
        from sklearn import metrics  # Slow to import.

        targets, loss = self._number_targets(), self.chain_.loss.name
        name, error = "RMSE", metrics.root_mean_squared_error
        if loss in ("absolute_error", "huber"):
            name, error = "MAE", metrics.mean_absolute_error
        elif loss == "quantile":
            name = "pinball loss"
            error = partial(metrics.mean_pinball_loss, alpha=self.quantile)
        elif loss == "poisson":
            name, error = "Poisson deviance", _poisson_deviance

        # metrics.r2_score takes longer than predicting.
        total = np.square(y - y.mean(axis=0)).sum(axis=0)
        scale = np.where(total > 0.0, total, 1.0)

        def own_loss(outputs: NDArray[Any]) -> float:
            return float(error(y, targets.decode(outputs)))

        def unexplained(outputs: NDArray[Any]) -> float:
            squares = np.square(y - targets.decode(outputs)).sum(axis=0)
            shares = np.where(total > 0.0, squares / scale, squares > 0.0)
            return float(shares.mean())

        # Errors of several targets are in different units.
        own = {name: own_loss} if targets.n_outputs == 1 else {}
        return {**own, "R²": unexplained}

    def _learn(self, y: NDArray[Any], weights: Weights, known: Targets | None) -> Targets:
        loss = regressor_loss(self.loss, self.quantile).name
        is_count, is_standardized = loss == "poisson", loss in _OF_STANDARDIZED
        if known is not None:
            assert isinstance(known, NumberTargets)
            if (known.at_least_zero, bool(known.scale)) != (is_count, is_count or is_standardized):
                raise ValueError(
                    f"loss={self.loss!r} scales the target in another way than the loss of the "
                    "previous call; use fit with warm_start=False to start afresh"
                )
            return self._learned_or_known(y, known)
        targets = number_targets(y, at_least_zero=is_count)
        if not (is_count or is_standardized):
            return targets
        mean, scale = _mean_and_scale(y, as_repetitions(weights))
        if is_count:
            mean, scale = np.zeros_like(mean), np.where(mean > 0, mean, 1.0)
        return replace(targets, mean=_tuple(mean), scale=_tuple(scale))

    def _learned_of(self, y: NDArray[Any], weights: Weights, targets: Targets) -> dict[str, Any]:
        assert isinstance(targets, NumberTargets)
        mean = targets.mean
        if targets.at_least_zero or not targets.scale:
            mean = _tuple(_mean_and_scale(y, as_repetitions(weights))[0])
        return {"target_mean_": _like_y(mean, targets)}

    def _score_of_baseline(self, learned: Learned, rows: ValidationRows) -> float | None:
        return 0.0 if self._scoring() is None else None  # R² of the mean.

    def _check_validation(self, y: NDArray[Any], targets: Targets) -> None:
        self._learned_or_known(y, targets)

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        state, arrays = super()._to_state()
        return {**state, "target_mean": list(_tuple(self.target_mean_))}, arrays

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator = super()._from_state(state, arrays)
        targets, mean = estimator._number_targets(), _tuple(state["target_mean"])
        if "target_scale" in state:  # A file of before has no targets.
            known = {**targets.state(), "is_vector": np.ndim(state["target_mean"]) == 0}
            known |= {"mean": mean, "scale": _tuple(state["target_scale"])}
            estimator._targets = targets_from_state(known)
            targets = estimator._number_targets()
        if len(mean) != targets.n_outputs or not np.isfinite(mean).all():
            raise ValueError("the means of the target do not fit the outputs")
        estimator.target_mean_ = _like_y(mean, targets)
        return estimator


_OF_STANDARDIZED = (
    "half_squared_error",
    "squared_error",
    "absolute_error",
    "huber",
    "quantile",
)
"""Losses for which a standardized target is the same task."""


def _poisson_deviance(y: NDArray[Any], predictions: NDArray[Any]) -> float:
    from sklearn.metrics import mean_poisson_deviance

    return float(mean_poisson_deviance(y, np.maximum(predictions, np.finfo(np.float64).tiny)))


def _like_y(numbers: tuple[float, ...], targets: NumberTargets) -> Any:
    """Return a number for each output; a single one where y has one dimension."""
    return numbers[0] if targets.is_vector else np.array(numbers)


def _tuple(numbers: Any) -> tuple[float, ...]:
    return tuple(np.atleast_1d(np.asarray(numbers, dtype=np.float64)).tolist())


def _mean_and_scale(targets: NDArray[np.float64], weights: Weights) -> tuple[Any, Any]:
    """Mean and standard deviation of each output, safe for huge values and constant targets."""
    largest = np.maximum(np.abs(targets).max(axis=0), np.finfo(np.float64).tiny)
    shrunk = targets / largest
    mean = row_weights.mean(shrunk, weights) * largest
    scale = row_weights.deviation(shrunk, weights) * largest
    return mean, np.where(scale > 0, scale, 1.0)
