"""Where the examples of a training come from, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.contract import Block
from pellucid.engine.plan import TrainingData
from pellucid.training.fingerprint import contents
from pellucid.training.row_order import OrderState, RowOrder


class RowSource(Protocol):
    """The rows to learn from: a table in memory is one block, a stream many."""

    @property
    def n_rows(self) -> int:
        """Examples in an epoch."""

    def start(self) -> TrainingData:
        """Return what a trainer is made with: rows of the form of the blocks, or the table."""

    def blocks(self, epoch: int) -> Iterable[Block]:
        """Return the blocks of an epoch, counted from 0; epochs are asked for in turn."""

    def fingerprint(self) -> Mapping[str, str]:
        """Return what tells these rows from others."""

    def state(self) -> OrderState:
        """Return what another source of these rows needs to go on from here."""

    def restore(self, state: OrderState) -> None:
        """Go on from a state; raise ValueError, TypeError or KeyError where it does not fit."""


class TableRows:
    """A table in memory: one block an epoch.

    Parameters
    ----------
    data : TrainingData
        Read in place.
    order : RowOrder
        Of its rows.
    """

    def __init__(self, data: TrainingData, order: RowOrder) -> None:
        self._data, self._order = data, order

    @property
    def n_rows(self) -> int:
        """Examples in an epoch."""
        return self._order.n_rows

    def start(self) -> TrainingData:
        """Return the table."""
        return self._data

    def blocks(self, epoch: int) -> Iterable[Block]:
        """Return the table with the order of an epoch."""
        return [(self._data, self._order(epoch))]

    def orders(self, first: int, n: int) -> NDArray[np.int64]:
        """Return the row orders of `n` epochs, (n, n_rows), from epoch `first` on."""
        if n == 1:
            return self._order(first)[np.newaxis]
        orders = np.empty((n, self._order.n_rows), dtype=np.int64)
        for i in range(n):
            orders[i] = self._order(first + i)
        return orders

    def fingerprint(self) -> Mapping[str, str]:
        """Return checksums of the table, the targets, the weights and the rows chosen."""
        data = self._data
        return {
            "X": contents(data.X),
            "y": contents(data.targets),
            "sample_weight": contents(data.sample_weight),
            "rows": contents(data.rows),
        }

    def state(self) -> OrderState:
        """Return the state of the order."""
        return self._order.state()

    def restore(self, state: OrderState) -> None:
        """Put the order where it was."""
        self._order.restore(state)
