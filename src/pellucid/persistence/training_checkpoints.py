"""The checkpoints of one training: written as it goes, and read to go on from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.engine.instruction_set import INSTRUCTION_SET
from pellucid.persistence.checkpoint_folder import CheckpointFolder
from pellucid.persistence.file import UNUSABLE, Arrays, ModelFileError
from pellucid.persistence.training_state import training_state_from_parts, training_state_to_parts
from pellucid.training import Checkpoints, StateError, TrainingState
from pellucid.training.fingerprint import Fingerprint, differences
from pellucid.version import __version__

OwnState = tuple[dict[str, Any], Arrays]
"""What a model adds to the state of its training: what JSON can hold, and arrays."""

_OWN = "own."


@dataclass(frozen=True)
class SavedTraining:
    """What a checkpoint holds.

    Parameters
    ----------
    path : Path
    fingerprint : dict
        Of its training.
    state : TrainingState
    own : dict
    arrays : dict of str to ndarray
        What the model added.
    """

    path: Path
    fingerprint: Fingerprint
    state: TrainingState
    own: dict[str, Any]
    arrays: Arrays

    def check_is_of(self, fingerprint: Mapping[str, str]) -> None:
        """Raise ValueError, naming what differs, if it is of another training."""
        if different := differences(self.fingerprint, dict(fingerprint)):
            raise ValueError(
                f"{self.path} is a checkpoint of another training: {different}. To go on, pass "
                "what it was; to begin another training, call fit, or name another checkpoint_path"
            )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what unusable contents raise into a ModelFileError that names the file."""
        try:
            yield
        except ModelFileError:
            raise
        except UNUSABLE as error:
            raise _damaged(self.path, error) from error

    @contextmanager
    def resuming(self) -> Iterator[None]:
        """Turn a state that does not fit its training into a ModelFileError."""
        try:
            yield
        except StateError as error:
            raise _damaged(self.path, error) from error


class _Writer:
    """Writes the checkpoints of a training into its folder."""

    def __init__(self, path: Path, fingerprint: Fingerprint, own: OwnState) -> None:
        self._folder, self._fingerprint, self._own = CheckpointFolder(path), fingerprint, own
        self._has_begun = self._has_warned = False

    def save(self, state: TrainingState) -> None:
        """Write one checkpoint.

        The first one, before the first epoch, must succeed. A later one that cannot be written is
        warned of once, and training goes on: its result should not be lost too.

        Raises
        ------
        ModelFileError
            The first one cannot be written.
        """
        if not self._has_begun:
            self._folder.prepare()
            self._write(state)
            self._has_begun = True
            return
        try:
            self._write(state)
        except ModelFileError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"The checkpoint of epoch {state.n_epochs} is missing: {error} Training goes "
                    "on; later checkpoints are tried again.",
                    stacklevel=2,
                )

    def _write(self, state: TrainingState) -> None:
        numbers, arrays = training_state_to_parts(state)
        own, own_arrays = self._own
        header = {
            "pellucid_version": __version__,
            "instruction_set": INSTRUCTION_SET,
            "checkpoint": {"of": self._fingerprint, "run": numbers, "own": own},
        }
        arrays |= {_OWN + name: array for name, array in own_arrays.items()}
        self._folder.write(state.n_epochs, header, arrays)


def checkpoints_in(
    path: Any, every: Any, fingerprint: Callable[[], Fingerprint], own: OwnState
) -> Checkpoints | None:
    """Return what keeps the state of a training in a folder; None where `path` is None.

    Parameters
    ----------
    path : str, Path or None
        The folder; made if there is none.
    every : int
        Epochs between checkpoints.
    fingerprint : callable
        `() -> dict`, what tells this training from others; called where `path` is given.
    own : OwnState
        What the model adds.

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
    return Checkpoints(_Writer(checked_path(path), fingerprint(), own).save, int(every))


def checked_path(path: Any) -> Path:
    """Return the folder that `checkpoint_path` names.

    Raises
    ------
    TypeError, ModelFileError
        It is no path, or that of a file.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise TypeError(f"checkpoint_path must be the path of a folder, got {path!r}")
    # These are False, and raise nothing, for what is no path or must not be looked at.
    if os.path.exists(path) and not os.path.isdir(path):
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
        state = training_state_from_parts(parts["run"], run_arrays)
        was = {str(name): str(text) for name, text in parts["of"].items()}
        saved = SavedTraining(stored.path, was, state, dict(parts["own"]), own_arrays)
    except UNUSABLE as error:
        raise _damaged(stored.path, error) from error
    saved.check_is_of({**saved.fingerprint, "model": model})
    return saved


def _damaged(path: Path, error: Exception) -> ModelFileError:
    """Return the error for a file that is whole but makes no checkpoint."""
    return ModelFileError(
        f"{path} is damaged: its contents do not make a checkpoint ({type(error).__name__}: "
        f"{error}). Remove it to go on from the one before."
    )
