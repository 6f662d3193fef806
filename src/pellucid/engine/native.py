"""The native engine: the C++ core, the one people train with.

It computes what `reference` computes, step for step, and takes the same arguments.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.engine.diagnosis import explain_non_finite
from pellucid.engine.instruction_set import INSTRUCTION_SET, core
from pellucid.engine.plan import EpochResult, TrainerState, TrainingData, TrainingPlan
from pellucid.engine.threads import resolve_n_threads
from pellucid.nn.activations import Activation
from pellucid.nn.linear import Linear
from pellucid.nn.network import Network
from pellucid.nn.optimizers import SGD, Adam, AdamW, Optimizer, OptimizerState
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints

_OBJECTIVE_ROWS = 1024
"""Rows computed at a time for a full gradient, which bounds the memory whatever the table."""

_SUFFIXES = {np.dtype(np.float32): "32", np.dtype(np.float64): "64"}


def instruction_set() -> str:
    """Return the instruction set in use: "avx512", "avx2" or "baseline".

    The best one that the processor has, or what the environment variable `PELLUCID_ISA` names.

    Examples
    --------
    >>> from pellucid.engine.native import instruction_set
    >>> instruction_set() in ("avx512", "avx2", "baseline")
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
        arithmetic.
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
        _check_plan(plan)
        program = _program(network, parameters, data.X.shape[1])
        n_threads = resolve_n_threads(plan.n_threads)
        self._table = _table(data.X)
        self._targets = _targets(data.targets)
        self._batch_size = max(1, min(plan.batch_size, data.n_examples))
        self._core = _core_class("Trainer", parameters)(program, self._batch_size, n_threads)
        self._step = 0
        self._epoch = 0
        self._failed = False
        if state is not None:
            self._core.load_moments(*state.optimizer)
            self._step, self._epoch = state.step, state.epoch

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
        self._core.load_parameters(self.parameters.flat)
        total, n_rows, n_steps, non_finite, error = self._core.run(
            self._table,
            self._targets,
            self.data.sample_weight,
            order,
            _core_optimizer(self.plan.optimizer, learning_rate),
            self.plan.l2_penalty / self.data.weight_scale,
            self._step,
        )
        self._step += n_steps
        if non_finite or not self._core.store_if_finite(self.parameters.flat):
            self._fail(order, n_rows if non_finite else max(0, n_rows - self._batch_size))
        if error is not None:
            raise error
        self._epoch += 1
        seconds = time.perf_counter() - start
        return EpochResult(self._epoch - 1, total / max(n_rows, 1), n_rows, n_steps, seconds)

    def _default_order(self) -> Ints:
        order = np.arange(self.data.n_examples, dtype=np.int64)
        if self.plan.shuffle:
            core.permute(self.plan.seed, self._epoch, order)
        return order

    def _fail(self, order: Ints, first: int) -> None:
        """Raise the error that names where the first value that is not finite appeared."""
        self._failed = True
        reached = self.parameters.copy()
        self._core.store_parameters(reached.flat)
        rows = order[first : first + self._batch_size]
        context = self.plan.context_at(self._epoch, self._step + 1, self.data.n_examples)
        raise explain_non_finite(self.network, reached, self.data, rows, context)


def predict_scores(
    network: Network, parameters: Parameters, X: Any, n_threads: int | None = None
) -> np.ndarray[Any, Any]:
    """Return the scores (n, K) of the rows of X, before the link.

    Rows are taken in chunks, so that the memory beyond the result does not grow with n.
    """
    program = _program(network, parameters, X.shape[1])
    scores = np.empty((X.shape[0], network.fan_out(X.shape[1])), dtype=parameters.flat.dtype)
    predict = _core_class("predict", parameters)
    flat = np.ascontiguousarray(parameters.flat)
    predict(program, flat, _table(X), scores, resolve_n_threads(n_threads))
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
        program = _program(network, parameters, data.X.shape[1])
        rows = max(1, min(_OBJECTIVE_ROWS, data.n_examples))
        threads = resolve_n_threads(n_threads)
        self._core = _core_class("Trainer", parameters)(program, rows, threads)
        self._layout = parameters.layout
        self._examples = (_table(data.X), _targets(data.targets), data.sample_weight)
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


def _core_class(name: str, parameters: Parameters) -> Any:
    """Return the compiled class or function for the precision of the parameters."""
    dtype = parameters.flat.dtype
    if dtype not in _SUFFIXES:
        raise TypeError(f"the native engine computes in float32 or float64, got {dtype}")
    return getattr(core, name + _SUFFIXES[dtype])


def _program(network: Network, parameters: Parameters, fan_in: int) -> Any:
    """Return the network as the engine reads it: steps with offsets into the flat buffer."""
    if network.layout(fan_in) != parameters.layout:
        raise ValueError(f"X with {fan_in} columns does not fit {parameters!r}")
    program = _core_class("Program", parameters)(fan_in, parameters.layout.size)
    for i, layer in enumerate(network.layers):
        if isinstance(layer, Linear):
            if layer.parametrization != "standard":
                raise TypeError(
                    f"layer {i} has parametrization {layer.parametrization!r}, which the native "
                    "engine does not know yet; train with ReferenceTrainer"
                )
            offset = parameters.layout[f"{i}.W"].offset
            bias = parameters.layout[f"{i}.b"].offset if layer.bias else -1
            program.add_linear(layer.fan_out, offset, bias)
        elif isinstance(layer, Activation):
            default = layer.definition.parameter
            parameter = layer.parameter if layer.parameter is not None else default
            program.add_activation(layer.function, parameter or 0.0, layer.blend)
        else:
            raise TypeError(
                f"layer {i} is a {type(layer).__name__}, which the native engine does not know; "
                "train with ReferenceTrainer"
            )
    loss = network.loss
    parameter = loss.parameter if loss.parameter is not None else loss.definition.parameter
    if loss.name == "softmax_cross_entropy" and parameter:
        raise TypeError(
            "the native engine does not know label smoothing yet; train with ReferenceTrainer"
        )
    program.set_loss(loss.name, parameter or 0.0)
    return program


def _check_plan(plan: TrainingPlan) -> None:
    """Refuse what only the reference engine does so far."""
    fields = ("schedule", "weight_decay_schedule", "dropout_schedule", "clipping")
    for name in (*fields, "learning_rate_factors"):
        if getattr(plan, name):
            raise TypeError(
                f"the native engine does not know {name} yet; train with ReferenceTrainer"
            )


def _core_optimizer(optimizer: Optimizer, learning_rate: float | None) -> Any:
    """Return the constants of an optimizer; `learning_rate` replaces its own."""
    rate = optimizer.learning_rate if learning_rate is None else learning_rate
    if isinstance(optimizer, SGD):
        rule = "sgd" if optimizer.momentum == 0.0 else "momentum"
        rule = "nesterov" if rule == "momentum" and optimizer.nesterov else rule
        return core.Optimizer(rule=rule, learning_rate=rate, first_decay=optimizer.momentum)
    if not isinstance(optimizer, Adam | AdamW):
        raise TypeError(f"the native engine does not know {type(optimizer).__name__}")
    form = optimizer.form if isinstance(optimizer, Adam) else "standard"
    sums = form == "accumulator"
    return core.Optimizer(
        rule="adaptive",
        learning_rate=rate,
        first_decay=optimizer.beta_1,
        first_gain=1.0 if sums else 1.0 - optimizer.beta_1,
        second_decay=optimizer.beta_2,
        second_gain=1.0 if sums else 1.0 - optimizer.beta_2,
        epsilon=optimizer.epsilon,
        bias_correction=not sums,
        epsilon_corrected=form == "standard",
        epsilon_inside=sums,
        weight_decay=optimizer.weight_decay if isinstance(optimizer, AdamW) else 0.0,
    )


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


def _targets(targets: np.ndarray[Any, Any]) -> Any:
    if targets.ndim == 1:
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
