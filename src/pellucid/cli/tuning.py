"""`pellucid tune`: random search with cross-validation; folds are fitted in parallel."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from rich.table import Table as ScreenTable

from pellucid.cli.data import Examples
from pellucid.cli.folds import Folds, fit_folds
from pellucid.cli.screen import Output
from pellucid.cli.trials import Trial, TrialsFile
from pellucid.engine.errors import NonFiniteError
from pellucid.models.fit_data import FitData
from pellucid.models.together import fit_all
from pellucid.training import FitResult, Outcome

N_FOLDS = 3

#: Distribution of each parameter that is not set.
SPACE: dict[str, tuple[str, Any]] = {
    "hidden_layer_sizes": ("one of", [(64,), (128, 64), (256,), (256, 128), (128, 128, 128)]),
    "learning_rate_init": ("log-uniform", (3e-4, 1e-2)),
    "dropout": ("one of", [0.0, 0.0, 0.1, 0.2, 0.4]),
    "normalization": ("one of", [None, None, "rms", "batch"]),
    "activation": ("one of", ["relu", "silu", "selu"]),
    "weight_decay": ("one of", [0.0, 1e-3, 1e-2, 1e-1]),
    "alpha": ("log-uniform", (1e-4, 1.0)),
}


def draw(settings: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return a random point of `SPACE`, except for parameters in `settings`."""
    drawn = dict(settings)
    for name, (how, values) in SPACE.items():
        if name in settings:
            continue
        if how == "one of":
            drawn[name] = values[int(rng.integers(len(values)))]
        else:
            low, high = map(math.log, values)
            drawn[name] = float(f"{math.exp(rng.uniform(low, high)):.3g}")
    return drawn


@dataclass(frozen=True)
class Search:
    """How parameters are searched.

    Attributes
    ----------
    n_trials : int
    seed : int
        Seed of the random parameters.
    folds : Folds or None
        Folds of the training rows; None if there are rows for validation.
    validation : Examples or None
        Rows to stop by and to compare the trials on.
    seconds : float
        No trial begins after so long, and the one in progress ends after its epoch.
    file : TrialsFile or None
        Has the trials of an earlier run, and gets those that end.
    """

    n_trials: int
    seed: int
    folds: Folds | None
    validation: Examples | None = None
    seconds: float = math.inf
    file: TrialsFile | None = None


def tune(
    model_class: Any, settings: Mapping[str, Any], examples: Examples, search: Search, out: Output
) -> list[Trial]:
    """Try parameter sets; the first one is the defaults with `settings`.

    Each trial is cross-validated, or measured on the rows for validation. Folds are fitted at the
    same time, each on its own processor. Ctrl-C ends the search and keeps the finished trials. The
    time limit also ends the trial in progress, which is judged by its best epoch so far.

    Parameters
    ----------
    model_class : TabularClassifier or TabularRegressor
    settings : mapping
        Parameters that are not searched.
    examples : Examples
    search : Search
    out : Output

    Returns
    -------
    list of Trial
        Trials, best first.
    """
    trials: list[Trial] = []
    started = time.monotonic()
    try:
        for number in range(1, search.n_trials + 1):
            elapsed = time.monotonic() - started
            if trials and elapsed >= search.seconds:
                n = "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
                out.say(f"Stopped after {search.seconds / 60:g} minutes: {n}.")
                break
            with out.waiting(f"trial {number}/{search.n_trials}"):
                trial = _tried(number, model_class, settings, examples, search, started)
            trials.append(trial)
            best = min(trial.error for trial in trials)
            line = f"trial {number}/{search.n_trials}: {trial.error:.5g} (best {best:.5g})"
            line += ", cut short" if trial.is_cut_short else ""
            line += _left(trials, search, time.monotonic() - started)
            out.progress.print(line, soft_wrap=True)
    except KeyboardInterrupt:
        if not trials:
            raise
        out.say(f"Interrupted after {len(trials)} trials.")
    return sorted(trials, key=lambda trial: trial.error)


def _tried(
    number: int,
    model_class: Any,
    settings: Mapping[str, Any],
    examples: Examples,
    search: Search,
    search_started: float,
) -> Trial:
    """Return a trial from the file, or the outcome of a new one."""
    parameters = dict(settings)
    if number > 1:
        parameters = draw(settings, np.random.default_rng([search.seed, number]))
    known = None if search.file is None else search.file.find(number, parameters)
    if known is not None:
        return known
    started, tried = time.monotonic(), parameters
    if math.isfinite(search.seconds):
        end = search_started + search.seconds
        tried = {**parameters, "callbacks": [lambda report: time.monotonic() >= end]}
    error, is_cut_short = _mean_error(model_class, tried, examples, search)
    trial = Trial(number, parameters, error, time.monotonic() - started, is_cut_short)
    if search.file is not None and not is_cut_short:
        search.file.add(trial)
    return trial


def _left(trials: Sequence[Trial], search: Search, elapsed: float) -> str:
    """Return how long the other trials take, if they are like those so far."""
    n_left = search.n_trials - len(trials)
    if not n_left:
        return ""
    each = sum(trial.seconds for trial in trials) / len(trials)
    seconds = min(each * n_left, max(0.0, search.seconds - elapsed) + each)
    return f", about {timedelta(seconds=round(seconds))} left"


def trials_table(trials: list[Trial], error_name: str, most_rows: int = 10) -> ScreenTable:
    """Return the best trials as a table for the screen."""
    title = "One trial" if len(trials) == 1 else f"Best of {len(trials)} trials"
    table = ScreenTable(title=title, title_justify="left", title_style="bold")
    table.add_column(error_name, justify="right")
    table.add_column("parameters")
    for trial in trials[:most_rows]:
        text = ", ".join(f"{n}={_shown(v)}" for n, v in trial.parameters.items() if n in SPACE)
        table.add_row(f"{trial.error:.5g}", text or "defaults")
    return table


def _shown(value: Any) -> str:
    return repr(list(value)).replace(" ", "") if isinstance(value, tuple) else str(value)


def _mean_error(
    model_class: Any, parameters: Mapping[str, Any], examples: Examples, search: Search
) -> tuple[float, bool]:
    """Return the mean error over the folds or on the validation rows, and if time cut it short."""
    if search.folds is not None:
        fitted = fit_folds(model_class, parameters, examples, search.folds)
        is_cut_short = any(result.outcome is Outcome.STOPPED for _, result, _ in fitted)
        return float(np.mean([_error(*one) for one in fitted])), is_cut_short
    validation = search.validation
    assert validation is not None
    model = model_class(**parameters)
    data = FitData(examples.X, examples.y, X_val=validation.X, y_val=validation.y)
    with warnings.catch_warnings(action="ignore"):
        [result] = fit_all([model], [data], parameters.get("n_threads"))
    if result.outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt
    return _error(model, result, validation), result.outcome is Outcome.STOPPED


def _error(model: Any, result: FitResult, testing: Examples) -> float:
    """Return the error of a fitted model on test rows; infinity if training diverged."""
    if isinstance(result.error, NonFiniteError):
        return math.inf
    if result.error is not None:
        raise result.error
    if not hasattr(model, "predict_proba"):
        from sklearn.metrics import root_mean_squared_error

        y, told = testing.y, model.predict(testing.X)
        if y.ndim > 1:  # Each target counts alike, whatever its unit is.
            deviations = y.std(axis=0)
            deviations[deviations == 0] = 1.0
            y, told = y / deviations, told / deviations
        return float(root_mean_squared_error(y, told))
    from sklearn.metrics import log_loss

    known = np.isin(testing.y, model.classes_)
    probabilities = model.predict_proba(testing.X.take(np.flatnonzero(known)))
    return float(log_loss(testing.y[known], probabilities, labels=model.classes_))
