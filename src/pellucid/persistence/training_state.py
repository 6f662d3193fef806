"""The state of a training run as a file holds it: numbers for JSON, and arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.engine.plan import TrainerState
from pellucid.nn.optimizers import OptimizerState
from pellucid.persistence.file import Arrays
from pellucid.training import History, TrainingState

_NUMBERS: dict[str, type] = {
    "learning_rate": float,
    "best": float,
    "n_without_improvement": int,
    "has_converged": bool,
    "n_epochs": int,
}

_ORDER = "order."

_HISTORY: dict[str, type] = {name: type(value) for name, value in vars(History()).items()}
"""A list has a number an epoch."""

MOST_COUNTED = 2**53
"""More than any training takes, and few enough for the engine, and for float64, to count."""

MOST_EPOCHS = 2**31
"""Of a trainer. The engine counts them in 32 bits, so that as many again can follow."""


def training_state_to_parts(state: TrainingState) -> tuple[dict[str, Any], Arrays]:
    """Take a state apart, exactly: every number comes back to the bit.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.plan import TrainerState
    >>> from pellucid.nn.optimizers import OptimizerState
    >>> from pellucid.persistence.training_state import training_state_from_parts
    >>> from pellucid.persistence.training_state import training_state_to_parts
    >>> from pellucid.training import History, TrainingState
    >>> trainer = TrainerState(OptimizerState(np.ones(2), np.zeros(0)), step=8, epoch=2)
    >>> history = History(losses=[0.5, 0.1], examples_seen=10)
    >>> state = TrainingState(trainer, 0.01, history=history, n_epochs=2, parameters=np.ones(2))
    >>> numbers, arrays = training_state_to_parts(state)
    >>> training_state_from_parts(numbers, arrays).history.losses
    [0.5, 0.1]
    """
    assert state.trainer is not None
    assert state.parameters is not None
    numbers: dict[str, Any] = {name: kind(getattr(state, name)) for name, kind in _NUMBERS.items()}
    order, order_arrays = state.order
    numbers |= {"step": int(state.trainer.step), "trainer_epoch": int(state.trainer.epoch)}
    numbers["order"] = order
    first, second = state.trainer.optimizer
    arrays: Arrays = {
        "parameters": state.parameters,
        "optimizer.first": np.asarray(first),
        "optimizer.second": np.asarray(second),
    }
    arrays |= {_ORDER + name: array for name, array in order_arrays.items()}
    if state.best_parameters is not None:
        arrays["best_parameters"] = state.best_parameters
    for name, kind in _HISTORY.items():
        value = getattr(state.history, name)
        if kind is list:
            arrays[f"history.{name}"] = np.array(value, dtype=np.float64)
        else:
            numbers[name] = kind(value)
    return numbers, arrays


def training_state_from_parts(numbers: dict[str, Any], arrays: Arrays) -> TrainingState:
    """Undo `training_state_to_parts`.

    Raises
    ------
    ValueError, TypeError, KeyError
        The parts do not make a state.
    """
    values = {name: _number(numbers, name, kind) for name, kind in _NUMBERS.items()}
    if not (math.isfinite(values["learning_rate"]) and values["learning_rate"] >= 0.0):
        raise ValueError(f"learning_rate must be at least 0, got {values['learning_rate']}")
    optimizer = OptimizerState(arrays["optimizer.first"], arrays["optimizer.second"])
    parameters, best_parameters = arrays["parameters"], arrays.get("best_parameters")
    _check_arrays(parameters, best_parameters, optimizer)
    step = _number(numbers, "step", int)
    epoch = _number(numbers, "trainer_epoch", int, MOST_EPOCHS)
    return TrainingState(
        parameters=parameters,
        best_parameters=best_parameters,
        trainer=TrainerState(optimizer, step, epoch),
        history=_history(numbers, arrays, values["n_epochs"]),
        order=(
            _number(numbers, "order", dict),
            {k[len(_ORDER) :]: v for k, v in arrays.items() if k.startswith(_ORDER)},
        ),
        **values,
    )


def _number(numbers: dict[str, Any], name: str, kind: type, most: int = MOST_COUNTED) -> Any:
    """Return a number, which must be of this kind exactly; a count must be from 0 to `most`."""
    value = numbers[name]
    found: type = type(value)
    if found is not kind:
        raise ValueError(f"{name} must be of type {kind.__name__}, got {value!r:.80}")
    if kind is int and not 0 <= value <= most:
        raise ValueError(f"{name} must be from 0 to {most}, got {value!r:.80}")
    return value


def _history(numbers: dict[str, Any], arrays: Arrays, n_epochs: int) -> History:
    """Return the history, which goes back beyond the run where the model was trained before."""
    values: dict[str, Any] = {
        name: _curve(arrays, name) if kind is list else _number(numbers, name, kind)
        for name, kind in _HISTORY.items()
    }
    n_losses = len(values["losses"])
    for name, curve in values.items():
        if _HISTORY[name] is not list or (len(curve) == 0 and name != "losses"):
            continue
        if not n_epochs <= len(curve) <= n_losses:
            raise ValueError(
                f"{name} must have at least the {n_epochs} epochs of the run, and at most the "
                f"{n_losses} of losses, got {len(curve)}"
            )
    return History(**values)


def _curve(arrays: Arrays, name: str) -> list[float]:
    curve = arrays[f"history.{name}"]
    if curve.ndim != 1 or curve.dtype != np.float64:
        raise ValueError(f"{name} must have one float64 an epoch, got {curve.dtype} {curve.shape}")
    values: list[float] = curve.tolist()
    return values


def _check_arrays(
    flat: npt.NDArray[Any], best: npt.NDArray[Any] | None, optimizer: OptimizerState
) -> None:
    """Raise ValueError unless the arrays are those of one network and its optimizer."""
    if flat.ndim != 1 or flat.dtype not in (np.float32, np.float64):
        raise ValueError(f"parameters must be a vector of floats, got {flat.dtype} {flat.shape}")
    for name, array in {"best_parameters": best, **optimizer._asdict()}.items():
        if array is None:
            continue
        is_left_out = name == "second" and array.shape == (0,)  # as SGD does
        if (array.shape != flat.shape and not is_left_out) or array.dtype != flat.dtype:
            raise ValueError(
                f"{name} must be like the parameters, {flat.dtype} {flat.shape}, got "
                f"{array.dtype} {array.shape}"
            )
    for array in (flat, best):
        if array is not None and not np.isfinite(array).all():
            raise ValueError("the parameters must be finite")
