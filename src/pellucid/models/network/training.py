"""How a `Network` is trained: from what the user gives to a `TrainingJob`."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pellucid import nn
from pellucid.engine.contract import ValidationRows
from pellucid.engine.plan import TrainingData
from pellucid.models.estimator import FIT, Call, Estimator
from pellucid.models.fit_data import FitData, training_rows
from pellucid.models.fit_tasks import FitTasks
from pellucid.models.inputs import (
    checked_table_and_targets,
    is_stream,
    normalized_weights,
    raw_weights,
    renaming,
)
from pellucid.models.network.recipe import NetworkRecipe
from pellucid.models.prepared_fit import Learned, PreparedFit, undo_of
from pellucid.models.scoring import Score, scorer_on, validation_of
from pellucid.models.streams import OpenStream, StreamRows, class_factors_of, open_stream
from pellucid.models.targets import Targets, targets_of_loss
from pellucid.persistence.training_checkpoints import checkpoints_in
from pellucid.training import (
    CounterOrder,
    FitResult,
    FixedOrder,
    History,
    Recording,
    RowOrder,
    RowSource,
    TableRows,
    TrainingJob,
    TrainingState,
    Validation,
)
from pellucid.training.fingerprint import Fingerprint, contents, described

CROSS_ENTROPIES = ("softmax_cross_entropy", "logistic_cross_entropy")


class NetworkTraining(Estimator):
    """Trains a chain that the user has described layer by layer."""

    class_weight: Any
    scoring: Any
    warm_start: bool
    record: int | None
    verbose: Any
    checkpoint_every: Any

    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None

    _recording: Recording | None = None

    @abstractmethod
    def _recipe(self) -> NetworkRecipe:
        """Return the checked constructor parameters."""

    def _prepare(
        self, data: FitData, call: Call = FIT, tasks: FitTasks | None = None
    ) -> PreparedFit:
        undo = undo_of(self)
        try:
            return self._prepared(data, call, tasks)
        except BaseException:
            undo()
            raise

    def _prepared(self, data: FitData, call: Call, tasks: FitTasks | None) -> PreparedFit:
        undo, recipe = undo_of(self), self._recipe()
        data.check()
        goes_on = self.warm_start and self._targets is not None and call.saved is None
        stream = self._open(data, recipe.chain) if is_stream(data.X) else None
        if stream is not None:
            data, stream = _in_memory(data, stream)
        X, y = self._checked(data.X, data.y, reset=not goes_on)
        targets = self._learn(y, data.classes, recipe.chain, X.shape[1], goes_on)
        parameters = self._begin(recipe, X.shape[1], call, goes_on)
        learned = Learned(recipe.chain, parameters, X.shape[1], targets)
        rows = self._rows(recipe, targets, data, X, y, stream)
        length = int(self.max_iter if call.max_iter is None else call.max_iter)
        solver = recipe.mini_batches(
            None if stream is None else stream.n_rows, length, self._scheduled_epochs(length)
        )
        start = TrainingState(history=self._history() if goes_on else History())

        def fingerprint() -> Fingerprint:
            return self._fingerprint(recipe, targets, rows)

        if call.saved is not None:
            call.saved.check_is_of(fingerprint())
            start = call.saved.state
        if tasks is not None:
            tasks.follow(start.history, partial(self._snapshot, learned))
        job = TrainingJob(
            chain=recipe.chain,
            parameters=parameters,
            source=rows.source,
            solver=solver,
            validation=self._validation(learned, rows),
            start=start,
            callbacks=self._callbacks(tasks),
            checkpoints=checkpoints_in(
                self.checkpoint_path, self.checkpoint_every, fingerprint, ({}, {})
            ),
            record=self.record,
            verbose=bool(self.verbose),
        )
        engine = self._engine_of(recipe.chain)
        return PreparedFit(job, engine, learned, self._take_over, undo, call.saved)

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

    def _learn(self, y: Any, classes: Any, chain: nn.Chain, fan_in: int, goes_on: bool) -> Targets:
        """Return what y means; where training goes on, what it meant before."""
        known = self._targets
        if not goes_on or known is None:
            return targets_of_loss(y, chain.loss, chain.fan_out(fan_in), classes)
        if classes is not None:
            named = np.unique(np.asarray(classes)).tolist()
            before = None if known.classes is None else known.classes.tolist()
            if named != before:
                raise ValueError(
                    f"classes must be those of the earlier fit to go on training, {before}, got "
                    f"{named}; leave it out, or fit without warm_start to start over"
                )
        return known

    def _begin(
        self, recipe: NetworkRecipe, fan_in: int, call: Call, goes_on: bool
    ) -> nn.Parameters:
        """Return what training starts from, a copy of its own."""
        chain, dtype = recipe.chain, recipe.dtype
        if call.saved is not None:
            return nn.Parameters.zeros(chain.layout(fan_in), dtype)
        drawn_before = self._targets is None and self._parameters is not None
        if not (goes_on or drawn_before):
            return chain.initialize(fan_in, recipe.seed, dtype)
        parameters = self._parameters
        assert parameters is not None
        if fan_in != self._fan_in:
            raise ValueError(
                f"X has {fan_in} columns, but the network was "
                f"{'fitted on' if goes_on else 'initialized for'} {self._fan_in}; "
                f"{'leave out warm_start' if goes_on else 'initialize it'} to start over"
            )
        if chain.layout(fan_in) != parameters.layout or dtype != parameters.flat.dtype:
            raise ValueError(
                "layers and dtype must stay as they were to go on training; set warm_start=False "
                "to start over"
            )
        return parameters.copy()

    def _rows(
        self,
        recipe: NetworkRecipe,
        targets: Targets,
        data: FitData,
        X: Any,
        y: Any,
        stream: OpenStream | None,
    ) -> _Rows:
        """Return the rows to train on and those to validate on."""
        validation = self._given_validation(data, targets, recipe)
        if stream is not None:
            source: RowSource = StreamRows(
                stream,
                lambda some: targets.encode(some, recipe.dtype, "the target"),
                batch_size=recipe.batch_size,
                shuffle=recipe.shuffle,
                seed=recipe.seed,
                class_factors=class_factors_of(stream, self.class_weight),
            )
            return _Rows(source, *validation)
        rows, held_out = training_rows(data, X.shape[0])
        encoded = targets.encode(y, recipe.dtype)
        chosen = slice(None) if rows is None else rows
        given = raw_weights(data.sample_weight, X)
        weight = self._weighed(targets, y, given, chosen)
        if held_out is not None:
            part = None if weight is None else weight[held_out]
            measured = ValidationRows(X, encoded[held_out], part, held_out)
            validation = measured, X[held_out], y[held_out]
        weights = normalized_weights(weight, rows)
        table = TrainingData(X, encoded, weights.values, weights.scale, rows)
        order: RowOrder = CounterOrder(table, recipe.seed)
        if not recipe.shuffle:
            order = FixedOrder(table.in_order(np.arange(table.n_examples, dtype=np.int64)))
        return _Rows(TableRows(table, order), *validation)

    def _weighed(self, targets: Targets, y: Any, given: Any, chosen: Any) -> Any:
        """Return the weights of rows times those of their classes, balanced over the chosen."""
        if self.class_weight is None:
            return given
        if not isinstance(self.class_weight, str):
            return targets.weigh(self.class_weight, y, given)
        counted = np.ones(len(y)) if given is None else given
        ones = np.zeros(len(y))
        ones[chosen] = counted[chosen]
        factors = targets.factors(self.class_weight, y, ones)
        return factors if given is None else factors * given

    def _given_validation(
        self, data: FitData, targets: Targets, recipe: NetworkRecipe
    ) -> tuple[ValidationRows | None, Any, Any]:
        if data.X_val is None:
            return None, None, None
        with renaming(X="X_val", y="y_val"):
            X, y = self._checked(data.X_val, data.y_val, reset=False)
        encoded = targets.encode(y, recipe.dtype, "y_val")
        given = raw_weights(data.sample_weight_val, X, "sample_weight_val")
        weight = targets.weigh(self.class_weight, y, given)
        return ValidationRows(X, encoded, weight), X, y

    def _validation(self, learned: Learned, rows: _Rows) -> Validation | None:
        measured = rows.validation
        if measured is None:
            if self.scoring is not None:
                raise ValueError(
                    f"scoring={self.scoring!r} needs rows to score: pass X_val and y_val, or "
                    "rows_val, to fit"
                )
            return None
        scoring = "loss" if self.scoring is None else self.scoring

        def scorer() -> Score:
            model = self._in_training(learned)
            model.__dict__.pop("feature_names_in_", None)  # The table has none any more.
            return scorer_on(model, scoring, rows.X_val, rows.y_val, measured.sample_weight)

        return validation_of(
            measured,
            learned.targets,
            learned.chain,
            scoring,
            scorer,
            is_held_out=measured.rows is not None,
            compares=False,
        )

    def _scheduled_epochs(self, length: int) -> int:
        """Return the epochs that schedules are made for."""
        return int(self.max_iter) if self._has_schedule() else length

    def _fingerprint(self, recipe: NetworkRecipe, targets: Targets, rows: _Rows) -> Fingerprint:
        """Describe all that decides what a fit computes."""
        free = frozenset({"max_iter"}) if not self._has_schedule() else frozenset()
        known = {**self._settings(free), **rows.source.fingerprint()}
        if not isinstance(self.random_state, np.random.RandomState | None):
            known["random_state"] = str(recipe.seed)
        known["target"] = described(targets)
        measured = rows.validation
        known["X_val"] = contents(None if measured is None else rows.X_val)
        known["y_val"] = contents(None if measured is None else measured.targets)
        known["sample_weight_val"] = contents(None if measured is None else measured.sample_weight)
        return known

    def _history(self) -> History:
        known = vars(self)
        return History(
            losses=known.get("loss_curve_") or [],
            validation_scores=known.get("validation_scores_") or [],
            validation_losses=known.get("validation_loss_curve_") or [],
        )

    def _become(self, learned: Learned) -> None:
        super()._become(learned)
        classes = learned.targets.classes
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


@dataclass(frozen=True)
class _Rows:
    """The rows of one training.

    Parameters
    ----------
    source : RowSource
    validation : ValidationRows or None
    X_val, y_val
        The rows to validate on, as `fit` takes them.
    """

    source: RowSource
    validation: ValidationRows | None
    X_val: Any
    y_val: Any


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
