"""The training job: rows, order, validation, stopping, callbacks, checkpoints, on any engine."""

from pellucid.training.callbacks import Callback, Callbacks, TrainingStart, check_callbacks
from pellucid.training.checkpoint import Checkpoints, StateError, TrainingState
from pellucid.training.epoch_rates import EpochRate, get_epoch_rate
from pellucid.training.epochs import EpochRun, MiniBatches
from pellucid.training.history import EpochReport, History
from pellucid.training.job import TrainingJob
from pellucid.training.lbfgs import Lbfgs, LbfgsRun
from pellucid.training.outcome import Outcome
from pellucid.training.progress import ProgressBar
from pellucid.training.replay import Recording, ReplayedStep
from pellucid.training.result import FitResult
from pellucid.training.row_order import CounterOrder, FixedOrder, RowOrder, ShuffledOrder
from pellucid.training.source import RowSource, TableRows
from pellucid.training.stopping import NoImprovement
from pellucid.training.together import run_together
from pellucid.training.validation import (
    SMALLEST_VALIDATION_SET,
    Validation,
    ValidationResult,
    hold_out,
)

__all__ = [
    "SMALLEST_VALIDATION_SET",
    "Callback",
    "Callbacks",
    "Checkpoints",
    "CounterOrder",
    "EpochRate",
    "EpochReport",
    "EpochRun",
    "FitResult",
    "FixedOrder",
    "History",
    "Lbfgs",
    "LbfgsRun",
    "MiniBatches",
    "NoImprovement",
    "Outcome",
    "ProgressBar",
    "Recording",
    "ReplayedStep",
    "RowOrder",
    "RowSource",
    "ShuffledOrder",
    "StateError",
    "TableRows",
    "TrainingJob",
    "TrainingStart",
    "TrainingState",
    "Validation",
    "ValidationResult",
    "check_callbacks",
    "get_epoch_rate",
    "hold_out",
    "run_together",
]
