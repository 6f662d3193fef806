"""Check where a command writes, before it does any work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path

from pellucid.cli.trials import check_holds_trials
from pellucid.persistence.checkpoint_folder import CheckpointFolder
from pellucid.persistence.file import is_model_file
from pellucid.tables.files import STANDARD_INPUT, check_exists
from pellucid.tables.reading import files_of
from pellucid.tables.table import TableError

STANDARD_STREAM = STANDARD_INPUT
"""Stands for standard input or output in place of a file."""


def check_inputs(*paths: Path) -> None:
    """Raise TableError if a file that a command reads does not exist."""
    for path in chain.from_iterable(map(files_of, paths)):
        if str(path) != STANDARD_STREAM:
            check_exists(path)


def check_can_save(path: Path, inputs: Iterable[Path | None], force: bool = False) -> None:
    """Raise TableError unless a model can be saved to `path`: see :func:`check_can_write`.

    A model of ours is replaced without `force`.
    """
    if path.suffix.lower() == ".onnx":
        raise TableError(
            f"{path} would be a .pellucid model under the name of an ONNX file. Save the model as "
            f"{path.with_suffix('.pellucid').name}, then run: pellucid export MODEL --onnx {path}"
        )
    if is_model_file(path) and not _is_input(path, inputs):
        force = True
    check_can_write(path, inputs, force=force, wanted=" and is not a model of Pellucid")


def check_can_add_trials(file: Path | None, inputs: Iterable[Path | None], model: Path) -> None:
    """Raise TableError unless trials can be added to a file, which is not that of the model."""
    if file is None:
        return
    if is_same_file(file, model):
        raise TableError(f"--save-trials and --out are both {model}. Pass two paths.")
    check_can_write(file, inputs, force=True)
    if file.exists():
        check_holds_trials(file)


def check_can_keep_checkpoints(folder: Path | None, model: Path, force: bool = False) -> None:
    """Raise TableError if a folder has checkpoints, which a new training would delete.

    It must be no file, neither that of the model.
    """
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise TableError(f"--checkpoints {folder} must name a folder, but is a file.")
    if is_same_file(folder, model):
        raise TableError(f"--checkpoints and --out are both {model}. Pass two paths.")
    if force or not CheckpointFolder(folder).files():
        return
    raise TableError(
        f"{folder} has checkpoints of another training, which this one would delete. Go on with "
        "that training by --resume, pass another folder, or --force to delete them."
    )


def check_can_write(
    path: Path, inputs: Iterable[Path | None], *, force: bool = False, wanted: str = ""
) -> None:
    """Raise TableError unless a file can be written to `path`.

    Parameters
    ----------
    path : Path
        A new file, or with `force` one that exists.
    inputs : iterable of Path or None
        Files and folders that the command reads, which are never written over; "-" is standard
        input.
    force : bool
        Whether another file may be replaced.
    wanted : str
        What the message adds about a file that exists.
    """
    if str(path) == STANDARD_STREAM:
        raise TableError("This cannot be written to standard output. Pass a file name.")
    if path.is_dir():
        raise TableError(f"{path} is a directory. Pass a file name, such as {path / 'result'}.")
    if not path.absolute().parent.is_dir():
        raise TableError(f"{path}: the folder {path.parent} does not exist. Create it first.")
    if not path.exists():
        return
    if not path.is_file():
        raise TableError(f"{path} is not a regular file. Pass another path.")
    if _is_input(path, inputs):
        raise TableError(
            f"{path} is an input of this command and would be written over. Pass another path."
        )
    if not force:
        raise TableError(
            f"{path} exists{wanted}. Pass another path, or --force to replace the file."
        )


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths, of which there may be nothing yet, are the same."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _is_input(path: Path, inputs: Iterable[Path | None]) -> bool:
    """Return whether a file that exists is one of the inputs, or of a folder among them.

    Links in a folder count as well. A model in a folder of tables or checkpoints is none.
    """
    for given in chain.from_iterable(map(files_of, filter(None, inputs))):
        if str(given) == STANDARD_STREAM:
            with suppress(OSError, ValueError):  # It may be no file at all.
                if os.path.samestat(os.fstat(sys.stdin.fileno()), path.stat()):
                    return True
        elif given.is_dir():
            is_inside = any(given.samefile(folder) for folder in path.resolve().parents)
            is_linked = any(file.is_file() and file.samefile(path) for file in given.iterdir())
            if (is_inside or is_linked) and not is_model_file(path):
                return True
        elif given.exists() and given.samefile(path):
            return True
    return False
