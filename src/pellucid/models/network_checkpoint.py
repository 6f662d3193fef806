"""Checkpoints of a `Network` in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid import nn
from pellucid.models.fingerprint import Fingerprint, contents, described
from pellucid.models.network_state import targets_from_state, targets_to_state
from pellucid.models.network_targets import Targets
from pellucid.models.training_checkpoints import (
    OwnState,
    check_fits,
    check_is_of,
    damaged,
    read_newest,
)
from pellucid.training import RunState

if TYPE_CHECKING:
    from pellucid.models.network_fit import NetworkFit

_MODEL = "Network"
_SETTINGS = (
    "batch_size",
    "clipping",
    "l2_penalty",
    "learning_rate_factors",
    "class_weight",
    "shuffle",
    "seed",
)
_SCHEDULES = ("schedule", "weight_decay_schedule", "dropout_schedule")
_DATA = ("y", "sample_weight", "classes", "rows", "X_val", "y_val", "sample_weight_val", "rows_val")


@dataclass(frozen=True)
class NetworkCheckpoint:
    """What a fit needs to go on.

    Parameters
    ----------
    run : RunState
    length : int
        Epochs of the whole training, as far as was asked for.
    history : dict
        Of the network, so far.
    targets : Targets
        What y means.
    """

    run: RunState
    length: int
    history: dict[str, list[float]]
    targets: Targets


def fingerprint_of(fit: NetworkFit, table: Any) -> Fingerprint:
    """Describe all that decides what a fit computes; `table` is its X, checked."""
    chain = fit.network.chain
    known = {"model": _MODEL, "layers": str(len(chain.layers))}
    known |= {f"layer {i}": described(layer) for i, layer in enumerate(chain.layers)}
    known |= {
        "loss": described(chain.loss),
        "dtype": repr(fit.network.precision),
        "engine": repr(fit.network.engine),
        "optimizer": described(nn.Adam() if fit.optimizer is None else fit.optimizer),
    }
    known |= {name: described(getattr(fit, name)) for name in _SETTINGS}
    known |= {name: described(_schedule(getattr(fit, name))) for name in _SCHEDULES}
    known["X"] = contents(table) if fit.opened is None else fit.opened.described()
    return known | {name: contents(getattr(fit, name)) for name in _DATA}


def own_state(fit: NetworkFit) -> OwnState:
    """Return what a checkpoint of a `Network` holds beside the state of its run."""
    arrays = {name: np.array(values) for name, values in fit.whole_history.items()}
    return {"length": fit.length, "targets": targets_to_state(fit.targets)}, arrays


def read_checkpoint(fit: NetworkFit, table: Any) -> NetworkCheckpoint:
    """Read the newest checkpoint of a fit.

    Raises
    ------
    ModelFileError
        There is none that is whole.
    ValueError
        It is of another training.
    """
    chain, fan_in = fit.network.chain, table.shape[1]
    saved = read_newest(fit.checkpoint_path, _MODEL)
    check_is_of(saved, fingerprint_of(fit, table))
    optimizer = nn.Adam() if fit.optimizer is None else fit.optimizer
    check_fits(saved, nn.Parameters.zeros(chain.layout(fan_in), fit.network.dtype), optimizer)
    try:
        return NetworkCheckpoint(
            run=saved.run,
            length=int(saved.state["length"]),
            history={name: values.tolist() for name, values in saved.arrays.items()},
            targets=targets_from_state(saved.state["targets"], chain, fan_in),
        )
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise damaged(saved.path, error) from error


def _schedule(schedule: Any) -> Any:
    return nn.SCHEDULES.get(schedule, schedule) if isinstance(schedule, str) else schedule
