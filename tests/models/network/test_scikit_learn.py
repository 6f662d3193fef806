"""`Network` among scikit-learn's tools: checks, clones, searches, pipelines, named columns."""

import pickle

import numpy as np
import pandas as pd
import pytest
from every_check import every_check
from joblib import parallel_config
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags

from pellucid import Network, load
from pellucid.nn import Activation, AdamW, Dropout, Linear, Loss

X, Y = load_iris(return_X_y=True)
FLOWERS = load_iris(as_frame=True).data
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
NUMBERS_X, NUMBERS = load_diabetes(return_X_y=True)
NUMBERS = (NUMBERS - NUMBERS.mean()) / NUMBERS.std()


def flowers(**settings):
    layers = [Linear(8), Activation("tanh"), Linear(3)]
    settings = {"learning_rate_init": 0.02, "batch_size": 16, "random_state": 0, **settings}
    return Network(**{"layers": layers, "loss": "softmax_cross_entropy", **settings})


def numbers(**settings):
    layers = [Linear(8), Activation("tanh"), Linear(1)]
    settings = {"learning_rate_init": 0.02, "batch_size": 32, "random_state": 0, **settings}
    return Network(layers, "squared_error", **settings)


# scikit-learn's checks


class NetworkOfAnyWidth(Network):
    """A network whose last layer is as wide as the targets of `fit` need.

    The checks fit one estimator to tables with other numbers of classes and outputs, and the layers
    of a `Network` are the user's.
    """

    def __init__(
        self, loss="softmax_cross_entropy", learning_rate_init=0.01, max_iter=100, batch_size=20,
        random_state=None, class_weight=None, n_iter_no_change=None, warm_start=False,
        dtype="float32",
    ):  # fmt: skip
        super().__init__(
            None, loss, learning_rate_init=learning_rate_init, max_iter=max_iter,
            batch_size=batch_size, random_state=random_state, class_weight=class_weight,
            n_iter_no_change=n_iter_no_change, warm_start=warm_start, dtype=dtype,
        )  # fmt: skip

    @property
    def layers(self):
        return [Linear(16), Activation("tanh"), Linear(self._n_outputs)]

    @layers.setter
    def layers(self, layers):
        pass

    def fit(self, X, y=None, sample_weight=None):
        targets = np.asarray(y)
        self._n_outputs = targets.shape[1] if targets.ndim == 2 else 1
        if self.loss == "softmax_cross_entropy":
            self._n_outputs = max(2, len(set(targets.ravel().tolist())))
        return super().fit(X, y, sample_weight)


LOSSES = ["softmax_cross_entropy", "logistic_cross_entropy", "squared_error"]
NOT_THERE_TO_CHECK = {
    "check_classifiers_multilabel_output_format_decision_function": "no decision_function",
}
NEED_OTHER_SETTINGS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "weight k equals k rows where a step sees all rows, and to the precision of the check in "
        "float64 only"
    ),
    "check_sample_weight_equivalence_on_sparse_data": "likewise",
    "check_regressor_multioutput": "asks for predictions in float64; the default is float32",
}
OTHER_SETTINGS = {"batch_size": 1000, "dtype": "float64", "learning_rate_init": 0.05}


def _name(check):
    return getattr(check, "func", check).__name__


@every_check([NetworkOfAnyWidth(loss) for loss in LOSSES])
def test_check(estimator, check):
    name = _name(check)
    if name in NOT_THERE_TO_CHECK:
        with pytest.raises(estimator_checks.SkipTest):
            check(estimator)
    elif name in NEED_OTHER_SETTINGS:
        with pytest.raises(AssertionError):
            check(estimator)
        check(clone(estimator).set_params(**OTHER_SETTINGS))
    else:
        check(estimator)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_n_features_in_after_fitting,
    ],
    ids=_name,
)
def test_check_not_in_the_list(loss, check):
    check("NetworkOfAnyWidth", NetworkOfAnyWidth(loss, max_iter=5))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_parameter_is_checked(loss):
    network = Network([Linear(2 if loss == LOSSES[0] else 1)], loss, max_iter=5)
    estimator_checks.check_param_validation("Network", network)


def test_tags_tell_what_the_loss_takes():
    for network, multi_class, multi_label in (
        (flowers(), True, False),
        (flowers().set_params(loss="logistic_cross_entropy"), False, True),
        (flowers().set_params(loss=Loss("softmax_cross_entropy", 0.1)), True, False),
    ):
        tags = get_tags(network)
        assert is_classifier(network)
        assert tags.classifier_tags.multi_class is multi_class
        assert tags.classifier_tags.multi_label is multi_label
        assert tags.target_tags.multi_output is multi_label
    for loss in ("squared_error", Loss("huber", 0.5), lambda scores, targets, weights: None):
        assert is_regressor(flowers().set_params(loss=loss))


# Parameters


def test_a_clone_has_the_same_parameters_and_has_learned_nothing():
    network = flowers(optimizer=AdamW(1e-2), schedule={"learning_rate": "cosine"}).fit(X, Y)
    copied = clone(network)
    known, expected = copied.get_params(), network.get_params()
    assert known.pop("layers") == expected.pop("layers")
    assert known.pop("optimizer") == expected.pop("optimizer")
    assert known == expected
    assert not hasattr(copied, "classes_")
    np.testing.assert_array_equal(copied.fit(X, Y).parameters_.flat, network.parameters_.flat)


def test_parameters_can_be_set_one_by_one():
    network = flowers()
    assert network.set_params(max_iter=3, layers=[Linear(3)]) is network
    assert network.get_params()["max_iter"] == 3
    assert network.fit(X, Y).parameters_.names() == ("0.W", "0.b")
    with pytest.raises(ValueError, match="Invalid parameter 'epochs'"):
        network.set_params(epochs=3)


def test_setting_a_parameter_changes_nothing_that_was_learned():
    network = flowers(max_iter=2).fit(X, Y)
    expected = network.predict_proba(X)
    network.set_params(layers=[Linear(3)], loss="squared_error", dtype="float64")
    network.set_params(loss="softmax_cross_entropy")
    np.testing.assert_array_equal(network.predict_proba(X), expected)


# Searches and pipelines


def test_a_pipeline_scales_and_trains():
    model = make_pipeline(StandardScaler(), flowers(max_iter=40)).fit(X, NAMES)
    assert model.score(X, NAMES) > 0.95
    assert model.predict_proba(X).shape == (150, 3)
    assert set(model.predict(X)) == {"setosa", "versicolor", "virginica"}
    scaled = StandardScaler().fit_transform(X)
    alone = flowers(max_iter=40).fit(scaled, NAMES)
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(scaled))


def test_parameters_of_fit_reach_the_network_of_a_pipeline():
    weights = np.where(Y == 0, 3.0, 1.0)
    model = make_pipeline(StandardScaler(), flowers(max_iter=3))
    model.fit(X, Y, network__sample_weight=weights, network__rows_val=np.arange(0, 150, 5))
    scaled = StandardScaler().fit_transform(X)
    alone = flowers(max_iter=3).fit(scaled, Y, weights, rows_val=np.arange(0, 150, 5))
    assert model[-1].validation_loss_curve_ == alone.validation_loss_curve_


def test_cross_validation_scores_every_fold():
    model = make_pipeline(StandardScaler(), flowers(max_iter=40))
    scores = cross_val_score(model, X, NAMES, cv=5)
    assert len(scores) == 5
    assert scores.mean() > 0.9
    losses = cross_val_score(model, X, NAMES, cv=3, scoring="neg_log_loss")
    assert (losses > -0.5).all()
    r2 = cross_val_score(make_pipeline(StandardScaler(), numbers()), NUMBERS_X, NUMBERS, cv=3)
    assert r2.mean() > 0.3


def test_a_grid_search_finds_rate_and_layers():
    grid = {
        "learning_rate_init": [1e-6, 0.02],
        "layers": [[Linear(3)], [Linear(16), Activation("relu"), Dropout(0.1), Linear(3)]],
    }
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(flowers(max_iter=15), grid, cv=folds).fit(X, NAMES)
    assert search.best_params_["learning_rate_init"] == 0.02
    assert search.best_params_["layers"] in grid["layers"]
    assert search.best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 4
    assert set(search.predict(X)) == set(NAMES)
    again = flowers(max_iter=15, **search.best_params_).fit(X, NAMES)
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))


def test_searches_in_threads_give_the_same():
    grid, scores = {"batch_size": [8, 32]}, []
    for n_jobs in (1, 2):
        with parallel_config("threading"):
            search = GridSearchCV(flowers(max_iter=3), grid, cv=3, n_jobs=n_jobs).fit(X, Y)
        scores.append(search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)


def test_other_estimators_take_networks():
    predicted = cross_val_predict(flowers(max_iter=5), X, Y, method="predict_proba", cv=3)
    np.testing.assert_allclose(predicted.sum(axis=1), 1.0, atol=1e-6)
    bagged = BaggingClassifier(flowers(max_iter=20), n_estimators=3, random_state=0).fit(X, Y)
    assert bagged.score(X, Y) > 0.9
    two = Network([Linear(1)], "logistic_cross_entropy", learning_rate_init=0.1, random_state=0)
    assert OneVsRestClassifier(two).fit(X, Y).score(X, Y) > 0.6


def test_pickles_are_networks_of_their_own():
    network = flowers(record=1).fit(X, Y)
    other = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(other.predict_proba(X), network.predict_proba(X))
    other.parameters_.flat[:] = 0.0
    assert network.parameters_.flat.any()
    np.testing.assert_array_equal(other.fit(X, Y).parameters_.flat, network.parameters_.flat)


# Named columns

PREDICTING = ["predict", "predict_proba", "scores", "forward"]


@pytest.mark.parametrize("method", PREDICTING)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_in_another_order_are_refused(method, library):
    table = FLOWERS
    if library == "polars":
        table = pytest.importorskip("polars").from_pandas(FLOWERS)
    network = flowers(max_iter=2).fit(table, Y)
    assert list(network.feature_names_in_) == list(FLOWERS.columns)
    getattr(network, method)(table)
    reordered = table[list(reversed(FLOWERS.columns))]
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were"):
        getattr(network, method)(reordered)


def test_columns_with_other_names_are_told():
    network = flowers(max_iter=2).fit(FLOWERS, Y)
    renamed = FLOWERS.rename(columns={"petal length (cm)": "petal length"})
    message = r"(?s)unseen at fit time:\n- petal length\n.*missing:\n- petal length \(cm\)"
    for call in (network.predict, lambda table: network.score(table, Y)):
        with pytest.raises(ValueError, match=message):
            call(renamed)
    with pytest.raises(ValueError, match="now missing"):
        network.predict(FLOWERS.iloc[:, :3])


def test_a_table_without_names_is_warned_of():
    network = flowers(max_iter=2).fit(FLOWERS, Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Network was"):
        predicted = network.predict_proba(FLOWERS.to_numpy())
    np.testing.assert_array_equal(predicted, network.predict_proba(FLOWERS))
    network = flowers(max_iter=2).fit(FLOWERS.to_numpy(), Y)
    assert not hasattr(network, "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names, but Network was fitted without"):
        network.predict(FLOWERS)


def test_rows_to_validate_on_have_the_same_names():
    held_out = {"X_val": FLOWERS[::5], "y_val": Y[::5]}
    for scoring in (None, "accuracy"):
        network = flowers(max_iter=2, scoring=scoring).fit(FLOWERS, Y, **held_out)
        assert len(network.validation_scores_) == 2
    held_out["X_val"] = FLOWERS[::5][list(reversed(FLOWERS.columns))]
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*X_val\["):
        flowers(max_iter=2).fit(FLOWERS, Y, **held_out)


def test_going_on_takes_the_same_names_and_starting_over_any():
    network = flowers(max_iter=2, warm_start=True).fit(FLOWERS, Y)
    reordered = FLOWERS[list(reversed(FLOWERS.columns))]
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        network.fit(reordered, Y)
    network.set_params(warm_start=False).fit(reordered, Y)
    assert list(network.feature_names_in_) == list(reordered.columns)
    network.fit(X, Y)
    assert not hasattr(network, "feature_names_in_")


def test_parameters_drawn_from_named_rows_know_the_names():
    network = flowers().initialize_from_data(FLOWERS)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        network.forward(FLOWERS[list(reversed(FLOWERS.columns))])
    network.forward(FLOWERS)
    network.initialize(4).forward(X)


def test_names_come_back_from_files(tmp_path):
    flowers(max_iter=2).fit(FLOWERS, Y).save(tmp_path / "flowers.pellucid")
    loaded = load(tmp_path / "flowers.pellucid")
    assert list(loaded.feature_names_in_) == list(FLOWERS.columns)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        loaded.predict(FLOWERS[list(reversed(FLOWERS.columns))])


def test_a_frame_of_numbers_is_that_array():
    one, other = flowers(max_iter=2).fit(FLOWERS, Y), flowers(max_iter=2).fit(X, Y)
    np.testing.assert_array_equal(one.parameters_.flat, other.parameters_.flat)
    series = pd.Series(NAMES, index=np.arange(150)[::-1])
    network = flowers(max_iter=2).fit(FLOWERS, series)
    np.testing.assert_array_equal(network.classes_, ["setosa", "versicolor", "virginica"])
