"""Epochs, schedules, early stopping and validation, around any engine's trainer."""

from pellucid.training.block_epochs import BlockEpochs
from pellucid.training.callbacks import Callbacks, TrainingStart, check_callbacks
from pellucid.training.checkpoint import Checkpoints, RunState, go_on_from, state_of
from pellucid.training.fit import EpochLoop, Trainer, Validation
from pellucid.training.history import EpochReport, History
from pellucid.training.outcome import Outcome
from pellucid.training.progress import ProgressBar
from pellucid.training.replay import Recording, ReplayedStep
from pellucid.training.row_order import FixedOrder, ShuffledOrder
from pellucid.training.schedules import Schedule, get_schedule
from pellucid.training.stopping import BestWeights, NoImprovement, Patience
from pellucid.training.together import FitResult, run_together
from pellucid.training.validation import ValidationResult, hold_out

__all__ = [
    "BestWeights",
    "BlockEpochs",
    "Callbacks",
    "Checkpoints",
    "EpochLoop",
    "EpochReport",
    "FitResult",
    "FixedOrder",
    "History",
    "NoImprovement",
    "Outcome",
    "Patience",
    "ProgressBar",
    "Recording",
    "ReplayedStep",
    "RunState",
    "Schedule",
    "ShuffledOrder",
    "Trainer",
    "TrainingStart",
    "Validation",
    "ValidationResult",
    "check_callbacks",
    "get_schedule",
    "go_on_from",
    "hold_out",
    "run_together",
    "state_of",
]
