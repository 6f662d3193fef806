"""An epoch over rows that are never all in memory: block after block."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from pellucid.engine.contract import Trainer
from pellucid.engine.instruction_set import core
from pellucid.engine.plan import EpochResult, TrainingData
from pellucid.nn.random import Ints


def block_order(seed: int, epoch: int, block: int, n: int) -> Ints:
    """Return the order of the n rows of a block of an epoch, both counted from 0.

    The permutation of part `block` + 1 of the epoch; part 0 is left for what comes in blocks.
    """
    order = np.arange(n, dtype=np.int64)
    core.permute(seed, epoch, order, block + 1)
    return order


def run_blocks(
    trainer: Trainer,
    blocks: Iterable[tuple[TrainingData, Ints]],
    learning_rate: float | None = None,
) -> EpochResult:
    """Let a trainer take one epoch whose rows come in blocks.

    Moments and step count go on from block to block, and the epoch counts as one. A step never
    has rows of two blocks: where each block but the last has a multiple of `batch_size` rows, every
    step but the last of the epoch is full.

    Parameters
    ----------
    trainer : NativeTrainer or ReferenceTrainer
    blocks : iterable of (TrainingData, array of int64)
        Rows of the form of the trainer's data, and the order to take them in. A block may lie in
        the memory of the one before it.
    learning_rate : float, optional
        In place of the optimizer's, for this epoch.

    Returns
    -------
    EpochResult
        Its `seconds` count the time that the blocks took to come.

    Raises
    ------
    ValueError
        There is no block, or one of another form.
    NonFiniteError
        As `run_epoch`. After this and every other error, also one that a block came with, the
        parameters are those of the start of the epoch, and the trainer cannot go on.
    KeyboardInterrupt
        The parameters are those that the trainer's `run_epoch` leaves.
    """
    start, epoch = time.perf_counter(), trainer.epoch
    before = trainer.pull().flat.copy()
    parts = []
    try:
        for data, order in blocks:
            trainer.data = data
            trainer.epoch = epoch
            parts.append(trainer.run_epoch(order, learning_rate))
        if not parts:
            raise ValueError("an epoch needs at least one block of rows")
    except KeyboardInterrupt:
        trainer.epoch = epoch
        raise
    except BaseException:
        trainer.pull().flat[:] = before
        raise
    n_examples = sum(part.n_examples for part in parts)
    return EpochResult(
        epoch,
        sum(part.loss * part.n_examples for part in parts) / max(n_examples, 1),
        n_examples,
        sum(part.n_steps for part in parts),
        time.perf_counter() - start,
        tuple(measured for part in parts for measured in part.statistics),
    )
