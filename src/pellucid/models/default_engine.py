"""The engine that the estimators train and predict with, chosen here and nowhere else."""

from pellucid.engine.native import NativeObjective as EngineObjective
from pellucid.engine.native import NativeTrainer as EngineTrainer
from pellucid.engine.native import loss_and_gradient

__all__ = ["EngineObjective", "EngineTrainer", "loss_and_gradient"]
