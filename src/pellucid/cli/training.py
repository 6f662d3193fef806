"""Train with live progress, handle interrupts, test and save."""

from __future__ import annotations

import math
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import typer

from pellucid.cli.data import Examples, shown_name
from pellucid.cli.describe import network_table, show_columns
from pellucid.cli.evaluation import show_reports
from pellucid.cli.facts import sha256_of, training_facts, warn_of_training_rows
from pellucid.cli.folds import cross_validated, folds_facts, folds_table, make_folds
from pellucid.cli.importance import kept_importance, measured_importance, show_importance
from pellucid.cli.interrupt import INTERRUPTED
from pellucid.cli.material import Material
from pellucid.cli.measurement import measure, quantile_of
from pellucid.cli.metrics import Report
from pellucid.cli.remarks import warnings_as_remarks
from pellucid.cli.request import Request, SearchOptions
from pellucid.cli.screen import Output
from pellucid.cli.settings import check_settings, kinds_with
from pellucid.cli.trials import TrialsFile
from pellucid.cli.tuning import N_FOLDS, Search, trials_table, tune
from pellucid.models.saving import save
from pellucid.models.tabular.tabular_classifier import TabularClassifier
from pellucid.models.tabular.tabular_regressor import TabularRegressor
from pellucid.persistence import ModelFileError
from pellucid.persistence.file import check_header
from pellucid.tables import TableEncoder
from pellucid.training import Outcome, ProgressBar

MOST_IMPORTANT = 10
"""Columns whose importance is shown after training."""
MANY_COLUMNS = 2_000
"""From so many columns on, a model file could be too large to be read."""


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
    model.set_params(callbacks=[ProgressBar(out.progress)])
    started = time.perf_counter()
    try:
        with warnings_as_remarks(out):
            fit(training.X, training.y, **rows_val)
            seconds = time.perf_counter() - started
            interrupted = model.outcome_ is Outcome.INTERRUPTED
            if interrupted and model.n_iter_ == 0:
                raise KeyboardInterrupt
    finally:
        model.set_params(callbacks=None)
    return Training(seconds, interrupted)


def train_and_save(
    request: Request,
    material: Material,
    options: dict[str, Any],
    path: Path,
    out: Output,
    *,
    resumes: bool = False,
    search: SearchOptions | None = None,
    verbose: bool = False,
) -> None:
    """Run `pellucid train` or `tune` on tables: recognize columns, train, test and save.

    Parameters
    ----------
    request : Request
    material : Material
        The tables, read.
    options : dict
        Parameters of the estimator.
    path : Path
        File to save the model to.
    out : Output
    resumes : bool
        Whether to resume from the checkpoints.
    search : SearchOptions, optional
        Search for parameters first.
    verbose : bool
        Whether to show all columns and the layers of the network.
    """
    _show_material(material, request, out)
    model_class = TabularClassifier if material.task == "classification" else TabularRegressor
    check_settings(options, model_class, material.task)
    options = {**options, "columns": kinds_with(options.get("columns"), material.dropped)}
    table = TableEncoder(columns=options["columns"]).recognize_table(
        material.training.X, material.training.y
    )
    show_columns(table.recognized, out, verbose, "--verbose")
    training = Examples(table, material.training.y)
    _check_can_be_saved(training, options["columns"], path)
    tested = None
    if search is not None:
        options = _tuned(model_class, options, training, material, request, search, out)
    elif request.rows.folds is not None:
        tested = _cross_validated(model_class, options, training, material, request, out)
    model = model_class(**options)
    done = train(model, training, material.validation, out, resumes)
    out.add(epochs=model.n_iter_, seconds=done.seconds)
    out.say(_length_of(model, done))
    if verbose:
        out.table(network_table(model.describe().network))
    reports = _test(model, training, material, request, tested, path, out)
    stops_refit = False
    if request.rows.refit and not done.interrupted:
        model, stops_refit = _refit(model, material, request, reports, tested, out)
    model.target_names_ = material.targets
    if done.interrupted and not _wanted_after_interrupt(model, path, out):
        out.note("Nothing was saved.")
        raise typer.Exit(INTERRUPTED)
    _save_somewhere(model, path, out)
    if done.interrupted or stops_refit:
        raise typer.Exit(INTERRUPTED)


def _check_can_be_saved(training: Examples, kinds: dict[str, str] | None, path: Path) -> None:
    """Raise ModelFileError before the training if what is told of the columns is too much."""
    if len(training.X.recognized) < MANY_COLUMNS:
        return
    with warnings.catch_warnings(action="ignore"):  # The training tells them.
        encoder = TableEncoder(columns=kinds).fit(training.X, training.y)
    check_header(path, encoder._to_state())


def _length_of(model: Any, done: Training) -> str:
    plural = "" if model.n_iter_ == 1 else "s"
    return f"Trained for {model.n_iter_:,} epoch{plural} in {done.seconds:.2f} s."


def _show_material(material: Material, request: Request, out: Output) -> None:
    training, testing = material.training, material.testing
    tested = "" if testing is None else f", {len(testing):,} for testing"
    out.say(f"{shown_name(request.path)}: {len(training):,} rows for training{tested}.")
    out.add(
        table=request.path,
        target=material.target,
        task=material.task,
        training_rows=len(training),
        test_rows=0 if testing is None else len(testing),
    )
    names = ", ".join(map(repr, material.targets))
    plural = "s" if len(material.targets) > 1 else ""
    out.say(f"Target{plural} {names}: {material.task} ({material.reason}).")
    if material.validation is not None:
        out.say(f"{request.validation_path}: {len(material.validation):,} rows for validation.")


def _tuned(
    model_class: Any,
    options: dict[str, Any],
    training: Examples,
    material: Material,
    request: Request,
    search: SearchOptions,
    out: Output,
) -> dict[str, Any]:
    """Return the parameters of the best trial."""
    labels, folds, validation = material.task == "classification", None, material.validation
    if validation is None:
        folds = make_folds(training.y, request.rows.folds or N_FOLDS, labels, request.seed)
    compared_on = f"{len(validation):,} rows for validation" if validation else str(folds)
    error_name = "log loss" if labels else "RMSE"
    if len(material.targets) > 1:
        error_name = "RMSE over standard deviation"
    out.say(f"Trials are compared by {error_name} on {compared_on}.")
    file = None
    if search.save_trials is not None:
        identity = {
            "table": sha256_of(request.path),
            "target": material.target,
            "rows": len(training),
            "compared on": compared_on,
            "seed": request.seed,
            "settings": options,
        }
        file = TrialsFile(search.save_trials, identity)
    seconds = math.inf if search.minutes is None else 60.0 * search.minutes
    plan = Search(search.trials, request.seed, folds, validation, seconds, file)
    trials = tune(model_class, options, training, plan, out)
    out.table(trials_table(trials, error_name))
    out.add(compared_on=compared_on, trials=[trial.facts() for trial in trials])
    return trials[0].parameters


def _cross_validated(
    model_class: Any,
    options: dict[str, Any],
    training: Examples,
    material: Material,
    request: Request,
    out: Output,
) -> dict[str, Any]:
    """Show and return cross-validated scores of the training rows."""
    labels = model_class is TabularClassifier
    assert request.rows.folds is not None
    folds = make_folds(training.y, request.rows.folds, labels, request.seed)
    options = {**options, "checkpoint_path": None}
    with out.waiting("cross-validation"):
        scores = cross_validated(model_class, options, training, material.targets, folds)
    of_numbers = "quantile" if options.get("loss") == "quantile" else "mean"
    out.table(folds_table(scores, folds, "most frequent class" if labels else of_numbers))
    facts = folds_facts(scores, folds)
    out.add(cross_validation=facts)
    return facts


def _test(
    model: Any,
    training: Examples,
    material: Material,
    request: Request,
    tested: dict[str, Any] | None,
    path: Path,
    out: Output,
) -> list[Report]:
    """Measure a model on the test rows if there are any; keep the facts with it."""
    testing, reports = material.testing, []
    if testing is not None:
        with warnings_as_remarks(out):
            quantile = quantile_of(model, training.y)
            reports = measure(model, testing.X, testing.y, material.targets, quantile=quantile)
        show_reports(reports, f"{len(testing):,} test rows", out)
    importance, rows = None, testing or material.validation
    if request.rows.importance and rows is not None:
        which = "validation" if testing is None else "test"
        with out.waiting("importance of the columns"):
            importance = measured_importance(model, rows, which, out)
    if importance is not None:
        out.add(importance=importance)
        show_importance(importance, out, MOST_IMPORTANT, f"pellucid describe {path} --all")
    model.training_facts_ = training_facts(
        *(model, training, request.path),
        seed=request.seed,
        test=reports,
        folds=tested,
        importance=kept_importance(importance),
        with_hashes=request.rows.row_hashes,
    )
    if request.rows.test_table is not None and testing is not None:
        warn_of_training_rows(model, testing, request.rows.test_table, out)
    return reports


def _refit(
    model: Any,
    material: Material,
    request: Request,
    reports: list[Report],
    tested: dict[str, Any] | None,
    out: Output,
) -> tuple[Any, bool]:
    """Return a model of all rows, or after Ctrl-C that of before; and whether it is that."""
    options = {**model.get_params(deep=False), "checkpoint_path": None}
    rows = material.all_rows
    out.say(f"Training again on all {len(rows):,} rows.")
    fresh = type(model)(**options)
    try:
        done = train(fresh, rows, material.validation, out)
    except KeyboardInterrupt:
        done = Training(0.0, True)
    if done.interrupted:
        out.note("Interrupted: the model that was tested is kept.")
        return model, True
    out.add(refit=True, epochs=fresh.n_iter_)
    out.say(_length_of(fresh, done))
    fresh.training_facts_ = training_facts(
        *(fresh, rows, request.path),
        seed=request.seed,
        test=reports,
        folds=tested,
        importance=model.training_facts_["importance"],
        refit=True,
        with_hashes=request.rows.row_hashes,
    )
    return fresh, False


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
