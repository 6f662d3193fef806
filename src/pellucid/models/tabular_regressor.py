"""Quantities for the rows of a raw table."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_y

from pellucid.models.fit_tasks import FitArguments, with_callbacks
from pellucid.models.inputs import check_in_memory, renaming
from pellucid.models.mlp_regressor import MLPRegressor
from pellucid.models.perceptron.validation_set import ValidationData
from pellucid.models.saving import Arrays, saveable
from pellucid.models.tabular import Resumed, TabularEstimator, unchanged_after_errors
from pellucid.tables import row_weights
from pellucid.tables.row_weights import Weights, as_repetitions


@saveable
class TabularRegressor(RegressorMixin, TabularEstimator):  # type: ignore[misc]
    """Multi-layer perceptron that takes a raw DataFrame and tells quantities.

    Missing values, text, categories, dates and numbers on any scale go in as they are:
    :class:`pellucid.tables.TableEncoder` makes network inputs of them. The target is standardized
    for training and predictions come back on its own scale. Training stops when R² on held-out
    rows no longer rises, and the weights that scored best are kept; tables of fewer than 100 rows
    are trained on whole, until the training loss no longer falls.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(128, 64)
    learning_rate_init : float, default=0.001
        Of Adam.
    alpha : float, default=0.0001
        L2 penalty on the weights.
    batch_size : int or 'auto', default='auto'
        Rows of a step; 'auto' means a twentieth of the rows, but at least 8 and at most 256.
    max_iter : int, default=200
        Largest number of epochs.
    validation_fraction : float, default=0.1
        Share of the rows held out to tell when to stop.
    n_iter_no_change : int, default=10
        Epochs without a better validation score before training stops.
    columns : dict of str to str, optional
        Kinds of columns that you know better: ``{"zip": "categorical", "note": "left out"}``.
    dtype : {'float32', 'float64'}, default='float32'
        Of the arithmetic.
    random_state : int, RandomState or None, default=None
        An integer makes the result repeatable.
    verbose : bool, default=False
    callbacks : list of callbacks, default=None
        `pellucid.ProgressBar()`, functions of an `EpochReport`, or objects with `on_start`,
        `on_epoch_end` and `on_end`; one that returns True after an epoch ends training. Copied by
        `clone`, left out of model files.
    activation, dropout, normalization, residual, weight_decay, schedule, clipping, scoring,
    n_threads
        Of the network: see :class:`MLPRegressor`.
    checkpoint_path : str, Path or None, default=None
        A folder that `fit` keeps the state of its training in, for `resume`.
    checkpoint_every : int, default=1
        Epochs between checkpoints.

    Attributes
    ----------
    target_name_ : str or None
        Name of y, when it is a series that has one.
    encoder_ : TableEncoder
        Says what each column was recognized as.
    mlp_ : MLPRegressor
        The network behind the encoder; its outputs are standardized targets.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        A prediction is target_mean_ + target_scale_ * output.
    loss_curve_, validation_scores_ : list of float
        One entry an epoch.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of str

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

    @unchanged_after_errors
    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
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
        y : array-like or series of shape (n_rows,) or (n_rows, n_outputs)
            Finite numbers.
        sample_weight : array-like of shape (n_rows,), optional
            Rows of weight zero are left out before anything is learned. Weight k counts as k rows
            in what is learned about columns and targets and in the loss, but is one row of a batch
            and of the held-out rows.
        X_val, y_val, sample_weight_val : optional
            Other rows of the same columns, their numbers and weights: training stops when their
            score stops improving, and keeps the weights that scored best. Nothing is held out then.

        Returns
        -------
        self
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        return self._fit(FitArguments(X, y, sample_weight), validation, None)

    @unchanged_after_errors
    @with_callbacks  # type: ignore[untyped-decorator]
    def resume(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        max_iter: int | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Go on with a `fit` that was killed, or that is to be longer, from its newest checkpoint.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val
            Those of the `fit`.
        max_iter : int, optional
            So many epochs more; by default until the constructor's `max_iter`.

        Returns
        -------
        self
            To the bit what an uninterrupted `fit` would have given.

        Raises
        ------
        ValueError
            See :meth:`MLPRegressor.resume`.
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        return self._fit(FitArguments(X, y, sample_weight), validation, Resumed(max_iter))

    def _fit(
        self, given: FitArguments, validation: ValidationData, resumed: Resumed | None
    ) -> Self:
        X, y, sample_weight = given
        check_in_memory(X)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None: pass numbers.")
        targets = self._numbers(y, "y")
        table, targets, weights = self._rows_to_fit(X, targets, sample_weight)
        encoder = self._make_encoder()
        inputs = encoder.fit_transform(table, sample_weight=weights)
        mean, scale = _mean_and_scale(targets, as_repetitions(weights))
        numbers_val = None if validation.y is None else self._numbers(validation.y, "y_val")
        scaled_val = None if numbers_val is None else (numbers_val - mean) / scale
        validation = self._encoded_validation(encoder, validation, scaled_val)
        holds_out = validation.X is None and self._n_held_out(len(targets)) >= 2
        mlp = self._make_mlp(MLPRegressor, len(targets), holds_out)
        learned = {"encoder_": encoder, "target_mean_": mean, "target_scale_": scale}
        encoded = FitArguments(inputs, (targets - mean) / scale, weights)
        self._train(mlp, learned, encoded, given, validation, resumed)
        return self

    def _numbers(self, y: Any, name: str) -> npt.NDArray[np.float64]:
        with renaming(y=name):
            checked = _check_y(y, multi_output=True, y_numeric=True, estimator=self)
            numbers = np.asarray(checked, dtype=np.float64)
            assert_all_finite(numbers, input_name=name)
        return numbers

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return a prediction for each row, shape (n_rows,) or (n_rows, n_outputs) as y was."""
        inputs = self._encode(X)
        outputs = self.mlp_.predict(inputs).astype(np.float64)
        predictions: npt.NDArray[np.float64] = self.target_mean_ + self.target_scale_ * outputs
        return predictions

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        state, arrays = super()._to_state()
        state["target_mean"] = np.asarray(self.target_mean_).tolist()
        state["target_scale"] = np.asarray(self.target_scale_).tolist()
        return state, arrays

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator = cls._restore(state, arrays, MLPRegressor)
        mean, scale = (
            np.array(state[name], dtype=np.float64) for name in ("target_mean", "target_scale")
        )
        if mean.shape != scale.shape or mean.shape not in ((), (estimator.mlp_.n_outputs_,)):
            raise ValueError("the means and scales of the targets do not fit the network")
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("targets cannot be standardized by these means and scales")
        estimator.target_mean_, estimator.target_scale_ = mean, scale
        return estimator


def _mean_and_scale(targets: npt.NDArray[np.float64], weights: Weights) -> tuple[Any, Any]:
    """Mean and standard deviation of each output, safe for huge values and constant targets."""
    largest = np.maximum(np.abs(targets).max(axis=0), np.finfo(np.float64).tiny)
    shrunk = targets / largest
    mean = row_weights.mean(shrunk, weights) * largest
    scale = row_weights.deviation(shrunk, weights) * largest
    return mean, np.where(scale > 0, scale, 1.0)
