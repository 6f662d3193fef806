"""The native engine: the C++ core, the one people train with.

It computes what `reference` computes, step for step, and takes the same arguments.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.engine.diagnosis import explain_non_finite, explain_weights
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.instruction_set import INSTRUCTION_SET, core
from pellucid.engine.native_program import core_class, make_program
from pellucid.engine.plan import EpochResult, TrainerState, TrainingData, TrainingPlan
from pellucid.engine.threads import resolve_n_threads
from pellucid.nn.clipping import ClipByGlobalNorm, ClipByNorm, ClipByValue
from pellucid.nn.network import Network
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
    network : Network
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
    >>> from pellucid.nn import SGD, Linear, Network
    >>> network = Network([Linear(1, weights="zeros")], "squared_error")
    >>> params = network.initialize(fan_in=2, seed=0)
    >>> data = TrainingData(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    >>> trainer = NativeTrainer(network, params, data, TrainingPlan(SGD(0.01), batch_size=1))
    >>> trainer.run_epoch().loss
    100.0
    >>> params["0.W"].ravel().tolist(), params["0.b"].tolist()
    ([0.4, 0.6], [0.2])
    """

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        data: TrainingData,
        plan: TrainingPlan,
        state: TrainerState | None = None,
    ) -> None:
        self.network = network
        self.parameters = parameters
        self.data = data
        self.plan = plan
        plan.check_precision(parameters.flat.dtype)
        self._program = make_program(
            network,
            parameters,
            data.X.shape[1],
            plan.learning_rate_factors,
            bfloat16=plan.dtype == "bfloat16",
        )
        self._table = _table(data.X)
        self._targets = _targets(data.targets)
        self._sample_weight = _sample_weight(data)
        self._batch_size = max(1, min(plan.batch_size, data.n_examples))
        self._core = self._make_core()
        self._step = 0
        self._epoch = 0
        self._failed = False
        if state is None:
            state = TrainerState(plan.optimizer.init(parameters.flat))
        self._core.load_moments(*state.optimizer)
        self._step, self._epoch = state.step, state.epoch

    def _make_core(self) -> Any:
        """Return a compiled trainer with room for batches of the present size."""
        threads = resolve_n_threads(self.plan.n_threads)
        # A number that was asked for is kept; the default is the most that may be of use.
        adapts = self.plan.n_threads is None
        make = core_class("Trainer", self.parameters)
        return make(self._program, self._batch_size, threads, adapts)

    def _make_room_for(self, n_rows: int) -> None:
        """Let a step take more rows than the table has, where the order repeats some."""
        needed = min(self.plan.batch_size, n_rows)
        if needed > self._batch_size:
            moments = self.optimizer_state
            self._batch_size = needed
            self._core = self._make_core()
            self._core.load_moments(*moments)

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self._step

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
        KeyboardInterrupt
            Or what another signal handler raises. The steps done so far are kept.
        """
        if self._failed:
            raise RuntimeError(
                "this trainer stopped at a loss that was not finite; make a new one to go on"
            )
        start = time.perf_counter()
        order = self._default_order() if order is None else np.ascontiguousarray(order, np.int64)
        self._make_room_for(len(order))
        self._core.load_parameters(self.parameters.flat)
        total, n_rows, n_steps, non_finite, error = self._core.run(
            self._table,
            self._targets,
            self._sample_weight,
            order,
            _core_plan(self.plan, self._batch_size, self.data.weight_scale),
            *self._step_numbers(len(order), learning_rate),
            self._step,
            self._epoch,
        )
        self._step += n_steps
        if non_finite or not self._core.store_if_finite(self.parameters.flat):
            self._failed = True
            raise self._explanation(order[n_rows:] if non_finite else None) from error
        if error is not None:
            raise error
        self._epoch += 1
        seconds = time.perf_counter() - start
        return EpochResult(self._epoch - 1, total / max(n_rows, 1), n_rows, n_steps, seconds)

    def _step_numbers(
        self, n_rows: int, learning_rate: float | None
    ) -> tuple[np.ndarray[Any, Any], ...]:
        """Return each step's learning rate, weight decay and dropout factor, for one epoch."""
        plan, optimizer = self.plan, self.plan.optimizer
        rate = optimizer.learning_rate if learning_rate is None else learning_rate
        decay = optimizer.weight_decay if isinstance(optimizer, AdamW) else 0.0
        n_steps = -(-n_rows // self._batch_size)
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

    def _default_order(self) -> Ints:
        order = np.arange(self.data.n_examples, dtype=np.int64)
        if self.plan.shuffle:
            core.permute(self.plan.seed, self._epoch, order)
        return order

    def _explanation(self, left: Ints | None) -> NonFiniteError:
        """Return the error for a step whose rows are the next of `left`, or for the last update."""
        reached = self.parameters.copy()
        self._core.store_parameters(reached.flat)
        if left is None:
            return explain_weights(reached, self._epoch, self._step)
        rows = left[: self._batch_size]
        context = self.plan.context_at(self._epoch, self._step + 1, self.data.n_examples)
        return explain_non_finite(self.network, reached, self.data, rows, context)


def predict_scores(
    network: Network,
    parameters: Parameters,
    X: Any,
    n_threads: int | None = None,
    rows: Ints | None = None,
) -> np.ndarray[Any, Any]:
    """Return the scores (n, K) of the rows of X, before the link.

    With `rows` (n,) only of those, in that order. Rows are taken in chunks, so that the memory
    beyond the result does not grow with n.
    """
    program = make_program(network, parameters, X.shape[1])
    if rows is not None:
        rows = np.ascontiguousarray(rows, dtype=np.int64)
    n = X.shape[0] if rows is None else len(rows)
    scores = np.empty((n, network.fan_out(X.shape[1])), dtype=parameters.flat.dtype)
    predict = core_class("predict", parameters)
    flat = np.ascontiguousarray(parameters.flat)
    predict(program, flat, _table(X), rows, scores, resolve_n_threads(n_threads))
    return scores


def loss_and_gradient(
    network: Network,
    parameters: Parameters,
    data: TrainingData,
    l2_penalty: float = 0.0,
    n_threads: int | None = None,
) -> tuple[float, Parameters]:
    """Return the objective over all n rows, and its gradient, in chunks of rows.

    (1/n) Σ_i w_i l_i + l2_penalty/(2·n·weight_scale)·Σ‖W‖², the batch of a step that has every row.
    """
    return NativeObjective(network, parameters, data, l2_penalty, n_threads)(parameters.flat)


class NativeObjective:
    """The full-batch objective as a function of flat parameters, with its buffers kept."""

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        data: TrainingData,
        l2_penalty: float = 0.0,
        n_threads: int | None = None,
    ) -> None:
        program = make_program(network, parameters, data.X.shape[1])
        widths = [data.X.shape[1], *(entry.shape[-1] for entry in parameters.layout.entries)]
        most = _OBJECTIVE_BYTES // (max(widths) * parameters.flat.itemsize)
        rows = max(1, min(data.n_examples, _OBJECTIVE_ROWS, max(16, most)))
        threads = resolve_n_threads(n_threads)
        self._core = core_class("Trainer", parameters)(program, rows, threads)
        self._layout = parameters.layout
        self._examples = (_table(data.X), _targets(data.targets), _sample_weight(data))
        self._scale = l2_penalty / (max(data.n_examples, 1) * data.weight_scale)

    def __call__(self, flat: np.ndarray[Any, Any]) -> tuple[float, Parameters]:
        """Return the objective at `flat` and its gradient."""
        gradient = Parameters.zeros(self._layout, flat.dtype)
        self._core.load_parameters(flat)
        loss = self._core.gradient(*self._examples, gradient.flat)
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
                "train with ReferenceTrainer"
            )
        clip, limit = _CLIPPINGS[type(plan.clipping)], plan.clipping.limit
    return core.Plan(
        batch_size=batch_size,
        l2_penalty=plan.l2_penalty / weight_scale,
        seed=plan.seed,
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
            "ReferenceTrainer"
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


def _table(X: Any) -> Any:
    """Return what the engine reads rows from: the array, or the three arrays of a CSR matrix."""
    is_sparse: bool = scipy.sparse.issparse(X)
    if not is_sparse:
        return _native_numbers(X)
    if X.format != "csr":
        raise TypeError(f"sparse X must be CSR, got {X.format!r}; call X.tocsr() first")
    index_type = np.promote_types(X.indices.dtype, X.indptr.dtype)
    return (
        np.ascontiguousarray(_native_numbers(X.data)),
        np.ascontiguousarray(X.indices, index_type),
        np.ascontiguousarray(X.indptr, index_type),
    )


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
    return _native_numbers(targets)


def _native_numbers(source: Any) -> np.ndarray[Any, Any]:
    """Return the array itself; a copy only where its numbers are not in the machine's format."""
    array: np.ndarray[Any, Any] = np.asarray(source)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"the engine reads real numbers, got an array of dtype {array.dtype}")
    if array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
