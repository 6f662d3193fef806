"""Write predictions as CSV."""

from __future__ import annotations

import csv
import os
import secrets
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pellucid.cli.data import columns_matched_by_name, inputs_for, read_model_table
from pellucid.cli.screen import note
from pellucid.models.loading import load
from pellucid.tables import TableError


def predict_file(
    path: Path, table: Path, out: Path | None, probabilities: bool, header: bool | None
) -> None:
    """Run `pellucid predict`: write the predictions of a saved model for a table."""
    model = load(path)
    rows = read_model_table(table, model, header)
    with columns_matched_by_name():
        n_rows = write_predictions(model, inputs_for(model, rows, None), out, probabilities)
    if out is not None:
        note(f"Wrote {n_rows:,} predictions to {out}.")


def write_predictions(model: Any, X: Any, path: Path | None, probabilities: bool) -> int:
    """Write a line for each row: the prediction and optionally the probability of each class.

    Parameters
    ----------
    model : fitted estimator
    X : input of `model.predict`
    path : Path or None
        None writes to standard output. A file is written completely or not at all.
    probabilities : bool
        Whether to write the probability of each class.

    Returns
    -------
    int
        Number of rows.
    """
    header = ["prediction"]
    if probabilities:
        if not hasattr(model, "predict_proba"):
            raise TableError("--probabilities needs a classifier, but the model is a regressor.")
        P = model.predict_proba(X)
        header += [f"probability of {label}" for label in model.classes_]
        predictions = model.classes_[P.argmax(axis=1)]
        rows: Iterable[Any] = zip(
            predictions.tolist(), *np.asarray(P, float).T.tolist(), strict=True
        )
        rows = [[label, *(f"{p:.6g}" for p in row)] for label, *row in rows]
    else:
        predictions = model.predict(X)
        rows = predictions.reshape(len(predictions), -1).tolist()
    if path is None:
        _write(sys.stdout, header, rows)
        sys.stdout.flush()
    else:
        _replace(path, header, rows)
    return len(predictions)


def _write(file: TextIO, header: list[str], rows: Iterable[Any]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _replace(path: Path, header: list[str], rows: Iterable[Any]) -> None:
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            _write(file, header, rows)
        os.replace(temporary, path)
    except OSError as error:
        raise TableError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
