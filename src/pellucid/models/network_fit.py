"""One fit of a `Network`: what was asked for, checked, and made ready to run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.statistics import StepStatistics
from pellucid.models.inputs import (
    as_engine_takes_it,
    check_in_memory,
    checked_weights,
    is_stream,
    raw_weights,
)
from pellucid.models.network_checkpoint import (
    NetworkCheckpoint,
    fingerprint_of,
    own_state,
    read_checkpoint,
)
from pellucid.models.network_targets import Targets
from pellucid.models.perceptron.labels import balanced_factors, class_factors, is_balanced
from pellucid.models.training_checkpoints import checkpoints
from pellucid.nn import SCHEDULES, Adam, Clipping, Optimizer, Schedule
from pellucid.nn.parameters import Parameters
from pellucid.training import (
    BestWeights,
    BlockEpochs,
    Callbacks,
    EpochLoop,
    EpochReport,
    History,
    NoImprovement,
    Outcome,
    Patience,
    Recording,
    Validation,
    ValidationResult,
    check_callbacks,
    get_schedule,
    go_on_from,
)

if TYPE_CHECKING:
    from pellucid.models.network import Network
    from pellucid.models.streams import OpenStream, StreamRows


@dataclass
class NetworkFit:
    """A fit that is ready to run; the network stays as it is until `finish`.

    The parameters are those of `Network.fit`, which explains them. With `resumes` it goes on from
    the newest checkpoint, for `epochs` more epochs, or all that were left where that is None.
    """

    network: Network
    X: Any
    y: Any
    optimizer: Optimizer | None = None
    epochs: int | None = 20
    batch_size: int = 128
    schedule: Schedule | str | None = None
    weight_decay_schedule: Schedule | str | None = None
    dropout_schedule: Schedule | str | None = None
    clipping: Clipping | None = None
    l2_penalty: float = 0.0
    learning_rate_factors: Mapping[str, float] = field(default_factory=dict)
    sample_weight: Any = None
    class_weight: Any = None
    classes: Any = None
    rows: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    rows_val: Any = None
    patience: int | None = None
    shuffle: bool = True
    seed: int = 0
    n_threads: int | None = None
    warm_start: bool = False
    record: int | None = None
    statistics_every: int | None = None
    callbacks: Any = None
    verbose: bool = False
    checkpoint_path: str | Path | None = None
    checkpoint_every: int = 1
    resumes: bool = False

    def __post_init__(self) -> None:
        for name in ("shuffle", "warm_start", "verbose"):
            if not isinstance(getattr(self, name), bool | np.bool_ | int):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.epochs is not None or not self.resumes:
            _check_positive("epochs", self.epochs)
        _check_positive("batch_size", self.batch_size)
        self.opened = self._take_stream() if is_stream(self.X) else None
        table = checked_table(self.X)
        check_targets("y", self.y, table)
        self._rows_val = _row_numbers("rows_val", self.rows_val, len(self.y))
        saved = read_checkpoint(self, table) if self.resumes else None
        self._set_lengths(saved)
        self.parameters, self.targets = self._start(table.shape[1], saved)
        self._stream = self._rows_of_stream(self.opened) if self.opened else None
        plan, data = self._plan(), self._data(table)
        self.trainer: Any = self.network._engine.trainer(
            self.network.chain, self.parameters, data, plan, saved and saved.run.trainer
        )
        if self._stream is not None:
            self.trainer = BlockEpochs(self.trainer, self._stream.epoch)
        self.statistics: list[StepStatistics] = []
        self.history = self._starting_history(saved)
        self.loop = self._make_loop(table, plan, self._validation(table, data), saved)
        self.recording: Recording | None = None
        if self.record is not None:
            self.recording = Recording(self.trainer, self.record)
            self.loop.before_epoch.append(self.recording.before_epoch)

    def run(self) -> Outcome:
        """Train; see `EpochLoop.run`."""
        return self.loop.run(self.n_epochs)

    def finish(self, outcome: Outcome | None, stacklevel: int = 3) -> None:
        """Hand what was learned to the network, unless nothing was, and warn where need be.

        `outcome` is None after an error. Then the network gets the weights of the last good epoch,
        and if there was none stays as it was.
        """
        if outcome is None and self.loop.n_epochs == 0:
            return
        self.network._take_over(self)
        if outcome is Outcome.INTERRUPTED:
            warnings.warn("Training interrupted by user.", stacklevel=stacklevel)
        elif outcome is Outcome.DIVERGED:
            warnings.warn(
                f"Training diverged in epoch {self.loop.n_epochs}; the weights with the lowest "
                "validation loss are kept. Scale the columns of X and y, or lower the learning "
                "rate.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

    def _take_stream(self) -> OpenStream | None:
        # Whoever trains on no stream does not wait for its modules.
        from pellucid.models.network_stream import take_stream

        return take_stream(self)

    def _rows_of_stream(self, opened: OpenStream) -> StreamRows:
        from pellucid.models.network_stream import rows_of

        return rows_of(self, opened)

    @property
    def whole_history(self) -> dict[str, list[float]]:
        """That of the network so far, where this fit goes on, with what this fit added."""
        before = self.network.history if self.warm_start and not self.resumes else {}
        return {name: before.get(name, []) + values for name, values in self.history.items()}

    def _make_loop(
        self,
        table: Any,
        plan: TrainingPlan,
        validation: Validation | None,
        saved: NetworkCheckpoint | None,
    ) -> EpochLoop:
        next_epoch = 0 if saved is None else saved.run.trainer.epoch
        loop = EpochLoop(
            trainer=self.trainer,
            next_order=map(self.trainer.row_order, count(next_epoch)).__next__,
            schedule=get_schedule("constant", plan.optimizer.learning_rate, 0.0),
            learning_rate=plan.optimizer.learning_rate,
            stopping=self._stopping(validation),
            history=History(),
            validation=validation,
            on_epoch=self._remember,
            callbacks=self._callbacks(),
            checkpoints=checkpoints(
                self.checkpoint_path,
                self.checkpoint_every,
                lambda: fingerprint_of(self, table),
                lambda: own_state(self),
            ),
        )
        if saved is not None:
            go_on_from(loop, saved.run)
        return loop

    def _set_lengths(self, saved: NetworkCheckpoint | None) -> None:
        """Find after how many epochs to stop, and the length that schedules are made for."""
        if saved is None:
            self.n_epochs = self.length = int(self.epochs or 0)
            return
        done, self.length = saved.run.n_epochs, saved.length
        self.n_epochs = self.length if self.epochs is None else done + int(self.epochs)
        if self.n_epochs <= self.length:
            return
        for name in ("schedule", "weight_decay_schedule", "dropout_schedule"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"epochs={self.epochs} more after {done} would be {self.n_epochs}, but {name} "
                    f"was made for a training of {self.length} epochs: pass at most "
                    f"{self.length - done}, or begin with fit(..., epochs={self.n_epochs})"
                )
        self.length = self.n_epochs

    def _start(self, fan_in: int, saved: NetworkCheckpoint | None) -> tuple[Parameters, Targets]:
        network = self.network
        if saved is not None:
            layout = network.chain.layout(fan_in)
            return Parameters(saved.run.parameters.copy(), layout), saved.targets
        return (
            network._starting_parameters(fan_in, self.seed, self.warm_start),
            network._learn_targets(self.y, fan_in, self.classes, self.warm_start),
        )

    def _starting_history(self, saved: NetworkCheckpoint | None) -> dict[str, list[float]]:
        has_validation = self.rows_val is not None or self.X_val is not None
        names = ["loss", *["validation_loss"] * has_validation, "seconds"]
        return {name: [] if saved is None else saved.history.get(name, []) for name in names}

    def _plan(self) -> TrainingPlan:
        return TrainingPlan(
            optimizer=Adam() if self.optimizer is None else self.optimizer,
            batch_size=int(self.batch_size),
            l2_penalty=self.l2_penalty,
            shuffle=self.shuffle,
            seed=self.seed,
            n_threads=self.n_threads,
            n_epochs=self.length,
            epoch_rows=self._stream.n_rows if self._stream else None,
            schedule=_schedule(self.schedule),
            weight_decay_schedule=_schedule(self.weight_decay_schedule),
            dropout_schedule=_schedule(self.dropout_schedule),
            clipping=self.clipping,
            learning_rate_factors=self.learning_rate_factors,
            dtype=self.network.precision,
            statistics_every=self.statistics_every,
        )

    def _data(self, table: Any) -> TrainingData:
        if self._stream is not None:
            return self._stream.start()
        rows = self._training_rows()
        targets = self.targets.encode(self.y, self.network.dtype)
        weights = checked_weights(self._raw_weights(rows), table, rows)
        return TrainingData(table, targets, weights.values, weights.scale, rows)

    def _training_rows(self) -> NDArray[np.int64] | None:
        """Return `rows`, or all but `rows_val`; None for every row."""
        n = len(self.y)
        rows, held_out = _row_numbers("rows", self.rows, n), self._rows_val
        if held_out is None:
            return rows
        if rows is None:
            rows = np.setdiff1d(np.arange(n), held_out)
            if len(rows) == 0:
                raise ValueError("rows_val holds out every row; leave some to train on")
        elif len(both := np.intersect1d(rows, held_out)):
            raise ValueError(
                f"rows and rows_val must not share any row, got {both[:5].tolist()} in both"
            )
        return rows

    def _raw_weights(self, rows: NDArray[np.int64] | None) -> Any:
        """Return each row's weight times that of its class; None where all are 1."""
        if self.class_weight is None:
            return self.sample_weight
        if self.targets.kind not in ("label", "two labels"):
            raise ValueError(
                f"class_weight needs a y of labels, one a row, got shape {np.shape(self.y)} with "
                "another loss; use sample_weight"
            )
        labels, classes = np.asarray(self.y).ravel(), self.targets.classes
        assert classes is not None
        given, codes = raw_weights(self.sample_weight, self.y), np.searchsorted(classes, labels)
        if is_balanced(self.class_weight):
            chosen = slice(None) if rows is None else rows
            weights = None if given is None else given[chosen]
            factors = balanced_factors(np.bincount(codes[chosen], weights, len(classes)))
        else:
            factors = class_factors(self.class_weight, classes)
        return factors[codes] if given is None else factors[codes] * given

    def _validation(self, table: Any, data: TrainingData) -> Validation | None:
        if self.rows_val is None and self.X_val is None:
            if self.y_val is not None or self.sample_weight_val is not None:
                raise ValueError("y_val and sample_weight_val need X_val, which is None")
            return None
        if self.rows_val is not None:
            if self.X_val is not None or self.y_val is not None:
                raise ValueError("give either rows_val or X_val with y_val, not both")
            rows = self._rows_val
            targets = data.targets[rows]
        else:
            if self.y_val is None:
                raise ValueError("X_val needs y_val, which is None")
            table, rows = checked_table(self.X_val, table.shape[1], "X_val"), None
            check_targets("y_val", self.y_val, table)
            targets = self.targets.encode(self.y_val, self.network.dtype, "y_val")
        weights = checked_weights(self.sample_weight_val, targets, None).values
        chain, predictor = self.network.chain, self.network._engine.predictor

        def measure() -> ValidationResult:
            fan_in, n_threads = table.shape[1], self.trainer.n_threads
            scores = predictor(chain, self.parameters, fan_in, n_threads)(table, rows)
            with np.errstate(over="ignore", invalid="ignore"):
                loss = float(chain.loss_value(scores, targets, weights))
            return ValidationResult(-loss, loss)

        return Validation(measure, BestWeights(self.parameters.flat))

    def _stopping(self, validation: Validation | None) -> NoImprovement:
        if self.patience is None:
            return Patience(tol=0.0, patience=np.inf, sign=-1 if validation is None else 1)
        _check_positive("patience", self.patience)
        if validation is None:
            raise ValueError(
                "patience counts epochs without a lower validation loss and needs rows to validate "
                "on: pass X_val and y_val, or rows_val"
            )
        # The rule stops when the count exceeds its patience.
        return Patience(tol=0.0, patience=self.patience - 1, sign=1)

    def _callbacks(self) -> Callbacks | None:
        callbacks = check_callbacks(self.callbacks)
        return Callbacks(callbacks, self.network.chain, self.parameters) if callbacks else None

    def _remember(self, report: EpochReport) -> None:
        self.statistics.extend(report.statistics)
        self.history["loss"].append(report.loss)
        self.history["seconds"].append(report.seconds)
        line = f"epoch {report.epoch}/{self.n_epochs}  loss {report.loss:.4g}"
        if report.validation_loss is not None:
            self.history["validation_loss"].append(report.validation_loss)
            line += f"  validation loss {report.validation_loss:.4g}"
        if self.verbose:
            print(f"{line}  {report.seconds:.2f} s", flush=True)


def checked_table(X: Any, n_columns: int | None = None, name: str = "X") -> Any:
    """Return X as the engine reads it, in place: an array or CSR matrix of numbers.

    Raises
    ------
    ValueError
        NaN, infinity, text, no rows, or another number of columns than `n_columns`.
    """
    check_in_memory(X)
    half = getattr(X, "dtype", None) == np.float16
    table = check_array(
        X, accept_sparse="csr", dtype="numeric", ensure_all_finite=not half, input_name=name
    )
    table = as_engine_takes_it(table, "Network")
    if n_columns is not None and table.shape[1] != n_columns:
        raise ValueError(
            f"{name} has {table.shape[1]} columns, but the network takes {n_columns}, as those it "
            "was initialized for or fitted on"
        )
    return table


def check_targets(name: str, y: Any, table: Any) -> None:
    """Raise ValueError or TypeError where y is not one target, or more, for each row."""
    if y is None:
        raise ValueError(
            f"{name} is None, but a network learns from targets: pass one for each row of X. Only "
            "a ParquetStream needs none, which names its column"
        )
    if not hasattr(y, "__len__") or isinstance(y, str | bytes | Mapping):
        raise TypeError(f"{name} must hold a target for each row, got {y!r:.80}")
    if len(y) != table.shape[0]:
        raise ValueError(
            f"{name} has {len(y)} rows and X {table.shape[0]}: inconsistent numbers of samples"
        )


def _schedule(schedule: Schedule | str | None) -> Schedule | None:
    if not isinstance(schedule, str):
        return schedule
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}; got {schedule!r}")
    return SCHEDULES[schedule]


def _row_numbers(name: str, rows: Any, n: int) -> NDArray[np.int64] | None:
    """Return row numbers, from numbers or a mask (n,) of booleans."""
    if rows is None:
        return None
    array = np.asarray(rows)
    if array.dtype == np.bool_ and array.shape == (n,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) == 0:
        raise ValueError(
            f"{name} must be a vector of row numbers, at least one, or a mask of {n} booleans; got "
            f"shape {array.shape} and dtype {array.dtype}"
        )
    if not 0 <= array.min() <= array.max() < n:
        raise ValueError(f"{name} must be from 0 to {n - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int64, copy=False)


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
