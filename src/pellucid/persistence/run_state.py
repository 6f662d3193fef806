"""The state of a training run as a file holds it: numbers for JSON, and arrays."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from pellucid.engine.plan import TrainerState
from pellucid.nn.optimizers import OptimizerState
from pellucid.persistence.file import Arrays
from pellucid.training import History, RunState

_NUMBERS: dict[str, type] = {
    "learning_rate": float,
    "best": float,
    "n_without_improvement": int,
    "has_converged": bool,
    "n_epochs": int,
}

#: More than any training takes, and few enough for the engine to count.
MOST_STEPS = 2**53


def run_state_to_parts(state: RunState) -> tuple[dict[str, Any], Arrays]:
    """Take a state apart, exactly: every number comes back to the bit.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.plan import TrainerState
    >>> from pellucid.nn.optimizers import OptimizerState
    >>> from pellucid.persistence.run_state import run_state_from_parts, run_state_to_parts
    >>> from pellucid.training import History, RunState
    >>> trainer = TrainerState(OptimizerState(np.ones(2), np.zeros(0)), step=8, epoch=2)
    >>> history = History(losses=[0.5, 0.1], examples_seen=10)
    >>> state = RunState(np.ones(2), None, trainer, 0.01, 0.1, 0, False, 2, history)
    >>> numbers, arrays = run_state_to_parts(state)
    >>> run_state_from_parts(numbers, arrays).history.losses
    [0.5, 0.1]
    """
    numbers: dict[str, Any] = {name: kind(getattr(state, name)) for name, kind in _NUMBERS.items()}
    numbers |= {"step": state.trainer.step, "trainer_epoch": state.trainer.epoch}
    first, second = state.trainer.optimizer
    arrays: Arrays = {
        "parameters": state.parameters,
        "optimizer.first": np.asarray(first),
        "optimizer.second": np.asarray(second),
    }
    if state.best_parameters is not None:
        arrays["best_parameters"] = state.best_parameters
    for each in fields(History):
        value = getattr(state.history, each.name)
        if isinstance(value, list):
            arrays[f"history.{each.name}"] = np.array(value, dtype=np.float64)
        else:
            numbers[each.name] = int(value)
    return numbers, arrays


def run_state_from_parts(numbers: dict[str, Any], arrays: Arrays) -> RunState:
    """Undo `run_state_to_parts`.

    Raises
    ------
    ValueError, TypeError, KeyError
        The parts do not make a state.
    """
    optimizer = OptimizerState(arrays["optimizer.first"], arrays["optimizer.second"])
    history = History()
    for each in fields(History):
        if isinstance(getattr(history, each.name), list):
            curve = arrays[f"history.{each.name}"]
            if curve.ndim != 1:
                raise ValueError(f"{each.name} must have one number an epoch, got {curve.shape}")
            values = curve.tolist()
        else:
            values = int(numbers[each.name])
        setattr(history, each.name, values)
    trainer = TrainerState(optimizer, int(numbers["step"]), int(numbers["trainer_epoch"]))
    counts = trainer.step, trainer.epoch, int(numbers["n_epochs"])
    if min(counts) < 0 or max(counts) > MOST_STEPS:
        raise ValueError(f"steps and epochs must be from 0 to {MOST_STEPS}, got {counts}")
    return RunState(
        parameters=arrays["parameters"],
        best_parameters=arrays.get("best_parameters"),
        trainer=trainer,
        history=history,
        **{name: kind(numbers[name]) for name, kind in _NUMBERS.items()},
    )
