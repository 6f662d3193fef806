"""Predict the rows of a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pellucid.cli.data import column_in, inputs_for, read_model_table
from pellucid.cli.files import STANDARD_STREAM, check_can_write
from pellucid.cli.formats import check_format, rows_of, written
from pellucid.cli.options import ReadingOptions
from pellucid.cli.predictions import kept_columns, predicted_columns, together
from pellucid.cli.remarks import add_drift, warnings_as_remarks
from pellucid.cli.screen import Output
from pellucid.models.loading import load
from pellucid.persistence.file import replace_file
from pellucid.tables import Table, TableError


def predict_file(
    path: Path,
    table: Path,
    target_file: Path | None,
    reading: ReadingOptions,
    out: Output,
    *,
    keep: Sequence[str] = (),
    probabilities: bool = False,
    force: bool = False,
) -> None:
    """Run `pellucid predict`: write the predictions of a saved model for a table.

    Parameters
    ----------
    path : Path
        A model.
    table : Path
    target_file : Path or None
        File to write; None or "-" is standard output.
    reading : ReadingOptions
    out : Output
    keep : sequence of str
        Columns of the table to write beside the predictions.
    probabilities : bool
        Whether to write the probability of each class.
    force : bool
        Whether to replace a file that exists.
    """
    if target_file is not None and str(target_file) == STANDARD_STREAM:
        target_file = None
    if target_file is not None:
        check_can_write(target_file, [path, table], force=force)
        check_format(target_file)
    model = load(path)
    rows = read_model_table(table, model, reading, out, keep)
    _check_are_single(keep, rows)
    kept = kept_columns([column_in(rows, name) for name in keep])
    with warnings_as_remarks(out):
        X = inputs_for(model, rows, _not_for(model, rows, list(kept)))
        predicted = predicted_columns(model, X, probabilities)
    columns = together(kept, predicted)
    out.add(model=path, table=table, rows=len(rows))
    if target_file is not None:
        replace_file(target_file, written(columns, target_file.suffix))
        out.add(written=target_file)
        out.note(f"Wrote {len(rows):,} predictions to {target_file}.")
    elif out.json:
        out.add(predictions=rows_of(columns))
    else:
        _write_to_standard_output(written(columns, ".csv"))
    add_drift(model, X, out)


def _check_are_single(keep: Sequence[str], rows: Table) -> None:
    """Raise TableError where one --keep names several columns."""
    for name in keep:
        parts = [part.strip() for part in name.split(",")]
        if name not in rows.names and len(parts) > 1 and {*parts} <= {*rows.names}:
            repeated = " ".join(f"--keep {part!r}" for part in parts)
            raise TableError(f"There is no column {name!r}. Repeat --keep: {repeated}.")


def _not_for(model: Any, rows: Table, kept: Sequence[str]) -> Sequence[str]:
    """Return the kept columns, unless the table has as many columns as a model without names."""
    return () if len(rows.names) == int(model.n_features_in_) else kept


def _write_to_standard_output(data: bytes) -> None:
    """Write UTF-8, whatever the locale is; on a terminal, what it can show."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None or sys.stdout.isatty():
        sys.stdout.write(data.decode())
    else:
        sys.stdout.flush()
        buffer.write(data)
    sys.stdout.flush()
