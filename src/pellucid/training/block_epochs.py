"""Epochs that come in blocks, for the loop that knows epochs of one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.plan import EpochResult, TrainerState, TrainingData
from pellucid.nn.parameters import Parameters

Blocks = Iterable[tuple[TrainingData, NDArray[np.int64]]]


class BlockEpochs:
    """A `Trainer` whose epochs are those that `blocks` gives, and whose orders are their numbers.

    Parameters
    ----------
    trainer : NativeTrainer or ReferenceTrainer
        What takes the steps.
    blocks : callable
        `(number of the epoch, from 0) -> blocks`, as `engine.blocks.run_blocks` takes them.
    """

    def __init__(self, trainer: Any, blocks: Callable[[int], Blocks]) -> None:
        self._trainer, self._blocks = trainer, blocks

    @property
    def parameters(self) -> Parameters:
        """What is trained, in place."""
        parameters: Parameters = self._trainer.parameters
        return parameters

    @property
    def data(self) -> TrainingData:
        """The block that was trained on last; of no rows before the first."""
        data: TrainingData = self._trainer.data
        return data

    @property
    def state(self) -> TrainerState:
        """What another trainer needs to go on from here, beside the parameters."""
        state: TrainerState = self._trainer.state
        return state

    @property
    def n_threads(self) -> int | None:
        """Threads of the next epoch; the results do not depend on it."""
        n_threads: int | None = self._trainer.n_threads
        return n_threads

    @n_threads.setter
    def n_threads(self, n_threads: int | None) -> None:
        self._trainer.n_threads = n_threads

    def stop(self) -> None:
        """Make the epoch that another thread runs, or the next, end with `KeyboardInterrupt`."""
        self._trainer.stop()

    def row_order(self, epoch: int) -> NDArray[np.int64]:
        """Return what stands for the order of that epoch: its number, (1,)."""
        return np.array([epoch], dtype=np.int64)

    def run_epochs(
        self, orders: NDArray[np.int64], learning_rate: float | None = None
    ) -> Iterator[EpochResult]:
        """Run the epochs whose numbers `orders` (k, 1) has, and yield their results."""
        for number in orders[:, 0].tolist():
            yield self._trainer.run_blocks(self._blocks(number), learning_rate)
