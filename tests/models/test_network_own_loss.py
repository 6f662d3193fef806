"""`pellucid.Network` with a plain function as its loss, from fit to what cannot be saved."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import pellucid
from pellucid.nn import Activation, Adam, CustomLoss, Linear

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


def network(loss, n_outputs=10, **options):
    options = {"dtype": "float64", **options}
    return pellucid.Network([Linear(8), Activation("tanh"), Linear(n_outputs)], loss, **options)


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
    options = {"epochs": 3, "optimizer": Adam(0.01), "sample_weight": weights}
    options["rows_val"] = np.arange(50)
    mine, theirs = (
        network(loss, n_outputs, engine=engine).fit(X, y, **options) for loss in (own, built_in)
    )
    np.testing.assert_allclose(mine.parameters.flat, theirs.parameters.flat, rtol=1e-8, atol=1e-11)
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose(mine.history[name], theirs.history[name], rtol=1e-9)
    assert mine.evaluate(X, y)["loss"] == pytest.approx(theirs.evaluate(X, y)["loss"])
    if own is half_squares:
        np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_predictions_are_scores_or_what_the_link_makes_of_them(engine):
    plain, linked = (
        network(loss, engine=engine).fit(X, LABELS, epochs=1)
        for loss in (cross_entropy, CustomLoss(cross_entropy, link=softmax))
    )
    np.testing.assert_array_equal(plain.predict(X), plain.scores(X))
    np.testing.assert_array_equal(linked.predict(X), softmax(plain.scores(X)))
    assert plain.classes_ is None


def test_it_cannot_be_saved_and_says_what_can(tmp_path):
    fitted = network(cross_entropy).fit(X, LABELS, epochs=1)
    with pytest.raises(TypeError, match=r"numpy\.save"):
        fitted.save(tmp_path / "never.pellucid")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_of_its_fit_can_be_replayed(engine):
    fitted = network(cross_entropy, engine=engine).fit(X, LABELS, epochs=3, record=1)
    last = fitted.replay(12)
    np.testing.assert_array_equal(last.after.flat, fitted.parameters.flat)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_it_comes_out_and_leaves_the_network_as_it_was(engine):
    def broken(scores, targets, weights):
        raise LookupError("no such label")

    unfitted = network(broken, engine=engine)
    with pytest.raises(LookupError, match="no such label"):
        unfitted.fit(X, LABELS)
    assert unfitted.history == {}


def test_numbers_too_large_for_the_precision_are_refused():
    with pytest.raises(ValueError, match="y has values too large for float32"):
        network(half_squares, 1, dtype="float32").fit(X, np.full(len(X), 1e300), epochs=1)
