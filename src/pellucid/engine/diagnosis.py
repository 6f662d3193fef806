"""Why a training step gave a value that is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData
from pellucid.engine.reference import _diagnose, _gather
from pellucid.nn.network import Network
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints


def explain_non_finite(
    network: Network, parameters: Parameters, data: TrainingData, rows: Ints, epoch: int, step: int
) -> NonFiniteError:
    """Return the error for a step on `rows` at `parameters`, by doing its forward pass again."""
    with np.errstate(all="ignore"):
        batch: Any = _gather(data, rows, parameters.flat.dtype)
        layer, cause = _diagnose(network.forward(parameters, batch.X), batch)
    return NonFiniteError(epoch, step, layer, cause)
