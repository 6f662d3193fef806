"""The checkpoints of one training of a model: what they say it is, and going on from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pellucid.engine.instruction_set import INSTRUCTION_SET
from pellucid.models.fingerprint import Fingerprint, differences
from pellucid.nn.parameters import Parameters
from pellucid.persistence import CheckpointFolder, ModelFileError
from pellucid.persistence.file import Arrays
from pellucid.persistence.run_state import run_state_from_parts, run_state_to_parts
from pellucid.training import Checkpoints, RunState

OwnState = tuple[dict[str, Any], Arrays]
"""What a model adds to the state of its run: what JSON can hold, and arrays."""

_OWN = "own."


class SavedTraining(NamedTuple):
    """What a checkpoint holds."""

    path: Path
    fingerprint: Fingerprint
    run: RunState
    state: dict[str, Any]
    arrays: Arrays


@dataclass
class TrainingCheckpoints:
    """Writes the checkpoints of a training into its folder.

    Parameters
    ----------
    path : str or Path
        The folder; made if there is none.
    fingerprint : dict
        Of the training.
    own_state : callable
        `() -> (dict, arrays)`, what the model adds.
    """

    path: str | Path
    fingerprint: Fingerprint
    own_state: Callable[[], OwnState]
    _has_begun: bool = False
    _has_warned: bool = False

    def save(self, state: RunState) -> None:
        """Write one checkpoint.

        The first one, before the first epoch, must succeed. When a later one cannot be written,
        that is warned of once and training goes on: it would be a pity to lose its result too.

        Raises
        ------
        ModelFileError
            The first one cannot be written.
        """
        folder = CheckpointFolder(self.path)
        if not self._has_begun:
            folder.prepare()
            self._write(folder, state)
            self._has_begun = True
            return
        try:
            self._write(folder, state)
        except ModelFileError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"The checkpoint of epoch {state.n_epochs} is missing: {error} Training goes "
                    "on; later checkpoints are tried again.",
                    stacklevel=2,
                )

    def _write(self, folder: CheckpointFolder, state: RunState) -> None:
        import pellucid

        numbers, arrays = run_state_to_parts(state)
        own, own_arrays = self.own_state()
        header = {
            "pellucid_version": str(getattr(pellucid, "__version__", "unknown")),
            "instruction_set": INSTRUCTION_SET,
            "checkpoint": {"of": self.fingerprint, "run": numbers, "own": own},
        }
        arrays |= {_OWN + name: array for name, array in own_arrays.items()}
        folder.write(state.n_epochs, header, arrays)


def checkpoints(
    path: Any, every: Any, fingerprint: Callable[[], Fingerprint], own_state: Callable[[], OwnState]
) -> Checkpoints | None:
    """Return what an `EpochLoop` keeps its state with; None where `path` is None.

    Raises
    ------
    ValueError, TypeError
        `path` is no path, or `every` no positive integer.
    """
    if not isinstance(every, int | np.integer) or isinstance(every, bool) or every < 1:
        raise ValueError(
            f"checkpoint_every counts epochs and must be a positive integer, got {every!r}"
        )
    if path is None:
        return None
    keeper = TrainingCheckpoints(checked_path(path), fingerprint(), own_state)
    return Checkpoints(keeper.save, int(every))


def checked_path(path: Any) -> Path:
    """Return the folder that `checkpoint_path` names.

    Raises
    ------
    TypeError, ModelFileError
        It is no path, or that of a file.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise TypeError(f"checkpoint_path must be the path of a folder, got {path!r}")
    if Path(path).exists() and not Path(path).is_dir():
        raise ModelFileError(f"checkpoint_path={str(path)!r} must name a folder, but is a file")
    return Path(path)


def read_newest(path: Any, model: str) -> SavedTraining:
    """Read the newest checkpoint of a folder; `check_is_of` then says whether it is the right one.

    Parameters
    ----------
    path : str or Path
    model : str
        Name of the class that reads it.

    Raises
    ------
    ModelFileError
        There is none, or none that is whole.
    ValueError
        It is one of another class.
    """
    stored = CheckpointFolder(checked_path(path)).newest()
    try:
        parts = stored.header["checkpoint"]
        run_arrays = {k: v for k, v in stored.arrays.items() if not k.startswith(_OWN)}
        own_arrays = {k[len(_OWN) :]: v for k, v in stored.arrays.items() if k.startswith(_OWN)}
        run = run_state_from_parts(parts["run"], run_arrays)
        was, own = dict(parts["of"]), dict(parts["own"])
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise damaged(stored.path, error) from error
    saved = SavedTraining(stored.path, was, run, own, own_arrays)
    check_is_of(saved, {**was, "model": model})
    return saved


def check_is_of(saved: SavedTraining, fingerprint: Fingerprint) -> None:
    """Raise ValueError, naming what differs, if a checkpoint is of another training."""
    if different := differences(saved.fingerprint, fingerprint):
        raise ValueError(
            f"{saved.path} is a checkpoint of another training: {different}. To go on, pass what "
            "it was; to begin another training, call fit, or name another checkpoint_path"
        )


def check_fits(saved: SavedTraining, parameters: Parameters, optimizer: Any) -> None:
    """Raise ModelFileError unless the arrays of a checkpoint have the shapes they must have."""
    flat, run = parameters.flat, saved.run
    wanted = [flat, *optimizer.init(flat)]
    found = [run.parameters, *run.trainer.optimizer]
    if run.best_parameters is not None:
        wanted, found = [*wanted, flat], [*found, run.best_parameters]
    for array, like in zip(found, wanted, strict=True):
        if (array.shape, array.dtype) != (like.shape, like.dtype):
            problem = f"{array.dtype} {array.shape} in place of {like.dtype} {like.shape}"
            raise damaged(saved.path, ValueError(problem))


def damaged(path: Path, error: Exception) -> ModelFileError:
    """Return the error for a file that is whole but makes no checkpoint."""
    return ModelFileError(
        f"{path} is damaged: its contents do not make a checkpoint ({type(error).__name__}: "
        f"{error}). Remove it to go on from the one before."
    )
