"""A folder of checkpoints of one training: whole files only, the newest few."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pellucid.persistence.file import (
    Arrays,
    ModelFileError,
    read_model_file,
    reason_of,
    write_model_file,
)

N_KEPT = 3
"""So many are kept: should the newest be damaged, the one before is taken."""

_NAME = re.compile(r"epoch-([0-9]{6}|[1-9][0-9]{6,11})\.pellucid")
_LEFT_OVER = re.compile(rf"\.{_NAME.pattern}\.[0-9a-f]{{16}}\.part")


class StoredCheckpoint(NamedTuple):
    """What a file of the folder holds."""

    path: Path
    header: dict[str, Any]
    arrays: Arrays


class CheckpointFolder:
    """The files `epoch-000010.pellucid` of a folder; any other file in it is left alone.

    Whoever else can write to the folder must not be able to lead a training out of it: symbolic
    links are neither read nor written through, but replaced and removed as the files are.

    Parameters
    ----------
    path : str or Path
        Need not exist.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pellucid.persistence import CheckpointFolder
    >>> folder = CheckpointFolder(tempfile.mkdtemp())
    >>> for epoch in range(5):
    ...     folder.write(epoch, {"epoch": epoch}, {"weights": np.full(2, epoch)})
    >>> [path.name for path in folder.files()]
    ['epoch-000004.pellucid', 'epoch-000003.pellucid', 'epoch-000002.pellucid']
    >>> folder.newest().arrays["weights"]
    array([4, 4])
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def files(self) -> list[Path]:
        """Return all that has the name of a checkpoint, the newest first.

        Raises
        ------
        ModelFileError
            The folder cannot be read.
        """
        try:
            found = self._named(_NAME)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError) as error:
            raise ModelFileError(
                f"checkpoint_path={str(self.path)!r} cannot be read: {reason_of(error)}"
            ) from error
        return sorted(found, key=_epoch_of, reverse=True)

    def _named(self, pattern: re.Pattern[str]) -> list[Path]:
        return [self.path / name for name in os.listdir(self.path) if pattern.fullmatch(name)]

    def newest(self) -> StoredCheckpoint:
        """Read the newest checkpoint that is whole; warn of what is damaged or no regular file.

        Raises
        ------
        ModelFileError
            There is none, or the folder cannot be read.
        """
        files = self.files()
        if not files:
            raise ModelFileError(
                f"checkpoint_path={str(self.path)!r} holds no checkpoint to go on from. Check the "
                "path, or begin with fit"
            )
        problems = []
        for path in files:
            try:
                stored = StoredCheckpoint(path, *read_model_file(path, follow_links=False))
            except ModelFileError as error:
                problems.append(error)
                continue
            for problem in problems:
                warnings.warn(
                    f"A checkpoint is left out: {problem} Going on from {path.name} instead.",
                    stacklevel=2,
                )
            return stored
        raise ModelFileError(
            f"checkpoint_path={str(self.path)!r} holds no checkpoint that is whole: {problems[0]} "
            "Begin again with fit"
        )

    def prepare(self) -> None:
        """Make the folder if there is none, and remove what a killed process left half written.

        Raises
        ------
        ModelFileError
            It cannot be made or read.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            left_overs = self._named(_LEFT_OVER)
        except (OSError, ValueError) as error:
            raise ModelFileError(
                f"checkpoint_path={str(self.path)!r} must name a folder that can be written to: "
                f"{reason_of(error)}"
            ) from error
        for left_over in left_overs:
            with suppress(OSError):
                left_over.unlink()

    def write(self, epoch: int, header: dict[str, Any], arrays: Arrays) -> None:
        """Write the checkpoint of an epoch, then remove all but it and the few before it.

        Those of later epochs, which another training left or which are damaged, go too.

        Raises
        ------
        ModelFileError
            It cannot be written; the others are then as they were.
        """
        path = self.path / f"epoch-{epoch:06d}.pellucid"
        write_model_file(path, header, arrays, follow_links=False)
        with suppress(ModelFileError):
            self._remove_others(epoch)

    def _remove_others(self, epoch: int) -> None:
        files = self.files()
        later = [path for path in files if _epoch_of(path) > epoch]
        for path in later + files[len(later) + N_KEPT :]:
            with suppress(OSError):
                path.unlink()


def _epoch_of(path: Path) -> int:
    return int(path.name[len("epoch-") : -len(".pellucid")])
