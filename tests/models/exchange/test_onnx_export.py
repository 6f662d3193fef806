"""Fitted estimators as ONNX: the same predictions in ONNX Runtime, from the same raw columns."""

import json

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import ENSEMBLES
from sklearn.exceptions import NotFittedError

import pellucid
from pellucid import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
)
from pellucid.nn import Activation, BatchNorm, Dropout, Linear, Residual
from pellucid.persistence import ModelFileError

onnx = pytest.importorskip("onnx", reason='the format is read with it: pip install "onnx>=1.17"')
onnxruntime = pytest.importorskip(
    "onnxruntime", reason='ONNX Runtime is the peer here: pip install "onnxruntime>=1.20"'
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
INDICATORS = np.stack([CODES > 0, CODES > 1], axis=1).astype(int)
TEXTS = np.array(["no", "yes", "maybe"])[CODES]


def run(model, feed):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def assert_classifies(outputs, model, table):
    np.testing.assert_array_equal(outputs["label"], model.predict(table))
    expected = model.predict_proba(table)
    assert outputs["probabilities"].dtype == expected.dtype
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "y",
    [CODES, CODES - 7, TEXTS, TEXTS.astype(object), CODES > 0, np.where(CODES > 0, "a", "b")],
    ids=["codes", "negative", "text", "objects", "booleans", "two texts"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mlp_classifier(y, dtype):
    table = X.astype(dtype)
    model = MLPClassifier((8,), max_iter=5, tol=0, random_state=0, n_iter_no_change=9)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(table, y)
    for rows in (table, table[:1]):
        assert_classifies(run(model.to_onnx(), {"X": rows}), model, rows)
    outputs = run(model.to_onnx(), {"X": table[:0]})
    assert outputs["label"].shape == (0,)
    assert outputs["probabilities"].shape == (0, len(model.classes_))


def test_mlp_classifier_of_several_labels_and_of_one():
    labels = np.array([0, 1])
    model = MLPClassifier((8,), "tanh").partial_fit(X, INDICATORS, classes=labels)
    assert_classifies(run(model.to_onnx(), {"X": X}), model, X)
    model = MLPClassifier((8,)).partial_fit(X, np.full(len(X), 3), classes=[3])
    assert_classifies(run(model.to_onnx(), {"X": X}), model, X)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_mlp_regressor(loss, n_outputs):
    y = np.abs(X[:, :n_outputs])
    model = MLPRegressor(loss, (8,), "logistic").partial_fit(X, y.squeeze())
    variable = run(model.to_onnx(), {"X": X})["variable"]
    assert variable.shape == (len(X), n_outputs)
    np.testing.assert_allclose(variable.reshape(y.shape), model.predict(X).reshape(y.shape), 1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("normalization", ["batch", "layer", "rms", None])
def test_every_chain_of_an_mlp(normalization, dtype):
    model = MLPRegressor(
        "huber",
        (8, 8),
        ["gelu", "leaky_relu"],
        dropout=[0.0, 0.3],
        residual=True,
        normalization=normalization,
        dtype=dtype,
    ).partial_fit(X, X[:, :2])
    variable = run(model.to_onnx(), {"X": X.astype(dtype)})["variable"]
    assert variable.dtype == dtype
    np.testing.assert_allclose(variable, model.predict(X.astype(dtype)), rtol=0, atol=1e-5)


def own_loss(scores, targets, weights):
    return 0.5 * np.mean((scores - targets) ** 2), (scores - targets) / len(scores)


@pytest.mark.parametrize("loss", [own_loss, "quantile", "poisson", "absolute_error"])
def test_regressors_with_any_loss(loss):
    model = MLPRegressor(loss, (8,)).partial_fit(X, np.abs(X[:, 0]))
    variable = run(model.to_onnx(), {"X": X})["variable"]
    np.testing.assert_allclose(variable[:, 0], model.predict(X), rtol=1e-10)


def own_cross_entropy(scores, targets, weights):
    return float(np.mean(scores**2)), 2.0 * scores / scores.size


def test_a_classifier_with_a_loss_of_ones_own_has_probabilities():
    model = MLPClassifier((8,), loss=own_cross_entropy)
    model.partial_fit(X, CODES > 0, classes=[False, True])
    assert_classifies(run(model.to_onnx(), {"X": X}), model, X)


def test_an_activation_of_ones_own_is_refused():
    model = MLPRegressor(hidden_layer_sizes=(8,), activation=(np.sin, np.cos))
    model.partial_fit(X, X[:, 0])
    with pytest.raises(TypeError, match="CustomActivation is a layer of your own"):
        model.to_onnx()


def test_weights_that_the_user_has_put_in_are_written():
    model = MLPRegressor(hidden_layer_sizes=()).partial_fit(X, X[:, 0])
    model.coefs_ = [np.full((5, 1), 2.0)]
    model.intercepts_[0] = np.array([1.0])
    np.testing.assert_allclose(
        run(model.to_onnx(), {"X": X})["variable"][:, 0], 2.0 * X.sum(axis=1) + 1.0
    )


LAYERS = [Linear(8), BatchNorm(), Activation("gelu"), Residual([Dropout(0.2), Linear(8)])]
NETWORKS = {
    "label": (3, "softmax_cross_entropy", TEXTS),
    "label, two": (1, "logistic_cross_entropy", CODES > 0),
    "shares": (2, "softmax_cross_entropy", INDICATORS @ [[0.5, -0.5], [0.5, -0.5]] + [0, 1]),
    "indicators": (2, "logistic_cross_entropy", INDICATORS),
    "numbers, counts": (1, "poisson", CODES),
    "numbers": (2, "huber", X[:, :2]),
    "own": (1, lambda s, t, w: (0.5 * np.mean((s - t) ** 2), (s - t) / s.size), X[:, 0]),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_network(kind):
    n_outputs, loss, y = NETWORKS[kind]
    network = Network([*LAYERS, Linear(n_outputs)], loss, dtype="float64", max_iter=2).fit(X, y)
    assert network._targets.kind == kind.split(",")[0]
    outputs = run(network.to_onnx(), {"X": X})
    if hasattr(network, "predict_proba"):
        assert_classifies(outputs, network, X)
    else:
        expected = network.predict(X).reshape(len(X), -1)
        np.testing.assert_allclose(outputs["variable"], expected, rtol=1e-5, atol=1e-6)


def test_a_network_before_its_fit_has_scores():
    network = Network([Linear(2)], "softmax_cross_entropy")
    with pytest.raises(NotFittedError, match="initialize"):
        network.to_onnx()
    network.initialize(5)
    outputs = run(network.to_onnx(), {"X": X.astype(np.float32)})
    np.testing.assert_allclose(outputs["scores"], network.scores(X), rtol=0, atol=1e-5)


N = 300
TABLE = pd.DataFrame(
    {
        "size": RNG.normal(size=N) * 1e3,
        "weight, kg": np.where(np.arange(N) % 7 == 0, np.nan, RNG.exponential(size=N)),
        "n": RNG.integers(0, 9, N),
        "colour": np.array(["red", "green", None, "blu é"], dtype=object)[np.arange(N) % 4],
        "label": np.array(["a", "b", "c", "d", "e"])[np.minimum(RNG.geometric(0.6, N), 5) - 1],
        "old": np.arange(N) % 3 == 0,
        "maybe": np.array([True, False, None], dtype=object)[np.arange(N) % 3],
        "charge": [str(i % 11 / 2) for i in range(N)],
        "zip": RNG.integers(10, 14, N),
        "id": np.arange(N),
        "always": "the same",
    }
)
QUANTITY = TABLE["size"] / 1e3 + (TABLE["colour"] == "red") - TABLE["weight, kg"].fillna(3)
TEXT_COLUMNS = ("colour", "label", "zip")


def columns_of(table, names=None):
    """What a user feeds: text as text, all else as float64, in the shape (n, 1)."""
    feed = {}
    for name in table if names is None else names:
        column = table[name]
        if name in TEXT_COLUMNS:
            values = np.array(["" if v is None else str(v) for v in column], dtype=object)
        else:
            values = column.astype(float).to_numpy()
        feed[name] = values[:, None]
    return feed


def later_rows():
    """Unseen categories, values far outside, missing ones where there were none."""
    table = TABLE[:60].copy()
    table.loc[::5, "size"] = np.inf
    table.loc[1::5, "size"] = np.nan
    table.loc[2::5, "size"] = -1e12
    table.loc[::3, "colour"] = "ultraviolet"
    table.loc[::4, "label"] = None
    table.loc[::6, "zip"] = 99
    return table


USED = [name for name in TABLE if name not in ("id", "always")]
CHOSEN = {"zip": "categorical"}
DRIFTS = pytest.mark.filterwarnings("ignore::pellucid.DataDriftWarning")
"""The table to predict is meant to differ from that of training."""


@DRIFTS
@pytest.mark.filterwarnings("ignore:The model is no better than its baseline")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_tabular_classifier_takes_the_raw_columns(n_classes):
    y = np.digitize(QUANTITY, [0.0, 1.0][: n_classes - 1])
    model = TabularClassifier((16,), columns=CHOSEN, max_iter=3, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(TABLE, np.array(["low", "middle", "high"])[y])
    kinds = {column.name: column.kind for column in model.encoder_.recognized_}
    assert [name for name in kinds if kinds[name] != "left out"] == USED
    exported = model.to_onnx()
    assert [value.name for value in exported.graph.input] == USED
    for table in (TABLE, later_rows(), TABLE[:1]):
        outputs = run(exported, columns_of(table, USED))
        # The column "label" has taken the name of that output.
        outputs["label"] = outputs.pop("label_2")
        assert_classifies(outputs, model, table)
    metadata = {prop.key: prop.value for prop in exported.metadata_props}
    assert metadata["estimator"] == "TabularClassifier"
    assert metadata["pellucid_version"] == exported.producer_version == pellucid.__version__
    assert json.loads(metadata["columns"]) == kinds
    assert json.loads(metadata["classes"]) == model.classes_.tolist()
    assert json.loads(metadata["feature_names"]) == list(TABLE)


@DRIFTS
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_tabular_regressor_takes_the_raw_columns(n_outputs, dtype, atol):
    y = np.stack([1e6 * QUANTITY + 3e7, -QUANTITY], axis=1)[:, :n_outputs]
    model = TabularRegressor((16,), columns=CHOSEN, max_iter=3, random_state=0, dtype=dtype)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(TABLE, y.ravel() if n_outputs == 1 else y)
    for table in (TABLE, later_rows()):
        variable = run(model.to_onnx(), columns_of(table, USED))["variable"]
        expected = model.predict(table).reshape(len(table), n_outputs)
        assert variable.dtype == expected.dtype == np.float64
        scale = y.std(axis=0)
        np.testing.assert_allclose(variable / scale, expected / scale, rtol=0, atol=atol)


def test_a_table_without_names_has_inputs_with_numbers():
    model = TabularRegressor((4,), max_iter=200, n_iter_no_change=1, random_state=0)
    model.fit(X[:, :2], X[:, 0])
    feed = {"x0": X[:, :1], "x1": X[:, 1:2]}
    np.testing.assert_allclose(
        run(model.to_onnx(), feed)["variable"][:, 0], model.predict(X[:, :2]), atol=1e-5
    )


def test_dates_are_refused():
    table = TABLE[["size"]].assign(day=pd.date_range("2024-01-01", periods=N))
    model = TabularRegressor((4,), n_iter_no_change=1, random_state=0).fit(table, QUANTITY)
    with pytest.raises(ValueError, match="column 'day' holds dates or times"):
        model.to_onnx()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "options",
    [{"loss": "quantile", "quantile": 0.8}, {"loss": "poisson"}, {"loss": own_loss}],
    ids=["quantile", "poisson", "own"],
)
def test_tabular_regressor_with_any_loss(options):
    y = np.exp(QUANTITY.clip(-2, 2))
    settings = {"columns": CHOSEN, "max_iter": 3, "random_state": 0, **options}
    model = TabularRegressor((8, 8), dropout=0.2, residual=True, **settings).fit(TABLE, y)
    outputs = run(model.to_onnx(), columns_of(TABLE, USED))
    expected = model.predict(TABLE)
    np.testing.assert_allclose(outputs["variable"][:, 0], expected, rtol=0, atol=1e-5 * y.max())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_tabular_classifier_with_every_option():
    y = np.digitize(QUANTITY, [0.0, 1.0])
    options = {"class_weight": "balanced", "label_smoothing": 0.1, "normalization": "batch"}
    settings = {"columns": CHOSEN, "max_iter": 3, "random_state": 0, **options}
    model = TabularClassifier((8, 8), dropout=0.2, **settings).fit(TABLE, y)
    outputs = run(model.to_onnx(), columns_of(TABLE, USED))
    outputs["label"] = outputs.pop("label_2")
    assert_classifies(outputs, model, TABLE)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_are_the_mean_of_their_members(name):
    kind = ENSEMBLES[name]
    model = kind.make().set_params(n_estimators=3).fit(kind.X, kind.y)
    if isinstance(kind.X, pd.DataFrame):
        feed = {column: kind.X[[column]].to_numpy() for column in kind.X}
        feed["kind"] = np.where(kind.X[["kind"]].isna(), "", feed["kind"])
    else:
        feed = {"X": kind.X.astype(model.estimators_[0].parameters_.flat.dtype)}
    exported = model.to_onnx()
    outputs = run(exported, feed)
    metadata = {prop.key: prop.value for prop in exported.metadata_props}
    assert metadata["estimator"] == type(model).__name__
    if kind.classifies:
        np.testing.assert_array_equal(outputs["label"], model.predict(kind.X))
        expected = model.predict_proba(kind.X)
        np.testing.assert_allclose(outputs["probabilities"], expected, rtol=0, atol=1e-5)
        assert json.loads(metadata["classes"]) == model.classes_.tolist()
    else:
        expected = model.predict(kind.X)
        np.testing.assert_allclose(outputs["variable"][:, 0], expected, rtol=0, atol=1e-4)
    assert ("columns" in metadata) == isinstance(kind.X, pd.DataFrame)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("y", [CODES > 0, INDICATORS], ids=["two labels", "several labels a row"])
def test_ensembles_of_other_labels(y):
    model = DeepEnsembleClassifier(MLPClassifier((4,), max_iter=2), 2, random_state=0).fit(X, y)
    assert_classifies(run(model.to_onnx(), {"X": X}), model, X)


@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(),
        MLPRegressor(),
        TabularClassifier(),
        TabularRegressor(),
        DeepEnsembleClassifier(),
        DeepEnsembleRegressor(),
    ],
)
def test_what_is_not_fitted_is_refused(estimator):
    with pytest.raises(NotFittedError):
        estimator.to_onnx()


def test_the_file_is_the_model_or_is_not_there(tmp_path):
    model = MLPRegressor(hidden_layer_sizes=(3,)).partial_fit(X, X[:, 0])
    returned = model.to_onnx(tmp_path / "m.onnx")
    assert onnx.load(tmp_path / "m.onnx") == returned
    with pytest.raises(ModelFileError, match="does not exist"):
        model.to_onnx(tmp_path / "nowhere" / "m.onnx")
    with pytest.raises(ModelFileError, match="is a directory"):
        model.to_onnx(tmp_path)
