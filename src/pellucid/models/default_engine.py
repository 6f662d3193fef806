"""The engine that the estimators train and predict with, chosen here and nowhere else."""

from pellucid.engine.native import NativeObjective as EngineObjective
from pellucid.engine.native import NativeTrainer as EngineTrainer
from pellucid.engine.native import predict_scores

__all__ = ["EngineObjective", "EngineTrainer", "predict_scores"]
