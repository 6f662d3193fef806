"""The engine that the estimators train and predict with, chosen here and nowhere else."""

from pellucid.engine.native import NativeObjective as EngineObjective
from pellucid.engine.native import NativeTrainer as EngineTrainer
from pellucid.engine.native import loss_and_gradient, predict_scores
from pellucid.engine.native_predictor import NativePredictor as EnginePredictor

__all__ = [
    "EngineObjective",
    "EnginePredictor",
    "EngineTrainer",
    "loss_and_gradient",
    "predict_scores",
]
