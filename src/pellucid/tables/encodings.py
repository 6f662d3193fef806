"""Recognize the encoding of text."""

from __future__ import annotations

import codecs
import re

from pellucid.tables.table import TableError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Bytes that are letters and signs in Windows-1252, but control characters in Latin-1.
_ONLY_IN_WINDOWS_1252 = re.compile(rb"[\x80-\x9f]")


def as_utf8(data: bytes, name: str, encoding: str | None = None) -> tuple[bytes, tuple[str, ...]]:
    """Return text as UTF-8 without a byte order mark, and remarks on its encoding.

    Parameters
    ----------
    data : bytes
    name : str
        What errors call the file.
    encoding : str, optional
        The encoding. By default it is that of a byte order mark, else UTF-8, else Windows-1252 or
        Latin-1, which is told in a remark.

    Raises
    ------
    TableError
        If the text is not in this encoding, or if it is no text. The message names the line.

    Examples
    --------
    >>> from pellucid.tables.encodings import as_utf8
    >>> data, remarks = as_utf8("Orléans".encode("latin-1"), "t.csv")
    >>> data.decode(), remarks
    ('Orléans', ('read as Latin-1, as it is not UTF-8',))
    """
    if encoding is not None:
        return _told(data, name, encoding), ()
    for mark, marked in _MARKS:
        if data.startswith(mark):
            if marked == "utf-8":
                return _checked(data[len(mark) :], name), ()
            return _decoded(data[len(mark) :], name, marked).encode(), ()
    if b"\0" in data:
        raise TableError(
            f"{name} is not a text file: it contains NUL bytes. Export the table as CSV, or give "
            "the encoding if it is text in UTF-16 (--encoding utf-16-le)."
        )
    if _is_utf8(data):
        return data, ()
    if len(data.decode("utf-8", "ignore").encode()) > len(re.sub(rb"[\x80-\xff]", b"", data)):
        _checked(data, name)
    guess, called = "latin-1", "Latin-1"
    if _ONLY_IN_WINDOWS_1252.search(data):
        try:
            data.decode("cp1252")
        except UnicodeDecodeError:
            pass
        else:
            guess, called = "cp1252", "Windows-1252"
    return data.decode(guess).encode(), (f"read as {called}, as it is not UTF-8",)


def check_encoding(encoding: str) -> None:
    """Raise TableError unless there is an encoding of text by this name."""
    try:
        codecs.lookup(encoding)
        "".encode(encoding)
    except (LookupError, ValueError):
        raise TableError(
            f"encoding={encoding!r} is unknown. Use a name such as utf-8, latin-1, cp1252 or "
            "utf-16."
        ) from None


def _told(data: bytes, name: str, encoding: str) -> bytes:
    if codecs.lookup(encoding).name == "utf-8":
        return _checked(data.removeprefix(codecs.BOM_UTF8), name)
    return _decoded(data, name, encoding).removeprefix("\ufeff").encode()


def _is_utf8(data: bytes) -> bool:
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _checked(data: bytes, name: str) -> bytes:
    if not data.isascii():
        _decoded(data, name, "utf-8")
    return data


def _decoded(data: bytes, name: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = 1 + len(re.findall(r"\r\n?|\n", data[: error.start].decode(encoding, "ignore")))
        raise TableError(
            f"{name}, line {line}: not {encoding.upper()} text (byte "
            f"{data[error.start]:#04x}). Correct this line, or give the right encoding "
            "(--encoding, such as latin-1)."
        ) from error
    except UnicodeError as error:  # Some codecs do not say where.
        raise TableError(
            f"{name}: not {encoding.upper()} text ({error}). Give the right encoding (--encoding, "
            "such as latin-1)."
        ) from error
