"""A loss that the user writes, as the native engine calls it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.engine.plan import TrainingData
from pellucid.nn.chain import Chain
from pellucid.nn.custom_loss import CustomLoss


class OutsideLoss:
    """Holds what the engine and the user's function exchange, for batches of up to `n_rows`."""

    def __init__(
        self, loss: CustomLoss, data: TrainingData, n_rows: int, fan_out: int, dtype: Any
    ) -> None:
        self._loss = loss
        self._targets = data.targets
        weights = data.sample_weight
        self._weights = np.ones(len(data.targets)) if weights is None else weights
        self._scores = np.zeros((n_rows, fan_out), dtype)
        self._gradient = np.zeros((n_rows, fan_out), dtype)
        self._rows = np.zeros(n_rows, dtype=np.int64)
        self._to_check = loss.checks_gradient

    def parts(self) -> tuple[Any, ...]:
        """Return what the engine reads and writes: scores, gradient, rows and `evaluate`."""
        return self._scores, self._gradient, self._rows, self.evaluate

    def evaluate(self, n: int) -> float:
        """Fill the gradient for the first n scores and rows, and return the loss."""
        rows = self._rows[:n]
        batch = self._scores[:n], self._targets[rows], self._weights[rows]
        if self._to_check:
            self._loss.check(*batch)
            self._to_check = False
        value, self._gradient[:n] = self._loss.evaluate(*batch)
        return value


def outside_loss(
    chain: Chain, data: TrainingData, n_rows: int, dtype: np.dtype[Any]
) -> tuple[Any, ...] | None:
    """Return the parts of the network's own loss; None where the engine computes the loss."""
    if not isinstance(chain.loss, CustomLoss):
        return None
    fan_out = chain.fan_out(data.X.shape[1])
    return OutsideLoss(chain.loss, data, n_rows, fan_out, dtype).parts()
