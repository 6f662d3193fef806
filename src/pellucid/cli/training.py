"""Train with live progress, handle interrupts, test and save."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import typer

from pellucid.cli.data import Examples, read_material
from pellucid.cli.describe import columns_table, network_table
from pellucid.cli.evaluation import show_reports
from pellucid.cli.files import check_can_save
from pellucid.cli.interrupt import INTERRUPTED
from pellucid.cli.measurement import measure
from pellucid.cli.request import Request
from pellucid.cli.screen import Output
from pellucid.cli.settings import check_settings
from pellucid.cli.tuning import trials_table, tune
from pellucid.models.saving import save
from pellucid.models.tabular.tabular_classifier import TabularClassifier
from pellucid.models.tabular.tabular_regressor import TabularRegressor
from pellucid.persistence import ModelFileError
from pellucid.tables import TableEncoder
from pellucid.training import Outcome, ProgressBar


@dataclass(frozen=True)
class Training:
    """Outcome of a training.

    Attributes
    ----------
    seconds : float
    interrupted : bool
        Whether Ctrl-C stopped it after at least one epoch. The model is usable.
    """

    seconds: float
    interrupted: bool


def train(
    model: Any,
    training: Examples,
    validation: Examples | None,
    out: Output,
    resumes: bool = False,
) -> Training:
    """Fit or resume a model with live progress; print warnings as remarks below it."""
    rows_val = {} if validation is None else {"X_val": validation.X, "y_val": validation.y}
    fit = model.resume if resumes else model.fit
    model.set_params(callbacks=[ProgressBar(out.console)])
    started = time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(training.X, training.y, **rows_val)
    finally:
        model.set_params(callbacks=None)
    seconds = time.perf_counter() - started
    interrupted = model.outcome_ is Outcome.INTERRUPTED
    if interrupted and model.n_iter_ == 0:
        raise KeyboardInterrupt
    for warning in caught:
        out.note(str(warning.message))
    return Training(seconds, interrupted)


def train_and_save(
    request: Request,
    options: dict[str, Any],
    path: Path,
    out: Output,
    *,
    resumes: bool = False,
    n_trials: int = 0,
    force: bool = False,
) -> None:
    """Run `pellucid train` or `tune`: read, recognize columns, train, test and save.

    Parameters
    ----------
    request : Request
    options : dict
        Parameters of the estimator.
    path : Path
        File to save the model to.
    out : Output
    resumes : bool
        Whether to resume from the checkpoints.
    n_trials : int
        Number of parameter sets to try first; 0 trains with the options only.
    force : bool
        Whether a file at `path` that is not a model may be replaced.
    """
    check_can_save(path, [*request.tables(), options.get("checkpoint_path")], force)
    material = read_material(request, out)
    training, testing = material.training, material.testing
    tested = "" if testing is None else f", {len(testing):,} for testing"
    out.say(f"{request.path.name}: {len(training):,} rows for training{tested}.")
    out.add(
        table=request.path,
        target=material.target,
        task=material.task,
        training_rows=len(training),
        test_rows=0 if testing is None else len(testing),
    )
    out.say(f"Target {material.target!r}: {material.task} ({material.reason}).")
    model_class = TabularClassifier if material.task == "classification" else TabularRegressor
    check_settings(options, model_class, material.task)
    if material.validation is not None:
        out.say(f"{request.validation_path}: {len(material.validation):,} rows for validation.")
    table = TableEncoder(columns=options.get("columns")).recognize_table(training.X)
    out.table(columns_table(table.recognized, most_rows=60))
    training = Examples(table, training.y)
    if n_trials > 0:
        trials = tune(model_class, options, training, n_trials, request.seed, out)
        error_name = "log loss" if material.task == "classification" else "RMSE"
        out.table(trials_table(trials, error_name))
        options = trials[0].parameters
    model = model_class(**options)
    done = train(model, training, material.validation, out, resumes)
    model.target_name_ = material.target
    out.add(epochs=model.n_iter_, seconds=done.seconds)
    out.say(f"Trained for {model.n_iter_} epochs in {done.seconds:.2f} s.")
    out.table(network_table(model.describe().network))
    if testing is not None:
        reports = measure(model, testing.X, testing.y)
        show_reports(reports, f"{len(testing):,} test rows", out)
    if done.interrupted and not _wanted_after_interrupt(model, path, out):
        out.note("Nothing was saved.")
        raise typer.Exit(INTERRUPTED)
    _save_somewhere(model, path, out)
    if done.interrupted:
        raise typer.Exit(INTERRUPTED)


def _save_somewhere(model: Any, path: Path, out: Output) -> None:
    """Save a model; if that fails, save it to the temporary folder so that it is not lost."""
    try:
        save(model, path)
    except ModelFileError as error:
        rescued = Path(tempfile.gettempdir()) / f"{uuid4().hex}.pellucid"
        try:
            save(model, rescued)
        except ModelFileError:
            raise error from None
        raise ModelFileError(f"{error} The trained model is in {rescued} instead.") from error
    out.add(model=path)
    out.say(f"Saved {path} ({path.stat().st_size / 1e6:.2f} MB).")


def _wanted_after_interrupt(model: Any, path: Path, out: Output) -> bool:
    """Return whether to save the model after Ctrl-C; ask on a terminal, otherwise return False."""
    out.note(f"Interrupted after {model.n_iter_} epochs.")
    try:
        return sys.stdin.isatty() and typer.confirm(f"Save the model so far to {path}?", err=True)
    except typer.Abort:
        return False
