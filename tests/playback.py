"""An engine that trains nothing and plays back losses and scores."""

from dataclasses import dataclass, field

import numpy as np

from pellucid.engine.contract import Engine, Measurement
from pellucid.engine.plan import EpochResult, TrainerState, TrainingData, TrainingPlan
from pellucid.nn import SGD, Chain, Linear

CHAIN = Chain([Linear(1, bias=False, weights="zeros")], "half_squared_error")
"""Its only weight counts epochs."""
DATA = TrainingData(np.zeros((10, 1)), np.zeros((10, 1)))
PLAN = TrainingPlan(SGD(1.0), batch_size=5)


def start():
    """Return the parameters of `CHAIN`: a weight of zero."""
    return CHAIN.initialize(1, seed=0)


@dataclass
class Playback:
    """A trainer that adds 1 to the only weight in each epoch.

    Like an engine with memory of its own, it tells the caller's parameters only when asked to.
    """

    parameters: object
    plan: TrainingPlan = PLAN
    losses: list = field(default_factory=list)
    """One an epoch; an exception is raised."""
    scores: list = field(default_factory=list)
    """One a measurement."""
    seconds: float = 1.0
    """Of an epoch."""
    state: TrainerState = None

    def __post_init__(self):
        self.n_threads = self.plan.n_threads
        self.state = self.state or TrainerState(self.plan.optimizer.init(self.parameters.flat))
        self.weight = float(self.parameters.flat[0])
        self.rates, self.calls, self.stopped = [], [], False
        self.losses, self.scores = iter(self.losses), iter(self.scores)

    def run_epochs(self, orders, learning_rate=None):
        self.calls.append(len(orders))
        for order in orders:
            yield self._epoch(len(order), learning_rate)

    def run_blocks(self, blocks, learning_rate=None):
        self.calls.append(1)
        return self._epoch(sum(len(order) for _, order in blocks), learning_rate)

    def _epoch(self, n_rows, learning_rate):
        loss = next(self.losses)
        self.rates.append(learning_rate)
        if isinstance(loss, BaseException):
            raise loss
        self.weight += 1
        epoch, n_steps = self.state.epoch, -(-n_rows // self.plan.batch_size)
        step = self.state.step + n_steps
        self.state = TrainerState(self.state.optimizer, step, epoch + 1)
        return EpochResult(epoch, loss, n_rows, n_steps, self.seconds)

    def pull(self):
        self.parameters.flat[0] = self.weight
        return self.parameters

    def measure(self, rows):
        score = next(self.scores)
        return Measurement(2.0 - score, np.full((len(rows.targets), 1), score))

    def stop(self):
        self.stopped = True


def playing(losses, scores=(), seconds=1.0):
    """Return an engine whose trainer plays back losses and scores."""

    def make(chain, parameters, data, plan, state=None):
        return Playback(parameters, plan, losses, scores, seconds, state)

    return Engine("playback", make, predictor=None, objective=None)
