"""Checkpoints of an `MLPClassifier` or `MLPRegressor` in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.models.fingerprint import Fingerprint, contents, described
from pellucid.models.perceptron.task import Task
from pellucid.models.training_checkpoints import (
    OwnState,
    SavedTraining,
    check_fits,
    check_is_of,
    checkpoints,
    damaged,
    read_newest,
)
from pellucid.nn import Chain, Optimizer, Parameters
from pellucid.training import Checkpoints, FixedOrder, ShuffledOrder

_KEY_LENGTH = 624
"""Numbers in the state of the Mersenne twister."""

_FREE = ("callbacks", "checkpoint_every", "checkpoint_path", "n_threads", "verbose", "warm_start")


@dataclass(frozen=True)
class MlpCheckpoints:
    """Where the training of a perceptron is kept, and where it goes on from.

    Parameters
    ----------
    model : str
        Name of its class.
    n_partial_fits : int
        Calls of `partial_fit` before.
    saved : SavedTraining, optional
        What `resume` goes on from.
    """

    model: str
    n_partial_fits: int
    saved: SavedTraining | None = None

    def checked(self, task: Task, optimizer: Optimizer) -> SavedTraining | None:
        """Return what to go on from, if that is of this training; raise ValueError if it is not."""
        if self.saved is not None:
            check_is_of(self.saved, fingerprint_of(self.model, task))
            check_fits(self.saved, task.parameters, optimizer)
        return self.saved

    def keeper(self, task: Task, order: ShuffledOrder | FixedOrder) -> Checkpoints | None:
        """Return what an `EpochLoop` keeps its state with; None without `checkpoint_path`."""
        return checkpoints(
            task.options["checkpoint_path"],
            task.options["checkpoint_every"],
            lambda: fingerprint_of(self.model, task),
            lambda: own_state(task, order, self.n_partial_fits),
        )


@dataclass(frozen=True)
class Resumption:
    """What `resume` goes on from, and until when.

    Parameters
    ----------
    saved : SavedTraining
        Whose it is is checked when the data are known.
    max_epochs : int
        After how many epochs in all to stop.
    """

    saved: SavedTraining
    max_epochs: int

    @property
    def epochs_left(self) -> int:
        """Most epochs to come."""
        return max(0, self.max_epochs - self.saved.run.n_epochs)

    @property
    def n_partial_fits(self) -> int:
        """Calls of `partial_fit` before the training."""
        return int(self.saved.state["n_partial_fits"])

    def begin(self, chain: Chain, n_features: int) -> tuple[np.random.RandomState, Parameters]:
        """Return the generator as the first weights left it, and room for the parameters."""
        dtype = self.saved.run.parameters.dtype
        parameters = Parameters.zeros(chain.layout(n_features), dtype)
        return generator_from(self.saved, "start"), parameters


def read_resumption(estimator: Any, max_iter: Any) -> Resumption:
    """Read the newest checkpoint, for `max_iter` more epochs or those that were left.

    Raises
    ------
    ValueError
        The constructor parameters keep no checkpoints, `max_iter` is wrong or too long for a
        schedule, or the checkpoint is of another class.
    ModelFileError
        There is no checkpoint that is whole.
    """
    options = estimator._options()
    _check_can_resume(options, max_iter)
    saved = read_newest(options["checkpoint_path"], type(estimator).__name__)
    try:
        int(saved.state["n_partial_fits"])
        for name in ("start", "now"):
            generator_from(saved, name)
        if saved.run.parameters.dtype not in (np.float32, np.float64):
            raise ValueError(f"parameters of {saved.run.parameters.dtype}")
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise damaged(saved.path, error) from error
    return Resumption(saved, _epochs_in_all(saved, options, max_iter))


def _check_can_resume(options: Mapping[str, Any], max_iter: Any) -> None:
    if options["solver"] == "lbfgs":
        raise ValueError(
            "resume goes on from the end of an epoch, which solver='lbfgs' does not have; set "
            "solver='adam' or 'sgd', or call fit with warm_start=True"
        )
    if options["checkpoint_path"] is None:
        raise ValueError(
            "resume goes on from a checkpoint, but checkpoint_path is None; set it to the folder "
            "for them before fit, and to the same before resume"
        )
    is_number = isinstance(max_iter, int | np.integer) and not isinstance(max_iter, bool)
    if max_iter is not None and not (is_number and max_iter >= 1):
        raise ValueError(
            f"max_iter counts the epochs to go on for and must be a positive integer or None, got "
            f"{max_iter!r}"
        )


def _epochs_in_all(saved: SavedTraining, options: Mapping[str, Any], max_iter: Any) -> int:
    """Return after how many epochs to stop: those of the constructor, or `max_iter` more."""
    done, length = saved.run.n_epochs, int(options["max_iter"])
    if max_iter is None:
        return length
    if options["schedule"] is not None and done + max_iter > length:
        raise ValueError(
            f"max_iter={max_iter} more epochs after {done} would be {done + max_iter}, but the "
            f"schedule was made for the max_iter={length} of the constructor: pass at most "
            f"{length - done}, or begin again by fit with set_params(max_iter={done + max_iter})"
        )
    return done + int(max_iter)


def fingerprint_of(model: str, task: Task) -> Fingerprint:
    """Describe all that decides what a fit computes.

    What decides only when training ends may change, but for a schedule, which is made for the
    length of training, and the rate of 'adaptive', which a plateau lowers.
    """
    options, free = task.options, set(_FREE)
    adapts = options["solver"] == "sgd" and options["learning_rate"] == "adaptive"
    if options["schedule"] is None:
        free.add("max_iter")
    if not adapts:
        free |= {"n_iter_no_change", "tol"}
    known = {"model": model}
    known |= {key: described(options[key]) for key in sorted(options) if key not in free}
    for rows, suffix in ((task.training, ""), (task.validation, "_val")):
        for part in ("X", "y", "sample_weight"):
            known[part + suffix] = contents(None if rows is None else getattr(rows, part))
    if task.stream is not None:
        known["X"] = task.stream.stream.described()
    return known


def own_state(task: Task, order: ShuffledOrder | FixedOrder, n_partial_fits: int) -> OwnState:
    """Return what a checkpoint holds beside the state of its run: where the draws stand."""
    state: dict[str, Any] = {"n_partial_fits": n_partial_fits}
    arrays: dict[str, NDArray[Any]] = {}
    states = {"start": task.random_start, "now": generator_state(task.random_state)}
    for name, generator in states.items():
        assert generator is not None
        inner = generator["state"]
        arrays[f"random.{name}"] = inner["key"]
        state[name] = {
            "pos": int(inner["pos"]),
            "has_gauss": int(generator["has_gauss"]),
            "gauss": float(generator["gauss"]),
        }
    if isinstance(order, ShuffledOrder):
        arrays["order"] = order.rows
    return state, arrays


def go_on_drawing(saved: SavedTraining, task: Task, order: ShuffledOrder | FixedOrder) -> None:
    """Put the row order and its generator where they were."""
    task.random_state.set_state(generator_from(saved, "now").get_state(legacy=False))
    if isinstance(order, ShuffledOrder):
        rows = saved.arrays.get("order")
        if rows is None or not np.array_equal(np.sort(rows), np.sort(order.rows)):
            raise damaged(saved.path, ValueError("its row order is not one of these rows"))
        order.rows[:] = rows


def generator_state(generator: np.random.RandomState) -> dict[str, Any]:
    """Return where a generator stands.

    Raises
    ------
    TypeError
        It is not of the kind that `numpy.random.RandomState(seed)` makes.
    """
    state: dict[str, Any] = dict(generator.get_state(legacy=False))
    if state["bit_generator"] != "MT19937":
        raise TypeError(
            "checkpoints need a random_state such as 0 or numpy.random.RandomState(0), got one of "
            f"{state['bit_generator']}"
        )
    return state


def generator_from(saved: SavedTraining, name: str) -> np.random.RandomState:
    """Return a new generator that stands where that of the training stood."""
    numbers, key = saved.state[name], saved.arrays[f"random.{name}"]
    position = int(numbers["pos"])
    if key.shape != (_KEY_LENGTH,) or not 0 <= position <= _KEY_LENGTH:  # NumPy does not look
        raise ValueError(f"a generator at {position} of {key.shape}")
    generator = np.random.RandomState()
    generator.set_state(
        (
            "MT19937",
            key.astype(np.uint32, casting="safe"),
            position,
            int(numbers["has_gauss"]),
            float(numbers["gauss"]),
        )
    )
    return generator
