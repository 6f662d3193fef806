"""The reference engine: `nn` as it stands. Slow, exact, and the measure of the other engines."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.engine.batch import dense, gather
from pellucid.engine.diagnosis import diagnose, explain_weights
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import EpochResult, TrainerState, TrainingData, TrainingPlan
from pellucid.nn.network import Gradients, Network
from pellucid.nn.optimizers import AdamW, OptimizerState
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints, permutation

_CHUNK_ROWS = 4096
"""Rows computed at a time outside training, which bounds the memory whatever the table."""


class ReferenceTrainer:
    """Trains a network with the formulas of `nn`, one NumPy operation at a time.

    Parameters
    ----------
    network : Network
    parameters : Parameters
        Updated in place at the end of each epoch; the arithmetic has their precision.
    data : TrainingData
    plan : TrainingPlan
    state : TrainerState, optional
        The `state` of an earlier trainer, to go on from there.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.plan import TrainingData, TrainingPlan
    >>> from pellucid.engine.reference import ReferenceTrainer
    >>> from pellucid.nn import SGD, Linear, Network
    >>> network = Network([Linear(1, weights="zeros")], "squared_error")
    >>> params = network.initialize(fan_in=2, seed=0)
    >>> data = TrainingData(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    >>> trainer = ReferenceTrainer(network, params, data, TrainingPlan(SGD(0.01), batch_size=1))
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
        _check_fan_in(network, parameters, data.X)
        plan.check_precision(parameters.flat.dtype)
        self.network = network
        self.parameters = parameters
        self.data = data
        self.plan = plan
        self._state = state or TrainerState(plan.optimizer.init(parameters.flat))
        self._weight_mask = parameters.layout.weight_mask()
        self._factors = None
        if plan.learning_rate_factors:
            factors = parameters.layout.learning_rate_factors(plan.learning_rate_factors)
            self._factors = factors.astype(parameters.flat.dtype)

    @property
    def state(self) -> TrainerState:
        """What another trainer needs to go on from here, beside the parameters."""
        return self._state

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self._state.step

    @property
    def optimizer_state(self) -> OptimizerState:
        """The flat arrays of the optimizer."""
        return self._state.optimizer

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
            In place of the optimizer's, for this epoch; the plan's schedule multiplies it.

        Raises
        ------
        NonFiniteError
            If a loss or a weight becomes NaN or infinite. Parameters and state stay as they were
            at the end of the previous epoch.
        """
        start = time.perf_counter()
        order = self._default_order() if order is None else np.asarray(order, dtype=np.int64)
        if len(order) > 0 and not 0 <= order.min() <= order.max() < self.data.n_examples:
            raise ValueError(f"order must name rows 0 to {self.data.n_examples - 1} of X")
        theta, optimizer_state = self.parameters.flat.copy(), self._state.optimizer
        step, total = self._state.step, 0.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for first in range(0, len(order), self.plan.batch_size):
                rows = order[first : first + self.plan.batch_size]
                step += 1
                loss, gradient, statistics = self._pass(theta, rows, step)
                total += loss * len(rows)
                theta, optimizer_state = self._update(
                    gradient, optimizer_state, theta, step, learning_rate
                )
                for name, value in statistics.items():
                    theta[self.parameters.layout[name].span] = value.reshape(-1)
        if not np.isfinite(theta).all():
            reached = Parameters(theta, self.parameters.layout)
            raise explain_weights(reached, self._state.epoch, step)
        epoch, n_steps = self._state.epoch, step - self._state.step
        self.parameters.flat[:] = theta
        self._state = TrainerState(optimizer_state, step, epoch + 1)
        seconds = time.perf_counter() - start
        return EpochResult(epoch, total / max(len(order), 1), len(order), n_steps, seconds)

    def _default_order(self) -> Ints:
        n = self.data.n_examples
        if not self.plan.shuffle:
            return np.arange(n, dtype=np.int64)
        return permutation(self.plan.seed, self._state.epoch, n)

    def _pass(
        self, theta: np.ndarray[Any, Any], rows: Ints, step: int
    ) -> tuple[float, np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
        """Return the objective of one batch at θ, its gradient (size,) and the new statistics."""
        parameters = Parameters(theta, self.parameters.layout)
        batch = gather(self.data, rows, theta.dtype)
        context = self.plan.context_at(self._state.epoch, step, self.data.n_examples)
        trace = self.network.forward(parameters, batch.X, context)
        loss = self.network.loss_value(trace, batch.targets, batch.sample_weight)
        scale = self.plan.l2_penalty / (len(rows) * self.data.weight_scale)
        objective = loss + _penalty(parameters, scale)
        if not np.isfinite(objective):
            layer, cause = diagnose(trace, batch)
            raise NonFiniteError(self._state.epoch, step, layer, cause)
        gradients = self.network.backward(
            parameters, trace, batch.targets, batch.sample_weight, context
        )
        statistics = self.network.updated_statistics(parameters, trace, context)
        return objective, _with_penalty(gradients, parameters, scale).flat, statistics

    def _update(
        self,
        gradient: np.ndarray[Any, Any],
        state: OptimizerState,
        theta: np.ndarray[Any, Any],
        step: int,
        learning_rate: float | None,
    ) -> tuple[np.ndarray[Any, Any], OptimizerState]:
        """Return θ and the optimizer's state after one step of the plan."""
        plan, optimizer = self.plan, self.plan.optimizer
        if plan.clipping is not None:
            gradient = plan.clipping.apply(gradient, self.parameters.layout)
        factors = plan.factors_at(step, self.data.n_examples)
        rate = optimizer.learning_rate if learning_rate is None else learning_rate
        rate = rate * factors.learning_rate
        if isinstance(optimizer, AdamW):
            decay = optimizer.weight_decay * factors.weight_decay
            optimizer = replace(optimizer, weight_decay=decay)
        return optimizer.update(
            gradient, state, theta, step, rate, self._weight_mask, self._factors
        )


def predict_scores(
    network: Network,
    parameters: Parameters,
    X: Any,
    n_threads: int | None = None,
    rows: Ints | None = None,
) -> np.ndarray[Any, Any]:
    """Return the scores (n, K) of the rows of X, before the link, in chunks of rows.

    With `rows` (n,) only of those, in that order. `n_threads` is there because every engine has it;
    this one has a single thread of its own.
    """
    _check_fan_in(network, parameters, X)
    n, dtype = X.shape[0] if rows is None else len(rows), parameters.flat.dtype
    scores = np.empty((n, network.fan_out(X.shape[1])), dtype=dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, n, _CHUNK_ROWS):
            chunk = slice(first, first + _CHUNK_ROWS)
            batch = dense(X[chunk if rows is None else rows[chunk]], dtype)
            scores[chunk] = network.forward(parameters, batch).scores
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
    The network is the one that predicts: dropout drops nothing, running moments normalize.
    """
    _check_fan_in(network, parameters, data.X)
    n = data.n_examples
    loss, gradient = 0.0, Parameters.zeros(parameters.layout, parameters.flat.dtype)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for first in range(0, n, _CHUNK_ROWS):
            rows = np.arange(first, min(first + _CHUNK_ROWS, n))
            batch = gather(data, rows, parameters.flat.dtype)
            trace = network.forward(parameters, batch.X)
            share = len(rows) / n
            loss += share * network.loss_value(trace, batch.targets, batch.sample_weight)
            chunk = network.backward(parameters, trace, batch.targets, batch.sample_weight)
            gradient.flat += share * chunk.parameters.flat
        scale = l2_penalty / (n * data.weight_scale)
        for entry in parameters.layout.entries:
            if entry.role == "weight":
                gradient.flat[entry.span] += scale * parameters.flat[entry.span]
        return loss + _penalty(parameters, scale), gradient


def _penalty(parameters: Parameters, scale: float) -> float:
    """Return scale/2 · Σ‖W‖² over the weights."""
    if scale == 0.0:
        return 0.0
    weights = (parameters.flat[e.span] for e in parameters.layout.entries if e.role == "weight")
    return 0.5 * scale * sum(float(w @ w) for w in weights)


def _with_penalty(gradients: Gradients, parameters: Parameters, scale: float) -> Parameters:
    """Return the gradient of the objective: that of the loss, plus scale·W for each weight."""
    total = gradients.parameters
    if scale == 0.0:
        return total
    pieces = {
        e.name: total[e.name] + scale * parameters[e.name] if e.role == "weight" else total[e.name]
        for e in total.layout.entries
    }
    return Parameters.pack(total.layout, pieces)


def _check_fan_in(network: Network, parameters: Parameters, X: Any) -> None:
    if X.ndim != 2 or network.layout(X.shape[1]) != parameters.layout:
        raise ValueError(f"X of shape {X.shape} does not fit {parameters!r}")
