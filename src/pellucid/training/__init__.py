"""Epochs, schedules, early stopping and validation, around any engine's trainer."""

from pellucid.training.fit import EpochLoop, Outcome, Trainer, Validation
from pellucid.training.history import EpochReport, History
from pellucid.training.row_order import FixedOrder, ShuffledOrder
from pellucid.training.schedules import Schedule, get_schedule
from pellucid.training.stopping import BestWeights, NoImprovement
from pellucid.training.validation import HeldOut, hold_out

__all__ = [
    "BestWeights",
    "EpochLoop",
    "EpochReport",
    "FixedOrder",
    "HeldOut",
    "History",
    "NoImprovement",
    "Outcome",
    "Schedule",
    "ShuffledOrder",
    "Trainer",
    "Validation",
    "get_schedule",
    "hold_out",
]
