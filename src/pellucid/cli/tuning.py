"""`pellucid tune`: random search with cross-validation; folds are fitted in parallel."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table as ScreenTable
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold

from pellucid.cli.data import Examples
from pellucid.cli.screen import Output
from pellucid.engine.errors import NonFiniteError
from pellucid.models.fit_data import FitData
from pellucid.models.together import fit_all
from pellucid.tables import TableError
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
    "alpha": ("log-uniform", (1e-6, 1e-2)),
}


@dataclass(frozen=True)
class Trial:
    """Parameters and their mean error over the folds (log loss or RMSE, lower is better)."""

    parameters: dict[str, Any]
    error: float


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


def tune(
    model_class: Any,
    settings: Mapping[str, Any],
    examples: Examples,
    n_trials: int,
    seed: int,
    out: Output,
) -> list[Trial]:
    """Try `n_trials` parameter sets; the first one is the defaults with `settings`.

    Each trial is cross-validated. Its folds are fitted in parallel, each on its own processor.
    Ctrl-C ends the search and keeps the finished trials.

    Parameters
    ----------
    model_class : TabularClassifier or TabularRegressor
    settings : mapping
        Parameters that are not searched.
    examples : Examples
    n_trials : int
    seed : int
        Seed of the folds and of the random parameters.
    out : Output

    Returns
    -------
    list of Trial
        Trials, best first.
    """
    rng = np.random.default_rng(seed)
    folds = _folds(examples.y, hasattr(model_class, "predict_proba"), seed)
    trials: list[Trial] = []
    try:
        for number in range(1, n_trials + 1):
            parameters = dict(settings) if number == 1 else draw(settings, rng)
            error = _mean_error(model_class, parameters, examples, folds)
            trials.append(Trial(parameters, error))
            best = min(trial.error for trial in trials)
            out.say(f"trial {number}/{n_trials}: {error:.5g} (best {best:.5g})")
    except KeyboardInterrupt:
        if not trials:
            raise
        out.say(f"Interrupted after {len(trials)} trials.")
    return sorted(trials, key=lambda trial: trial.error)


def trials_table(trials: list[Trial], error_name: str, most_rows: int = 10) -> ScreenTable:
    """Return the best trials as a table for the screen."""
    table = ScreenTable(title=f"Best of {len(trials)} trials")
    table.add_column(error_name, justify="right")
    table.add_column("parameters")
    for trial in trials[:most_rows]:
        text = ", ".join(f"{n}={_shown(v)}" for n, v in trial.parameters.items() if n in SPACE)
        table.add_row(f"{trial.error:.5g}", text or "defaults")
    return table


def _shown(value: Any) -> str:
    return repr(list(value)).replace(" ", "") if isinstance(value, tuple) else str(value)


def _folds(
    y: npt.NDArray[Any], labels: bool, seed: int
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    if len(y) < 2 * N_FOLDS:
        raise TableError(
            f"There are {len(y)} rows for training: too few for {N_FOLDS} folds. Use `train`."
        )
    rarest = np.unique(y, return_counts=True)[1].min() if labels else N_FOLDS
    kind = StratifiedKFold if labels and rarest >= N_FOLDS else KFold
    return list(kind(N_FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(y)), y))


def _mean_error(
    model_class: Any,
    parameters: Mapping[str, Any],
    examples: Examples,
    folds: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]],
) -> float:
    """Return the mean error over the folds, which are fitted in parallel."""
    models = [model_class(**parameters) for _ in folds]
    training = [examples.take(rows) for rows, _ in folds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = fit_all(
            models, [FitData(part.X, part.y) for part in training], parameters.get("n_threads")
        )
        if any(result.outcome is Outcome.INTERRUPTED for result in results):
            raise KeyboardInterrupt
        errors = [
            _error(model, result, examples.take(rows))
            for model, result, (_, rows) in zip(models, results, folds, strict=True)
        ]
    return float(np.mean(errors))


def _error(model: Any, result: FitResult, testing: Examples) -> float:
    """Return the error of a fitted model on test rows; infinity if training diverged."""
    if isinstance(result.error, NonFiniteError):
        return math.inf
    if result.error is not None:
        raise result.error
    if not hasattr(model, "predict_proba"):
        return float(root_mean_squared_error(testing.y, model.predict(testing.X)))
    known = np.isin(testing.y, model.classes_)
    probabilities = model.predict_proba(testing.X.take(np.flatnonzero(known)))
    return float(log_loss(testing.y[known], probabilities, labels=model.classes_))
