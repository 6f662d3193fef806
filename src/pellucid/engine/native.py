"""The native engine: the C++ core, the one people train with.

It computes what `reference` computes, step for step, and takes the same arguments.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from pellucid.engine.blocks import run_blocks
from pellucid.engine.contract import Measurement, ValidationRows, measured
from pellucid.engine.diagnosis import explain_non_finite, explain_weights
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.instruction_set import INSTRUCTION_SET, core
from pellucid.engine.native_arrays import native_numbers, native_table
from pellucid.engine.native_predictor import NativePredictor
from pellucid.engine.native_program import core_class, make_program, slots_of
from pellucid.engine.outside_loss import outside_loss
from pellucid.engine.plan import EpochResult, TrainerState, TrainingData, TrainingPlan
from pellucid.engine.statistics import StepStatistics, activation_places, linear_places
from pellucid.engine.threads import resolve_n_threads
from pellucid.nn.chain import Chain
from pellucid.nn.clipping import ClipByGlobalNorm, ClipByNorm, ClipByValue
from pellucid.nn.optimizers import SGD, Adam, AdamW, AdaptiveOptimizer, Optimizer, OptimizerState
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints
from pellucid.nn.schedules import Schedule

_OBJECTIVE_ROWS = 1024
_OBJECTIVE_BYTES = 32 * 2**20
"""At most so many rows, and so many bytes of the widest layer's numbers, are computed at a time for
a full gradient, which bounds the memory whatever the table."""


def instruction_set() -> str:
    """Return the instruction set in use: "avx512bf16", "avx512", "avx2" or "baseline".

    The best one that the processor has, or what the environment variable `PELLUCID_ISA` names. Only
    "avx512bf16" trains with dtype="bfloat16".

    Examples
    --------
    >>> from pellucid.engine.native import instruction_set
    >>> instruction_set() in ("avx512bf16", "avx512", "avx2", "baseline")
    True
    """
    return INSTRUCTION_SET


class NativeTrainer:
    """Trains a network in C++, with the interface of `ReferenceTrainer`.

    The result is bitwise the same for any number of threads (same machine type, same build, same
    instruction set).

    Parameters
    ----------
    chain : Chain
    parameters : Parameters
        Updated in place at the end of each epoch; float32 or float64, which is the precision of the
        arithmetic but for what the plan's `dtype` says.
    data : TrainingData
    plan : TrainingPlan
    state : TrainerState, optional
        The `state` of an earlier trainer, to go on from there.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.native import NativeTrainer
    >>> from pellucid.engine.plan import TrainingData, TrainingPlan
    >>> from pellucid.nn import SGD, Linear, Chain
    >>> chain = Chain([Linear(1, weights="zeros")], "squared_error")
    >>> params = chain.initialize(fan_in=2, seed=0)
    >>> data = TrainingData(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    >>> trainer = NativeTrainer(chain, params, data, TrainingPlan(SGD(0.01), batch_size=1))
    >>> trainer.run_epoch().loss
    100.0
    >>> params["0.W"].ravel().tolist(), params["0.b"].tolist()
    ([0.4, 0.6], [0.2])
    """

    def __init__(
        self,
        chain: Chain,
        parameters: Parameters,
        data: TrainingData,
        plan: TrainingPlan,
        state: TrainerState | None = None,
    ) -> None:
        self.chain = chain
        self.parameters = parameters
        self._data = data
        self.plan = plan
        plan.check_precision(parameters.flat.dtype)
        self._program = make_program(
            chain,
            parameters,
            data.X.shape[1],
            plan.learning_rate_factors,
            bfloat16=plan.dtype == "bfloat16",
        )
        self._table = native_table(data.X)
        self._targets = _targets(data.targets)
        self._sample_weight = _sample_weight(data)
        self._batch_size = max(1, min(plan.batch_size, data.n_examples))
        self._n_threads = plan.n_threads
        self._predictor: NativePredictor | None = None
        self._core = self._make_core()
        self._loss = self._outside_loss()
        self._step = 0
        self._epoch = 0
        self._failed = False
        if state is None:
            state = TrainerState(plan.optimizer.init(parameters.flat))
        self._load_moments(state.optimizer)
        self._step, self._epoch = state.step, state.epoch

    @property
    def data(self) -> TrainingData:
        """The rows to learn from; others of the same form may take their place between epochs."""
        return self._data

    @data.setter
    def data(self, data: TrainingData) -> None:
        self._data.check_next(data)
        self._data = data
        self._table = native_table(data.X)
        self._targets = _targets(data.targets)
        self._sample_weight = _sample_weight(data)
        self._loss = self._outside_loss()

    def _make_core(self) -> Any:
        """Return a compiled trainer with room for batches of the present size."""
        threads = resolve_n_threads(self._n_threads)
        # A number that was asked for is kept; the default is the most that may be of use.
        adapts = self._n_threads is None
        make = core_class("Trainer", self.parameters)
        self._core_plan = _core_plan(self.plan, self._batch_size, self.data.weight_scale)
        sparse = _takes_sparse(self._program, self.data.X)
        return make(self._program, self._batch_size, threads, adapts, sparse)

    def _make_room_for(self, n_rows: int) -> None:
        """Let a step take more rows than the table has, where the order repeats some."""
        needed = min(self.plan.batch_size, n_rows)
        if needed > self._batch_size:
            self._batch_size = needed
            self._replace_core()

    def _replace_core(self) -> None:
        moments = self.optimizer_state
        self._core = self._make_core()
        self._loss = self._outside_loss()
        self._load_moments(moments)

    def _load_moments(self, state: OptimizerState) -> None:
        """Hand over the moments that the rule keeps."""
        keeps_first = _optimizer_constants(self.plan.optimizer)["rule"] != "sgd"
        self._core.load_moments(state.first[: None if keeps_first else 0], state.second)

    def _outside_loss(self) -> Any:
        """Return what the engine needs to call a loss of the user's; None for one of its own."""
        dtype = self.parameters.flat.dtype
        return outside_loss(self.chain, self.data, self._batch_size, dtype)

    @property
    def n_threads(self) -> int | None:
        """Threads of the next epoch, as in the plan; the results do not depend on it."""
        return self._n_threads

    @n_threads.setter
    def n_threads(self, n_threads: int | None) -> None:
        if n_threads != self._n_threads:
            self._n_threads = n_threads
            self._predictor = None
            self._replace_core()

    def pull(self) -> Parameters:
        """Return the parameters, which `run_epochs` and `run_blocks` have brought up to date."""
        return self.parameters

    def measure(self, rows: ValidationRows) -> Measurement:
        """Return loss and scores of rows at the parameters reached.

        Parameters
        ----------
        rows : ValidationRows

        Returns
        -------
        Measurement
            The loss is NaN where a score is not finite.
        """
        if self._predictor is None:
            fan_in = rows.X.shape[1]
            self._predictor = NativePredictor(self.chain, self.parameters, fan_in, self._n_threads)
        return measured(self.chain, self._predictor(rows.X, rows.rows), rows)

    def stop(self) -> None:
        """Make the epoch that another thread runs end after its step, with `KeyboardInterrupt`.

        Between two epochs it does that to the next one, after its first few steps.
        """
        self._core.request_stop()

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self._step

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = epoch

    @property
    def optimizer_state(self) -> OptimizerState:
        """A copy of the flat arrays of the optimizer."""
        state = self.plan.optimizer.init(self.parameters.flat)
        first, second = np.ascontiguousarray(state.first), np.ascontiguousarray(state.second)
        self._core.store_moments(first, second)
        return OptimizerState(first, second)

    @property
    def state(self) -> TrainerState:
        """What another trainer needs to go on from here, beside the parameters."""
        return TrainerState(self.optimizer_state, self._step, self._epoch)

    def run_epoch(
        self, order: Ints | None = None, learning_rate: float | None = None
    ) -> EpochResult:
        """Take one step for each consecutive slice of `order`.

        Parameters
        ----------
        order : array of int64, optional
            Row indices. By default every row once: in the plan's order for this epoch if it
            shuffles, else in the order of the table.
        learning_rate : float, optional
            In place of the optimizer's, for this epoch.

        Raises
        ------
        NonFiniteError
            If a loss or a weight becomes NaN or infinite. The parameters stay as they were at the
            end of the previous epoch, and the trainer cannot go on.
        ValueError
            If X holds a value that is no id where an `Embedding` takes one. It leaves everything
            as the error before does.
        KeyboardInterrupt
            Or what another signal handler raises. The steps done so far are kept.
        """
        order = self.row_order() if order is None else np.ascontiguousarray(order, np.int64)
        results, error = self._run(order, 1, learning_rate)
        if error is not None:
            raise error
        return results[0]

    def run_epochs(
        self, orders: np.ndarray[Any, np.dtype[np.int64]], learning_rate: float | None = None
    ) -> Iterator[EpochResult]:
        """Run an epoch for each row of `orders` (k, n), and yield their results.

        The same as `run_epoch` for one row after the other, but for the time between epochs, which
        counts where they last microseconds: signals are looked at, and parameters are written
        back, after the last one.
        """
        if len(orders) == 0:
            return
        step, epoch = self._step, self._epoch
        moments = self.optimizer_state if len(orders) > 1 else None
        results, error = self._run(orders.ravel(), len(orders), learning_rate)
        if isinstance(error, NonFiniteError) and moments is not None:
            # Which epoch it was, and the weights before it, show when they run one by one.
            self._load_moments(moments)
            self._step, self._epoch, self._failed = step, epoch, False
            for order in orders:
                yield self.run_epoch(order, learning_rate)
            return
        yield from results
        if error is not None:
            raise error

    def run_blocks(
        self, blocks: Iterable[tuple[TrainingData, Ints]], learning_rate: float | None = None
    ) -> EpochResult:
        """Take one epoch whose rows come in blocks; see `engine.blocks.run_blocks`."""
        return run_blocks(self, blocks, learning_rate)

    def _run(
        self, order: Ints, n_epochs: int, learning_rate: float | None
    ) -> tuple[list[EpochResult], BaseException | None]:
        """Return the results of the epochs that were finished, and what ended the others."""
        if self._failed:
            raise RuntimeError(
                "this trainer stopped at values it could not go on from; make a new one to go on"
            )
        start = time.perf_counter()
        epoch_rows = len(order) // n_epochs
        self._make_room_for(epoch_rows)
        self._core.load_parameters(self.parameters.flat)
        try:
            objectives, n_steps, non_finite, error, statistics = self._core.run(
                self._table,
                self._targets,
                self._sample_weight,
                order,
                n_epochs,
                self._core_plan,
                *self._step_numbers(epoch_rows, n_epochs, learning_rate),
                self._step,
                self._epoch,
                self._loss,
            )
        except (MemoryError, ValueError):
            self._failed = True  # Some steps may have been taken.
            raise
        before, epoch_steps = self._step, -(-epoch_rows // self._batch_size)
        self._step += n_steps
        n_done = n_steps // epoch_steps if epoch_steps > 0 else n_epochs
        if non_finite or not self._core.store_if_finite(self.parameters.flat):
            self._failed = True
            first = n_done * epoch_rows + n_steps % epoch_steps * self._batch_size
            reason = self._explanation(order[first:][:epoch_rows] if non_finite else None)
            reason.__cause__ = error
            return [], reason
        seconds = (time.perf_counter() - start) / n_epochs
        results = []
        for e in range(n_done):
            steps = range(before + e * epoch_steps + 1, before + (e + 1) * epoch_steps + 1)
            measured = tuple(self._named(raw) for raw in statistics if raw[0] in steps)
            mean = objectives[e] / max(epoch_rows, 1)
            results.append(
                EpochResult(self._epoch + e, mean, epoch_rows, epoch_steps, seconds, measured)
            )
        self._epoch += n_done
        return results, error

    def _named(self, raw: tuple[int, bytes, bytes, bytes]) -> StepStatistics:
        """Return what the engine measured, under the names of parameters and layers."""
        step, norms, dead, counts = raw
        names = self._measured
        of_blocks = np.frombuffer(norms, dtype=np.float64).reshape(-1, 3).T.tolist()
        gradients, updates, weights = (
            {name: values[block] for block, name in names.blocks} for values in of_blocks
        )
        units = np.frombuffer(dead, dtype=np.int64)
        z_counts = np.frombuffer(counts, dtype=np.int64).reshape(len(units), -1)
        return StepStatistics(
            step,
            gradients,
            updates,
            weights,
            {place: int(units[slot]) for place, slot in names.activations},
            {place: z_counts[slot] for place, slot in names.linear},
        )

    @cached_property
    def _measured(self) -> _Measured:
        """Where what is measured belongs."""
        slots = slots_of(self.chain, self.parameters, self.data.X.shape[1])
        entries = {e.offset: e for e in self.parameters.layout.entries}
        blocks = [entries[offset] for offset in self._core.block_offsets()]
        return _Measured(
            [(i, entry.name) for i, entry in enumerate(blocks) if entry.role != "statistic"],
            [(i, slots[i + 1]) for i in activation_places(self.chain)],
            [(i, slots[i + 1]) for i in linear_places(self.chain)],
        )

    def _step_numbers(
        self, n_rows: int, n_epochs: int, learning_rate: float | None
    ) -> tuple[np.ndarray[Any, Any], ...]:
        """Return each step's learning rate, weight decay and dropout factor."""
        plan, optimizer = self.plan, self.plan.optimizer
        rate = optimizer.learning_rate if learning_rate is None else learning_rate
        decay = optimizer.weight_decay if isinstance(optimizer, AdamW) else 0.0
        n_steps = n_epochs * -(-n_rows // self._batch_size)
        return (
            rate * self._scheduled(plan.schedule, n_steps),
            decay * self._scheduled(plan.weight_decay_schedule, n_steps),
            self._scheduled(plan.dropout_schedule, n_steps),
        )

    def _scheduled(self, schedule: Schedule | None, n_steps: int) -> np.ndarray[Any, Any]:
        """Return the schedule's factors of the next `n_steps` steps; ones without a schedule."""
        whole = self.plan.n_steps(self.data.n_examples)
        if schedule is None or whole is None:
            return np.ones(n_steps)
        steps = range(self._step + 1, self._step + 1 + n_steps)
        return np.array([schedule.factor(step, whole) for step in steps], dtype=np.float64)

    def row_order(self, epoch: int | None = None) -> Ints:
        """Return the rows of X in the plan's order for an epoch, by default the next."""
        order = np.arange(self.data.n_examples, dtype=np.int64)
        if self.plan.shuffle:
            core.permute(self.plan.seed, self._epoch if epoch is None else epoch, order)
        return self.data.in_order(order)

    def _explanation(self, left: Ints | None) -> NonFiniteError:
        """Return the error for a step whose rows are the next of `left`, or for the last update."""
        reached = self.parameters.copy()
        self._core.store_parameters(reached.flat)
        if left is None:
            return explain_weights(reached, self._epoch, self._step)
        rows = left[: self._batch_size]
        context = self.plan.context_at(self._epoch, self._step + 1, self.data.n_examples)
        return explain_non_finite(self.chain, reached, self.data, rows, context)


class _Measured(NamedTuple):
    """Blocks with the names of their parameters; places of layers with their slots."""

    blocks: list[tuple[int, str]]
    activations: list[tuple[int, int]]
    linear: list[tuple[int, int]]


def predict_scores(
    chain: Chain,
    parameters: Parameters,
    X: Any,
    n_threads: int | None = None,
    rows: Ints | None = None,
) -> np.ndarray[Any, Any]:
    """Return the scores (n, K) of the rows of X, before the link, where they are needed once.

    With `rows` (n,) only of those, in that order. `NativePredictor` is for many calls.
    """
    return NativePredictor(chain, parameters, X.shape[1], n_threads)(X, rows)


def loss_and_gradient(
    chain: Chain,
    parameters: Parameters,
    data: TrainingData,
    l2_penalty: float = 0.0,
    n_threads: int | None = None,
) -> tuple[float, Parameters]:
    """Return the objective over all n rows, and its gradient, in chunks of rows.

    (1/n) Σ_i w_i l_i + l2_penalty/(2·n·weight_scale)·Σ‖W‖², the batch of a step that has every row.
    """
    return NativeObjective(chain, parameters, data, l2_penalty, n_threads)(parameters.flat)


class NativeObjective:
    """The full-batch objective as a function of flat parameters, with its buffers kept."""

    def __init__(
        self,
        chain: Chain,
        parameters: Parameters,
        data: TrainingData,
        l2_penalty: float = 0.0,
        n_threads: int | None = None,
    ) -> None:
        data = data.gathered()
        program = make_program(chain, parameters, data.X.shape[1])
        sparse = _takes_sparse(program, data.X)
        widths = chain.widths(data.X.shape[1])
        widest = max(widths[1:] if sparse else widths)
        most = _OBJECTIVE_BYTES // (widest * parameters.flat.itemsize)
        rows = max(1, min(data.n_examples, _OBJECTIVE_ROWS, max(16, most)))
        threads = resolve_n_threads(n_threads)
        make = core_class("Trainer", parameters)
        self._core = make(program, rows, threads, adapts=False, sparse=sparse)
        self._loss = outside_loss(chain, data, rows, parameters.flat.dtype)
        self._layout = parameters.layout
        self._examples = (native_table(data.X), _targets(data.targets), _sample_weight(data))
        self._scale = l2_penalty / (max(data.n_examples, 1) * data.weight_scale)

    def __call__(self, flat: np.ndarray[Any, Any]) -> tuple[float, Parameters]:
        """Return the objective at `flat` and its gradient."""
        gradient = Parameters.zeros(self._layout, flat.dtype)
        self._core.load_parameters(flat)
        loss = self._core.gradient(*self._examples, gradient.flat, self._loss)
        if self._scale > 0.0:
            for entry in self._layout.entries:
                if entry.role == "weight":
                    weights = flat[entry.span]
                    loss += 0.5 * self._scale * float(weights @ weights)
                    gradient.flat[entry.span] += self._scale * weights
        return loss, gradient


def _core_plan(plan: TrainingPlan, batch_size: int, weight_scale: float) -> Any:
    """Return the plan as the engine reads it."""
    clip, limit = "none", 0.0
    if plan.clipping is not None:
        if not isinstance(plan.clipping, ClipByValue | ClipByNorm | ClipByGlobalNorm):
            raise TypeError(
                f"the native engine does not know {type(plan.clipping).__name__}; "
                'train with ReferenceTrainer, engine="reference"'
            )
        clip, limit = _CLIPPINGS[type(plan.clipping)], plan.clipping.limit
    return core.Plan(
        batch_size=batch_size,
        l2_penalty=plan.l2_penalty / weight_scale,
        seed=plan.seed,
        statistics_every=plan.statistics_every or 0,
        clip=clip,
        clip_limit=limit,
        **_optimizer_constants(plan.optimizer),
    )


_CLIPPINGS = {ClipByValue: "value", ClipByNorm: "norm", ClipByGlobalNorm: "global_norm"}


def _optimizer_constants(optimizer: Optimizer) -> dict[str, Any]:
    """Return what stays the same in all steps; bias correction is left to the engine."""
    if isinstance(optimizer, SGD):
        rule = "sgd" if optimizer.momentum == 0.0 else "momentum"
        rule = "nesterov" if rule == "momentum" and optimizer.nesterov else rule
        return {"rule": rule, "first_decay": optimizer.momentum}
    if not isinstance(optimizer, AdaptiveOptimizer):
        raise TypeError(
            f"the native engine does not know {type(optimizer).__name__}; train with "
            'ReferenceTrainer, engine="reference"'
        )
    c = optimizer.coefficients(1)
    corrects = isinstance(optimizer, AdamW) or (
        isinstance(optimizer, Adam) and optimizer.form != "accumulator"
    )
    plain = isinstance(optimizer, AdamW) or (
        isinstance(optimizer, Adam) and optimizer.form == "standard"
    )
    epsilon = optimizer.epsilon if isinstance(optimizer, Adam | AdamW) else c.eps_in + c.eps_out
    return {
        "rule": "adaptive",
        "first_decay": c.b1,
        "first_gain": c.c1,
        "second_decay": c.b2,
        "second_gain": c.c2,
        "epsilon": epsilon,
        "bias_correction": corrects,
        "epsilon_corrected": plain,
        "epsilon_inside": c.eps_in > 0.0,
    }


def _takes_sparse(program: Any, X: Any) -> bool:
    """Return whether the engine trains on the entries of X alone, else on dense batches of it."""
    is_sparse: bool = scipy.sparse.issparse(X)
    return is_sparse and bool(program.takes_sparse(X.nnz, X.shape[0]))


def _sample_weight(data: TrainingData) -> np.ndarray[Any, Any] | None:
    if data.sample_weight is None:
        return None
    return np.ascontiguousarray(data.sample_weight, dtype=np.float64)


def _targets(targets: np.ndarray[Any, Any]) -> Any:
    if targets.ndim == 1:
        if targets.dtype.kind not in "iu":
            raise TypeError(
                f"labels must be integers, got an array of dtype {targets.dtype}; targets that "
                "are numbers have shape (n, outputs)"
            )
        return np.ascontiguousarray(targets, dtype=np.int64)
    return native_numbers(targets)
