"""What each constructor parameter of the perceptrons may be."""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from pellucid.models.perceptron.architecture import NORMALIZATIONS
from pellucid.models.perceptron.loss import REGRESSOR_LOSSES
from pellucid.nn import ACTIVATIONS, SCHEDULES, Activation, CustomActivation, CustomLoss, Loss

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
    "schedule": [StrOptions(set(SCHEDULES)), HasMethods("factor"), dict, None],
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

CLASSIFIER_CONSTRAINTS: dict[str, list[Any]] = {
    "loss": [StrOptions({"log_loss"}), callable, CustomLoss],
    "label_smoothing": _RATIO,
    "class_weight": [StrOptions({"balanced"}), dict, None],
}

REGRESSOR_CONSTRAINTS: dict[str, list[Any]] = {
    "loss": [StrOptions(set(REGRESSOR_LOSSES)), Loss, CustomLoss, callable],
    "quantile": [Interval(Real, 0, 1, closed="neither")],
}
