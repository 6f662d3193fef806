"""How a `Network` is trained: from what the user gives to a `TrainingJob`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pellucid import nn
from pellucid.models.call import Begun, Call
from pellucid.models.estimator import Estimator
from pellucid.models.fit_data import FitData, training_rows
from pellucid.models.inputs import (
    checked_table_and_targets,
    is_stream,
    raw_weights,
    renaming,
)
from pellucid.models.network.recipe import NetworkRecipe
from pellucid.models.network.state import restore_columns, targets_of_chain
from pellucid.models.prepared_fit import Learned
from pellucid.models.reading import Reading, ReadRows
from pellucid.models.saving import count_from_json, targets_to_json
from pellucid.models.streams import OpenStream, class_factors_of, open_stream
from pellucid.models.targets import Targets, targets_of_loss
from pellucid.persistence.training_checkpoints import OwnState
from pellucid.training import (
    FitResult,
    History,
    Recording,
    TrainingState,
)

CROSS_ENTROPIES = ("softmax_cross_entropy", "logistic_cross_entropy")


class NetworkTraining(Estimator):
    """Trains a chain that the user has described layer by layer."""

    class_weight: Any
    layers: Any
    loss: Any
    warm_start: bool
    record: int | None

    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None

    _held_out_by: ClassVar[str] = "rows_val"
    _scores_compare: ClassVar[bool] = False
    _recording: Recording | None = None

    def _scoring(self) -> Any:
        return "loss" if self.scoring is None else self.scoring

    def _read(self, data: FitData, call: Call, known: Targets | None) -> Reading:
        chain = nn.Chain(self.layers, self.loss)
        stream = self._open(data, chain) if is_stream(data.X) else None
        if stream is not None:
            data, stream = _in_memory(data, stream)
        X, y = self._checked(data.X, data.y, reset=known is None)
        targets = _learned_or_known(y, data.classes, chain, X.shape[1], known)
        validation = self._given_validation(data, targets)
        if stream is not None:
            factors = class_factors_of(stream, self.class_weight)
            return Reading(ReadRows(X, y, None, X), targets, validation, stream, factors)
        rows, rows_val = training_rows(data, X.shape[0])
        given = raw_weights(data.sample_weight, X)
        weight = self._weighed(targets, y, given, (rows, rows_val))
        training = ReadRows(X, y, weight, X)
        return Reading(training, targets, validation, rows=rows, rows_val=rows_val)

    def _open(self, data: FitData, chain: nn.Chain) -> OpenStream:
        """Open a stream, or say what of the arguments it cannot give."""
        for name, value in (
            ("rows", data.rows),
            ("rows_val", data.rows_val),
            ("record", self.record),
        ):
            if value is not None:
                instead = "pass X_val and y_val" if name == "rows_val" else f"leave {name} out"
                raise ValueError(
                    f"{name} needs all rows in memory, which a stream never has; {instead}"
                )
        labels = chain.loss.name in CROSS_ENTROPIES and len(data.X.targets) == 1
        return open_stream(
            data.X,
            data.y,
            data.sample_weight,
            labels=labels,
            counts=self.class_weight is not None,
            classes=data.classes,
        )

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        return checked_table_and_targets(self, X, y, reset=reset, y_numeric=False)

    def _known_to_json(self) -> dict[str, Any]:
        names = getattr(self, "feature_names_in_", None)
        return {
            "targets": targets_to_json(self._known_targets()),
            "fan_in": self._fan_in,
            "feature_names_in": None if names is None else names.tolist(),
        }

    def _know_again(self, known: dict[str, Any]) -> Targets:
        fan_in = count_from_json(known["fan_in"])
        restore_columns(self, fan_in, known["feature_names_in"])
        return targets_of_chain(known["targets"], nn.Chain(self.layers, self.loss), fan_in)

    def _begin(
        self, recipe: NetworkRecipe, chain: nn.Chain, X: Any, call: Call, goes_on: bool
    ) -> Begun:
        own: OwnState = {"seed": recipe.seed}, {}
        fan_in, dtype = int(X.shape[1]), recipe.dtype
        if call.saved is not None:
            return Begun(nn.Parameters.zeros(chain.layout(fan_in), dtype), None, own)
        parameters = self._parameters
        drawn_before = self._targets is None and parameters is not None
        if parameters is None or not (goes_on or drawn_before):
            return Begun(chain.initialize(fan_in, recipe.seed, dtype), None, own)
        before = "the last fit" if goes_on else "initialize"
        advice = "set warm_start=False" if goes_on else f"call initialize({fan_in})"
        if fan_in != self._fan_in:
            raise ValueError(
                f"X has {fan_in} columns, but the network was initialized for {self._fan_in}; "
                f"{advice} to start over"
            )
        if chain.layout(fan_in) != parameters.layout or dtype != parameters.flat.dtype:
            raise ValueError(
                f"layers and dtype must stay as they were in {before}; {advice} to start over"
            )
        return Begun(parameters.copy(), None, own)

    def _weighed(
        self, targets: Targets, y: Any, given: Any, parts: Sequence[NDArray[np.int64] | None]
    ) -> Any:
        """Return the weights of rows times those of their classes, balanced in each part alone."""
        chosen = [part for part in parts if part is not None]
        if self.class_weight is None or not chosen:
            return targets.weigh(self.class_weight, y, given)
        weights = np.zeros(len(y))
        for part in chosen:
            of_part = None if given is None else given[part]
            weights[part] = targets.weigh(self.class_weight, y[part], of_part)
        return weights

    def _given_validation(self, data: FitData, targets: Targets) -> ReadRows | None:
        if data.X_val is None:
            return None
        with renaming(X="X_val", y="y_val"):
            X, y = self._checked(data.X_val, data.y_val, reset=False)
        given = raw_weights(data.sample_weight_val, X, "sample_weight_val")
        weight = targets.weigh(self.class_weight, y, given, "y_val")
        return ReadRows(X, y, weight, X)

    def _start(self, recipe: NetworkRecipe, call: Call, *, validates: bool) -> TrainingState:
        known = vars(self)
        history = History(
            losses=known.get("loss_curve_") or [],
            validation_scores=known.get("validation_scores_") or [],
            validation_losses=known.get("validation_loss_curve_") or [],
        )
        return TrainingState(history=history)

    def _become(self, learned: Learned) -> None:
        super()._become(learned)
        classes = learned.targets.classes
        self.__dict__.pop("classes_", None)
        if classes is not None:
            self.classes_ = classes

    def _remember(self, result: FitResult) -> None:
        super()._remember(result)
        history = result.state.history
        self.loss_curve_ = history.losses
        self.validation_scores_ = history.validation_scores if result.validated else None
        self.validation_loss_curve_ = history.validation_losses if result.validated else None
        self.best_validation_score_ = result.state.best if result.validated else None
        self.statistics_ = list(result.statistics)
        self._recording = result.recording


def _learned_or_known(
    y: Any, classes: Any, chain: nn.Chain, fan_in: int, known: Targets | None
) -> Targets:
    """Return what y means; where training goes on, what it meant before."""
    if known is None:
        return targets_of_loss(y, chain.loss, chain.fan_out(fan_in), classes)
    if classes is not None:
        named = np.unique(np.asarray(classes)).tolist()
        before = None if known.classes is None else known.classes.tolist()
        if named != before:
            raise ValueError(
                f"classes must be those of the earlier fit to go on training, {before}, got "
                f"{named}; leave it out, or set warm_start=False to start over"
            )
    return known


def _in_memory(data: FitData, stream: OpenStream) -> tuple[FitData, OpenStream | None]:
    """Return all rows of a stream where the buffer takes them, else a few of its form."""
    rows = stream.all_rows()
    if rows is None:
        X, y = stream.form()
        return data._replace(X=stream.named(X), y=y), stream
    X, y, sample_weight = rows
    classes = data.classes
    if stream.summary is not None and classes is None:
        classes = stream.summary.labels
    data = data._replace(X=stream.named(X), y=y, sample_weight=sample_weight, classes=classes)
    return data, None
