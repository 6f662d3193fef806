"""Why a training step gave a value that is not finite."""

from __future__ import annotations

import numpy as np

from pellucid.engine.batch import Batch, gather
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData
from pellucid.nn.chain import Chain, Trace
from pellucid.nn.context import Context
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints

TOO_FAST = (
    "the last updates were too large. Lower the learning rate, or standardize the columns of X "
    "and, for regression, the targets."
)


def explain_non_finite(
    chain: Chain, parameters: Parameters, data: TrainingData, rows: Ints, context: Context
) -> NonFiniteError:
    """Return the error for a step on `rows` at `parameters`, by doing its forward pass again."""
    with np.errstate(all="ignore"):
        batch = gather(data, rows, parameters.flat.dtype)
        layer, cause = diagnose(chain.forward(parameters, batch.X, context), batch)
    return NonFiniteError(context.epoch, context.step, layer, cause)


def explain_weights(parameters: Parameters, epoch: int, step: int) -> NonFiniteError:
    """Return the error for weights that the update of `step` made non-finite."""
    bad = next(name for name in parameters.names() if not np.isfinite(parameters[name]).all())
    return NonFiniteError(epoch, step, int(bad.split(".")[0]), TOO_FAST)


def diagnose(trace: Trace, batch: Batch) -> tuple[int | None, str]:
    """Return the layer of the first non-finite value, and what most likely made it."""
    if not np.isfinite(batch.X).all():
        return None, "X contains NaN, infinity or a value too large for the arithmetic."
    if not np.isfinite(batch.targets).all():
        return None, "the targets contain NaN, infinity or a value too large for the arithmetic."
    for i, value in enumerate(trace.values[1:]):
        if not np.isfinite(value).all():
            return i, _large_or_fast(batch)
    return None, f"the loss itself overflowed. {_large_or_fast(batch)}"


def _large_or_fast(batch: Batch) -> str:
    largest = float(np.abs(batch.X).max(initial=0.0))
    if largest > 1e6:
        return f"values in X are as large as {largest:.3g}. Standardize the columns of X."
    return TOO_FAST
