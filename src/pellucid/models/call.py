"""Which method asks for a training, and where the training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.nn import Parameters
from pellucid.persistence.training_checkpoints import OwnState, SavedTraining


@dataclass(frozen=True)
class Call:
    """Which method asks for a training.

    Parameters
    ----------
    partial : bool
        `partial_fit`: one epoch from where the last call stopped.
    saved : SavedTraining, optional
        `resume`: go on from this checkpoint.
    max_iter : int, optional
        `resume`: until so many epochs in all.
    """

    partial: bool = False
    saved: SavedTraining | None = None
    max_iter: int | None = None


FIT = Call()


@dataclass(frozen=True)
class Begun:
    """Where a training starts.

    Parameters
    ----------
    parameters : Parameters
    draws : object
        What the family draws row orders and seeds from.
    own : OwnState
        What a checkpoint holds beside the state of the training.
    attributes : mapping
        What the estimator gets.
    """

    parameters: Parameters
    draws: Any
    own: OwnState = field(default_factory=lambda: ({}, {}))
    attributes: Mapping[str, Any] = field(default_factory=dict)
