"""`describe()` of estimators, and how they show themselves in notebooks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from pellucid import MLPClassifier, MLPRegressor, Network, TabularClassifier, TabularRegressor
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
