"""What the tabular estimators share: a table encoder in front of a perceptron."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length
from sklearn.utils._tags import Tags
from sklearn.utils.validation import check_is_fitted

from pellucid.engine.contract import ValidationRows
from pellucid.models.call import Call
from pellucid.models.exchange.tabular_onnx import onnx_of_tabular
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import check_in_memory, is_stream, raw_weights, renaming
from pellucid.models.perceptron.parameters import CONSTRAINTS
from pellucid.models.perceptron.perceptron import Perceptron
from pellucid.models.perceptron.recipe import PerceptronRecipe
from pellucid.models.perceptron.state import mlp_from_state, mlp_to_state
from pellucid.models.prepared_fit import Learned
from pellucid.models.reading import Reading, ReadRows, Rows, part_of
from pellucid.models.saving import Arrays, targets_from_json, targets_to_json
from pellucid.models.tabular.importance import MeasuresImportance
from pellucid.models.targets import Targets
from pellucid.outside_warning import warn_outside
from pellucid.tables import RecognizedColumn, TableEncoder
from pellucid.tables.drift import DriftReport, JudgedTable
from pellucid.tables.matching import check_same_order, learn_columns, match_columns
from pellucid.tables.row_weights import Weights, checked_weights, of, rows_that_count
from pellucid.tables.target import missing_target_error
from pellucid.tables.text import is_missing
from pellucid.training import SMALLEST_VALIDATION_SET, Validation

FEWEST_ROWS_TO_HOLD_OUT = 100
"""Tables of fewer rows are trained on whole: too few to spare some for validation."""
SMALLEST_BATCH, LARGEST_BATCH = 8, 256
"""Of `batch_size="auto"`."""

_OF_PERCEPTRONS = (
    "hidden_layer_sizes",
    "activation",
    "alpha",
    "batch_size",
    "learning_rate_init",
    "max_iter",
    "random_state",
    "verbose",
    "warm_start",
    "n_iter_no_change",
    "dropout",
    "normalization",
    "residual",
    "weight_decay",
    "schedule",
    "clipping",
    "scoring",
    "n_threads",
    "callbacks",
    "checkpoint_path",
    "checkpoint_every",
)
TABULAR_CONSTRAINTS: dict[str, Any] = {
    **{name: CONSTRAINTS[name] for name in _OF_PERCEPTRONS},
    "validation_fraction": "no_validation",
    "columns": "no_validation",
    "dtype": "no_validation",
}
"""What each constructor parameter may be; the last three are checked where they are used."""


class _Training(NamedTuple):
    """The rows of a table that have weight, encoded."""

    encoder: TableEncoder
    rows: ReadRows
    weights: Weights


class TabularPerceptron(MeasuresImportance, Perceptron):
    """A perceptron behind a `TableEncoder`."""

    columns: Mapping[str, str] | None
    dtype: str
    label_smoothing: float = 0.0
    quantile: float = 0.5
    loss: Any
    class_weight: Any = None

    encoder_: TableEncoder

    _takes_sparse: ClassVar[bool] = False
    _baseline: ClassVar[str]
    """What the baseline does."""
    _baseline_score: float | None = None
    _known_table: tuple[Any, Any] | None = None
    _fitted_columns: Any = None

    @abstractmethod
    def _learn(self, y: NDArray[Any], weights: Weights, known: Targets | None) -> Targets:
        """Return what y means."""

    def recognize_columns(self, X: Any, y: Any = None) -> list[RecognizedColumn]:
        """Tell how each column of a table would be used, and why, without training.

        Parameters
        ----------
        X : table like that of `fit`
        y : array-like, optional
            The target. With it, numbers that count the rows are left out only if their order does
            not tell of the target, as in `fit`.

        Returns
        -------
        list of RecognizedColumn
            With `name`, `kind` and `reason`.
        """
        return TableEncoder(columns=self.columns).recognize(X, y)

    def drift_report(self, X: Any) -> DriftReport:
        """Compare the cells of a table with those of the table that was trained on.

        Parameters
        ----------
        X : table like that of `predict`

        Returns
        -------
        DriftReport
            By column, the shares of missing, unparseable, unseen, infinite, out-of-range and
            far-out cells, beside those of training. `predict` warns of what this report has among
            its `alarms`.
        """
        check_is_fitted(self)
        check_in_memory(X)
        return self.encoder_.drift(match_columns(self, X, self.encoder_._used_names()))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _recipe(self, call: Call) -> PerceptronRecipe:
        return PerceptronRecipe(
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            alpha=self.alpha,
            batch_size=self.batch_size,
            learning_rate_init=self.learning_rate_init,
            max_iter=self.max_iter,
            early_stopping=True,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            loss=self.loss,
            quantile=self.quantile,
            label_smoothing=self.label_smoothing,
            dropout=self.dropout,
            normalization=self.normalization,
            residual=self.residual,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            clipping=self.clipping,
            scoring=self.scoring,
            n_threads=self.n_threads,
            auto_batch=a_twentieth_of_the_rows,
            clips_batch=True,
            trains_on_every_label=True,
        )

    def _table(self, X: Any) -> Any:
        if self._known_table is not None and self._known_table[0] is X:
            return self._known_table[1]
        check_in_memory(X)
        table = match_columns(self, X, self.encoder_._used_names())
        return self.encoder_._encode(table, judges=not isinstance(table, JudgedTable))

    def _knows(self, given: Any, X: Any) -> None:
        self._known_table = given, X

    def _can_hold_out(self, n_rows: int) -> bool:
        fraction = self.validation_fraction
        is_number = isinstance(fraction, Real)
        if not (is_number and 0 < fraction < 1):
            raise ValueError(f"validation_fraction must be between 0 and 1, got {fraction!r}.")
        return n_rows >= FEWEST_ROWS_TO_HOLD_OUT and n_rows * fraction >= SMALLEST_VALIDATION_SET

    def _read(self, data: FitData, call: Call, known: Targets | None) -> Reading:
        if is_stream(data.X):
            raise ValueError(
                f"{type(self).__name__} learns the columns from a table in memory, got a "
                "ParquetStream; pass a DataFrame, or train MLPClassifier, MLPRegressor or Network "
                "on the stream"
            )
        if data.y is None:
            raise ValueError(
                "requires y to be passed, but the target y is None: pass a label or number for "
                "each row."
            )
        encoder, rows, weights = self._encoded(data, known)
        targets = self._learn(rows.y, weights, known)
        attributes = {
            "encoder_": encoder,
            "_fitted_columns": self.columns,
            **self._learned_of(rows.y, weights, targets),
        }
        weight = targets.weigh(self.class_weight, rows.y, rows.sample_weight)
        rows = ReadRows(rows.X, rows.y, weight, rows.given)
        validation = self._validation_rows(data, encoder, targets)
        holds_out = validation is None and self._can_hold_out(len(rows.y))
        return Reading(rows, targets, validation, holds_out=holds_out, attributes=attributes)

    def _learned_of(self, y: NDArray[Any], weights: Weights, targets: Targets) -> dict[str, Any]:
        """Return what else is learned of y, as attributes."""
        return {}

    def _encoded(self, data: FitData, known: Targets | None) -> _Training:
        """Return the rows without those of weight zero, and the encoder that was fitted on them."""
        y = self._checked_y(data.y, "y")
        if known is None:
            table = learn_columns(self, data.X)
        else:
            table = match_columns(self, data.X, self.encoder_._used_names())
        check_consistent_length(table, y)
        check_same_order(data.X, data.y, "y")
        check_same_order(data.X, data.sample_weight, "sample_weight")
        weights, given = checked_weights(data.sample_weight, table), data.X
        kept = rows_that_count(weights)
        if kept is not None:
            table, y, weights = table.take(kept), y[kept], of(weights, kept)
            given = table if self.scoring is None else part_of(given, kept)
        if known is None:
            encoder = TableEncoder(columns=self.columns, dtype=self.dtype)
            with config_context(transform_output="default"):
                X = encoder.fit_transform(table, y, sample_weight=weights)
        else:
            encoder = self._encoder_to_go_on_with()
            X = encoder._encode(table, judges=True)
        return _Training(encoder, ReadRows(X, y, weights, given), weights)

    def _encoder_to_go_on_with(self) -> TableEncoder:
        known: dict[str, Any] = {"dtype": self.encoder_.dtype}
        if "_fitted_columns" in vars(self):  # A file does not tell.
            known["columns"] = self._fitted_columns
        for name, before in known.items():
            now = getattr(self, name)
            if before != now:
                raise ValueError(
                    f"{name} must stay {before!r} to go on training, got {now!r}; use fit with "
                    "warm_start=False to start afresh"
                )
        return self.encoder_

    def _validation_rows(
        self, data: FitData, encoder: TableEncoder, targets: Targets
    ) -> ReadRows | None:
        if data.X_val is None:
            return None
        y = self._checked_y(data.y_val, "y_val")
        with renaming(X="X_val"):
            table = match_columns(self, data.X_val, encoder._used_names())
        with renaming(X="X_val", y="y_val"):
            check_consistent_length(table, y)
        with renaming(X="X_val"):
            check_same_order(data.X_val, data.y_val, "y_val")
            check_same_order(data.X_val, data.sample_weight_val, "sample_weight_val")
        with renaming(y="y_val"):
            self._check_validation(y, targets)
        X = encoder._encode(table, judges=True)
        given = raw_weights(data.sample_weight_val, X, "sample_weight_val")
        weight = targets.weigh(self.class_weight, y, given, "y_val")
        return ReadRows(X, y, weight, data.X_val)

    @abstractmethod
    def _score_of_baseline(self, learned: Learned, rows: ValidationRows) -> float | None:
        """Return the validation score of a model that looks at no column, where it is known."""

    def _validation(self, learned: Learned, rows: Rows, *, same_judge: bool) -> Validation | None:
        measured = rows.validation
        self._baseline_score = None
        if measured is not None and self.scoring is None:
            self._baseline_score = self._score_of_baseline(learned, measured)
        return super()._validation(learned, rows, same_judge=same_judge)

    def _warn_of_score(self) -> None:
        score, baseline = self.best_validation_score_, self._baseline_score
        if score is None or baseline is None or not score < baseline:
            return
        name = self._known_targets().score_name if self._scoring() is None else "log loss"
        sign = -1 if name == "log loss" else 1
        warn_outside(
            f"The model is no better than its baseline on the validation rows: {name} "
            f"{sign * score:.3g}, and {sign * baseline:.3g} {self._baseline}. Add rows, leave out "
            "columns that cannot matter, or try fewer units (hidden_layer_sizes=16) or a stronger "
            "penalty (alpha=1.0).",
            ConvergenceWarning,
        )

    def _onnx_model(self) -> Any:
        return onnx_of_tabular(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in super().__getstate__().items() if name != "_known_table"}

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        state, arrays = mlp_to_state(self)
        state.pop("feature_names_in", None)  # The encoder knows them.
        state |= {
            "encoder": self.encoder_._to_state(),
            "encoded_dtype": self.encoder_.dtype,
        }
        return state, arrays

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator = cls()
        is_of_before = "mlp" in state
        mlp_from_state(estimator, state["mlp"] if is_of_before else state, arrays)
        if name := state.get("target_name"):  # Files of before; now the header knows them all.
            estimator.target_names_ = (str(name),)
        # The oldest files were all float32.
        dtype = str(state.get("dtype" if is_of_before else "encoded_dtype", "float32"))
        estimator._restore_encoder(state["encoder"], dtype)
        width = estimator.encoder_._n_inputs()
        if estimator._n_inputs() != width:
            raise ValueError(
                f"the encoder makes {width} inputs, the network takes {estimator._n_inputs()}"
            )
        return estimator

    def _restore_encoder(self, state: dict[str, Any], dtype: str) -> None:
        """Know the columns that a file tells of."""
        if dtype not in ("float32", "float64"):
            raise ValueError(f"unknown dtype of the encoded table {dtype!r}")
        self.encoder_ = TableEncoder(dtype=dtype)._restore(state)
        self.n_features_in_ = self.encoder_.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_

    def _known_to_json(self) -> dict[str, Any]:
        return {
            "targets": targets_to_json(self._known_targets()),
            "encoder": self.encoder_._to_state(),
            "encoded_dtype": self.encoder_.dtype,
        }

    def _know_again(self, known: dict[str, Any]) -> Targets:
        self._restore_encoder(known["encoder"], str(known["encoded_dtype"]))
        targets = targets_from_json(known["targets"])
        if targets.kind != ("label" if is_classifier(self) else "numbers"):
            raise ValueError(f"targets of the kind {targets.kind} do not fit this estimator")
        return targets


def a_twentieth_of_the_rows(n_train: int) -> int:
    """Return the rows of a step such that an epoch has about 20 steps or more."""
    return max(1, min(n_train, LARGEST_BATCH, max(SMALLEST_BATCH, n_train // 20)))


def check_none_missing(y: Any) -> None:
    """Raise TableError if targets are missing; the message says how many and where.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
    """
    values = np.asarray(y)
    if values.dtype.kind == "f":
        missing = np.isnan(values)
    elif values.dtype.kind == "O":
        cells = np.fromiter(map(is_missing, values.ravel()), np.bool_, values.size)
        missing = cells.reshape(values.shape)
    else:
        return
    rows = missing.reshape(len(values), -1).any(axis=1) if values.size else missing
    if rows.any():
        raise missing_target_error("The target", rows, lambda row: f"y[{row}], counting from 0")
