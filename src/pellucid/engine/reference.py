"""The reference engine: `nn` as it stands. Slow, exact, and the measure of the other engines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pellucid.engine.batch import dense, gather
from pellucid.engine.blocks import run_blocks
from pellucid.engine.contract import Measurement, ValidationRows, measured
from pellucid.engine.diagnosis import diagnose, explain_weights
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import EpochResult, TrainerState, TrainingData, TrainingPlan
from pellucid.engine.sampling import Block, Link, Spread, sample_spread
from pellucid.engine.statistics import StepStatistics, measure
from pellucid.nn.chain import Chain, Gradients, Trace
from pellucid.nn.context import Context
from pellucid.nn.custom_loss import CustomLoss
from pellucid.nn.embedding import lazy_step
from pellucid.nn.optimizers import AdamW, OptimizerState
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints, check_seed, permutation

_CHUNK_ROWS = 4096
"""Rows computed at a time outside training, which bounds the memory whatever the table."""


class _Pass(NamedTuple):
    """What one batch gives: the objective, its gradient, the new running moments, active rows."""

    objective: float
    gradient: Parameters
    running: dict[str, np.ndarray[Any, Any]]
    active: dict[str, Ints]
    trace: Trace


class ReferenceTrainer:
    """Trains a network with the formulas of `nn`, one NumPy operation at a time.

    Parameters
    ----------
    chain : Chain
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
    >>> from pellucid.nn import SGD, Linear, Chain
    >>> chain = Chain([Linear(1, weights="zeros")], "squared_error")
    >>> params = chain.initialize(fan_in=2, seed=0)
    >>> data = TrainingData(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    >>> trainer = ReferenceTrainer(chain, params, data, TrainingPlan(SGD(0.01), batch_size=1))
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
        _check_fan_in(chain, parameters, data.X)
        plan.check_precision(parameters.flat.dtype)
        self.chain = chain
        self.parameters = parameters
        self._data = data
        self.plan = plan
        self.n_threads = plan.n_threads
        self._stops = False
        self._state = state or TrainerState(plan.optimizer.init(parameters.flat))
        self._weight_mask = parameters.layout.weight_mask()
        self._checks_loss = isinstance(chain.loss, CustomLoss) and chain.loss.checks_gradient
        self._factors = None
        if plan.learning_rate_factors:
            factors = parameters.layout.learning_rate_factors(plan.learning_rate_factors)
            self._factors = factors.astype(parameters.flat.dtype)

    @property
    def data(self) -> TrainingData:
        """The rows to learn from; others of the same form may take their place between epochs."""
        return self._data

    @data.setter
    def data(self, data: TrainingData) -> None:
        self._data.check_next(data)
        self._data = data

    @property
    def state(self) -> TrainerState:
        """What another trainer needs to go on from here, beside the parameters."""
        return self._state

    def stop(self) -> None:
        """Make the epoch that another thread runs, or the next, end with `KeyboardInterrupt`."""
        self._stops = True

    def pull(self) -> Parameters:
        """Return the parameters, which each epoch brings up to date."""
        return self.parameters

    def measure(self, rows: ValidationRows) -> Measurement:
        """Return loss and scores of rows at the parameters reached."""
        return measured(
            self.chain, predict_scores(self.chain, self.parameters, rows.X, rows=rows.rows), rows
        )

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self._state.step

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._state.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._state = replace(self._state, epoch=epoch)

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
        KeyboardInterrupt
            After `stop`, and as ever. Parameters and state stay as they were here too.
        """
        start = time.perf_counter()
        order = self.row_order() if order is None else np.asarray(order, dtype=np.int64)
        n_rows = self.data.X.shape[0]
        if len(order) > 0 and not 0 <= order.min() <= order.max() < n_rows:
            raise ValueError(f"order must name rows 0 to {n_rows - 1} of X")
        theta, optimizer_state = self.parameters.flat.copy(), self._state.optimizer
        step, total = self._state.step, 0.0
        statistics: list[StepStatistics] = []
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for first in range(0, len(order), self.plan.batch_size):
                if self._stops:
                    self._stops = False
                    raise KeyboardInterrupt
                rows = order[first : first + self.plan.batch_size]
                step += 1
                before = Parameters(theta, self.parameters.layout)
                done = self._pass(before, rows, step)
                total += done.objective * len(rows)
                theta, optimizer_state = self._update(
                    done.gradient.flat, optimizer_state, theta, step, learning_rate, done.active
                )
                for name, value in done.running.items():
                    theta[self.parameters.layout[name].span] = value.reshape(-1)
                if self.plan.measures(step):
                    after = Parameters(theta, self.parameters.layout)
                    statistics.append(
                        measure(
                            self.chain,
                            done.trace,
                            done.gradient,
                            before,
                            after,
                            done.active,
                            step,
                        )
                    )
        if not np.isfinite(theta).all():
            reached = Parameters(theta, self.parameters.layout)
            raise explain_weights(reached, self._state.epoch, step)
        epoch, n_steps = self._state.epoch, step - self._state.step
        self.parameters.flat[:] = theta
        self._state = TrainerState(optimizer_state, step, epoch + 1)
        seconds = time.perf_counter() - start
        mean = total / max(len(order), 1)
        return EpochResult(epoch, mean, len(order), n_steps, seconds, tuple(statistics))

    def run_epochs(
        self, orders: np.ndarray[Any, np.dtype[np.int64]], learning_rate: float | None = None
    ) -> Iterator[EpochResult]:
        """Run an epoch for each row of `orders` (k, n), and yield their results."""
        for order in orders:
            yield self.run_epoch(order, learning_rate)

    def run_blocks(
        self, blocks: Iterable[tuple[TrainingData, Ints]], learning_rate: float | None = None
    ) -> EpochResult:
        """Take one epoch whose rows come in blocks; see `engine.blocks.run_blocks`."""
        return run_blocks(self, blocks, learning_rate)

    def row_order(self, epoch: int | None = None) -> Ints:
        """Return the rows of X in the plan's order for an epoch, by default the next."""
        n = self.data.n_examples
        if not self.plan.shuffle:
            return self.data.in_order(np.arange(n, dtype=np.int64))
        epoch = self._state.epoch if epoch is None else epoch
        return self.data.in_order(permutation(self.plan.seed, epoch, n))

    def _pass(self, parameters: Parameters, rows: Ints, step: int) -> _Pass:
        batch = gather(self.data, rows, parameters.flat.dtype)
        context = self.plan.context_at(self._state.epoch, step, self.data.n_examples)
        trace = self.chain.forward(parameters, batch.X, context)
        if self._checks_loss and isinstance(self.chain.loss, CustomLoss):
            self.chain.loss.check(trace.scores, batch.targets, batch.sample_weight)
            self._checks_loss = False
        loss = self.chain.loss_value(trace, batch.targets, batch.sample_weight)
        scale = self.plan.l2_penalty / (len(rows) * self.data.weight_scale)
        objective = loss + _penalty(parameters, scale)
        if not np.isfinite(objective):
            layer, cause = diagnose(trace, batch)
            raise NonFiniteError(self._state.epoch, step, layer, cause)
        gradients = self.chain.backward(
            parameters, trace, batch.targets, batch.sample_weight, context
        )
        running = self.chain.updated_statistics(parameters, trace, context)
        active = self.chain.active_rows(trace)
        return _Pass(objective, _with_penalty(gradients, parameters, scale), running, active, trace)

    def _update(
        self,
        gradient: np.ndarray[Any, Any],
        state: OptimizerState,
        theta: np.ndarray[Any, Any],
        step: int,
        learning_rate: float | None,
        active: dict[str, Ints],
    ) -> tuple[np.ndarray[Any, Any], OptimizerState]:
        """Return θ and the optimizer's state after one step of the plan.

        Tables take a lazy step (see `nn.Embedding`): only their active rows change, and only
        these rows' moments.
        """
        plan, optimizer = self.plan, self.plan.optimizer
        if plan.clipping is not None:
            gradient = plan.clipping.apply(gradient, self.parameters.layout)
        factors = plan.factors_at(step, self.data.n_examples)
        rate = optimizer.learning_rate if learning_rate is None else learning_rate
        rate = rate * factors.learning_rate
        if isinstance(optimizer, AdamW):
            decay = optimizer.weight_decay * factors.weight_decay
            optimizer = replace(optimizer, weight_decay=decay)
        stepped, moments = optimizer.update(
            gradient, state, theta, step, rate, self._weight_mask, self._factors
        )
        pairs = [(theta, stepped), *zip(state, moments, strict=True)]
        for name, rows in active.items():
            entry = self.parameters.layout[name]
            for before, after in pairs:
                if after.size > 0:
                    table, dense = (a[entry.span].reshape(entry.shape) for a in (before, after))
                    after[entry.span] = lazy_step(table, dense, rows).reshape(-1)
        return stepped, moments


class ReferencePredictor:
    """The scores of rows, before the link, computed with the formulas of `nn`.

    Parameters
    ----------
    chain : Chain
    parameters : Parameters
        Each call reads them as they are at that moment; their dtype is that of the arithmetic.
    fan_in : int
        Columns of the tables.
    n_threads : int, optional
        Every engine has it; this one has a single thread of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.reference import ReferencePredictor
    >>> from pellucid.nn import Linear, Chain
    >>> chain = Chain([Linear(1, weights="zeros")], "squared_error")
    >>> params = chain.initialize(fan_in=2, seed=0)
    >>> predict = ReferencePredictor(chain, params, fan_in=2)
    >>> params["0.W"][...] = [[1.0], [10.0]]
    >>> predict(np.array([[3.0, 4.0], [5.0, 6.0]]), rows=np.array([1])).tolist()
    [[65.0]]
    """

    def __init__(
        self,
        chain: Chain,
        parameters: Parameters,
        fan_in: int,
        n_threads: int | None = None,
    ) -> None:
        self._network = chain
        self._parameters = parameters
        self._fan_out = chain.fan_out(fan_in)

    def __call__(
        self, X: Any, rows: Ints | None = None, out: np.ndarray[Any, Any] | None = None
    ) -> np.ndarray[Any, Any]:
        """Return the scores (n, K) of the rows of X, in chunks of rows.

        Parameters
        ----------
        X : array or CSR matrix of shape (n_rows, fan_in)
        rows : array of int64 of shape (n,), optional
            Which rows of X, in which order. By default all.
        out : array of shape (n, K), optional
            Where to write the scores.

        Raises
        ------
        ValueError
            X has another number of columns.
        """
        _check_fan_in(self._network, self._parameters, X)
        n, dtype = X.shape[0] if rows is None else len(rows), self._parameters.flat.dtype
        scores = np.empty((n, self._fan_out), dtype) if out is None else out
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, n, _CHUNK_ROWS):
                chunk = slice(first, first + _CHUNK_ROWS)
                batch = dense(X[chunk if rows is None else rows[chunk]], dtype)
                scores[chunk] = self._network.forward(self._parameters, batch).scores
        return scores

    def sample(
        self,
        X: Any,
        n_samples: int,
        seed: int = 0,
        rows: Ints | None = None,
        link: Link | None = None,
    ) -> Spread:
        """Return how the scores of random sub-networks spread: see `NativePredictor.sample`."""
        _check_fan_in(self._network, self._parameters, X)
        seed, dtype = check_seed(seed), self._parameters.flat.dtype

        def score(block: Block) -> np.ndarray[Any, Any]:
            chunk = slice(block.rows.start, block.rows.stop)
            batch = dense(X[chunk if rows is None else rows[chunk]], dtype)
            context = Context(sampling=True, seed=seed, first_row=block.rows.start)
            samples = [replace(context, step=s) for s in block.samples]
            with np.errstate(over="ignore", invalid="ignore"):
                passes = [self._network.forward(self._parameters, batch, s) for s in samples]
            return np.concatenate([trace.scores for trace in passes])

        n = X.shape[0] if rows is None else len(rows)
        return sample_spread(self._network, n_samples, n, self._fan_out, score, link)


def predict_scores(
    chain: Chain,
    parameters: Parameters,
    X: Any,
    n_threads: int | None = None,
    rows: Ints | None = None,
) -> np.ndarray[Any, Any]:
    """Return the scores (n, K) of the rows of X, before the link, where they are needed once.

    With `rows` (n,) only of those, in that order. `ReferencePredictor` is for many calls.
    """
    return ReferencePredictor(chain, parameters, X.shape[1], n_threads)(X, rows)


def loss_and_gradient(
    chain: Chain,
    parameters: Parameters,
    data: TrainingData,
    l2_penalty: float = 0.0,
    n_threads: int | None = None,
) -> tuple[float, Parameters]:
    """Return the objective over all n rows, and its gradient, in chunks of rows.

    (1/n) Σ_i w_i l_i + l2_penalty/(2·n·weight_scale)·Σ‖W‖², the batch of a step that has every row.
    The network is the one that predicts: dropout drops nothing, running moments normalize.
    """
    _check_fan_in(chain, parameters, data.X)
    data = data.gathered()
    n = data.n_examples
    loss, gradient = 0.0, Parameters.zeros(parameters.layout, parameters.flat.dtype)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for first in range(0, n, _CHUNK_ROWS):
            rows = np.arange(first, min(first + _CHUNK_ROWS, n))
            batch = gather(data, rows, parameters.flat.dtype)
            trace = chain.forward(parameters, batch.X)
            share = len(rows) / n
            loss += share * chain.loss_value(trace, batch.targets, batch.sample_weight)
            chunk = chain.backward(parameters, trace, batch.targets, batch.sample_weight)
            gradient.flat += share * chunk.parameters.flat
        scale = l2_penalty / (n * data.weight_scale)
        for entry in parameters.layout.entries:
            if entry.role == "weight":
                gradient.flat[entry.span] += scale * parameters.flat[entry.span]
        return loss + _penalty(parameters, scale), gradient


class ReferenceObjective:
    """`loss_and_gradient` as a function of flat parameters."""

    def __init__(
        self,
        chain: Chain,
        parameters: Parameters,
        data: TrainingData,
        l2_penalty: float = 0.0,
        n_threads: int | None = None,
    ) -> None:
        self._network, self._layout = chain, parameters.layout
        self._data, self._l2_penalty = data, l2_penalty

    def __call__(self, flat: np.ndarray[Any, Any]) -> tuple[float, Parameters]:
        """Return the objective at `flat` and its gradient."""
        parameters = Parameters(flat, self._layout)
        return loss_and_gradient(self._network, parameters, self._data, self._l2_penalty)


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


def _check_fan_in(chain: Chain, parameters: Parameters, X: Any) -> None:
    if X.ndim != 2 or chain.layout(X.shape[1]) != parameters.layout:
        raise ValueError(f"X of shape {X.shape} does not fit {parameters!r}")
