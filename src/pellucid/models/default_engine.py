"""The engines that models train and predict with, chosen here and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pellucid.engine import native, reference
from pellucid.engine.native import NativeObjective as EngineObjective
from pellucid.engine.native import NativeTrainer as EngineTrainer
from pellucid.engine.native import loss_and_gradient, predict_scores

__all__ = [
    "ENGINES",
    "Engine",
    "EngineObjective",
    "EngineTrainer",
    "loss_and_gradient",
    "predict_scores",
]


@dataclass(frozen=True)
class Engine:
    """What a network needs of an engine."""

    trainer: type[Any]
    predict_scores: Callable[..., Any]


ENGINES = {
    "native": Engine(native.NativeTrainer, native.predict_scores),
    "reference": Engine(reference.ReferenceTrainer, reference.predict_scores),
}
"""By name; estimators take the native one."""
