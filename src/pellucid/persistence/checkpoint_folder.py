"""A folder of checkpoints of one training: whole files only, the newest few."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pellucid.persistence.file import Arrays, ModelFileError, read_model_file, write_model_file

N_KEPT = 3
"""So many are kept: should the newest be damaged, the one before is taken."""

_NAME = re.compile(r"epoch-(\d{6,12})\.pellucid")
_LEFT_OVER = ".epoch-*.pellucid.*.part"


class StoredCheckpoint(NamedTuple):
    """What a file of the folder holds."""

    path: Path
    header: dict[str, Any]
    arrays: Arrays


class CheckpointFolder:
    """The files `epoch-000010.pellucid` of a folder; any other file in it is left alone.

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
        """Return the checkpoints, the newest first."""
        if not self.path.is_dir():
            return []
        found = [path for path in self.path.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_epoch_of, reverse=True)

    def newest(self) -> StoredCheckpoint:
        """Read the newest checkpoint that is whole; warn of those that are damaged.

        Raises
        ------
        ModelFileError
            There is none.
        """
        files = self.files()
        if not files:
            raise ModelFileError(
                f"checkpoint_path={str(self.path)!r} holds no checkpoint to go on from. Check the "
                "path, or begin with fit(..., checkpoint_path=...)"
            )
        problems = []
        for path in files:
            try:
                stored = StoredCheckpoint(path, *read_model_file(path))
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
            "Begin again with fit(..., checkpoint_path=...)"
        )

    def prepare(self) -> None:
        """Make the folder if there is none, and remove what a killed process left half written.

        Raises
        ------
        ModelFileError
            It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelFileError(
                f"checkpoint_path={str(self.path)!r} must name a folder that can be written to: "
                f"{error.strerror or error}"
            ) from error
        for left_over in self.path.glob(_LEFT_OVER):
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
        write_model_file(self.path / f"epoch-{epoch:06d}.pellucid", header, arrays)
        files = self.files()
        later = [path for path in files if _epoch_of(path) > epoch]
        for path in later + files[len(later) + N_KEPT :]:
            with suppress(OSError):
                path.unlink()


def _epoch_of(path: Path) -> int:
    return int(path.name[len("epoch-") : -len(".pellucid")])
