"""The context of a pass through the network: training, sampling or prediction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """What a layer knows about the current pass, besides its input and parameters.

    A layer's random numbers depend on this context only. A backward pass, a gradient check or a
    replay of a past step therefore draws the same numbers as the forward pass.

    Parameters
    ----------
    training : bool
        Whether the pass is part of training. If so, dropout is active and batch normalization uses
        the moments of the batch.
    sampling : bool
        Whether dropout is active outside training, to sample sub-networks.
    seed : int
        Seed of the training plan.
    epoch : int
        Epoch, counted from 0.
    step : int
        Step, counted from 1 over the whole training.
    first_row : int
        Index of the first row of the pass among the rows for which one dropout mask is drawn. It
        is 0 in training, where a step takes its whole batch.
    dropout_factor : float
        Factor by which p of every dropout layer is multiplied.
    bfloat16 : bool
        Whether linear layers round the operands of their products to bfloat16.
    layer : int
        Index of the layer in the chain; the chain sets it.
    """

    training: bool = False
    sampling: bool = False
    seed: int = 0
    epoch: int = 0
    step: int = 0
    first_row: int = 0
    dropout_factor: float = 1.0
    bfloat16: bool = False
    layer: int = 0

    @property
    def drops(self) -> bool:
        """Whether dropout is active in this pass."""
        return self.training or self.sampling


PREDICTION = Context()
"""The context of a prediction: no randomness, and no row depends on the other rows."""
