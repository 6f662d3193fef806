"""The training job: everything that one fit needs, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.engine.contract import Engine
from pellucid.nn.chain import Chain
from pellucid.nn.parameters import Parameters
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import Checkpoints, StateError, TrainingState
from pellucid.training.epochs import EpochRun, MiniBatches
from pellucid.training.lbfgs import Lbfgs, LbfgsRun
from pellucid.training.replay import Recording
from pellucid.training.result import FitResult
from pellucid.training.source import RowSource
from pellucid.training.validation import Validation


@dataclass(frozen=True)
class TrainingJob:
    """One training: what is learned from what, and how; whose model it is it does not know.

    `fit`, `partial_fit`, `warm_start` and `resume` are jobs that differ in `parameters` and
    `start`: fresh parameters and nothing, parameters and the state of an earlier `FitResult`,
    parameters alone, a checkpoint.

    Parameters
    ----------
    chain : Chain
        Layers and loss.
    parameters : Parameters
        Where training starts; it changes them in place.
    source : RowSource
        The rows to learn from.
    solver : MiniBatches or Lbfgs
    validation : Validation, optional
        Rows to score after each epoch.
    start : TrainingState
        Where to go on from; by default from nothing.
    callbacks : sequence of callbacks
        Checked by `check_callbacks`.
    checkpoints : Checkpoints, optional
        Keeps the state between epochs.
    record : int, optional
        Keep what it takes to replay any step, every so many epochs.
    verbose : bool
        Print a line for each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.engines import ENGINES
    >>> from pellucid.engine.plan import TrainingData, TrainingPlan
    >>> from pellucid.nn import SGD, Chain, Linear
    >>> from pellucid.training import CounterOrder, MiniBatches, TableRows, TrainingJob
    >>> from pellucid.training import get_epoch_rate
    >>> chain = Chain([Linear(1, weights="zeros")], "squared_error")
    >>> data = TrainingData(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    >>> solver = MiniBatches(
    ...     TrainingPlan(SGD(0.01), batch_size=1), get_epoch_rate("constant", 0.01), max_epochs=2
    ... )
    >>> source = TableRows(data, CounterOrder(data, seed=0))
    >>> job = TrainingJob(chain, chain.initialize(2, seed=0), source, solver)
    >>> result = job.run(ENGINES["native"])
    >>> result.outcome.name, [round(loss, 2) for loss in result.state.history.losses]
    ('MAX_EPOCHS', [100.0, 51.84])
    """

    chain: Chain
    parameters: Parameters
    source: RowSource
    solver: MiniBatches | Lbfgs
    validation: Validation | None = None
    start: TrainingState = field(default_factory=TrainingState)
    callbacks: Sequence[Any] = ()
    checkpoints: Checkpoints | None = None
    record: int | None = None
    verbose: bool = False

    def run(self, engine: Engine) -> FitResult:
        """Train with an engine; `begin` raises what is wrong before, the result holds the rest."""
        return self.begin(engine).run()

    def begin(self, engine: Engine) -> EpochRun | LbfgsRun:
        """Make ready to run.

        Raises
        ------
        ValueError, TypeError
            The engine does not know a layer, an optimizer or the like.
        StateError
            `start` is of another training.
        """
        callbacks = self._told()
        say = print if self.verbose else None
        data = self.source.start()
        if isinstance(self.solver, Lbfgs):
            return LbfgsRun(
                self.solver, engine, self.chain, self.parameters, data, self.start, callbacks, say
            )
        plan = self.solver.plan
        self.start.check_fits(self.parameters.flat, plan.optimizer)
        if self.start.parameters is not None:
            self.parameters.flat[:] = self.start.parameters
        trainer: Any = engine.trainer(self.chain, self.parameters, data, plan, self.start.trainer)
        if self.start.parameters is not None:
            self._restore_order()
        return EpochRun(
            settings=self.solver,
            trainer=trainer,
            source=self.source,
            start=self.start,
            validation=self.validation,
            callbacks=callbacks,
            checkpoints=self.checkpoints,
            recording=None if self.record is None else Recording(trainer, self.record),
            say=say,
        )

    def _told(self) -> Callbacks | None:
        if not self.callbacks:
            return None
        validation = self.validation
        named = () if validation is None else (validation.name, validation.is_error)
        return Callbacks(self.callbacks, self.chain, self.parameters, *named)

    def _restore_order(self) -> None:
        try:
            self.source.restore(self.start.order)
        except (LookupError, OverflowError, TypeError, ValueError) as error:
            raise StateError(str(error)) from error
