"""What the constructor parameters of the perceptrons may be, alone and together."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from pellucid.models.perceptron.architecture import NORMALIZATIONS
from pellucid.nn import ACTIVATIONS, SCHEDULES, Activation, CustomActivation

_RATIO = [Interval(Real, 0, 1, closed="left")]

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS)), Activation, CustomActivation, tuple, list],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": _RATIO,
    "beta_1": _RATIO,
    "beta_2": _RATIO,
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [*_RATIO, "array-like"],
    "normalization": [StrOptions(set(NORMALIZATIONS)), None],
    "residual": ["boolean"],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "schedule": [StrOptions(set(SCHEDULES)), HasMethods("factor"), None],
    "clipping": [Interval(Real, 0, None, closed="neither"), HasMethods("apply"), None],
    "scoring": [str, callable, None],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "dtype": [
        StrOptions({"float32", "float64", "bfloat16"}),
        Options(type, {np.float32, np.float64}),
        None,
    ],
    "callbacks": [list, tuple, None],
    "checkpoint_path": [str, Path, None],
    "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
}


def check_together(options: Mapping[str, Any], *, incremental: bool, validates: bool) -> None:
    """Refuse parameters that do not go together.

    Parameters
    ----------
    options : mapping
        Constructor parameters, each of them valid alone.
    incremental : bool
        Whether they are for `partial_fit`.
    validates : bool
        Whether there is, or will be, a validation set.

    Raises
    ------
    ValueError
        The message names the parameter and what to do.
    """
    if incremental and options["early_stopping"]:
        raise ValueError(
            "partial_fit does not support early_stopping=True; use fit, or set early_stopping=False"
        )
    if incremental and options["schedule"] is not None:
        raise ValueError(
            "partial_fit does not support schedule, which needs to know the length of the whole "
            f"training; use fit, or set schedule=None, got {options['schedule']!r}"
        )
    if options["scoring"] is not None and not validates and options["solver"] != "lbfgs":
        raise ValueError(
            f"scoring={options['scoring']!r} needs rows to score: pass X_val and y_val to fit, or "
            "set early_stopping=True"
        )
    if options["weight_decay"] > 0 and options["solver"] != "adam":
        raise ValueError(
            f"weight_decay is that of AdamW and needs solver='adam', got {options['solver']!r}; "
            "alpha is a penalty for every solver"
        )
    if options["solver"] == "lbfgs":
        _check_lbfgs(options)


def _check_lbfgs(options: Mapping[str, Any]) -> None:
    """Refuse what an optimizer of the whole table at once has no use for."""
    unfit = {
        "dropout": np.any(np.asarray(options["dropout"]) != 0),
        "normalization": options["normalization"] == "batch",
        "schedule": options["schedule"] is not None,
        "clipping": options["clipping"] is not None,
        "dtype": options["dtype"] == "bfloat16",
        "scoring": options["scoring"] is not None,
        "checkpoint_path": options["checkpoint_path"] is not None,
    }
    for name, is_unfit in unfit.items():
        if is_unfit:
            raise ValueError(
                f"{name}={options[name]!r} needs steps on mini-batches, which solver='lbfgs' does "
                f"not take; set solver='adam' or 'sgd', or leave {name} out"
            )
