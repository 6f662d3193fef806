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
from pellucid.cli.files import check_can_write
from pellucid.cli.options import ReadingOptions
from pellucid.cli.screen import Output
from pellucid.models.loading import load
from pellucid.tables import TableError


def predict_file(
    path: Path,
    table: Path,
    written: Path | None,
    probabilities: bool,
    reading: ReadingOptions,
    out: Output,
    *,
    force: bool = False,
) -> None:
    """Run `pellucid predict`: write the predictions of a saved model for a table."""
    if written is not None:
        check_can_write(written, [path, table], force=force)
    model = load(path)
    rows = read_model_table(table, model, reading, out)
    with columns_matched_by_name():
        names, predicted = predictions(model, inputs_for(model, rows), probabilities)
    out.add(model=path, table=table, rows=len(predicted))
    if written is not None:
        _replace(written, names, predicted)
        out.add(written=written)
        out.note(f"Wrote {len(predicted):,} predictions to {written}.")
    elif out.json:
        out.add(predictions=[dict(zip(names, row, strict=True)) for row in predicted])
    else:
        _write(sys.stdout, names, predicted)
        sys.stdout.flush()


def predictions(model: Any, X: Any, probabilities: bool) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns, and the values of each row.

    Parameters
    ----------
    model : fitted estimator
    X : input of `model.predict`
    probabilities : bool
        Whether to add the probability of each class.
    """
    header = ["prediction"]
    if probabilities:
        if not hasattr(model, "predict_proba"):
            raise TableError("--probabilities needs a classifier, but the model is a regressor.")
        P = model.predict_proba(X)
        header += [f"probability of {label}" for label in model.classes_]
        labels = model.classes_[P.argmax(axis=1)]
        columns = [labels.tolist(), *np.asarray(P, float).T.tolist()]
        rows = [
            [label, *(float(f"{p:.6g}") for p in row)] for label, *row in zip(*columns, strict=True)
        ]
    else:
        predicted = model.predict(X)
        rows = predicted.reshape(len(predicted), -1).tolist()
    return header, rows


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
