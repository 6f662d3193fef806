"""Every kind of model through every command: a result, or one message."""

import json

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import ENSEMBLES, KINDS, NUMBERS, TABLE, Kind, X, network_layers
from sklearn import metrics

from pellucid import MLPRegressor, Network, TabularRegressor, load

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COUNTS = np.floor(np.abs(NUMBERS)) * 1.0
SHARES = np.exp(X[:, :3]) / np.exp(X[:, :3]).sum(axis=1, keepdims=True)
MORE = {
    "MLPRegressor, counts": (lambda: MLPRegressor("poisson", (4,), max_iter=3), X, COUNTS),
    "MLPRegressor, L-BFGS": (lambda: MLPRegressor(solver="lbfgs", max_iter=3), X, NUMBERS),
    "TabularRegressor, quantile": (
        lambda: TabularRegressor((4,), loss="quantile", quantile=0.9, max_iter=3), TABLE, NUMBERS,
    ),
    "Network, counts": (lambda: Network(network_layers(1), "poisson", max_iter=3), X, COUNTS),
    "Network, two numbers": (
        lambda: Network(network_layers(2), "huber", max_iter=3), X, X[:, :2],
    ),
    "Network, shares": (
        lambda: Network(network_layers(3), "softmax_cross_entropy", max_iter=3), X, SHARES,
    ),
}  # fmt: skip
ALL = {
    **{name: Kind(kind.make, kind.X, kind.y, kind.family) for name, kind in KINDS.items()},
    **ENSEMBLES,
    **{name: Kind(make, X, y, "more") for name, (make, X, y) in MORE.items()},
}


def names_of(y):
    return ["y"] if np.ndim(y) == 1 else [f"y{i}" for i in range(y.shape[1])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models, and for each a table with and one without the true values."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(params=ALL)
def kind(request, folder, monkeypatch):
    kind, name = ALL[request.param], f"{list(ALL).index(request.param)}"
    place = folder / name
    if not place.exists():
        place.mkdir()
        kind.make().fit(kind.X, kind.y).save(place / "m.pellucid")
        table = pd.DataFrame(kind.X, columns=getattr(kind.X, "columns", list("abcd")))
        table.to_csv(place / "new.csv", index=False)
        table[names_of(kind.y)] = kind.y.reshape(len(table), -1)
        table.to_csv(place / "true.csv", index=False)
    monkeypatch.chdir(place)
    return kind


@pytest.fixture(params=[[], ["--json"]], ids=["text", "json"])
def call(request, kind, invoke):
    def call(*arguments, code=0):
        done = invoke(*arguments, *request.param, code=code)
        if code == 1:
            assert done.stderr.startswith("Error: ")
            assert done.stdout == ""
        return json.loads(done.stdout) if request.param and code == 0 else done.output

    return call


@pytest.fixture
def invoke(monkeypatch):
    from command_line import invoke

    monkeypatch.setenv("COLUMNS", "140")
    return invoke


def test_describe(call):
    assert call("describe", "m.pellucid")


def test_predict(call):
    assert call("predict", "m.pellucid", "new.csv")


def test_predict_probabilities(call, kind):
    is_classifier = kind.classifies or kind.y is SHARES
    said = call("predict", "m.pellucid", "new.csv", "--probabilities", code=1 - is_classifier)
    assert is_classifier or "--probabilities" in said


def test_evaluate(call, kind):
    targets = [part for name in names_of(kind.y) for part in ("--target", name)]
    assert call("evaluate", "m.pellucid", "true.csv", *targets)


def json_of(invoke, *arguments):
    return json.loads(invoke(*arguments, "--json", "--quiet").stdout)


def test_predictions_are_those_of_python(invoke, kind):
    model, has_classes = load("m.pellucid"), kind.classifies or kind.y is SHARES
    more = ["--probabilities"] * has_classes
    rows = json_of(invoke, "predict", "m.pellucid", "new.csv", *more)["predictions"]
    found, probabilities = (
        np.array([[v for n, v in row.items() if n.startswith("prob") == wanted] for row in rows])
        for wanted in (False, True)
    )
    expected = model.predict(kind.X)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected.reshape(len(rows), -1), rtol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected.reshape(len(rows), -1))
    if has_classes:
        expected = model.predict_proba(kind.X)
        np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


def metrics_of_labels(y, P, classes):
    told = np.asarray(classes)[P.argmax(axis=1)]
    P = P / P.sum(axis=1, keepdims=True)  # scikit-learn warns of sums of float32.
    expected = {
        "accuracy": metrics.accuracy_score(y, told),
        "balanced accuracy": metrics.balanced_accuracy_score(y, told),
        "log loss": metrics.log_loss(y, P, labels=classes),
    }
    scores = P[:, 1] if len(classes) == 2 else P
    return {**expected, "ROC AUC": metrics.roc_auc_score(y, scores, multi_class="ovr")}


def metrics_of_numbers(y, told, kind):
    expected = {
        "RMSE": metrics.root_mean_squared_error(y, told),
        "MAE": metrics.mean_absolute_error(y, told),
        "R²": metrics.r2_score(y, told),
    }
    if kind.y is COUNTS:
        expected["Poisson deviance"] = metrics.mean_poisson_deviance(y, told)
    if kind is ALL["TabularRegressor, quantile"]:
        expected["pinball loss at 0.9"] = metrics.mean_pinball_loss(y, told, alpha=0.9)
        expected["coverage at 0.9"] = np.mean(y <= told)
    return expected


def expected_metrics(model, kind):
    """Return the metrics of each target, from the raw data alone."""
    y = kind.y
    if kind.classifies or y is SHARES:
        P = np.asarray(model.predict_proba(kind.X), dtype=np.float64)
        if y is SHARES:
            return [metrics_of_labels(y.argmax(axis=1), P, range(y.shape[1]))]
        if y.ndim == 1:
            return [metrics_of_labels(y, P, model.classes_)]
        both = [np.column_stack([1 - p, p]) for p in P.T]
        return [metrics_of_labels(*pair, [0, 1]) for pair in zip(y.T, both, strict=True)]
    told = np.asarray(model.predict(kind.X), dtype=np.float64).reshape(len(y), -1)
    columns = zip(y.reshape(told.shape).T, told.T, strict=True)
    return [metrics_of_numbers(*pair, kind) for pair in columns]


def test_metrics_are_those_of_the_raw_data(invoke, kind):
    names = names_of(kind.y)
    targets = [part for name in names for part in ("--target", name)]
    facts = json_of(invoke, "evaluate", "m.pellucid", "true.csv", *targets)
    expected = expected_metrics(load("m.pellucid"), kind)
    reports = [facts["targets"][name] for name in names] if len(expected) > 1 else [facts]
    for report, wanted in zip(reports, expected, strict=True):
        found = {name: value for name, value in report["metrics"].items() if name in wanted}
        # Probabilities and numbers are float32 of some kinds.
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-7)


def test_export(call):
    pytest.importorskip("onnx", reason="needs onnx")
    assert call("export", "m.pellucid", "--onnx", "m.onnx", "--force")
