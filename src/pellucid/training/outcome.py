"""How training ended."""

from enum import Enum


class Outcome(Enum):
    """How a run ended."""

    CONVERGED = "no more improvement"
    MAX_EPOCHS = "the last epoch allowed was reached"
    STOPPED = "a callback asked for it"
    INTERRUPTED = "interrupted by the user"
    DIVERGED = "the loss became non-finite; the best weights are kept"
