"""Classes of the rows of a raw table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils._tags import Tags
from sklearn.utils.multiclass import check_classification_targets

from pellucid.engine.contract import ValidationRows
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import renaming
from pellucid.models.labels import as_plain_integers, codes_of
from pellucid.models.perceptron.classification import Classification, learned_or_known
from pellucid.models.perceptron.parameters import CLASSIFIER_CONSTRAINTS
from pellucid.models.prepared_fit import Learned
from pellucid.models.saving import Arrays, saveable
from pellucid.models.tabular.importance import Errors
from pellucid.models.tabular.tabular import (
    TABULAR_CONSTRAINTS,
    TabularPerceptron,
    check_none_missing,
)
from pellucid.models.targets import Targets
from pellucid.tables import TableError
from pellucid.tables.row_weights import Weights, as_repetitions


@saveable
class TabularClassifier(Classification, TabularPerceptron):
    """Multi-layer perceptron that takes a raw DataFrame and predicts classes.

    Missing values, text, categories, dates and numbers on any scale go in as they are:
    :class:`pellucid.TableEncoder` makes network inputs of them. Training stops when the log loss on
    held-out rows no longer falls, and the weights with the lowest one are kept; tables of fewer
    than 100 rows are trained on whole, until the training loss no longer falls. A
    `ConvergenceWarning` tells when the log loss is not below that of the shares of the classes.

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
        As in :class:`MLPClassifier`. A `scoring` needs rows to validate on:
        with fewer than 100 rows and no `X_val` it is not used.
    checkpoint_path : str, Path or None, default=None
        Folder for checkpoints, from which `resume` goes on. Model files do not contain the path.
    checkpoint_every : int, default=1
        Epochs between checkpoints.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the encoder of the last call.
    loss, label_smoothing, class_weight
        As in :class:`MLPClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    class_shares_ : ndarray of shape (n_classes,)
        Share of each class in the total weight of the training rows: the prediction of a model that
        looks at no column.
    target_names_ : tuple of str or None
        The name of y, or those of its columns, if they are text.
    encoder_ : TableEncoder
        Encodes the columns; `encoder_.recognized_` tells how each is used.
    coefs_, intercepts_, chain_, parameters_, loss_curve_, validation_scores_, \
    validation_loss_curve_, best_validation_score_, n_iter_, loss_
        As in :class:`MLPClassifier`; the network takes what `encoder_` makes.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str
        Their names, where the table has them.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TABULAR_CONSTRAINTS,
        **CLASSIFIER_CONSTRAINTS,
    }

    _baseline = "for the shares of the classes"

    class_shares_: NDArray[np.float64]

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
        loss: Any = "log_loss",
        label_smoothing: float = 0.0,
        class_weight: Any = None,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight

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
        y : array-like or series of shape (n_rows,)
            Class labels: text, numbers or booleans.
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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags

    def _checked_y(self, y: Any, name: str) -> NDArray[Any]:
        with renaming(y=name):
            return checked_labels(y)

    def _encoded_targets(self, y: Any, dtype: Any) -> NDArray[Any]:
        return self._known_targets().encode(checked_labels(y), dtype)

    def _errors_on(self, y: NDArray[Any]) -> Errors:
        targets = self._known_targets()
        classes = targets.classes
        assert classes is not None
        codes = codes_of(classes, y)

        def log_loss(outputs: NDArray[Any]) -> float:
            told = targets.probabilities(outputs)[np.arange(len(codes)), codes]
            return float(-np.log(np.maximum(told, np.finfo(told.dtype).eps)).mean())

        def mistakes(outputs: NDArray[Any]) -> float:
            return float((targets.probabilities(outputs).argmax(axis=1) != codes).mean())

        return {"log loss": log_loss, "accuracy": mistakes}

    def _learn(self, y: NDArray[Any], weights: Weights, known: Targets | None) -> Targets:
        return learned_or_known(y, known, all_needed=True)

    def _scoring(self) -> Any:
        # Accuracy on a few held-out rows is coarse, and best long before the probabilities are.
        return "loss" if self.scoring is None else self.scoring

    def _score_of_baseline(self, learned: Learned, rows: ValidationRows) -> float | None:
        if self.loss != "log_loss" or self.label_smoothing or self.class_weight is not None:
            return None  # The loss is not that of the shares of the classes.
        shares = learned.attributes["class_shares_"]
        told = np.log(shares[np.asarray(rows.targets).ravel().astype(np.intp)])
        return float(np.average(told, weights=rows.sample_weight))

    def _check_validation(self, y: NDArray[Any], targets: Targets) -> None:
        learned_or_known(y, targets)

    def _learned_of(self, y: NDArray[Any], weights: Weights, targets: Targets) -> dict[str, Any]:
        classes = targets.classes
        assert classes is not None
        counts = np.bincount(codes_of(classes, y), as_repetitions(weights), len(classes))
        return {"class_shares_": counts / counts.sum()}

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        state, arrays = super()._to_state()
        state["class_shares"] = self.class_shares_.tolist()
        return state, arrays

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator = super()._from_state(state, arrays)
        estimator.class_shares_ = np.array(state["class_shares"], dtype=np.float64)
        if estimator.class_shares_.shape != estimator.classes_.shape:
            raise ValueError("the shares do not fit the classes")
        return estimator


def checked_labels(y: Any) -> NDArray[Any]:
    """Return class labels as they are, as a 1-D array that sorts.

    Raises
    ------
    ValueError
        When labels are missing, continuous, or of types that cannot be sorted together.
    """
    labels: NDArray[Any] = column_or_1d(as_plain_integers(y), warn=True)
    check_none_missing(labels)
    assert_all_finite(labels, input_name="y")
    if labels.dtype.kind == "O":
        types = {type(label) for label in labels.tolist()}
        if types <= {str}:
            labels = labels.astype(np.str_)
        elif len(types) > 1 and str in types:
            names = ", ".join(sorted(t.__name__ for t in types))
            raise TableError(f"Class labels must be of one type, got a mix of {names}.")
    check_classification_targets(labels)
    return labels
