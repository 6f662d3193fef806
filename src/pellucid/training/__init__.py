"""Epochs, schedules, early stopping and validation, around any engine's trainer."""

from pellucid.training.block_epochs import BlockEpochs
from pellucid.training.fit import EpochLoop, Outcome, Trainer, Validation
from pellucid.training.history import EpochReport, History
from pellucid.training.replay import Recording, ReplayedStep
from pellucid.training.row_order import FixedOrder, ShuffledOrder
from pellucid.training.schedules import Schedule, get_schedule
from pellucid.training.stopping import BestWeights, NoImprovement, Patience
from pellucid.training.together import FitResult, run_together
from pellucid.training.validation import ValidationResult, hold_out

__all__ = [
    "BestWeights",
    "BlockEpochs",
    "EpochLoop",
    "EpochReport",
    "FitResult",
    "FixedOrder",
    "History",
    "NoImprovement",
    "Outcome",
    "Patience",
    "Recording",
    "ReplayedStep",
    "Schedule",
    "ShuffledOrder",
    "Trainer",
    "Validation",
    "ValidationResult",
    "get_schedule",
    "hold_out",
    "run_together",
]
