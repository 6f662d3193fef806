"""What is measured of a training step, where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.nn.activations import Activation
from pellucid.nn.chain import Chain, Trace
from pellucid.nn.linear import Linear
from pellucid.nn.parameters import Parameters
from pellucid.nn.parametric_activation import ParametricActivation
from pellucid.nn.random import Ints

Z_EDGES = np.linspace(-8.0, 8.0, 65)
"""Edges of the bins in which pre-activations are counted; two more bins take what lies beyond."""


@dataclass(frozen=True)
class StepStatistics:
    """How a step went, layer by layer.

    Norms are Euclidean, of each parameter by name. The gradient is that of the objective, penalty
    included, before any clipping; the weights are those before the update. Of an embedding table
    only the rows that the batch has count.
    """

    step: int
    """Counted from 1 over the whole training."""
    gradient_norms: Mapping[str, float]
    update_norms: Mapping[str, float]
    weight_norms: Mapping[str, float]
    dead_units: Mapping[int, int]
    """By the place of an activation in the network: how many units gave 0 for every row."""
    z_counts: Mapping[int, np.ndarray[Any, np.dtype[np.int64]]]
    """By the place of a linear layer: how many of its outputs z, over rows and units, fell in each
    bin; (66,). Bin 0 is z < -8, bin 65 is z >= 8, and bin 1 + i is Z_EDGES[i] <= z <
    Z_EDGES[i + 1]."""

    @property
    def update_ratios(self) -> dict[str, float]:
        """Norm of the update over norm of the weights, by name; 0 where the weights are 0."""
        return {
            name: self.update_norms[name] / norm if norm > 0.0 else 0.0
            for name, norm in self.weight_norms.items()
        }


def activation_places(chain: Chain) -> list[int]:
    """Return the places of the layers whose silent units are counted."""
    kinds = (Activation, ParametricActivation)
    return [i for i, layer in enumerate(chain.layers) if isinstance(layer, kinds)]


def linear_places(chain: Chain) -> list[int]:
    """Return the places of the layers whose outputs are counted."""
    return [i for i, layer in enumerate(chain.layers) if isinstance(layer, Linear)]


def measure(
    chain: Chain,
    trace: Trace,
    gradient: Parameters,
    before: Parameters,
    after: Parameters,
    active: Mapping[str, Ints],
    step: int,
) -> StepStatistics:
    """Return the statistics of a step from everything it computed.

    `active` has, by name, the rows of each embedding table that the batch has.
    """
    update = Parameters(after.flat - before.flat, before.layout)
    return StepStatistics(
        step,
        _norms(gradient, active),
        _norms(update, active),
        _norms(before, active),
        {i: int((trace.values[i + 1] == 0.0).all(axis=0).sum()) for i in activation_places(chain)},
        {i: count_z(trace.values[i + 1]) for i in linear_places(chain)},
    )


def count_z(z: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return how many of the numbers fall in each bin; (66,)."""
    bins = np.digitize(z.ravel(), Z_EDGES.astype(z.dtype))
    return np.bincount(bins, minlength=len(Z_EDGES) + 1)


def _norms(parameters: Parameters, active: Mapping[str, Ints]) -> dict[str, float]:
    """Return the norm of every array that is learned, of a table that of its active rows."""
    return {
        entry.name: float(np.linalg.norm(parameters[entry.name][active.get(entry.name, ...)]))
        for entry in parameters.layout.entries
        if entry.role != "statistic"
    }
