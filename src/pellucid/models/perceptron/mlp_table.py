"""How `MLPClassifier` and `MLPRegressor` read a table of numbers, or a stream of one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from numpy.typing import NDArray
from sklearn.base import is_classifier

from pellucid.models.call import Call
from pellucid.models.exchange.exchange import MlpExchange
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import (
    checked_table,
    checked_table_and_targets,
    is_stream,
    raw_weights,
    renaming,
)
from pellucid.models.labels import as_plain_integers
from pellucid.models.perceptron.perceptron import Perceptron
from pellucid.models.perceptron.recipe import PerceptronRecipe
from pellucid.models.reading import Reading, ReadRows
from pellucid.models.streams import OpenStream, class_factors_of, open_stream
from pellucid.models.targets import Targets


class MlpTable(MlpExchange, Perceptron):
    """A perceptron on a table of numbers, with scikit-learn's parameters."""

    early_stopping: bool
    learning_rate: str
    power_t: float
    shuffle: bool
    tol: float
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    max_fun: int
    class_weight: Any = None
    label_smoothing: float = 0.0
    quantile: float = 0.5
    loss: Any

    _y_is_numeric: ClassVar[bool] = False

    @abstractmethod
    def _checked_y(self, y: Any) -> NDArray[Any]:
        """Return y, which scikit-learn has checked, in one form."""

    @abstractmethod
    def _learn(self, data: FitData, y: Any, known: Targets | None, call: Call) -> Targets:
        """Return what y means."""

    def _check_validation(self, y: Any, targets: Targets) -> None:
        """Raise ValueError for rows to validate on that `targets.weigh` cannot take."""

    def _check_given_y(self, y: Any) -> None:
        """Raise ValueError for a y of which scikit-learn would say too little."""

    def _recipe(self, call: Call) -> PerceptronRecipe:
        return PerceptronRecipe(
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            solver=self.solver,
            alpha=self.alpha,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            learning_rate_init=self.learning_rate_init,
            power_t=self.power_t,
            max_iter=self.max_iter,
            shuffle=self.shuffle,
            tol=self.tol,
            momentum=self.momentum,
            nesterovs_momentum=self.nesterovs_momentum,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            n_iter_no_change=self.n_iter_no_change,
            max_fun=self.max_fun,
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
            dtype=self.dtype,
        )

    def _table(self, X: Any) -> Any:
        return checked_table(self, X, reset=False)

    def _read(self, data: FitData, call: Call, known: Targets | None) -> Reading:
        X, y, sample_weight, stream = data.X, data.y, data.sample_weight, None
        if is_stream(X):
            stream = self._open(data)
            rows = stream.all_rows()
            if rows is not None and not stream.has_every_label(rows.y):
                rows = None
            X, y, sample_weight = (*stream.form(), None) if rows is None else rows
            X = stream.named(X)
            stream = stream if rows is None else None
        X, y = self._checked(X, y, reset=known is None)
        targets = self._learn(data, y, known, call)
        factors = weight = None
        if stream is None:
            weight = targets.weigh(self.class_weight, y, raw_weights(sample_weight, X))
        else:
            factors = class_factors_of(stream, self.class_weight)
        validation = self._validation_rows(data, targets)
        return Reading(
            training=ReadRows(X, y, weight, X),
            targets=targets,
            validation=validation,
            stream=stream,
            class_factors=factors,
            holds_out=self.early_stopping and validation is None,
        )

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray[Any]]:
        y = as_plain_integers(y)
        self._check_given_y(y)
        X, y = checked_table_and_targets(self, X, y, reset=reset, y_numeric=self._y_is_numeric)
        return X, self._checked_y(y)

    def _validation_rows(self, data: FitData, targets: Targets) -> ReadRows | None:
        if data.X_val is None:
            return None
        with renaming(X="X_val", y="y_val"):
            X, y = self._checked(data.X_val, data.y_val, reset=False)
            self._check_validation(y, targets)
        given = raw_weights(data.sample_weight_val, X, "sample_weight_val")
        weight = targets.weigh(self.class_weight, y, given, "y_val")
        return ReadRows(X, y, weight, X)

    def _open(self, data: FitData) -> OpenStream:
        """Open a stream, or say what of the parameters it cannot give."""
        if self.solver == "lbfgs":
            raise ValueError(
                "solver='lbfgs' computes with all rows at once, which a stream never has; set "
                "solver='adam' or 'sgd'"
            )
        if self.early_stopping and data.X_val is None:
            raise ValueError(
                "early_stopping=True holds out rows drawn from the whole table, which a stream "
                "never has; pass X_val and y_val to fit, or set early_stopping=False"
            )
        labels = is_classifier(self) and len(data.X.targets) == 1
        counts = labels and self.class_weight is not None
        return open_stream(data.X, data.y, data.sample_weight, labels=labels, counts=counts)
