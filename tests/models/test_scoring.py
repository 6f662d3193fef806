"""What makes a number of the network's output on validation rows."""

import functools
import math

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from pellucid.engine.contract import ValidationRows
from pellucid.models.scoring import scorer_on, validation_of
from pellucid.models.targets import LabelTargets, NumberTargets
from pellucid.nn import Chain, Linear

SCORES = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 4.0]])
CODES = np.array([0, 0, 0, 1])
CHAIN = Chain([Linear(2)], "softmax_cross_entropy")
TARGETS = LabelTargets(2, np.array(["no", "yes"]))
X, Y = np.arange(8.0).reshape(4, 2), np.array([0.0, 1.0, 0.0, 2.0])
MODEL = LinearRegression().fit(X[:, :1], Y)


def validation(scoring=None, weight=None, scorer=None, chosen_by="X_val", **settings):
    rows = ValidationRows(X, CODES, weight)
    settings = {"targets": TARGETS, "chain": CHAIN, "compares": True, **settings}
    return validation_of(
        rows, scoring=scoring, scorer=lambda: scorer, chosen_by=chosen_by, **settings
    )


def test_by_default_it_is_the_score_of_the_targets():
    found = validation()
    assert found.name == "accuracy"
    assert found.score(SCORES, 0.5) == 0.75
    assert found.rows.X is X


def test_weights_count_by_their_shares_in_the_score_and_have_mean_one_in_the_loss():
    weight = np.array([1.0, 5.0, 1.0, 1.0])
    found = validation(weight=weight)
    assert found.score(SCORES, 0.5) == 3 / 8
    np.testing.assert_array_equal(found.rows.sample_weight, weight / 2)


def test_the_score_of_numbers_is_of_predictions_after_the_link():
    chain = Chain([Linear(1)], "poisson")
    rows = ValidationRows(X, Y.reshape(-1, 1))
    found = validation_of(
        rows, NumberTargets(1), chain, None, None, chosen_by="X_val", compares=False
    )
    assert found.name == "R²"
    assert not found.compares_with_before
    scores = np.array([[0.0], [0.5], [0.1], [0.7]])
    assert found.score(scores, 0.5) == pytest.approx(r2_score(Y, np.exp(scores)))


def test_the_loss_has_no_name():
    found = validation("loss")
    assert found.name is None
    assert found.score(SCORES, 0.5) == -0.5


@pytest.mark.parametrize(
    ("scoring", "name", "error"),
    [("rmse", "RMSE", root_mean_squared_error), ("mae", "MAE", mean_absolute_error)],
)
def test_errors_are_in_the_unit_of_the_targets(scoring, name, error):
    rows = ValidationRows(X, (Y.reshape(-1, 1) - 1.0) / 50.0, np.array([1.0, 2.0, 3.0, 2.0]))
    targets = NumberTargets(1, mean=(1.0,), scale=(50.0,))
    chain = Chain([Linear(1)], "squared_error")
    options = {"chosen_by": "X_val", "compares": True}
    found = validation_of(rows, targets, chain, scoring, None, **options)
    assert (found.name, found.is_error) == (name, True)
    scores = np.array([[0.0], [0.5], [0.1], [0.7]])
    expected = error(Y, 1 + 50 * scores.ravel(), sample_weight=rows.sample_weight)
    assert -found.score(scores, 0.5) == pytest.approx(expected)
    with pytest.raises(ValueError, match=f"scoring='{scoring}' is an error of numbers"):
        validation(scoring)


@pytest.mark.parametrize(("scoring", "name"), [("f1_macro", "f1_macro"), (max, "score")])
def test_all_else_is_left_to_a_scorer(scoring, name):
    found = validation(scoring, scorer=lambda scores, loss: 7.0)
    assert found.name == name
    assert found.score(SCORES, 0.5) == 7.0


@pytest.mark.parametrize(
    ("chosen_by", "name"),
    [
        ("X_val", "sample_weight_val"),
        ("rows_val", "sample_weight"),
        ("validation_fraction", "sample_weight"),
    ],
)
def test_weights_without_a_sum_are_refused(chosen_by, name):
    with pytest.raises(ValueError, match=rf"^{name}, .*above zero.* choose others by {chosen_by}"):
        validation(weight=np.zeros(4), chosen_by=chosen_by)
    with pytest.raises(ValueError, match=rf"the sum of {name} over .* divide all weights"):
        validation(weight=np.full(4, 1e308), chosen_by=chosen_by)


def test_a_scorer_gets_the_rows_and_their_weights():
    weight = np.array([1.0, 2.0, 0.0, 1.0])
    score = scorer_on(MODEL, "r2", X[:, :1], Y, weight)
    expected = r2_score(Y, MODEL.predict(X[:, :1]), sample_weight=weight)
    assert score(SCORES, math.nan) == pytest.approx(expected)
    assert scorer_on(MODEL, "r2", X[:, :1], Y, None)(SCORES, 0.0) == MODEL.score(X[:, :1], Y)


class _Takes:
    def __call__(self, estimator, X, y, sample_weight=None):
        return 1.0 if sample_weight is None else float(sample_weight.sum())


def _no_weights(estimator, X, y):
    return np.float64(0.25)


@pytest.mark.parametrize(
    "takes",
    [
        _Takes(),
        lambda estimator, X, y, **options: options["sample_weight"].sum(),
        functools.partial(_Takes(), sample_weight=None),
    ],
)
def test_callables_that_take_weights(takes):
    assert scorer_on(MODEL, takes, X, Y, np.ones(4))(SCORES, 0.0) == 4.0


def test_callables_without_weights_are_for_rows_without():
    assert scorer_on(MODEL, _no_weights, X, Y, None)(SCORES, 0.0) == 0.25
    with pytest.raises(TypeError, match="must take sample_weight, since the rows"):
        scorer_on(MODEL, _no_weights, X, Y, np.ones(4))


@pytest.mark.parametrize("value", [None, "0.5", np.ones(2), 1j])
def test_a_score_is_a_number(value):
    score = scorer_on(MODEL, lambda *_: value, X, Y, None)
    with pytest.raises(TypeError, match="must return a number, got"):
        score(SCORES, 0.0)


def test_a_name_that_nobody_knows():
    with pytest.raises(ValueError, match=r"'f1_of_nothing' is unknown.* 'rmse'"):
        scorer_on(MODEL, "f1_of_nothing", X, Y, None)


def test_the_words_of_scikit_learn_come_with_a_way_out():
    score = scorer_on(MODEL, "accuracy", X, Y + 0.5, None)
    with pytest.raises(ValueError, match=r"scoring='accuracy' does not fit .* Use 'loss', '.*'\.$"):
        score(SCORES, 0.0)


def test_an_error_of_a_callable_is_the_user_s():
    def fails(*_):
        raise ValueError("my own")

    with pytest.raises(ValueError, match=r"^my own$"):
        scorer_on(MODEL, fails, X, Y, None)(SCORES, 0.0)
