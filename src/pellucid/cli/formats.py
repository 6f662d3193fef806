"""Write named columns as CSV, JSON lines or Parquet, as the suffix of the file says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables import TableError

Columns = Mapping[str, npt.NDArray[Any]]


def check_format(path: Path) -> None:
    """Raise TableError unless tables can be written to a file of this name."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise TableError(
            f"{path}: tables cannot be written as {suffix} files. Choose a name that ends in .csv, "
            ".tsv, .jsonl or .parquet."
        )
    if FORMATS[suffix] is _parquet and not (find_spec("pyarrow") or find_spec("polars")):
        raise TableError(
            f"{path}: writing Parquet needs pyarrow or polars. "
            "Install one with: pip install 'pellucid[tables]'"
        )


def written(columns: Columns, suffix: str) -> bytes:
    """Return the contents of a file with this suffix."""
    return FORMATS[suffix.lower()](columns)


def plain_values(values: npt.NDArray[Any]) -> list[Any]:
    """Return Python's values for text formats; None where one is missing.

    A float32 becomes the shortest number that stands for it.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.cli.formats import plain_values
    >>> plain_values(np.array([0.1, np.nan], np.float32))
    [0.1, None]
    """
    if values.dtype.kind == "M":
        known = np.datetime_as_string(values, unit=_unit(values))
        return [None if text == "NaT" else text for text in known.tolist()]
    if values.dtype.kind == "f":
        if values.dtype != np.float64:
            values = values.astype(str).astype(np.float64)
        return [value if value == value else None for value in values.tolist()]
    plain: list[Any] = values.tolist()
    return plain


def _unit(values: npt.NDArray[Any]) -> Any:
    known = values[~np.isnat(values)]
    return next((u for u in ("D", "s") if np.all(known == known.astype(f"datetime64[{u}]"))), "us")


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Return a dict for each row."""
    rows = zip(*map(plain_values, columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _csv(columns: Columns, delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*map(plain_values, columns.values()), strict=True))
    return file.getvalue().encode()


def _json_lines(columns: Columns) -> bytes:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows_of(columns)]
    return "".join(lines).encode()


def _parquet(columns: Columns) -> bytes:
    file = io.BytesIO()
    ready = {name: _typed(values) for name, values in columns.items()}
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        import polars

        polars.DataFrame(ready).write_parquet(file)
    else:
        pyarrow.parquet.write_table(pyarrow.table(ready), file)
    return file.getvalue()


def _typed(values: npt.NDArray[Any]) -> Any:
    return values if values.dtype.kind in "biufM" else values.tolist()


FORMATS: dict[str, Callable[[Columns], bytes]] = {
    "": _csv,
    ".csv": _csv,
    ".txt": _csv,
    ".tsv": partial(_csv, delimiter="\t"),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".pq": _parquet,
}
