"""`transform`: what the hidden layers of a perceptron make of a table."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import pellucid
from pellucid import MLPClassifier, MLPRegressor
from pellucid.nn import Add

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5))
TARGETS = {MLPClassifier: np.digitize(X[:, 0], [-0.5, 0.5]), MLPRegressor: X[:, :2] ** 2}
FRAME = pd.DataFrame(X, columns=list("abcde"), index=np.arange(60) + 7)

KINDS = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _fitted(kind=MLPClassifier, table=X, **options):
    options = {"hidden_layer_sizes": (6, 6, 4), "max_iter": 3, "random_state": 0, **options}
    return kind(**options).fit(table, TARGETS[kind])


def _softplus(z):
    return np.logaddexp(0.0, z)


def _sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


@KINDS
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": ["elu", "tanh", "relu"]},
        {"normalization": "batch", "dropout": 0.5},
        {"normalization": "layer", "residual": True, "dropout": 0.3},
        {"normalization": "rms", "residual": True, "activation": "gelu"},
        {"activation": (_softplus, _sigmoid)},
        {"solver": "lbfgs"},
    ],
    ids=lambda options: ", ".join(options) or "defaults",
)
def test_it_is_the_value_before_the_next_linear_layer(kind, options):
    model = _fitted(kind, **options)
    expected = model.chain_.forward(model.parameters_, X).a[1:-1]
    assert sum(isinstance(layer, Add) for layer in model.chain_.layers) == bool(
        options.get("residual")
    )
    assert len(expected) == 3
    for layer, values in enumerate(expected):
        np.testing.assert_allclose(model.transform(X, layer=layer), values, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(model.transform(X, layer - 3), model.transform(X, layer))
    np.testing.assert_array_equal(model.transform(X), model.transform(X, 2))


@KINDS
@pytest.mark.parametrize("table_dtype", ["f4", "f8", "?", "i4", "u8", "f2"])
@pytest.mark.parametrize("weights_dtype", [np.float32, np.float64])
def test_values_and_dtype_are_those_of_numpy(kind, weights_dtype, table_dtype):
    model = _fitted(kind, dtype=weights_dtype, hidden_layer_sizes=(6,))
    table = np.abs(3 * X).astype(table_dtype)
    expected = np.maximum(table @ model.coefs_[0] + model.intercepts_[0], 0.0)
    hidden = model.transform(table)
    assert hidden.dtype == expected.dtype
    tolerance = 2e-5 if hidden.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(hidden, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_a_sparse_table_gives_the_same(container):
    table = np.where(X > 0.5, X, 0.0)
    model = _fitted()
    for layer in range(3):
        np.testing.assert_allclose(
            model.transform(container(table), layer), model.transform(table, layer), rtol=1e-12
        )


def test_the_weights_are_read_at_each_call():
    model = _fitted(hidden_layer_sizes=(6, 4))
    before = model.transform(X, 0)
    model.coefs_[0][...] = 0.0
    model.intercepts_[0][...] = 3.0
    assert before.std() > 0.1
    np.testing.assert_array_equal(model.transform(X, 0), np.full((60, 6), 3.0))
    np.testing.assert_array_equal(model.transform(X.astype("f4"), 0), np.full((60, 6), 3.0))
    model.intercepts_[0] = np.full(6, 5.0)  # another array in its place
    np.testing.assert_array_equal(model.transform(X, 0), np.full((60, 6), 5.0))
    model.fit(X, TARGETS[MLPClassifier])
    np.testing.assert_array_equal(model.transform(X, 0), before)


def test_float32_weights_changed_in_place_are_widened_again():
    model = _fitted(dtype="float32")
    model.transform(X, 0)
    model.coefs_[0][...] = 0.0
    model.intercepts_[0][...] = 2.0
    np.testing.assert_array_equal(model.transform(X, 0), np.full((60, 6), 2.0))


def test_no_row_depends_on_the_others():
    model = _fitted(normalization="batch")
    alone = np.vstack([model.transform(row[np.newaxis]) for row in X[:5]])
    np.testing.assert_array_equal(alone, model.transform(X)[:5])


@pytest.mark.parametrize("layer", [3, -4, 100])
def test_a_layer_that_is_not_there(layer):
    model = _fitted()
    for call in (lambda: model.transform(X, layer), lambda: names(model, layer)):
        with pytest.raises(ValueError, match=rf"from -3 to 2, .* 3 hidden layers.* got {layer}"):
            call()


def names(model, layer):
    return model.get_feature_names_out(layer=layer)


@pytest.mark.parametrize("layer", [None, 1.0, "1", True])
def test_a_layer_that_is_no_integer(layer):
    with pytest.raises(TypeError, match="layer must be an integer"):
        _fitted().transform(X, layer)


def test_without_hidden_layers_there_is_nothing_to_return():
    model = _fitted(hidden_layer_sizes=())
    with pytest.raises(ValueError, match="network has none; fit with hidden_layer_sizes"):
        model.transform(X)


def test_overflow_is_told():
    model = _fitted(activation="identity")
    model.coefs_[0][...] = 1e300
    with pytest.raises(ValueError, match="outputs for 60 of 60 rows are not finite"):
        model.transform(np.full((60, 5), 1e300))


def test_names_are_those_of_scikit_learns_mixin_and_tell_the_layers_apart():
    model = _fitted(table=FRAME)
    assert model.get_feature_names_out().tolist() == [f"mlpclassifier{i}" for i in range(4)]
    assert names(model, 2).tolist() == names(model, -1).tolist()
    assert names(model, 0).tolist() == [f"mlpclassifier_layer0_{i}" for i in range(6)]
    assert names(model, -2).tolist() == [f"mlpclassifier_layer1_{i}" for i in range(6)]
    assert model.get_feature_names_out(list("abcde")).dtype == object
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        model.get_feature_names_out(list("abcdx"))


@KINDS
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_every_layer_comes_in_the_container_that_was_set(kind, library):
    model = _fitted(kind, FRAME).set_output(transform=library)
    for layer, width in [(0, 6), (1, 6), (2, 4), (-1, 4)]:
        hidden = model.transform(FRAME, layer=layer)
        assert type(hidden).__module__.split(".")[0] == library
        assert list(hidden.columns) == names(model, layer).tolist()
        assert hidden.shape == (60, width)
        plain = clone(model).set_output(transform="default").fit(FRAME, TARGETS[kind])
        np.testing.assert_array_equal(hidden.to_numpy(), plain.transform(FRAME, layer))
    if library == "pandas":
        assert hidden.index.equals(FRAME.index)
    fitted_at_once = clone(model).fit_transform(FRAME, TARGETS[kind])
    assert list(fitted_at_once.columns) == names(model, -1).tolist()
    np.testing.assert_array_equal(fitted_at_once.to_numpy(), hidden.to_numpy())


def test_the_container_set_for_all_of_scikit_learn():
    model = _fitted()
    with config_context(transform_output="pandas"):
        assert list(model.transform(X, 0).columns) == names(model, 0).tolist()
    assert isinstance(model.transform(X, 0), np.ndarray)


def test_fit_transform_passes_what_fit_takes():
    weight = np.r_[np.ones(30), np.zeros(30)]
    options = {"X_val": X, "y_val": TARGETS[MLPClassifier]}
    model = MLPClassifier((4,), max_iter=3, random_state=0)
    hidden = model.fit_transform(X, TARGETS[MLPClassifier], sample_weight=weight, **options)
    assert len(model.validation_loss_curve_) == model.n_iter_
    again = clone(model).fit(X, TARGETS[MLPClassifier], weight, **options)
    np.testing.assert_array_equal(hidden, again.transform(X))


def test_in_the_middle_of_a_pipeline_and_beside_other_features():
    y = TARGETS[MLPClassifier]
    network = MLPClassifier((8, 4), max_iter=20, random_state=0)
    both = FeatureUnion([("hidden", network), ("scaled", StandardScaler())])
    model = make_pipeline(both, LogisticRegression()).set_output(transform="pandas").fit(FRAME, y)
    columns = model[:-1].transform(FRAME).columns
    assert columns[:4].tolist() == [f"hidden__mlpclassifier{i}" for i in range(4)]
    assert columns[4:].tolist() == [f"scaled__{c}" for c in "abcde"]
    assert model.score(FRAME, y) > 0.9
    some = ColumnTransformer([("hidden", network, ["a", "b"])], remainder="passthrough")
    assert make_pipeline(some, LogisticRegression()).fit(FRAME, y)[0].transform(FRAME).shape == (
        60,
        7,
    )


def test_the_layer_is_a_parameter_that_a_pipeline_can_route():
    with config_context(enable_metadata_routing=True):
        network = MLPClassifier((8, 4), max_iter=2, random_state=0)
        network.set_transform_request(layer=True)
        model = Pipeline([("scale", StandardScaler()), ("network", network)])
        model.fit(X, TARGETS[MLPClassifier])
        assert model.transform(X, layer=0).shape == (60, 8)


def test_a_model_loaded_or_copied_transforms_the_same(tmp_path):
    model = _fitted(MLPRegressor, FRAME, residual=True, normalization="batch")
    model.save(tmp_path / "model.pellucid")
    loaded = pellucid.load(tmp_path / "model.pellucid")
    for layer in range(3):
        np.testing.assert_array_equal(loaded.transform(FRAME, layer), model.transform(FRAME, layer))


@KINDS
def test_tags_and_what_is_known_of_the_table(kind):
    tags = get_tags(kind())
    assert tags.input_tags.sparse
    assert not tags.input_tags.allow_nan
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
    if kind is MLPClassifier:
        assert tags.estimator_type == "classifier"
        assert tags.classifier_tags.multi_label
        assert tags.classifier_tags.multi_class
    else:
        assert tags.estimator_type == "regressor"
        assert tags.target_tags.multi_output
    model = _fitted(kind, FRAME)
    assert model.n_features_in_ == 5
    assert model.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(FRAME.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="expecting 5 features"):
        _fitted(kind).transform(X[:, :4])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.transform(X)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_validation_rows_go_through_a_pipeline():
    y = TARGETS[MLPClassifier]
    weight = np.linspace(0.1, 2.0, 40)
    network = MLPClassifier((8,), max_iter=5, random_state=0)
    network.set_fit_request(sample_weight=True, X_val=True, y_val=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    model = Pipeline([("scale", scaler), ("network", network)], transform_input=["X_val"])
    model.fit(X[:40], y[:40], sample_weight=weight, X_val=X[40:], y_val=y[40:])
    scale = StandardScaler().fit(X[:40])
    alone = clone(network).fit(
        scale.transform(X[:40]), y[:40], weight, X_val=scale.transform(X[40:]), y_val=y[40:]
    )
    assert model[-1].validation_loss_curve_ == alone.validation_loss_curve_
    np.testing.assert_array_equal(model[-1].coefs_[0], alone.coefs_[0])


@pytest.mark.usefixtures("routing")
def test_weights_are_cut_with_the_rows_in_a_search():
    y = TARGETS[MLPClassifier]
    weight = np.where(np.arange(60) % 3 == 0, 5.0, 0.5)
    network = MLPClassifier((6,), max_iter=40, random_state=0)
    network.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    folds = list(KFold(2).split(X))
    search = GridSearchCV(network, {"alpha": [1.0]}, cv=folds, refit=False)
    search.fit(X, y, sample_weight=weight)
    for i, (train, test) in enumerate(folds):
        alone = clone(network).set_params(alpha=1.0).fit(X[train], y[train], weight[train])
        expected = alone.score(X[test], y[test], weight[test])
        assert search.cv_results_[f"split{i}_test_score"][0] == expected
        assert expected != alone.score(X[test], y[test])
