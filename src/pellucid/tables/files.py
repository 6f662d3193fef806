"""Read files: content, compression, and what kind of table they hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.tables.table import TableError

#: The path that stands for standard input.
STANDARD_INPUT = "-"

_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_START_OF_COMPRESSED = max(map(len, _COMPRESSIONS))
#: What the content of a format begins with, and what it ends with if it is complete.
_FORMATS = {
    b"PAR1": ("parquet", b"PAR1"),
    b"ARROW1": ("arrow", b"ARROW1"),
    b"FEA1": ("feather", b"FEA1"),
    b"SQLite format 3\x00": ("sqlite", b""),
}
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a]")
_UNREADABLE = {
    b"\xd0\xcf\x11\xe0": "an Excel file in the format of before 2007",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"PK\x05\x06": "an empty zip file",
}
#: A model names Pellucid at its start.
_START_OF_MODEL = 40
#: A compressed file in a compressed file is read, but not endlessly.
_MOST_LAYERS = 4
#: A file is unpacked up to this size, or to so many times its own, if that is more.
MOST_BYTES, MOST_TIMES_LARGER = 500_000_000, 200
_BYTES_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Content:
    """The content of a file after decompression.

    Attributes
    ----------
    name : str
        What errors call the file.
    suffix : str
        The last suffix of the file's name in lower case, without that of a compression.
    data : bytes
    kind : str
        "parquet", "arrow", "feather", "sqlite", "duckdb" or "excel"; "text" for all others.
    """

    name: str
    suffix: str
    data: bytes
    kind: str = "text"


def read_content(path: str | Path) -> Content:
    """Read and decompress a file. Its content decides how, not its name.

    Raises
    ------
    TableError
        If there is no such file, if it is empty or damaged, or if it holds several files.
    """
    if str(path) == STANDARD_INPUT:
        data = getattr(sys.stdin, "buffer", sys.stdin).read()
        content = Content("Standard input", "", data.encode() if isinstance(data, str) else data)
    else:
        path = Path(path)
        check_exists(path)
        try:
            content = Content(str(path), path.suffix.lower(), path.read_bytes())
        except OSError as error:
            raise TableError(f"{path}: cannot be read: {error.strerror or error}.") from error
    for _ in range(_MOST_LAYERS):
        if not content.data:
            raise TableError(f"{content.name} is empty (0 bytes). Export the table again.")
        compression = _starting_with(content.data, _COMPRESSIONS)
        if compression is None or (compression == "zip" and _is_excel(content)):
            break
        content = _decompressed(content, compression)
    return replace(content, kind=_kind(content))


def check_exists(path: Path) -> None:
    """Raise TableError if there is no such file or folder."""
    if not path.exists():
        beside = path.parent
        where = "" if beside.is_dir() else f" (the folder {beside} does not exist either)"
        raise TableError(f"{path}: there is no such file{where}. Check the path.")


def is_compressed(path: Path) -> bool:
    """Return whether a file begins as compressed ones do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _starting_with(file.read(_START_OF_COMPRESSED), _COMPRESSIONS) is not None


def _is_excel(content: Content) -> bool:
    """Return whether a zip file is an Excel workbook."""
    try:
        with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                return False
            if sum(part.file_size for part in archive.infolist()) > _most_bytes(content.data):
                raise _too_large(content)
            return True
    except (zipfile.BadZipFile, NotImplementedError):  # The latter if it needs a newer zip.
        return False


def _kind(content: Content) -> str:
    data = content.data
    if (what := _starting_with(data, _UNREADABLE)) is not None:
        raise TableError(
            f"{content.name} is {what}, which cannot be read. "
            "Save the table as .csv, .xlsx or .parquet."
        )
    if data[8:9] == b"{" and b'"pellucid"' in data[:_START_OF_MODEL]:
        raise TableError(f"{content.name} is a model of Pellucid. Pass a table.")
    if data[257:262] == b"ustar":
        raise TableError(f"{content.name} is a tar archive. Unpack it and pass a file or folder.")
    if data[8:12] == b"DUCK":
        return "duckdb"
    if data[:4] == b"PK\x03\x04":
        return "excel"
    for magic, (kind, end) in _FORMATS.items():
        # A line of text may begin with the same letters.
        if data.startswith(magic) and (data.endswith(end) or _NOT_IN_TEXT.search(data[:1_000])):
            return kind
    return "text"


def _starting_with(data: bytes, names: dict[bytes, str]) -> str | None:
    return next((name for magic, name in names.items() if data.startswith(magic)), None)


def _decompressed(content: Content, compression: str) -> Content:
    path = Path(content.name)
    inner = Path(path.stem)
    try:
        if compression == "zip":
            inner, data = _only_member(content)
        else:
            with _DECOMPRESS[compression](io.BytesIO(content.data)) as stream:
                data = _unpacked(stream, content)
    except TableError:
        raise
    except ImportError:
        raise TableError(
            f"{content.name}: reading zstd files needs pyarrow. "
            "Install it with: pip install 'pellucid[tables]'"
        ) from None
    # Libraries raise different exceptions for a broken file, zipfile a RuntimeError for a password.
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError) as error:
        raise TableError(
            f"{content.name} is not a complete {compression} file: {error}. Download or copy it "
            "again."
        ) from error
    except RuntimeError as error:  # Also if a part of zipfile is not implemented.
        raise TableError(f"{content.name} cannot be unpacked: {error}.") from error
    return Content(content.name, inner.suffix.lower(), data)


def _only_member(content: Content) -> tuple[Path, bytes]:
    with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
        names = [
            name
            for name in archive.namelist()
            if not name.endswith("/") and not name.startswith("__MACOSX/")
        ]
        if len(names) != 1:
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise TableError(
                f"{content.name} holds {len(names)} files ({shown}), not one table. "
                "Unpack it and pass the files that are wanted."
            )
        with archive.open(names[0]) as stream:
            return Path(names[0]), _unpacked(stream, content)


def _unpacked(stream: Any, content: Content) -> bytes:
    """Read a decompressed file to its end, in pieces, so that little is read of too large ones."""
    left = _most_bytes(content.data)
    pieces = []
    while piece := stream.read(_BYTES_AT_ONCE):
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            raise _too_large(content)
    return b"".join(pieces)


def _most_bytes(data: bytes) -> int:
    return max(MOST_BYTES, MOST_TIMES_LARGER * len(data))


def _too_large(content: Content) -> TableError:
    times = f"{MOST_TIMES_LARGER} times as large as it is packed"
    return TableError(
        f"{content.name}: its content is more than {times}, as if it were meant to fill the "
        "memory. If it is a table, unpack it and pass the file."
    )


def _open_zstd(file: io.BytesIO) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(file, "zstd")


_DECOMPRESS: dict[str, Callable[[io.BytesIO], Any]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
    "zstd": _open_zstd,
}
