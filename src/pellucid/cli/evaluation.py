"""Evaluate a model on a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.cli.class_report import class_tables, confusions_line
from pellucid.cli.data import (
    Examples,
    inputs_for,
    read_model_table,
    shown_name,
    target_names_of,
    target_values,
    with_targets,
)
from pellucid.cli.facts import warn_of_training_rows
from pellucid.cli.measurement import known_quantile, measure, n_targets_of
from pellucid.cli.metrics import Report, explanation, metrics_table
from pellucid.cli.options import ReadingOptions
from pellucid.cli.remarks import add_drift, warnings_as_remarks
from pellucid.cli.screen import Output
from pellucid.models.loading import load
from pellucid.tables import Column, TableError


def evaluate_file(
    path: Path,
    table: Path,
    target: Sequence[str],
    reading: ReadingOptions,
    out: Output,
    *,
    drops_missing: bool = False,
) -> None:
    """Run `pellucid evaluate`: compare the predictions of a saved model with the true values.

    `drops_missing` leaves rows without a true value out.
    """
    model = load(path)
    targets = _target_names(model, target)
    rows = read_model_table(table, model, reading, out, targets)
    task = "classification" if model._known_targets().kind == "label" else "regression"
    rows, truths = with_targets(
        *(rows, targets, task, table, reading, out),
        drops_missing=drops_missing,
    )
    names = [truth.name for truth in truths]
    y = _true_values(truths, model)
    X = inputs_for(model, rows, names)
    out.add(model=path, table=table, rows=len(rows), target=names[0] if len(names) == 1 else names)
    with warnings_as_remarks(out):
        reports = measure(model, X, y, names, quantile=known_quantile(model))
        warn_of_training_rows(model, Examples(rows, y), table, out)
    show_reports(reports, f"{shown_name(table)}: {len(rows):,} rows", out)
    add_drift(model, X, out)


def _target_names(model: Any, given: Sequence[str]) -> list[str]:
    """Return the names of the columns with the true values, in the order of training.

    Those given may have the names of the targets, in any order, or all have others.
    """
    names = list(given or target_names_of(model))
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise TableError(
            f"--target names {twice[0]!r} twice. Name each target once, in the order of training."
        )
    n = n_targets_of(model)
    if not names:
        how = "it with --target" if n == 1 else f"all {n} with --target, once for each"
        raise TableError(f"The model has no target name: give {how}.")
    if len(names) != n:
        raise TableError(
            f"The model predicts {n} {'target' if n == 1 else 'targets'}, but {len(names)} "
            f"{'was' if len(names) == 1 else 'were'} given: {', '.join(map(repr, names))}. Repeat "
            "--target for each of them, in the order of training."
        )
    known = target_names_of(model)
    names = [f"column_{name}" if f"column_{name}" in known else name for name in names]
    if set(names) == set(known):
        return list(known)
    if common := [name for name in names if name in known]:
        raise TableError(
            f"--target names {', '.join(map(repr, names))}, but the targets of the model are "
            f"{', '.join(map(repr, known))}. Name all of them, or, as {common[0]!r} is one of "
            "them, rename the columns of the table."
        )
    return names


def _true_values(truths: Sequence[Column], model: Any) -> npt.NDArray[Any]:
    """Return labels or numbers, (n_rows,) of one target and (n_rows, n_targets) of several."""
    if model._known_targets().kind == "label":
        return target_values(truths[0], "classification")
    if model._known_targets().kind == "indicators":
        truths = [_as_indicator(truth) for truth in truths]
    values = [target_values(_as_number(truth), "regression") for truth in truths]
    return values[0] if len(values) == 1 else np.column_stack(values)


def _as_indicator(truth: Column) -> Column:
    """Return a label of several: zeros and ones, or false and true."""
    number = _as_number(truth)
    allowed = np.isin(number.as_float(), (0.0, 1.0))
    if not allowed.all():
        raise TableError(
            f"The target {truth.name!r} has {truth.values[~allowed][0]!s}, but the model "
            "predicts whether a row has each label: its true values must be 0 or 1, or "
            "false or true."
        )
    return number


def _as_number(truth: Column) -> Column:
    """Return "true" and "false" as one and zero, numbers as they are; raise for other text."""
    if truth.storage != "text":
        return truth
    texts = [value.casefold() for value in truth.values.tolist()]
    if not {*texts} <= {"true", "false"}:
        raise TableError(
            f"The target {truth.name!r} is text, such as {truth.values[0]!r}, but the model "
            "predicts numbers. Name a column of numbers with --target."
        )
    return Column(truth.name, "boolean", np.array([text == "true" for text in texts]))


def show_reports(reports: Sequence[Report], title: str, out: Output) -> None:
    """Show what was measured, a table for each target."""
    for report in reports:
        for remark in report.remarks:
            out.note(remark)
        if report.worse_in is not None:
            which = "" if report.target is None else f" of {report.target!r}"
            out.note(
                f"The model{which} is worse than its baseline ({report.baseline}) in "
                f"{report.worse_in}."
            )
        out.table(metrics_table(report, title))
        if report.by_class is not None:
            for table in class_tables(report.by_class):
                out.table(table)
            if line := confusions_line(report.by_class):
                out.say(line)
    out.say(explanation(reports[0]))
    if len(reports) == 1:
        out.add(**reports[0].facts())
    else:
        out.add(targets={report.target: report.facts() for report in reports})
