"""Every kind of estimator, small, for what exists once in the code and is tested over all kinds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pellucid import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
)
from pellucid.nn import Activation, Dropout, Linear

N = 120
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(N, 4))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
TWO_LABELS = np.array(["no", "yes"])[(CODES > 0).astype(int)]
LABELS = np.array(["no", "yes", "maybe"])[CODES]
SEVERAL = (X[:, :3] > 0).astype(int)
NUMBERS = X @ _RNG.normal(size=4)
WEIGHTS = _RNG.random(N)
#: A raw table: numbers, text, missing values.
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.array(["u", "v", None])[CODES])
SETTINGS = {"max_iter": 8, "batch_size": 32, "learning_rate_init": 0.01, "random_state": 3}


@dataclass(frozen=True)
class Kind:
    """An estimator of one kind, and data to fit it on.

    `make(dropout=0.2, **settings)` returns an unfitted one with a hidden layer.
    """

    make: Callable[..., Any]
    X: Any
    y: Any
    family: str
    n_outputs: int | None = None

    @property
    def single_labels(self):
        """Whether y holds one label a row."""
        return self.y.ndim == 1 and self.y.dtype.kind == "U"

    @property
    def classifies(self):
        """Whether y holds labels."""
        return self.y.dtype.kind != "f"

    @property
    def patient(self):
        """Settings with which training never ends by itself."""
        own = {"MLP": {"tol": 0.0, "n_iter_no_change": 99}, "Tabular": {"n_iter_no_change": 99}}
        return own.get(self.family, {})

    @property
    def held_out(self):
        """Settings and arguments of `fit` that hold out some of its rows for validation."""
        if self.family == "Network":
            return {}, {"rows_val": np.arange(0, N, 4)}
        return ({"early_stopping": True} if self.family == "MLP" else {}), {}


def _perceptron(cls):
    def make(dropout=0.2, **settings):
        return cls(**{"hidden_layer_sizes": (6,), "dropout": dropout, **SETTINGS, **settings})

    return make


def network_layers(n_outputs, dropout=0.2):
    drops = [Dropout(dropout)] if dropout else []
    return [Linear(6), Activation("relu"), *drops, Linear(n_outputs)]


def _network(loss, n_outputs):
    def make(dropout=0.2, **settings):
        chain = {"layers": network_layers(n_outputs, dropout), "loss": loss}
        return Network(**{**chain, **SETTINGS, **settings})

    return make


def _ensemble(cls, make_member):
    def make(dropout=0.2, **settings):
        return cls(make_member(dropout, **settings), n_estimators=2, random_state=0)

    return make


_MLPS = {
    "MLPClassifier, two labels": (MLPClassifier, TWO_LABELS),
    "MLPClassifier, three labels": (MLPClassifier, LABELS),
    "MLPClassifier, several labels a row": (MLPClassifier, SEVERAL),
    "MLPRegressor": (MLPRegressor, NUMBERS),
    "MLPRegressor, two numbers": (MLPRegressor, X[:, :2]),
}
_NETWORKS = {
    "Network, labels": ("softmax_cross_entropy", 3, LABELS),
    "Network, two labels": ("logistic_cross_entropy", 1, TWO_LABELS),
    "Network, several labels a row": ("logistic_cross_entropy", 3, SEVERAL),
    "Network, numbers": ("half_squared_error", 1, NUMBERS),
}
_TABULAR = {
    "TabularClassifier": (TabularClassifier, LABELS),
    "TabularRegressor": (TabularRegressor, NUMBERS),
    "TabularRegressor, two numbers": (TabularRegressor, X[:, :2]),
}
KINDS = {
    **{name: Kind(_perceptron(cls), X, y, "MLP") for name, (cls, y) in _MLPS.items()},
    **{
        name: Kind(_network(loss, n), X, y, "Network", n)
        for name, (loss, n, y) in _NETWORKS.items()
    },
    **{name: Kind(_perceptron(cls), TABLE, y, "Tabular") for name, (cls, y) in _TABULAR.items()},
}
"""All that trains one network."""
FAMILIES = {name: KINDS[name] for name in ("MLPRegressor", "Network, labels", "TabularClassifier")}
"""One of each family, for what does not depend on the form of y."""

_MEMBERS = {
    "MLPClassifier, three labels": DeepEnsembleClassifier,
    "Network, labels": DeepEnsembleClassifier,
    "TabularClassifier": DeepEnsembleClassifier,
    "MLPRegressor": DeepEnsembleRegressor,
    "Network, numbers": DeepEnsembleRegressor,
    "TabularRegressor": DeepEnsembleRegressor,
}
ENSEMBLES = {
    f"{cls.__name__} of {name}": Kind(
        _ensemble(cls, KINDS[name].make), KINDS[name].X, KINDS[name].y, "Ensemble"
    )
    for name, cls in _MEMBERS.items()
}
"""`make` sets the parameters of the members."""


def learned_by(model):
    """Return all that a fitted model has learned and remembers, so that it can be compared."""
    known = {name: value for name, value in vars(model).items() if name.endswith("_")}
    for name in ("coefs_", "intercepts_", "encoder_"):
        known.pop(name, None)
    flat = model.parameters_.flat
    values = {name: np.asarray(value).tolist() for name, value in known.items()}
    return {**values, "parameters": (flat.dtype.name, flat.tobytes())}


def predictions_of(model, X):
    """Return all that a fitted model says of rows, as bytes or lists."""
    said = []
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            values = getattr(model, method)(X)
            values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
            said.append((values.dtype.str, values.shape, values.tolist()))
    return said
