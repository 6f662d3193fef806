"""The engines there are, and which one trains a chain by default."""

from pellucid.engine import native, reference
from pellucid.engine.contract import Engine
from pellucid.engine.native_predictor import NativePredictor
from pellucid.nn.chain import Chain
from pellucid.nn.custom_activation import CustomActivation

ENGINES: dict[str, Engine] = {
    "native": Engine("native", native.NativeTrainer, NativePredictor, native.NativeObjective),
    "reference": Engine(
        "reference",
        reference.ReferenceTrainer,
        reference.ReferencePredictor,
        reference.ReferenceObjective,
    ),
}
"""By name."""


def engine_of(chain: Chain) -> Engine:
    """Return the native engine, or the reference engine where an activation is in Python."""
    own = any(isinstance(layer, CustomActivation) for layer in chain.layers)
    return ENGINES["reference" if own else "native"]
