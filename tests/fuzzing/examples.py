"""Fitted models of every kind that a model file can hold, small enough to damage thousands of."""

import warnings

import numpy as np
import pandas as pd
from layer_examples import LAYERS

import pellucid
from pellucid.nn import (
    LOSSES,
    Activation,
    ClipByNorm,
    Columns,
    Embedding,
    Linear,
    Loss,
    OneCycle,
)

_RNG = np.random.default_rng(0)
N_IDS = 5
#: Four columns that every model without a table encoder takes; the last also serves as ids.
X = np.c_[_RNG.normal(size=(60, 3)), _RNG.integers(N_IDS, size=60)].astype(np.float32)
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
TABLE = pd.DataFrame(
    {
        "size": np.where(CODES == 2, np.nan, X[:, 0]),
        "kind": np.array(["u", "v", None], dtype=object)[CODES],
        "rare": [*["a"] * 30, *["b"] * 25, *"cdefg"],
        "when": pd.date_range("2020-01-01", periods=60, freq="97h"),
        "flag": X[:, 2] > 0,
        "same": 1,
    }
)
LABELS = {
    "two texts": np.array(["no", "yes", "yes"])[CODES],
    "texts in objects": np.array(["no", "yes", "maybe"], dtype=object)[CODES],
    "integers": CODES * 10 - 10,
    "small integers": CODES.astype(np.uint8),
    "booleans": CODES > 0,
    "floats": CODES + 0.0,
    "one class": np.zeros(60, int),
    "several a row": np.c_[CODES > 0, CODES > 1, X[:, 2] > 0].astype(int),
}
_SETTINGS = {"hidden_layer_sizes": (4, 3), "max_iter": 2, "random_state": 0}


def data_of(model):
    """Return the rows that a model predicts."""
    return TABLE if type(model).__name__.startswith("Tabular") else X


def make_examples():
    """Return fitted models by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {**_perceptrons(), **_ensembles(), **_tabular(), **_networks()}


def _perceptrons():
    models = {
        f"MLPClassifier, {name}": pellucid.MLPClassifier(**_SETTINGS).fit(X, y)
        for name, y in LABELS.items()
    }
    further = {
        "early stopping": {"early_stopping": True},
        "lbfgs": {"solver": "lbfgs"},
        "no hidden layer": {"hidden_layer_sizes": ()},
        "everything": {
            "activation": ("silu", Activation("elu", 0.5)),
            "hidden_layer_sizes": (4, 4),
            "label_smoothing": 0.1,
            "dropout": (0.0, 0.2),
            "normalization": "batch",
            "residual": True,
            "weight_decay": 0.01,
            "class_weight": {-10: 1.0, 0: 2.0, 10: 1.5},
            "schedule": OneCycle(),
            "clipping": ClipByNorm(1.0),
            "scoring": "f1_macro",
            "early_stopping": True,
            "dtype": "float32",
            "n_threads": 1,
        },
    }
    for name, params in further.items():
        classifier = pellucid.MLPClassifier(**{**_SETTINGS, **params})
        models[f"MLPClassifier, {name}"] = classifier.fit(X.astype(float), LABELS["integers"])
    regressor = pellucid.MLPRegressor(**_SETTINGS)
    models["MLPRegressor"] = regressor.fit(X, X[:, 0])
    models["MLPRegressor, two targets"] = pellucid.MLPRegressor(**_SETTINGS).fit(X, X[:, :2])
    models["MLPRegressor, counts"] = pellucid.MLPRegressor(loss="poisson", **_SETTINGS).fit(
        X, CODES
    )
    models["MLPRegressor, quantile"] = pellucid.MLPRegressor(
        loss="quantile", quantile=0.9, normalization="rms", **_SETTINGS
    ).fit(X, X[:, 0])
    models["MLPRegressor, loss with a parameter"] = pellucid.MLPRegressor(
        loss=Loss("huber", 0.5), normalization="layer", **_SETTINGS
    ).fit(X, X[:, 0])
    return models


def _ensembles():
    few = {"n_estimators": 2, "random_state": 0}
    classifier = pellucid.MLPClassifier(**_SETTINGS, dropout=0.1)
    return {
        "DeepEnsembleClassifier": pellucid.DeepEnsembleClassifier(classifier, **few).fit(
            X, LABELS["two texts"]
        ),
        "DeepEnsembleRegressor": pellucid.DeepEnsembleRegressor(
            pellucid.MLPRegressor(**_SETTINGS), **few
        ).fit(X, X[:, 0]),
    }


def _tabular():
    models = {
        f"TabularClassifier, {name}": pellucid.TabularClassifier(**_SETTINGS).fit(
            TABLE, LABELS[name]
        )
        for name in ("two texts", "integers", "booleans")
    }
    models["TabularRegressor"] = pellucid.TabularRegressor(
        columns={"kind": "categorical"}, **_SETTINGS
    ).fit(TABLE, X[:, 0])
    models["TabularRegressor, two targets"] = pellucid.TabularRegressor(**_SETTINGS).fit(
        TABLE, X[:, :2]
    )
    models["TabularClassifier, everything"] = pellucid.TabularClassifier(
        dtype="float64",
        activation=("silu", "tanh"),
        dropout=0.1,
        normalization="rms",
        weight_decay=0.01,
        schedule="cosine",
        clipping=1.0,
        **_SETTINGS,
    ).fit(TABLE, LABELS["integers"])
    return models


def _networks():
    ids = Columns([(3, Activation("identity")), (1, Embedding(N_IDS, 2))])
    chains = {**LAYERS, "embedding": [ids, Activation("silu")]}
    models = {
        f"Network, {name}": pellucid.Network([*layers, Linear(3)], "softmax_cross_entropy").fit(
            X, LABELS["integers"], epochs=1
        )
        for name, layers in chains.items()
    }
    positive = np.abs(X[:, :2]) / np.abs(X[:, :2]).sum(axis=1, keepdims=True)
    for name in LOSSES:
        network = pellucid.Network([Linear(2)], Loss(name), dtype="float64")
        models[f"Network, {name}"] = network.fit(X, positive, epochs=1)
    two = pellucid.Network([Linear(1)], "logistic_cross_entropy", engine="reference")
    models["Network, reference"] = two.fit(X, LABELS["two texts"], epochs=1)
    return models
