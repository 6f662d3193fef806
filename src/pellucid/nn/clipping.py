"""Gradient clipping: limit the gradient of a step, so that a single steep step does no harm.

R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
2013. The clipped gradient is that of the whole objective, including the penalty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from pellucid.nn.array import Array, namespace
from pellucid.nn.parameters import Layout


def clip_by_value(gradient: Array, limit: float) -> Array:
    """Return g with each element clipped to [-limit, limit]; any shape."""
    return namespace(gradient).clip(gradient, -limit, limit)


def clip_by_norm(gradient: Array, limit: float) -> Array:
    """Return g·min(1, limit/‖g‖): the same direction with a norm of at most `limit`; any shape."""
    xp = namespace(gradient)
    largest = xp.max(xp.abs(gradient), initial=0.0)
    scaled = gradient / xp.where(largest > 0, largest, 1.0)  # Its squares do not overflow.
    norm = largest * xp.sqrt(xp.sum(scaled * scaled))
    return gradient * xp.where(norm > limit, limit / xp.where(norm > 0, norm, 1.0), 1.0)


class Clipping(Protocol):
    """Interface of all clipping methods."""

    def apply(self, gradient: Array, layout: Layout) -> Array:
        """Return the clipped gradient, flat (size,)."""
        ...


@dataclass(frozen=True)
class ClipByValue:
    """Clip each element to [-limit, limit]; this may change the gradient's direction."""

    limit: float

    def __post_init__(self) -> None:
        _check_limit(self.limit)

    def apply(self, gradient: Array, layout: Layout) -> Array:
        """Return the clipped gradient, flat (size,)."""
        return clip_by_value(gradient, self.limit)


@dataclass(frozen=True)
class ClipByNorm:
    """Scale the gradient of each array (each W, each b) separately to a norm of at most `limit`."""

    limit: float

    def __post_init__(self) -> None:
        _check_limit(self.limit)

    def apply(self, gradient: Array, layout: Layout) -> Array:
        """Return the clipped gradient, flat (size,)."""
        pieces = [clip_by_norm(gradient[entry.span], self.limit) for entry in layout.entries]
        return namespace(gradient).concat(pieces)


@dataclass(frozen=True)
class ClipByGlobalNorm:
    """Scale the whole gradient to a norm of at most `limit`, keeping its direction."""

    limit: float

    def __post_init__(self) -> None:
        _check_limit(self.limit)

    def apply(self, gradient: Array, layout: Layout) -> Array:
        """Return the clipped gradient, flat (size,)."""
        return clip_by_norm(gradient, self.limit)


def _check_limit(limit: float) -> None:
    if not (limit > 0.0 and math.isfinite(limit)):
        raise ValueError(f"limit must be a number above 0, got {limit!r}")
