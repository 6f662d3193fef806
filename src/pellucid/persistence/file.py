"""The `.pellucid` file: safetensors with a JSON header and a checksum of the contents.

Reading never unpickles and never executes anything; a file that is not whole, not ours or not
to be trusted is a :class:`ModelFileError`. Writing is atomic: the file is there in full or, after
a full disk or a power cut, as it was before.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

#: Version of the layout written here; files of a higher one are refused.
FORMAT_VERSION = 1
#: No header is longer. (safetensors has the same limit.)
LONGEST_HEADER = 100_000_000

Arrays = dict[str, npt.NDArray[Any]]


class ModelFileError(ValueError):
    """A model file that cannot be read or written; the message says what is wrong with it."""


def write_model_file(
    path: str | Path, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Write a header and arrays to one file, atomically.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced, and stays as it was when anything goes wrong.
    header : mapping
        Whatever JSON can hold.
    arrays : mapping of str to ndarray
        Of numbers or booleans.

    Raises
    ------
    ModelFileError
        When the file cannot be written: no such folder, no permission, disk full.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pellucid.persistence import read_model_file, write_model_file
    >>> path = tempfile.mkdtemp() + "/model.pellucid"
    >>> write_model_file(path, {"estimator": "None"}, {"0.W": np.eye(2)})
    >>> header, arrays = read_model_file(path)
    >>> header["estimator"], arrays["0.W"].shape
    ('None', (2, 2))
    """
    from safetensors.numpy import save

    text = json.dumps({**header, "format_version": FORMAT_VERSION}, separators=(",", ":"))
    plain = {name: _storable(name, array) for name, array in arrays.items()}
    # One entry, because safetensors writes several in no fixed order.
    metadata = {"pellucid": f"{_checksum(text, plain)} {text}"}
    replace_file(Path(path), save(plain, metadata))


def read_model_file(path: str | Path) -> tuple[dict[str, Any], Arrays]:
    """Read what :func:`write_model_file` wrote.

    Returns
    -------
    header : dict
        With ``format_version`` added.
    arrays : dict of str to ndarray
        Writable copies.

    Raises
    ------
    ModelFileError
        When there is no such file, or it is truncated, damaged, not a Pellucid model, or written
        by a newer version. Nothing larger than the file is ever allocated.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    data, metadata = _read_checked(path)
    checksum, _, text = str(metadata.get("pellucid", "")).partition(" ")
    if not checksum:
        raise ModelFileError(f"{path} is a safetensors file but not a Pellucid model.")
    header = _parse_json(text, path)
    _check_version(header.get("format_version"), path)
    try:
        arrays = {name: np.array(array) for name, array in load(data).items()}
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{path} is damaged: its arrays cannot be read ({error}).") from error
    if checksum != _checksum(text, arrays):
        raise ModelFileError(
            f"{path} is damaged or was changed after it was saved: its contents do not match "
            "their checksum. Save the model again or fetch another copy."
        )
    return header, arrays


def _storable(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"array {name!r} must hold numbers or booleans, got {array.dtype}.")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _checksum(text: str, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of the header's text and of every array's name, dtype, shape and bytes."""
    digest = sha256(text.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = arrays[name]
        described = json.dumps([name, array.dtype.name, list(array.shape)])
        digest.update(described.encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_checked(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the file's bytes and safetensors metadata, after checking the sizes it claims."""
    if path.is_dir():
        raise ModelFileError(f"{path} is a directory. Give the model file inside it.")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _read_sections(file, size, path)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: there is no such file. Check the path.") from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _read_sections(file: BinaryIO, size: int, path: Path) -> tuple[bytes, dict[str, Any]]:
    start = file.read(8)
    if len(start) < 8:
        raise ModelFileError(f"{path} is not a model file: it has only {len(start)} bytes.")
    length = int.from_bytes(start, "little")
    if length > LONGEST_HEADER or file.read(1) != b"{":
        raise ModelFileError(f"{path} is not a Pellucid model file.")
    if length > size - 8:
        raise ModelFileError(
            f"{path} is truncated: its header should be {length:,} bytes long, "
            f"but the file has only {size:,}."
        )
    file.seek(8)
    entries = _parse_json(file.read(length), path)
    metadata = entries.get("__metadata__")
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path} is not a Pellucid model file.")
    file.seek(0)
    return file.read(size), metadata


def _parse_json(text: str | bytes, path: Path) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: its header is not JSON ({error}).") from error
    if not isinstance(parsed, dict):
        raise ModelFileError(f"{path} is damaged: its header is not a JSON object.")
    return parsed


def _check_version(version: object, path: Path) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFileError(f"{path} is damaged: {version!r} is not a format version.")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} was written by a newer Pellucid (file format {version}; this one reads up to "
            f"{FORMAT_VERSION}). Upgrade with: pip install --upgrade pellucid"
        )


def replace_file(path: Path, data: bytes) -> None:
    """Write data beside path, flush it to the disk, then rename it over path."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ModelFileError(f"{path} is a directory. Give a file name such as model.pellucid.")
    if target.exists() and not target.is_file():
        raise ModelFileError(f"{path} is not a regular file. Give a file name.")
    if not target.parent.is_dir():
        raise ModelFileError(f"{path}: the folder {target.parent} does not exist. Create it first.")
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _flush_folder(target.parent)
    except OSError as error:
        raise ModelFileError(
            f"{path} could not be written: {error.strerror or error}. Nothing was changed."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, on systems where a folder can be flushed."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
