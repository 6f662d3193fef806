"""Every kind of model through every command: a result, or one message."""

import json

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import ENSEMBLES, KINDS, NUMBERS, TABLE, Kind, X, network_layers

from pellucid import MLPRegressor, Network, TabularRegressor

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


def test_export(call):
    pytest.importorskip("onnx", reason="needs onnx")
    assert call("export", "m.pellucid", "--onnx", "m.onnx", "--force")
