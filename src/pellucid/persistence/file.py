"""The `.pellucid` file: safetensors with a JSON header and a checksum of the contents.

Reading never unpickles and never executes anything; a file that is not whole, not ours or not
to be trusted is a :class:`ModelFileError`. Only regular files are read, so that no pipe or device
can make it wait. Writing is atomic: the file is there in full or, after a full disk or a power
cut, as it was before.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: Version of the layout written here; files of a higher one are refused.
FORMAT_VERSION = 1
#: What reading a header may take, as `_memory_of` estimates it: about 50 MB of plain text, or two
#: million values. A text can stand for twenty times its own size.
MOST_HEADER_MEMORY = 256 * 2**20
#: NumPy's own limit.
MOST_DIMENSIONS = 64
#: What an array of a model file can hold, by safetensors' names: BOOL, I8, …, U64, …, F64.
DTYPES: dict[str, np.dtype[Any]] = {"BOOL": np.dtype(np.bool_)} | {
    f"{kind.upper()}{8 * size}": np.dtype(f"<{kind}{size}")
    for kind in "iuf"
    for size in (1, 2, 4, 8)
    if f"{kind}{size}" != "f1"
}

Arrays = dict[str, npt.NDArray[Any]]

#: Flags of `os.open`: a pipe without a writer is not waited for, a terminal not taken over.
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NO_FOLLOWING = getattr(os, "O_NOFOLLOW", 0)
#: A string of JSON, which may not be closed.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_KINDS = {
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFSOCK: "a socket",
}


UNUSABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,  # RecursionError is one.
    StopIteration,
    TypeError,
    ValueError,
)
"""What making something of the contents of a file may raise where they do not fit together."""


class ModelFileError(ValueError):
    """A model file that cannot be read or written; the message says what is wrong with it."""


def write_model_file(
    path: str | Path,
    header: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    *,
    follow_links: bool = True,
) -> None:
    """Write a header and arrays to one file, atomically.

    Parameters
    ----------
    path : str or Path
        An existing file is replaced, and stays as it was when anything goes wrong. The new one has
        its permissions.
    header : mapping
        Whatever JSON can hold.
    arrays : mapping of str to ndarray
        Of numbers or booleans.
    follow_links : bool
        Whether a symbolic link at `path` stays and its target is replaced, or the link itself is.

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
    _check_can_be_read(text, path)
    plain = {name: _storable(name, array) for name, array in arrays.items()}
    # One entry, because safetensors writes several in no fixed order.
    metadata = {"pellucid": f"{_checksum(text, plain)} {text}"}
    replace_file(Path(path), save(plain, metadata), follow_links=follow_links)


def check_header(path: str | Path, header: Mapping[str, Any]) -> None:
    """Raise ModelFileError where a file with at least this header could not be read again."""
    _check_can_be_read(json.dumps(header, separators=(",", ":")), path)


def _check_can_be_read(text: str, path: str | Path) -> None:
    if _memory_of(text) > MOST_HEADER_MEMORY:
        raise ModelFileError(
            f"{path} is not written: the names, labels and curves of this model take {len(text):,} "
            "characters in a model file, which is too many to be read again. Fit with fewer "
            "categories, labels or columns."
        )


def read_model_file(
    path: str | Path, *, follow_links: bool = True
) -> tuple[dict[str, Any], Arrays]:
    """Read what :func:`write_model_file` wrote.

    Parameters
    ----------
    path : str or Path
        A regular file.
    follow_links : bool
        Whether `path` itself may be a symbolic link.

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
        by a newer version. Never is more memory taken than the file's size and 256 MiB.
    """
    path = Path(path)
    try:
        # Opening a device can have effects of its own, so the first look is before that.
        _check_is_regular(os.stat(path, follow_symlinks=follow_links).st_mode, path)
        flags = _NO_WAITING if follow_links else _NO_WAITING | _NO_FOLLOWING
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
            found = os.fstat(file.fileno())
            _check_is_regular(found.st_mode, path)  # another file may have taken its place
            return _read(file, found.st_size, path)
    except ModelFileError:
        raise
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: there is no such file. Check the path.") from error
    except (MemoryError, OSError, ValueError) as error:
        raise ModelFileError(f"{path}: cannot be read: {reason_of(error)}.") from error


def is_model_file(path: str | Path) -> bool:
    """Return whether a file is a saved model and no checkpoint, as its header says."""
    path = Path(path)
    try:
        found = path.stat()
        _check_is_regular(found.st_mode, path)
        with path.open("rb") as file:
            metadata = _read_entries(file, found.st_size, path).get("__metadata__")
        text = str(metadata["pellucid"]).partition(" ")[2]  # type: ignore[index]
        header = _parse_json(text, path)
    except (OSError, ModelFileError, LookupError, TypeError):
        return False
    return "estimator" in header and "checkpoint" not in header


def _check_is_regular(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise ModelFileError(f"{path} is a directory. Give a file name such as model.pellucid.")
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise ModelFileError(f"{path} is {kind}, not a regular file. Give another path.")


def reason_of(error: Exception) -> str:
    """Return what the system, or Python, says of an error."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _read(file: BufferedReader, size: int, path: Path) -> tuple[dict[str, Any], Arrays]:
    entries = _read_entries(file, size, path)
    metadata = entries.pop("__metadata__", None)
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path} is not a Pellucid model file.")
    checksum, _, text = str(metadata.get("pellucid", "")).partition(" ")
    if not checksum:
        raise ModelFileError(f"{path} is a safetensors file but not a Pellucid model.")
    header = _parse_json(text, path)
    _check_version(header.get("format_version"), path)
    data = np.empty(size - file.tell(), dtype=np.uint8)
    try:
        if file.readinto(data.data) != len(data):
            raise ValueError("the file became shorter meanwhile")
        arrays = _arrays_in(data, entries)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} is damaged: its arrays cannot be read ({error!s:.200})."
        ) from error
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


def _read_entries(file: BufferedReader, size: int, path: Path) -> dict[str, Any]:
    """Return safetensors' own header, where it says what arrays there are; the data comes next."""
    if size < 8:  # some that the system makes up have no size, and reading them can take forever
        raise ModelFileError(f"{path} is not a model file: it has only {size} bytes.")
    length = int.from_bytes(file.read(8), "little")
    if length > MOST_HEADER_MEMORY or file.read(1) != b"{":
        raise ModelFileError(f"{path} is not a Pellucid model file.")
    if length > size - 8:
        raise ModelFileError(
            f"{path} is truncated: its header should be {length:,} bytes long, "
            f"but the file has only {size:,}."
        )
    file.seek(8)
    try:
        text = file.read(length).decode()
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path} is damaged: its header is not text ({error}).") from error
    return _parse_json(text, path)


def _arrays_in(data: npt.NDArray[np.uint8], entries: Mapping[str, Any]) -> Arrays:
    """Return the arrays, which share the memory of `data` and fill it without gaps.

    An entry is ``{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}``.
    """
    arrays: Arrays = {}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
        start, stop = entry["data_offsets"]
        if any(type(number) is not int or number < 0 for number in (*shape, start, stop)):
            raise ValueError(f"{name!r} has a shape or place that is no list of whole numbers")
        if len(shape) > MOST_DIMENSIONS:  # multiplying very many numbers would take minutes
            raise ValueError(f"{name!r} must have at most {MOST_DIMENSIONS} dimensions")
        if start != end or start % dtype.itemsize or stop > len(data):
            raise ValueError(f"the data of {name!r} is not where that of the array before it ends")
        if stop - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the shape of {name!r} does not fit its {stop - start} bytes")
        arrays[name] = data[start:stop].view(dtype).reshape(shape)
        end = stop
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes belong to no array")
    return arrays


def _memory_of(text: str) -> int:
    """Return about how many bytes it takes at most to parse JSON and make a model of it.

    Each value takes up to 64 bytes beside its characters and exists twice in the end, as JSON and
    in the model; the text itself exists up to 5 times. One character beyond ASCII makes all others
    of the same string up to 4 bytes wide; it may be written as an escape.
    """
    n_values = sum(map(text.count, ",:[{"))
    if not text.isascii():
        return 128 * n_values + 20 * len(text)
    n_wide = 0
    if "\\u" in text:
        strings = (found[0] for found in _STRING.finditer(text) if "\\u" in found[0])
        n_wide = sum(len(one) for one in strings if "\\u" in one.replace("\\\\", ""))
    return 128 * n_values + 5 * len(text) + 15 * n_wide


def _parse_json(text: str, path: Path) -> dict[str, Any]:
    if _memory_of(text) > MOST_HEADER_MEMORY:
        raise ModelFileError(f"{path} is damaged: its header is too large ({len(text):,} bytes).")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: its header is not JSON ({error}).") from error
    if not isinstance(parsed, dict):
        raise ModelFileError(f"{path} is damaged: its header is not a JSON object.")
    return parsed


def _check_version(version: object, path: Path) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFileError(f"{path} is damaged: {version!r:.80} is not a format version.")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} was written by a newer Pellucid (file format {version}; this one reads up to "
            f"{FORMAT_VERSION}). Upgrade with: pip install --upgrade pellucid"
        )


def replace_file(path: Path, data: bytes, *, follow_links: bool = True) -> None:
    """Write data beside path, flush it to the disk, then rename it over path.

    `write_model_file` says what becomes of links and permissions.
    """
    try:
        target = Path(os.path.realpath(path)) if follow_links else path
        permissions = _permissions_to_keep(target, follow_links)
        if not target.parent.is_dir():
            missing = f"{path}: the folder {target.parent} does not exist. Create it first."
            raise ModelFileError(missing)
        _write_beside(target, data, permissions)
    except ModelFileError:
        raise
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{path} could not be written: {reason_of(error)}. Nothing was changed."
        ) from error


def _permissions_to_keep(target: Path, follow_links: bool) -> int | None:
    """Return those of the file to replace; None where there is no file."""
    try:
        mode = os.lstat(target).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode) and not follow_links:
        return None
    _check_is_regular(mode, target)
    return mode & 0o777


def _write_beside(target: Path, data: bytes, permissions: int | None) -> None:
    """Write a new file and rename it over target; leave nothing behind where that fails."""
    # Short enough for a name of at most 255 bytes, whatever the script.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.part")
    mode = 0o666 if permissions is None else 0o600
    try:
        # "x" makes a new file, and never follows a link.
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            if permissions is not None and hasattr(os, "fchmod"):
                with suppress(OSError):  # some file systems have no permissions
                    os.fchmod(file.fileno(), permissions)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _flush_folder(target.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, on systems where a folder can be flushed."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
