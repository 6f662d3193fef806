"""Classes of the rows of a raw table."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from pellucid.models.fit_tasks import FitArguments, with_callbacks
from pellucid.models.inputs import check_in_memory, renaming
from pellucid.models.mlp_classifier import MLPClassifier
from pellucid.models.perceptron.validation_set import ValidationData
from pellucid.models.saving import Arrays, saveable
from pellucid.models.tabular import Resumed, TabularEstimator, unchanged_after_errors
from pellucid.tables import TableError
from pellucid.tables.row_weights import Weights, as_repetitions
from pellucid.tables.text import is_missing


@saveable
class TabularClassifier(ClassifierMixin, TabularEstimator):  # type: ignore[misc]
    """Multi-layer perceptron that takes a raw DataFrame and tells classes.

    Missing values, text, categories, dates and numbers on any scale go in as they are:
    :class:`pellucid.tables.TableEncoder` makes network inputs of them. Training stops when the
    accuracy on held-out rows no longer rises, and the weights that scored best are kept. Where a
    class has a single row, or the table has fewer than 100, all rows are trained on instead,
    until the training loss no longer falls.

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
        Of the network: see :class:`MLPClassifier`.
    checkpoint_path : str, Path or None, default=None
        A folder that `fit` keeps the state of its training in, for `resume`.
    checkpoint_every : int, default=1
        Epochs between checkpoints.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    class_shares_ : ndarray of shape (n_classes,)
        Share of each class in the weight of the training rows: what a guess without a model would
        go by.
    target_name_ : str or None
        Name of y, when it is a series that has one.
    encoder_ : TableEncoder
        Says what each column was recognized as.
    mlp_ : MLPClassifier
        The network behind the encoder.
    loss_curve_, validation_scores_ : list of float
        One entry an epoch.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Examples
    --------
    >>> import pandas as pd
    >>> from pellucid import TabularClassifier
    >>> size, shape = [1.0, 1.2, None, 3.1], ["a", "a", "b", "b"]
    >>> table = pd.DataFrame({"size": size * 10, "shape": shape * 10})
    >>> kind = ["nut", "nut", "bolt", "bolt"] * 10
    >>> model = TabularClassifier(random_state=0).fit(table, kind)
    >>> model.predict(table[:4])
    array(['nut', 'nut', 'bolt', 'bolt'], dtype='<U4')
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
        y : array-like or series of shape (n_rows,)
            Class labels: text, numbers or booleans.
        sample_weight : array-like of shape (n_rows,), optional
            Rows of weight zero are left out before anything is learned. Weight k counts as k rows
            in what is learned about columns and targets and in the loss, but is one row of a batch
            and of the held-out rows.
        X_val, y_val, sample_weight_val : optional
            Other rows of the same columns, their labels and weights: training stops when their
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
            See :meth:`MLPClassifier.resume`.
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        return self._fit(FitArguments(X, y, sample_weight), validation, Resumed(max_iter))

    def _fit(
        self, given: FitArguments, validation: ValidationData, resumed: Resumed | None
    ) -> Self:
        X, y, sample_weight = given
        check_in_memory(X)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None: pass the labels.")
        table, labels, weights = self._rows_to_fit(X, checked_labels(y), sample_weight)
        encoder = self._make_encoder()
        inputs = encoder.fit_transform(table, sample_weight=weights)
        with renaming(y="y_val"):
            labels_val = None if validation.y is None else checked_labels(validation.y)
        validation = self._encoded_validation(encoder, validation, labels_val)
        holds_out = validation.X is None and self._can_hold_out(labels)
        mlp = self._make_mlp(MLPClassifier, len(labels), holds_out)
        classes, shares = _classes_and_shares(labels, weights)
        learned = {"encoder_": encoder, "classes_": classes, "class_shares_": shares}
        encoded = FitArguments(inputs, labels, weights)
        self._train(mlp, learned, encoded, given, validation, resumed)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class of each row, shape (n_rows,)."""
        inputs = self._encode(X)
        predictions: npt.NDArray[Any] = self.mlp_.predict(inputs)
        return predictions

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Return the probability of each class, in the order of `classes_`, (n_rows, n_classes)."""
        inputs = self._encode(X)
        probabilities: npt.NDArray[Any] = self.mlp_.predict_proba(inputs)
        return probabilities

    def _can_hold_out(self, labels: npt.NDArray[Any]) -> bool:
        _, counts = np.unique(labels, return_counts=True)
        return bool(counts.min() >= 2 and self._n_held_out(len(labels)) >= len(counts))

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        state, arrays = super()._to_state()
        state["class_shares"] = self.class_shares_.tolist()
        return state, arrays

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator = cls._restore(state, arrays, MLPClassifier)
        estimator.classes_ = estimator.mlp_.classes_
        estimator.class_shares_ = np.array(state["class_shares"], dtype=np.float64)
        if estimator.class_shares_.shape != estimator.classes_.shape:
            raise ValueError("the shares do not fit the classes")
        return estimator


def _classes_and_shares(
    labels: npt.NDArray[Any], weights: Weights
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    classes, codes = np.unique(labels, return_inverse=True)
    counts = np.bincount(codes, as_repetitions(weights), len(classes))
    return classes, counts / counts.sum()


def checked_labels(y: Any) -> npt.NDArray[Any]:
    """Return class labels as they are, as a 1-D array that sorts.

    Raises
    ------
    ValueError
        When labels are missing, continuous, or of types that cannot be sorted together.
    """
    labels: npt.NDArray[Any] = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    if labels.dtype.kind == "O":
        missing = np.fromiter(map(is_missing, labels), np.bool_, len(labels))
        if missing.any():
            raise TableError(
                f"The target is missing in {int(missing.sum()):,} of {len(labels):,} rows (the "
                f"first is row {int(missing.argmax()) + 1}). Fill in or remove these rows first."
            )
        types = {type(label) for label in labels.tolist()}
        if types <= {str}:
            labels = labels.astype(np.str_)
        elif len(types) > 1 and str in types:
            names = ", ".join(sorted(t.__name__ for t in types))
            raise TableError(f"Class labels must be of one type, got a mix of {names}.")
    check_classification_targets(labels)
    return labels
