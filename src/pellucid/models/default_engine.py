"""The engines that models train and predict with, chosen here and nowhere else."""

from dataclasses import dataclass
from typing import Any

from pellucid.engine import native, reference
from pellucid.engine.native_predictor import NativePredictor
from pellucid.nn import Chain, CustomActivation


@dataclass(frozen=True)
class Engine:
    """What a network needs of an engine."""

    trainer: type[Any]
    predictor: type[Any]
    objective: type[Any]


ENGINES = {
    "native": Engine(native.NativeTrainer, NativePredictor, native.NativeObjective),
    "reference": Engine(
        reference.ReferenceTrainer, reference.ReferencePredictor, reference.ReferenceObjective
    ),
}
"""By name."""


def engine_of(chain: Chain) -> Engine:
    """Return the engine that estimators use: native, unless an activation is in Python."""
    own = any(isinstance(layer, CustomActivation) for layer in chain.layers)
    return ENGINES["reference" if own else "native"]
