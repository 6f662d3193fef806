"""When and for what a pass through the network is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """What a layer may know of the pass it is part of, beside its input and its parameters.

    A layer's randomness is a function of this and of nothing else, so that a backward pass, a
    gradient check or a replay of a past step draws the same numbers as the forward pass did.

    Parameters
    ----------
    training : bool
        Whether the pass is part of training: dropout drops and batch normalization uses the
        moments of the batch.
    sampling : bool
        Whether dropout drops although this is not training: a sample of the sub-networks.
    seed : int
        The seed of the training plan.
    epoch : int
        Counted from 0.
    step : int
        Counted from 1 over the whole training.
    first_row : int
        Where the rows of the pass begin among those that draw together; 0 in training, where a step
        takes its whole batch.
    dropout_factor : float
        What the share p of every dropout layer is multiplied by when it drops.
    bfloat16 : bool
        Whether linear layers round the operands of their products to bfloat16.
    layer : int
        The place of the layer in the network, which the network fills in.
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
        """Whether dropout drops in this pass."""
        return self.training or self.sampling


PREDICTION = Context()
"""The context of a prediction: nothing random, nothing that depends on the other rows."""
