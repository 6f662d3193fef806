"""Convert text columns of pyarrow to numbers, or to their different texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pellucid.tables.columns import LARGEST_EXACT
from pellucid.tables.conventions import NumberFormat
from pellucid.tables.missing_words import MISSING_TEXT

_CODE = r"^\s*(?:\d+E\d+|\+\d{9,})\s*$"
_LETTERS_OF_CODES = list(b"E+")
_ZERO = ord("0")
_AFTER_ZERO_OF_CODE = np.zeros(256, np.bool_)
_AFTER_ZERO_OF_CODE[list(b"0123456789xX")] = True
#: Whether most cells of a column are different is judged from this many.
CELLS_TO_COUNT = 10_000
_MISSING = pa.array(sorted(MISSING_TEXT))
_MOST_BYTES_OF_MISSING = max(len(text.encode()) for text in MISSING_TEXT)
_NULL = pa.scalar(None, pa.string())


def numbers(cells: pa.ChunkedArray, format: NumberFormat) -> npt.NDArray[Any] | None:
    """Convert a column whose cells are all numbers or missing; return None for any other.

    The result is what Python's int and float give: int64 if all numbers are whole and none is
    missing, else float64. None is returned as well where pyarrow and Python could differ: for
    leading zeros, codes such as 10E3, infinities, blanks around numbers, whole numbers with a plus
    sign and numbers beyond 2**53.

    Parameters
    ----------
    cells : pyarrow.ChunkedArray of str
    format : NumberFormat
        Unless it is the plain one, numbers with exponents are not converted.
    """
    some = [format.plain(cell) for cell in cells.take(_evenly(len(cells), 10)).to_pylist()]
    if not _are_numbers([cell.strip() for cell in some]):
        return None  # before pyarrow writes an error for each cell
    if any(cell != cell.strip() for cell in some):
        cells = pc.ascii_trim_whitespace(cells)
    if format != NumberFormat():
        numeral = pc.match_substring_regex(cells, f"^(?:{format.pattern})$")
        if not pc.all(pc.or_(numeral, pc.is_in(cells, value_set=_MISSING))).as_py():
            return None
        if format.thousands:
            cells = pc.replace_substring(cells, format.thousands, "")
        cells = pc.replace_substring(cells, format.decimal, ".")
    is_whole = all(cell.strip().removeprefix("-").isdecimal() for cell in some)
    values = _cast(cells, pa.int64()) if is_whole else None
    if values is None:
        values = _floats(cells)
    if values is None or any(map(_has_leading_zero, cells.chunks)):
        return None
    if values.dtype.kind == "f" and _hold_codes(cells):
        return None
    if values.dtype.kind == "f" and np.nanmax(np.abs(values)) >= LARGEST_EXACT:
        return None  # Whole numbers of so many digits need to be told apart.
    return values


def texts(
    cells: pa.ChunkedArray,
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.intp] | None]:
    """Return the different cells, cleaned, and for each row the number of its cell.

    If most cells are different, all cells are returned, and None.
    """
    some = cells.take(_evenly(len(cells), CELLS_TO_COUNT))
    if 2 * len(some.unique()) > len(some):
        return _cleaned(cells), None
    encoded = cells.dictionary_encode().combine_chunks()
    distinct = _cleaned(pa.chunked_array([encoded.dictionary]))
    return distinct, encoded.indices.to_numpy().astype(np.intp)


def _cleaned(cells: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Do what `clean_text` does: strip blanks, replace words for a missing value by None."""
    stripped = pc.utf8_trim_whitespace(cells)
    if (pc.min(pc.binary_length(stripped)).as_py() or 0) <= _MOST_BYTES_OF_MISSING:
        missing = pc.is_in(stripped, value_set=_MISSING)
        stripped = pc.if_else(missing, _NULL, stripped)
    text: npt.NDArray[np.object_] = stripped.to_numpy()
    return text


def _are_numbers(cells: list[str]) -> bool:
    """Return whether all of some cells are missing or numbers, if perhaps not only these."""
    for cell in cells:
        try:
            float(cell)
        except ValueError:
            if cell not in MISSING_TEXT:
                return False
    return True


def _evenly(n: int, most: int) -> npt.NDArray[np.intp]:
    """Return evenly spaced rows."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


def _cast(cells: pa.ChunkedArray, kind: pa.DataType) -> npt.NDArray[Any] | None:
    try:
        values: npt.NDArray[Any] = pc.cast(cells, kind).to_numpy()
    except pa.ArrowInvalid:
        return None
    return values


def _floats(cells: pa.ChunkedArray) -> npt.NDArray[Any] | None:
    values = _cast(cells, pa.float64())
    if values is None:
        missing = pc.is_in(cells, value_set=_MISSING)
        n_missing = pc.sum(missing).as_py() or 0
        if n_missing in (0, len(cells)):
            return None
        present = pc.if_else(missing, _NULL, cells)
        values = _cast(present, pa.float64())
        if values is None:
            return None
        found = values[np.isfinite(values)]
        return values if len(found) == len(values) - n_missing else None
    if not np.isfinite(values).all():
        return None
    if np.all(values == np.floor(values)) and pc.any(pc.match_substring(cells, "+")).as_py():
        return None
    return values


def _hold_codes(cells: pa.ChunkedArray) -> bool:
    """Return whether a cell is a number with E or a plus sign that may be a code."""
    texts = [np.frombuffer(chunk.buffers()[2] or b"", np.uint8) for chunk in cells.chunks]
    if not any(bool((text == letter).any()) for text in texts for letter in _LETTERS_OF_CODES):
        return False
    return bool(pc.any(pc.match_substring_regex(cells, _CODE)).as_py())


def _has_leading_zero(chunk: pa.StringArray) -> bool:
    """Return whether a cell begins with a zero and a digit, as codes do, or with 0x."""
    if not len(chunk):
        return False
    _, offsets_buffer, text_buffer = chunk.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[chunk.offset :][: len(chunk) + 1]
    text = np.frombuffer(text_buffer, np.uint8)
    starts = offsets[:-1][np.diff(offsets) > 1]
    zeros = starts[text[starts] == _ZERO]
    return bool(_AFTER_ZERO_OF_CODE[text[zeros + 1]].any())
