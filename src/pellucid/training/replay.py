"""Any past step of a fit, run again exactly.

Row orders and dropout masks are functions of seed, epoch and step, so parameters and the trainer's
state at the start of an epoch are enough to repeat whatever followed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.engine.batch import gather
from pellucid.engine.contract import Trainer
from pellucid.engine.plan import TrainerState
from pellucid.nn.chain import Gradients, Trace
from pellucid.nn.context import Context
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints


@dataclass(frozen=True)
class ReplayedStep:
    """One step of a fit, as it happened.

    `rows`, `before` and `after` are those of the fit to the bit. `trace` and `gradients` are the
    formulas of `nn` at `before`, with the same dropout masks: to the bit those of a fit with the
    reference engine, and equal up to rounding to what the native engine computed.
    """

    step: int
    """Counted from 1 over the whole training."""
    epoch: int
    """Counted from 0."""
    rows: Ints
    """(m,) the rows of X in this batch."""
    context: Context
    """What dropout masks are drawn from."""
    before: Parameters
    trace: Trace
    loss: float
    """Mean weighted loss of the batch, without the penalty."""
    gradients: Gradients
    """Of `loss`: without the penalty, before clipping."""
    after: Parameters

    @property
    def update(self) -> Parameters:
        """What the step added to each parameter."""
        return Parameters(self.after.flat - self.before.flat, self.before.layout)


class Recording:
    """Keeps what it takes to run any step of a fit again.

    Parameters
    ----------
    trainer : NativeTrainer or ReferenceTrainer
        Its epochs must take the rows in the order of its plan.
    every : int
        Keep a checkpoint at the start of every so many epochs: parameters and the optimizer's
        moments, three times the parameters' memory with Adam. To replay a step, up to `every`
        epochs are run again.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.native import NativeTrainer
    >>> from pellucid.engine.plan import TrainingData, TrainingPlan
    >>> from pellucid.nn import Adam, Linear, Chain
    >>> from pellucid.training import Recording
    >>> chain = Chain([Linear(1)], "squared_error")
    >>> data = TrainingData(np.arange(10.0).reshape(5, 2), np.arange(5.0).reshape(5, 1))
    >>> plan = TrainingPlan(Adam(), batch_size=2)
    >>> trainer = NativeTrainer(chain, chain.initialize(2, seed=0), data, plan)
    >>> recording = Recording(trainer)
    >>> for _ in range(4):
    ...     recording.before_epoch()
    ...     result = trainer.run_epoch()
    >>> step = recording.replay(12)  # the last one: 5 rows in batches of 2 are 3 steps an epoch
    >>> bool((step.after.flat == trainer.parameters.flat).all()), len(step.rows)
    (True, 1)
    """

    def __init__(self, trainer: Trainer, every: int = 1) -> None:
        if not isinstance(every, int | np.integer) or isinstance(every, bool) or every < 1:
            raise ValueError(
                f"a recording keeps a checkpoint every so many epochs, a positive integer; got "
                f"{every!r}"
            )
        self._trainer = trainer
        self._every = int(every)
        self._n_epochs = 0
        self._checkpoints: list[tuple[np.ndarray[Any, Any], TrainerState]] = []
        self._some_rows = self._look_at_some_rows()

    @property
    def n_steps(self) -> int:
        """Steps that can be replayed, counted from 1."""
        return self._trainer.step if self._checkpoints else 0

    @property
    def n_bytes(self) -> int:
        """Memory that the checkpoints take."""
        return sum(
            flat.nbytes + sum(np.asarray(moment).nbytes for moment in state.optimizer)
            for flat, state in self._checkpoints
        )

    def before_epoch(self) -> None:
        """Keep a checkpoint, if the epoch that is about to begin is due for one."""
        if self._n_epochs % self._every == 0:
            flat = self._trainer.pull().flat.copy()
            self._checkpoints.append((flat, self._trainer.state))
        self._n_epochs += 1

    def replay(self, step: int) -> ReplayedStep:
        """Run one step again, counted from 1 over the whole training.

        Raises
        ------
        ValueError
            There was no such step; or X, y or the weights have been changed in place since, by a
            look at the first, the middle and the last row.
        """
        earliest = self._checkpoints[0][1].step + 1 if self._checkpoints else 1
        if not isinstance(step, int | np.integer) or not earliest <= step <= self.n_steps:
            raise ValueError(
                f"step must be {earliest} to {self.n_steps}, the steps recorded, got {step!r}"
            )
        if any(map(_differ, self._some_rows, self._look_at_some_rows())):
            raise ValueError(
                "X, y or the weights were changed since the training, which replay needs as they "
                "were: undo the change, or train on a copy"
            )
        trainer = self._trainer_before(step)
        state, order = trainer.state, trainer.row_order()
        first = (step - 1 - trainer.step) * self._trainer.plan.batch_size
        if first > 0:
            trainer.run_epoch(order[:first])
        before = trainer.pull().copy()
        rows = order[first : first + self._trainer.plan.batch_size]
        last = self._make_trainer(trainer.pull(), replace(trainer.state, epoch=state.epoch))
        last.run_epoch(rows)
        return self._inspected(step, state.epoch, rows, before, last.pull())

    def _look_at_some_rows(self) -> tuple[Any, ...]:
        data = self._trainer.data
        last = data.n_examples - 1
        rows = gather(data, data.in_order(np.array([0, last // 2, last])), np.dtype(np.float64))
        return rows.X, rows.targets, rows.sample_weight

    def _make_trainer(self, parameters: Parameters, state: TrainerState) -> Trainer:
        make: Any = type(self._trainer)  # A trainer of the same engine.
        of = self._trainer
        trainer: Trainer = make(of.chain, parameters, of.data, of.plan, state)
        return trainer

    def _trainer_before(self, step: int) -> Trainer:
        """Return a trainer at the start of the epoch of `step`."""
        of = self._trainer
        flat, state = next(c for c in reversed(self._checkpoints) if c[1].step < step)
        parameters = Parameters.zeros(of.pull().layout, flat.dtype)
        parameters.flat[:] = flat
        trainer = self._make_trainer(parameters, state)
        steps_per_epoch = -(-of.data.n_examples // of.plan.batch_size)
        while trainer.step + steps_per_epoch < step:
            trainer.run_epoch()
        return trainer

    def _inspected(
        self, step: int, epoch: int, rows: Ints, before: Parameters, after: Parameters
    ) -> ReplayedStep:
        chain, data = self._trainer.chain, self._trainer.data
        batch = gather(data, rows, before.flat.dtype)
        context = self._trainer.plan.context_at(epoch, step, data.n_examples)
        with np.errstate(over="ignore", invalid="ignore"):
            trace = chain.forward(before, batch.X, context)
            loss = chain.loss_value(trace, batch.targets, batch.sample_weight)
            gradients = chain.backward(before, trace, batch.targets, batch.sample_weight, context)
        return ReplayedStep(step, epoch, rows, context, before, trace, loss, gradients, after)


def _differ(before: Any, now: Any) -> bool:
    return before is not None and not np.array_equal(before, now)
