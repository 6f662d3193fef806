"""`pellucid tune`: random search with cross-validation; folds are fitted in parallel."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table as ScreenTable
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold

from pellucid.cli.data import Examples
from pellucid.cli.screen import screen
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.threads import resolve_n_threads
from pellucid.tables import TableError

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
    model_class: Any, settings: Mapping[str, Any], examples: Examples, n_trials: int, seed: int
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

    Returns
    -------
    list of Trial
        Trials, best first.
    """
    rng = np.random.default_rng(seed)
    folds = _folds(examples.y, hasattr(model_class, "predict_proba"), seed)
    trials: list[Trial] = []
    console = screen()
    for number in range(1, n_trials + 1):
        parameters = dict(settings) if number == 1 else draw(settings, rng)
        try:
            error = _mean_error(model_class, parameters, examples, folds)
        except KeyboardInterrupt:
            if not trials:
                raise
            console.print(f"Interrupted after {len(trials)} trials.")
            break
        trials.append(Trial(parameters, error))
        best = min(trial.error for trial in trials)
        console.print(f"trial {number}/{n_trials}: {error:.5g} (best {best:.5g})", soft_wrap=True)
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
    n_threads = resolve_n_threads(None)
    stopped = Event()
    models = [
        model_class(
            **{"n_threads": max(1, n_threads // len(folds)), **parameters},
            callbacks=[lambda report: stopped.is_set()],
        )
        for _ in folds
    ]
    with (
        warnings.catch_warnings(),  # Warning filters are shared by all threads.
        ThreadPoolExecutor(min(n_threads, len(folds))) as pool,
    ):
        warnings.simplefilter("ignore")
        try:
            errors = list(pool.map(_error, models, *_parts(examples, folds)))
        except BaseException:
            stopped.set()  # Leaving the pool waits until running fits end their epoch.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return float(np.mean(errors))


def _parts(
    examples: Examples, folds: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]
) -> tuple[list[Examples], list[Examples]]:
    """Return the training and validation rows of each fold."""
    training = [examples.take(train) for train, _ in folds]
    return training, [examples.take(test) for _, test in folds]


def _error(model: Any, training: Examples, testing: Examples) -> float:
    """Return the error of a model on held-out rows; infinity if training diverges."""
    try:
        model.fit(training.X, training.y)
    except NonFiniteError:
        return math.inf
    if not hasattr(model, "predict_proba"):
        return float(root_mean_squared_error(testing.y, model.predict(testing.X)))
    known = np.isin(testing.y, model.classes_)
    probabilities = model.predict_proba(testing.X.take(np.flatnonzero(known)))
    return float(log_loss(testing.y[known], probabilities, labels=model.classes_))
