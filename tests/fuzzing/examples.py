"""Fitted models of every kind that a model file can hold, small enough to damage thousands of."""

import json
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
from layer_examples import LAYERS

from pellucid import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
)
from pellucid.nn import (
    LOSSES,
    Activation,
    AdamW,
    ClipByNorm,
    Columns,
    Dropout,
    Embedding,
    Linear,
    Loss,
    OneCycle,
)

_RNG = np.random.default_rng(0)
N_IDS = 5
#: Four columns that every model without a table encoder takes; the last also serves as ids.
X = np.c_[_RNG.normal(size=(60, 3)), _RNG.integers(N_IDS, size=60)].astype(np.float32)
NAMED = pd.DataFrame(X, columns=["size", "weight", "π", "id"])
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
FOLDER_OF_BEFORE = Path(__file__).parents[1] / "models" / "models_of_before"
_BEFORE = json.loads((FOLDER_OF_BEFORE / "expected.json").read_text())["models"]
TABLE_OF_BEFORE = pd.DataFrame(_BEFORE["tabular_classifier.pellucid"]["table"])
_SEVERAL = np.c_[CODES > 0, CODES > 1, X[:, 2] > 0].astype(int)
LABELS = {
    "two texts": np.array(["no", "yes", "yes"])[CODES],
    "texts in objects": np.array(["no", "yes", "maybe"], dtype=object)[CODES],
    "integers": CODES * 10 - 10,
    "small integers": CODES.astype(np.uint8),
    "booleans": CODES > 0,
    "floats": CODES + 0.0,
    "one class": np.zeros(60, int),
    "several a row": _SEVERAL,
    "several a row, sparse": scipy.sparse.csr_matrix(_SEVERAL),
}
NUMBERS = {"a number": X[:, 0], "a column": X[:, :1], "two numbers": X[:, :2]}
_SETTINGS = {"hidden_layer_sizes": (4, 3), "max_iter": 2, "random_state": 0}
_VALIDATED = {"X_val": X[:20], "sample_weight_val": np.arange(1.0, 21.0)}


def data_of(model):
    """Return rows that a model predicts, whatever it was fitted on."""
    member = model.estimators_[0] if hasattr(model, "estimators_") else model
    names = list(getattr(model, "feature_names_in_", ()))
    if hasattr(member, "encoder_"):
        return TABLE_OF_BEFORE if "city" in names else TABLE
    n = model.n_features_in_
    rows = X if n == X.shape[1] or n > 99 else np.random.default_rng(n).normal(size=(60, n))
    return pd.DataFrame(rows, columns=names) if len(names) == rows.shape[1] else rows


def make_examples():
    """Return all of them, fitted, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: make() for name, make in EXAMPLES.items()}


def _fitted(estimator, *data, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(*data, **given)


def _of(cls, X, y, given=None, **settings):
    """Return what makes a fitted model."""
    return partial(_make, cls, {**_SETTINGS, **settings}, X, y, given or {})


def _make(cls, settings, X, y, given):
    return _fitted(cls(**settings), X, y, **given)


def _network(layers, loss, y, given=None, table=X, **settings):
    settings = {"layers": layers, "loss": loss, "max_iter": 1, "random_state": 0, **settings}
    return partial(_make, Network, settings, table, y, given or {})


def _ensemble(cls, member, table, y):
    return lambda: _fitted(cls(member(), n_estimators=2, random_state=0), table, y)


_INTEGERS = LABELS["integers"]
_CLASSIFIERS = {
    **{f"MLPClassifier, {name}": _of(MLPClassifier, X, y) for name, y in LABELS.items()},
    "MLPClassifier, named columns": _of(MLPClassifier, NAMED, LABELS["texts in objects"]),
    "MLPClassifier, early stopping": _of(
        MLPClassifier, X.astype(float), _INTEGERS, early_stopping=True
    ),
    "MLPClassifier, validation set": _of(
        MLPClassifier, X, _INTEGERS, {**_VALIDATED, "y_val": _INTEGERS[:20]}
    ),
    "MLPClassifier, lbfgs": _of(MLPClassifier, X.astype(float), _INTEGERS, solver="lbfgs"),
    "MLPClassifier, no hidden layer": _of(MLPClassifier, X, _INTEGERS, hidden_layer_sizes=()),
    "MLPClassifier, everything": _of(
        MLPClassifier,
        X.astype(float),
        _INTEGERS,
        activation=("silu", Activation("elu", 0.5)),
        hidden_layer_sizes=(4, 4),
        label_smoothing=0.1,
        dropout=(0.0, 0.2),
        normalization="batch",
        residual=True,
        weight_decay=0.01,
        class_weight={-10: 1.0, 0: 2.0, 10: 1.5},
        schedule=OneCycle(),
        clipping=ClipByNorm(1.0),
        scoring="f1_macro",
        early_stopping=True,
        dtype="float32",
        n_threads=1,
    ),
}
_REGRESSORS = {
    **{f"MLPRegressor, {name}": _of(MLPRegressor, X, y) for name, y in NUMBERS.items()},
    "MLPRegressor, named columns": _of(MLPRegressor, NAMED, X[:, 0]),
    "MLPRegressor, counts": _of(MLPRegressor, X, CODES, loss="poisson"),
    "MLPRegressor, quantile": _of(
        MLPRegressor, X, X[:, 0], loss="quantile", quantile=0.9, normalization="rms"
    ),
    "MLPRegressor, loss with a parameter": _of(
        MLPRegressor, X, X[:, 0], loss=Loss("huber", 0.5), normalization="layer"
    ),
    "MLPRegressor, sgd": _of(
        MLPRegressor, X, X[:, 0], solver="sgd", learning_rate="invscaling", early_stopping=True
    ),
}
_TABULAR = {
    **{
        f"TabularClassifier, {name}": _of(TabularClassifier, TABLE, LABELS[name])
        for name in ("two texts", "integers", "booleans", "one class")
    },
    "TabularClassifier, everything": _of(
        TabularClassifier,
        TABLE,
        pd.Series(_INTEGERS, name="answer"),
        {"X_val": TABLE[:20], "y_val": _INTEGERS[:20]},
        dtype="float64",
        activation=("silu", "tanh"),
        dropout=0.1,
        normalization="rms",
        weight_decay=0.01,
        schedule={"learning_rate": "cosine", "dropout": OneCycle()},
        clipping=1.0,
        class_weight="balanced",
        label_smoothing=0.1,
        columns={"kind": "categorical", "rare": "left out"},
    ),
    "TabularRegressor": _of(TabularRegressor, TABLE, X[:, 0], columns={"kind": "categorical"}),
    "TabularRegressor, two numbers": _of(TabularRegressor, TABLE, 100.0 * X[:, :2]),
    "TabularRegressor, quantile": _of(
        TabularRegressor, TABLE, 100.0 * X[:, 0], loss="quantile", quantile=0.9
    ),
    "TabularRegressor, counts": _of(TabularRegressor, TABLE, CODES, loss="poisson"),
}
_IDS = Columns([(3, Activation("identity")), (1, Embedding(N_IDS, 2))])
_CHAINS = {
    **LAYERS,
    "embedding": [
        Columns([(3, Activation("identity")), (1, Embedding(N_IDS, 2))]),
        Activation("silu"),
    ],
}
_POSITIVE = np.abs(X[:, :2]) / np.abs(X[:, :2]).sum(axis=1, keepdims=True)
_NETWORKS = {
    **{
        f"Network, {name}": _network([*layers, Linear(3)], "softmax_cross_entropy", _INTEGERS)
        for name, layers in _CHAINS.items()
    },
    **{
        f"Network, {name}": _network([Linear(2)], Loss(name), _POSITIVE, dtype="float64")
        for name in LOSSES
    },
    "Network, reference engine": _network(
        [Linear(1)], "logistic_cross_entropy", LABELS["two texts"], engine="reference"
    ),
    "Network, bfloat16": _network(
        [Linear(3)], "softmax_cross_entropy", CODES, engine="reference", dtype="bfloat16"
    ),
    "Network, several labels a row": _network([Linear(3)], "logistic_cross_entropy", _SEVERAL),
    "Network, a number": _network([Linear(1)], "half_squared_error", X[:, 0]),
    "Network, everything": _network(
        [Linear(4, weights="he_normal"), Activation("relu"), Dropout(0.1), Linear(3)],
        "softmax_cross_entropy",
        LABELS["texts in objects"],
        {"X_val": NAMED[:20], "y_val": LABELS["texts in objects"][:20]},
        NAMED,
        optimizer=AdamW(1e-3),
        schedule=OneCycle(),
        clipping=1.0,
        alpha=0.1,
        learning_rate_factors={"bias": 0.5},
        class_weight={"no": 1.0, "yes": 2.0, "maybe": 0.5},
        scoring="accuracy",
        n_iter_no_change=3,
        max_iter=2,
    ),
}
_LAYERS = [Linear(4), Activation("tanh"), Linear(3)]
_ENSEMBLES = {
    "DeepEnsembleClassifier": _ensemble(
        DeepEnsembleClassifier,
        partial(MLPClassifier, **_SETTINGS, dropout=0.1),
        X,
        LABELS["two texts"],
    ),
    "DeepEnsembleClassifier, several labels": _ensemble(
        DeepEnsembleClassifier, partial(MLPClassifier, **_SETTINGS), NAMED, _SEVERAL
    ),
    "DeepEnsembleClassifier, tabular": _ensemble(
        DeepEnsembleClassifier, partial(TabularClassifier, **_SETTINGS), TABLE, _INTEGERS
    ),
    "DeepEnsembleClassifier, networks": _ensemble(
        DeepEnsembleClassifier,
        partial(
            Network, [Linear(4), Activation("tanh"), Linear(3)], "softmax_cross_entropy", max_iter=1
        ),
        X,
        _INTEGERS,
    ),
    "DeepEnsembleRegressor": _ensemble(
        DeepEnsembleRegressor, partial(MLPRegressor, **_SETTINGS), X, X[:, 0]
    ),
    "DeepEnsembleRegressor, tabular": _ensemble(
        DeepEnsembleRegressor, partial(TabularRegressor, **_SETTINGS), TABLE, X[:, :2]
    ),
    "DeepEnsembleRegressor, networks": _ensemble(
        DeepEnsembleRegressor,
        partial(Network, [Linear(4), Linear(1)], "half_squared_error", max_iter=1),
        NAMED,
        X[:, 0],
    ),
}
EXAMPLES = {**_CLASSIFIERS, **_REGRESSORS, **_TABULAR, **_NETWORKS, **_ENSEMBLES}
"""Functions that make a fitted model, by name."""
