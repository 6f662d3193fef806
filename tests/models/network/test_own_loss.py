"""`Network` with a plain function as its loss, from fit to what cannot be saved."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from pellucid import Network
from pellucid.nn import Activation, CustomLoss, Linear

X, LABELS = load_digits(return_X_y=True)
X, LABELS = X[:400] / 16, LABELS[:400]
ENGINES = ["native", "reference"]


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def cross_entropy(scores, labels, weights):
    p, rows = softmax(scores), np.arange(len(labels))
    gradient = p.copy()
    gradient[rows, labels] -= 1.0
    return np.mean(weights * -np.log(p[rows, labels])), weights[:, None] * gradient / len(labels)


def half_squares(scores, targets, weights):
    residual = scores - targets
    weighted = weights[:, None] * residual
    return 0.5 * np.sum(weighted * residual) / len(scores), weighted / len(scores)


def network(loss, n_outputs=10, **settings):
    layers = [Linear(8), Activation("tanh"), Linear(n_outputs)]
    settings = {"dtype": "float64", "max_iter": 3, "random_state": 0, **settings}
    return Network(layers, loss, **settings)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("own", "built_in", "y", "n_outputs"),
    [
        (cross_entropy, "softmax_cross_entropy", LABELS, 10),
        (cross_entropy, "softmax_cross_entropy", LABELS.astype(np.uint8), 10),
        (cross_entropy, "softmax_cross_entropy", LABELS > 4, 2),
        (half_squares, "half_squared_error", LABELS, 1),
        (half_squares, "half_squared_error", X[:, 20:23], 3),
    ],
    ids=["integers", "small integers", "booleans", "numbers", "columns"],
)
def test_it_trains_as_the_same_loss_of_the_library(engine, own, built_in, y, n_outputs):
    weights = 1.0 + np.arange(len(X)) % 3
    mine, theirs = (
        network(loss, n_outputs, engine=engine, learning_rate_init=0.01).fit(
            X, y, sample_weight=weights, rows_val=np.arange(50)
        )
        for loss in (own, built_in)
    )
    np.testing.assert_allclose(
        mine.parameters_.flat, theirs.parameters_.flat, rtol=1e-8, atol=1e-11
    )
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(
        mine.validation_loss_curve_, theirs.validation_loss_curve_, rtol=1e-9
    )
    assert mine.evaluate(X, y)["loss"] == pytest.approx(theirs.evaluate(X, y)["loss"])
    if own is half_squares:
        np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-7, atol=1e-10)
        assert mine.score(X, y) == pytest.approx(theirs.score(X, y))


@pytest.mark.parametrize("engine", ENGINES)
def test_predictions_are_scores_or_what_the_link_makes_of_them(engine):
    plain, linked = (
        network(loss, engine=engine, max_iter=1).fit(X, LABELS)
        for loss in (cross_entropy, CustomLoss(cross_entropy, link=softmax))
    )
    np.testing.assert_array_equal(plain.predict(X), plain.scores(X))
    np.testing.assert_array_equal(linked.predict(X), softmax(plain.scores(X)))
    assert not hasattr(plain, "classes_")
    assert not hasattr(plain, "predict_proba")


def test_targets_of_another_form_than_predictions_have_no_r2():
    fitted = network(cross_entropy).fit(X, LABELS)
    assert fitted.evaluate(X, LABELS).keys() == {"loss"}
    with pytest.raises(ValueError, match=r"R² needs targets of the shape of the predictions"):
        fitted.score(X, LABELS)


def test_a_scoring_of_ones_own_tells_the_best_epoch():
    def accuracy(network, X, y):
        return float(np.mean(network.predict(X).argmax(axis=1) == y))

    settings = {"learning_rate_init": 0.05, "max_iter": 6}
    fitted = network(cross_entropy, scoring=accuracy, **settings).fit(
        X, LABELS, rows_val=np.arange(100)
    )
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    assert accuracy(fitted, X[:100], LABELS[:100]) == fitted.best_validation_score_


def test_it_cannot_be_saved_and_says_what_can(tmp_path):
    fitted = network(cross_entropy).fit(X, LABELS)
    with pytest.raises(TypeError, match=r"numpy\.save"):
        fitted.save(tmp_path / "never.pellucid")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_of_its_fit_can_be_replayed(engine):
    fitted = network(cross_entropy, engine=engine, record=1).fit(X, LABELS)
    np.testing.assert_array_equal(fitted.replay(12).after.flat, fitted.parameters_.flat)


@pytest.mark.parametrize("engine", ENGINES)
def test_its_gradient_can_be_checked(engine):
    def doubled(scores, targets, weights):
        loss, gradient = half_squares(scores, targets, weights)
        return loss, 2.0 * gradient

    right = network(half_squares, 1, engine=engine).fit(X, LABELS)
    assert right.check_gradient(X[:20], LABELS[:20]).passed
    with pytest.raises(ValueError, match="gradient"):
        network(doubled, 1, engine=engine).fit(X, LABELS)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_it_comes_out_and_leaves_the_network_as_it_was(engine):
    def broken(scores, targets, weights):
        raise LookupError("no such label")

    unfitted = network(broken, engine=engine)
    before = vars(unfitted).copy()
    with pytest.raises(LookupError, match="no such label"):
        unfitted.fit(X, LABELS)
    assert vars(unfitted) == before
    with pytest.raises(NotFittedError):
        unfitted.predict(X)


def test_numbers_too_large_for_the_precision_are_refused():
    with pytest.raises(ValueError, match="y has values too large for float32"):
        network(half_squares, 1, dtype="float32").fit(X, np.full(len(X), 1e300))
