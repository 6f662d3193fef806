"""Dropout: in training, set each unit of each example to zero with probability p.

N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way
to prevent neural networks from overfitting", 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer
from pellucid.nn.random import Flags, Purpose, philox

ScaleAt = Literal["training", "prediction"]

_LEVELS = 65536
_PER_BLOCK = 8
_LOW_WORD = np.uint64(0xFFFFFFFF)


def dropout_mask(m: int, width: int, threshold: int, context: Context) -> Flags:
    """Return a mask (m, width) of the elements to keep: those whose 16 random bits >= threshold.

    Row i, column j uses 16 bits of the Philox block (`pellucid.nn.random`) with the counter

        ((first_row + i)·ceil(width/8) + j div 8, step, epoch, Purpose.DROPOUT·2²⁴ + layer):

    word (j mod 8) div 2 of the block, its low half if j is even and its high half if j is odd.
    The mask therefore depends only on the position in the batch and the context.
    """
    blocks_per_row = -(-width // _PER_BLOCK)
    counter = np.empty((m * blocks_per_row, 4), dtype=np.uint32)
    first = context.first_row * blocks_per_row
    counter[:, 0] = (first + np.arange(m * blocks_per_row, dtype=np.uint64)) & _LOW_WORD
    counter[:, 1] = context.step & 0xFFFFFFFF
    counter[:, 2] = context.epoch & 0xFFFFFFFF
    counter[:, 3] = (int(Purpose.DROPOUT) << 24) | context.layer
    words = philox(counter, context.seed)
    halves = np.stack([words & np.uint32(0xFFFF), words >> np.uint32(16)], axis=2)
    return halves.reshape(m, blocks_per_row * _PER_BLOCK)[:, :width] >= threshold


def dropout(h: Array, mask: Array, scale: float) -> Array:
    """Return scale·m ⊙ h, for h and the mask m of zeros and ones, both (m, width)."""
    return h * (mask * scale)


def dropout_backward(dy: Array, mask: Array, scale: float) -> Array:
    """Return dh = scale·m ⊙ dy; (m, width)."""
    return dy * (mask * scale)


@dataclass(frozen=True)
class Dropout(Layer):
    """Layer that sets each element to zero with probability p during training.

    With a mask m, P(m = 0) = p, E[m ⊙ h] = (1 - p)h and Var[m ⊙ h] = p(1 - p)h ⊙ h. The factor
    1 - p is compensated in one of two ways, which have the same expectation:

    - `scale_at="training"`: training gives m ⊙ h/(1 - p), prediction gives h.
    - `scale_at="prediction"`: training gives m ⊙ h, prediction gives (1 - p)h. Prediction uses the
      full p, even if a `dropout_schedule` lowered it by the end of training.

    Parameters
    ----------
    p : float
        Probability that an element is dropped, in [0, 1); rounded to a multiple of 2⁻¹⁶.
    scale_at : {"training", "prediction"}
        When to compensate for dropped elements.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import Context, Dropout
    >>> h = np.ones((1, 8))
    >>> Dropout(0.5).forward({}, h, Context(training=True, seed=0, step=1))
    array([[0., 2., 2., 2., 2., 0., 2., 0.]])
    >>> Dropout(0.5).forward({}, h)
    array([[1., 1., 1., 1., 1., 1., 1., 1.]])
    """

    p: float
    scale_at: ScaleAt = "training"

    def __post_init__(self) -> None:
        if not (0.0 <= self.p < 1.0 and self.threshold < _LEVELS):
            raise ValueError(f"p must be at least 0 and below 1, got {self.p!r}")
        if self.scale_at not in get_args(ScaleAt):
            raise ValueError(f'scale_at must be "training" or "prediction", got {self.scale_at!r}')

    @property
    def drops(self) -> bool:
        """Whether p is above 0."""
        return self.threshold > 0

    @property
    def threshold(self) -> int:
        """Number of 16-bit values that drop an element: p·2¹⁶, rounded half to even."""
        return self.threshold_in(PREDICTION)

    def threshold_in(self, context: Context) -> int:
        """Return the threshold in this context: p·dropout_factor·2¹⁶, rounded."""
        return round(self.p * context.dropout_factor * _LEVELS)

    @property
    def kept_share(self) -> float:
        """1 - p for the rounded p."""
        return 1.0 - self.threshold / _LEVELS

    def forward(
        self, parameters: Mapping[str, Array], h: Array, context: Context = PREDICTION
    ) -> Array:
        """Return y (m, width) for h (m, width)."""
        if context.drops:
            return dropout(h, *self._mask_and_scale(h, context))
        return h if self.scale_at == "training" else self.kept_share * h

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        h: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dh (m, width), using the mask of the forward pass."""
        if context.drops:
            return dropout_backward(dy, *self._mask_and_scale(h, context)), {}
        return (dy if self.scale_at == "training" else self.kept_share * dy), {}

    def _mask_and_scale(self, h: Array, context: Context) -> tuple[Array, float]:
        threshold = self.threshold_in(context)
        mask = dropout_mask(h.shape[0], h.shape[1], threshold, context)
        scale = 1.0 / (1.0 - threshold / _LEVELS) if self.scale_at == "training" else 1.0
        return namespace(h).asarray(mask, dtype=h.dtype), scale
