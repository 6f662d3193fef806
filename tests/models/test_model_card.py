"""`describe()` of estimators, and how they show themselves in notebooks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import ENSEMBLES, KINDS
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from pellucid import (
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
)
from pellucid.nn import Linear

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
TABLE = pd.DataFrame({"a": X[:, 0], "kind": np.array(["x", "y"])[np.arange(120) % 2], "id": "same"})
ESTIMATORS = [MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor]


def fitted(estimator, table, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.set_params(max_iter=3, random_state=0).fit(table, y)


@pytest.mark.parametrize(
    ("model", "y", "predicts"),
    [
        (MLPClassifier(), np.array(["no", "yes"])[(X[:, 0] > 0) * 1], "one of 2 classes: no, yes"),
        (
            MLPClassifier(),
            np.arange(120) % 12,
            "one of 12 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …",
        ),
        (MLPClassifier(), (X > 0) * 1, "any of 3 labels"),
        (MLPRegressor(), X[:, 0], "a number"),
        (MLPRegressor(), X[:, :2], "2 numbers"),
    ],
)
def test_mlps(model, y, predicts):
    model.set_params(hidden_layer_sizes=(8,), normalization="layer", dtype="float32")
    description = fitted(model, pd.DataFrame(X, columns=list("abc")), y).describe()
    assert description.estimator == type(model).__name__
    assert description.facts["predicts"] == predicts
    assert description.facts["from"] == "3 columns: a, b, c"
    assert description.facts["training"] == f"3 epochs of 'adam', loss {model.loss_:.4g}"
    assert description.facts["parameters"] == (
        "dtype='float32', hidden_layer_sizes=(8,), max_iter=3, normalization='layer', "
        "random_state=0"
    )
    assert description.network.n_parameters == model.parameters_.flat.size
    assert [layer.layer for layer in description.network.layers][1] == "LayerNorm()"
    assert description.columns == ()


def test_tables():
    model = fitted(TabularRegressor(), TABLE, pd.Series(X[:, 0], name="price"))
    description = model.describe()
    assert description.facts["predicts"] == "a number of 'price'"
    assert description.facts["from"] == "3 columns, 2 of them used"
    assert "best validation score" in description.facts["training"]
    kinds = [(column.name, column.kind) for column in description.columns]
    assert kinds == [("a", "numeric"), ("kind", "categorical"), ("id", "left out")]
    assert sum(c.n_inputs for c in description.columns) == description.network.fan_in
    model = fitted(TabularClassifier(), TABLE, pd.Series(TABLE["kind"], name="<target>"))
    description = model.describe()
    assert description.facts["predicts"] == "one of 2 classes of '<target>': x, y"
    assert "&lt;target&gt;" in description._repr_html_()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", [*KINDS, *ENSEMBLES])
def test_every_kind_is_described(name):
    kind = {**KINDS, **ENSEMBLES}[name]
    model = kind.make().fit(kind.X, kind.y)
    description = model.describe()
    members = getattr(model, "estimators_", [model])
    assert description.estimator == type(model).__name__
    assert description.network.n_parameters == members[0].parameters_.flat.size
    n = 1 if kind.y.ndim == 1 else kind.y.shape[1]
    words = {
        (True, True): "one of",
        (True, False): f"any of {n} labels",
        (False, True): "a number",
        (False, False): f"{n} numbers",
    }
    assert description.facts["predicts"].startswith(words[kind.classifies, n == 1])
    assert description.facts["training"].startswith("8 epochs")
    assert "loss" in description.facts["training"]
    assert ("members" in description.facts) == (members != [model])
    assert bool(description.columns) == isinstance(kind.X, pd.DataFrame)
    assert description.facts["predicts"] in str(description)
    assert description.estimator in description._repr_html_()


def test_ensembles():
    table = pd.DataFrame(X, columns=list("abc"))
    network = MLPRegressor(hidden_layer_sizes=(4,), early_stopping=True, max_iter=4)
    model = DeepEnsembleRegressor(network, 3, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(table, X[:, 0])
    model.estimators_[1].n_iter_ = 7
    facts = model.describe().facts
    assert facts["from"] == "3 columns: a, b, c"
    assert facts["members"] == "3 like this one, which differ in their seeds"
    score = np.mean([member.best_validation_score_ for member in model.estimators_])
    loss = np.mean([member.loss_ for member in model.estimators_])
    assert facts["training"] == (
        f"4 to 7 epochs of 'adam', mean loss {loss:.4g}, mean best validation score {score:.4g}"
    )
    assert facts["parameters"].startswith("estimator=MLPRegressor(")


def test_a_network_that_was_only_initialized_is_not_described():
    network = Network([Linear(2)], "squared_error").initialize(3)
    with pytest.raises(NotFittedError):
        network.describe()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_before_a_fit_there_is_nothing_to_describe(estimator):
    with pytest.raises(NotFittedError):
        estimator().describe()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_notebooks_show_scikit_learns_box_without_links_to_scikit_learn(estimator):
    model = estimator(hidden_layer_sizes=(4,))
    assert model._get_doc_link() == ""
    y = X[:, 0] > 0 if "Classifier" in estimator.__name__ else X[:, 0]
    for shown in (model._repr_html_(), fitted(model, X, y)._repr_html_()):
        assert "hidden_layer_sizes" in shown
        assert "href" not in shown


def test_a_network_shows_its_layers():
    network = Network([Linear(2)], "squared_error")
    assert "Linear(fan_out=2" in network._repr_html_()
    assert "parameters" not in network._repr_html_()
    shown = network.initialize(3)._repr_html_()
    assert "W (3, 2), b (2,)" in shown
