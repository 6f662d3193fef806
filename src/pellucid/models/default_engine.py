"""The engines that models train and predict with, chosen here and nowhere else."""

from dataclasses import dataclass
from typing import Any

from pellucid.engine import native, reference
from pellucid.engine.native import NativeObjective as EngineObjective
from pellucid.engine.native import NativeTrainer as EngineTrainer
from pellucid.engine.native import loss_and_gradient, predict_scores
from pellucid.engine.native_predictor import NativePredictor as EnginePredictor

__all__ = [
    "ENGINES",
    "Engine",
    "EngineObjective",
    "EnginePredictor",
    "EngineTrainer",
    "loss_and_gradient",
    "predict_scores",
]


@dataclass(frozen=True)
class Engine:
    """What a network needs of an engine."""

    trainer: type[Any]
    predictor: type[Any]


ENGINES = {
    "native": Engine(native.NativeTrainer, EnginePredictor),
    "reference": Engine(reference.ReferenceTrainer, reference.ReferencePredictor),
}
"""By name; estimators take the native one."""
