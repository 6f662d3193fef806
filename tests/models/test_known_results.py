"""Results known from elsewhere: M01, M31, gradients, and weights as repetitions."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, make_circles, make_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from pellucid import MLPClassifier, MLPRegressor
from pellucid.engine.native import NativeObjective
from pellucid.engine.plan import TrainingData
from pellucid.nn.parameters import Parameters

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@quiet
@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_m01_no_hidden_layer_is_logistic_regression(load, alpha):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    ours = MLPClassifier((), solver="lbfgs", alpha=alpha, tol=1e-8, max_iter=5000).fit(X, y)
    theirs = LogisticRegression(C=1 / alpha, tol=1e-8, max_iter=5000).fit(X, y)
    W, b = ours.coefs_[0].T, ours.intercepts_[0]
    np.testing.assert_allclose(W, theirs.coef_, atol=1e-3)
    np.testing.assert_allclose(b - b.mean() * (len(b) > 1), theirs.intercept_, atol=1e-3)


def test_m01_no_hidden_layer_is_ridge_regression():
    X, y = make_regression(80, 5, noise=10.0, random_state=0)
    ours = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=2.0, tol=1e-10).fit(X, y)
    theirs = Ridge(alpha=2.0).fit(X, y)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], theirs.coef_, rtol=1e-4)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4, atol=1e-3)


@quiet
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_m31_xor(solver, dtype):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
    y = np.array([0, 1, 1, 0])
    estimator = MLPClassifier(
        (8,), "tanh", solver=solver, learning_rate_init=0.1, max_iter=2000, random_state=0
    ).fit(X, y)
    assert estimator.predict(X).tolist() == y.tolist()
    assert estimator.predict_proba(X)[range(4), y].min() > 0.9


@quiet
def test_m31_xor_needs_a_hidden_layer():
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    assert MLPClassifier((), solver="lbfgs", random_state=0).fit(X, y).score(X, y) < 1.0


@quiet
def test_m31_concentric_circles():
    X, y = make_circles(300, noise=0.05, factor=0.5, random_state=0)
    hidden = MLPClassifier((16,), max_iter=500, learning_rate_init=0.02, random_state=0)
    assert hidden.fit(X, y).score(X, y) == 1.0
    assert MLPClassifier((), max_iter=500, random_state=0).fit(X, y).score(X, y) < 0.7


TARGETS = {
    "three classes": lambda rng: (MLPClassifier, rng.integers(0, 3, 9) + 1, {}),
    "two classes": lambda rng: (MLPClassifier, rng.integers(0, 2, 9), {}),
    "multilabel": lambda rng: (MLPClassifier, rng.integers(0, 2, (9, 3)), {}),
    "two targets": lambda rng: (MLPRegressor, rng.standard_normal((9, 2)), {}),
    "counts": lambda rng: (MLPRegressor, rng.poisson(2.0, 9), {"loss": "poisson"}),
}


@quiet
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_gradient_is_that_of_the_loss_reported(activation, targets):
    """Central differences; scikit-learn issue 8349 is two targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9, 5))
    estimator_class, y, options = TARGETS[targets](rng)
    weight = rng.uniform(0.5, 2.0, 9)
    estimator = estimator_class(
        hidden_layer_sizes=(4, 3),
        activation=activation,
        solver="lbfgs",
        max_iter=2,
        random_state=0,
        **options,
    )
    estimator.fit(X, y, sample_weight=weight)
    layout = estimator.parameters_.layout
    encoded = estimator._encoded_targets(y, np.float64)
    data = TrainingData(X, encoded, weight / weight.mean(), weight.mean())
    theta = estimator.parameters_.flat.copy()
    objective = NativeObjective(estimator.chain_, Parameters(theta, layout), data, 0.3)
    gradient = objective(theta)[1].flat.copy()
    step = 1e-5
    numeric = np.empty_like(theta)
    for i in range(len(theta)):
        move = np.zeros_like(theta)
        move[i] = step
        numeric[i] = (objective(theta + move)[0] - objective(theta - move)[0]) / (2 * step)
    error = np.linalg.norm(gradient - numeric)
    assert error / (np.linalg.norm(gradient) + np.linalg.norm(numeric)) < 1e-7


def test_lbfgs_reports_the_objective_at_its_solution():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    estimator = MLPRegressor(solver="lbfgs", alpha=0.5, max_iter=3000, random_state=0).fit(X, y)
    error = 0.5 * ((estimator.predict(X) - y) ** 2).sum() / 40
    penalty = 0.5 / (2 * 40) * sum((W**2).sum() for W in estimator.coefs_)
    assert estimator.loss_ == pytest.approx(error + penalty, rel=1e-12)


@quiet
def test_a_zero_weight_batch_is_no_division_by_zero():
    """In scikit-learn a mini-batch whose weights are all zero raises ZeroDivisionError."""
    X, y = load_iris(return_X_y=True)
    weight = np.r_[np.ones(140), np.zeros(10)]
    estimator = MLPClassifier(batch_size=10, shuffle=False, max_iter=3, random_state=0)
    assert np.isfinite(estimator.fit(X, y, sample_weight=weight).loss_)


@quiet
def test_the_size_of_all_weights_does_not_matter_without_penalty():
    X, y = load_iris(return_X_y=True)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 150)
    fits = [
        MLPClassifier(batch_size=16, max_iter=4, alpha=0.0, random_state=0).fit(
            X, y, scale * weight
        )
        for scale in (1.0, 1e6)
    ]
    np.testing.assert_allclose(fits[0].coefs_[0], fits[1].coefs_[0], rtol=1e-9)


@quiet
def test_log_probabilities():
    X, y = load_iris(return_X_y=True)
    estimator = MLPClassifier(max_iter=5, random_state=0).fit(X, y)
    np.testing.assert_allclose(
        estimator.predict_log_proba(X), np.log(estimator.predict_proba(X)), rtol=1e-12
    )
    assert (estimator.predict_log_proba(1e6 * X) <= 0).all()  # -inf, and no warning


@quiet
@pytest.mark.parametrize("estimator_class", [MLPClassifier, MLPRegressor])
def test_same_seed_same_bits(estimator_class):
    X, y = load_iris(return_X_y=True)
    a, b = (estimator_class(max_iter=5, random_state=4).fit(X, y) for _ in range(2))
    assert all((V == W).all() for V, W in zip(a.coefs_, b.coefs_, strict=True))


@quiet
def test_several_labels_a_row():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    Y = (X[:, :3] > 0).astype(int)
    estimator = MLPClassifier((16,), learning_rate_init=0.02, random_state=0)
    for _ in range(150):
        estimator.partial_fit(X, Y, classes=[0, 1, 2])
    assert (estimator.predict(X) == Y).mean() > 0.97
    assert estimator.predict_proba(X).shape == (200, 3)
