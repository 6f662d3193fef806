import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer, loss_and_gradient, predict_scores
from pellucid.nn import SGD, Activation, Adam, AdamW, Chain, Linear, Parameters
from pellucid.nn.random import permutation

RNG = np.random.default_rng(0)
N, FAN_IN, FAN_OUT = 23, 4, 3
X = RNG.normal(size=(N, FAN_IN))
LABELS = RNG.integers(FAN_OUT, size=N)
REAL = RNG.normal(size=(N, 2))
WEIGHT = RNG.uniform(0.2, 1.8, size=N)
WEIGHT /= WEIGHT.mean()

CLASSIFIER = Chain([Linear(6), Activation("relu"), Linear(FAN_OUT)], "softmax_cross_entropy")
REGRESSOR = Chain([Linear(6), Activation("tanh"), Linear(2)], "half_squared_error")


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def train(data, plan, n_epochs=3, chain=CLASSIFIER, dtype=np.float64, **keywords):
    params = chain.initialize(data.X.shape[1], seed=1, dtype=dtype)
    trainer = ReferenceTrainer(chain, params, data, plan)
    results = [trainer.run_epoch(**keywords) for _ in range(n_epochs)]
    return params, results


# M01: a network without a hidden layer


def minimized(chain, data, l2_penalty):
    params = chain.initialize(data.X.shape[1], seed=0)

    def objective(flat):
        value, gradient = loss_and_gradient(
            chain, Parameters(flat, params.layout), data, l2_penalty
        )
        return value, gradient.flat

    options = {"maxiter": 5000, "gtol": 1e-9, "ftol": 1e-15}
    result = scipy.optimize.minimize(
        objective, params.flat, jac=True, method="L-BFGS-B", options=options
    )
    return Parameters(result.x, params.layout)


@pytest.mark.parametrize("l2_penalty", [0.1, 10.0])
def test_m01_no_hidden_layer_is_logistic_regression(l2_penalty):
    X, y = load_breast_cancer(return_X_y=True)
    X = standardized(X)
    chain = Chain([Linear(1)], "logistic_cross_entropy")
    params = minimized(chain, TrainingData(X, y[:, None]), l2_penalty)
    theirs = LogisticRegression(C=1 / l2_penalty, tol=1e-8, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(params["0.W"].T, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(params["0.b"], theirs.intercept_, atol=1e-4)
    p = chain.loss.link(predict_scores(chain, params, X))[:, 0]
    np.testing.assert_allclose(p, theirs.predict_proba(X)[:, 1], atol=1e-4)


def test_m03_k_units_are_softmax_regression():
    X, y = load_iris(return_X_y=True)
    X = standardized(X)
    chain = Chain([Linear(3)], "softmax_cross_entropy")
    params = minimized(chain, TrainingData(X, y), l2_penalty=1.0)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(params["0.W"].T, theirs.coef_, atol=1e-4)
    # A number common to all biases changes no probability.
    centred = params["0.b"] - params["0.b"].mean()
    np.testing.assert_allclose(centred, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4)


# The steps of an epoch


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, 0.9, True), Adam(0.01), AdamW(0.01)])
@pytest.mark.parametrize("sample_weight", [None, WEIGHT])
def test_m18_an_epoch_is_one_update_for_each_slice_of_the_order(optimizer, sample_weight):
    penalty, scale, batch_size = 0.5, 2.5, 5
    plan = TrainingPlan(optimizer, batch_size, l2_penalty=penalty, seed=9)
    data = TrainingData(X, LABELS, sample_weight, weight_scale=scale)
    params, results = train(data, plan, n_epochs=2)

    start = CLASSIFIER.initialize(FAN_IN, seed=1)
    mask, theta, state = start.layout.weight_mask(), start.flat.copy(), optimizer.init(start.flat)
    step = 0
    for epoch in range(2):
        order, total = permutation(9, epoch, N), 0.0
        for first in range(0, N, batch_size):
            rows, step = order[first : first + batch_size], step + 1
            w = None if sample_weight is None else sample_weight[rows]
            now = Parameters(theta, start.layout)
            trace = CLASSIFIER.forward(now, X[rows])
            share = penalty / (len(rows) * scale)
            objective = CLASSIFIER.loss_value(trace, LABELS[rows], w)
            objective += 0.5 * share * np.sum(theta[mask] ** 2)
            total += len(rows) * objective
            gradient = CLASSIFIER.backward(now, trace, LABELS[rows], w).parameters.flat
            gradient = gradient + share * theta * mask
            theta, state = optimizer.update(gradient, state, theta, step, weight_mask=mask)
        assert results[epoch].loss == pytest.approx(total / N, rel=1e-13)
        assert results[epoch].epoch == epoch
        assert (results[epoch].n_examples, results[epoch].n_steps) == (N, 5)
    np.testing.assert_allclose(params.flat, theta, rtol=1e-12, atol=1e-15)


def test_m18_one_batch_of_all_rows_is_gradient_descent():
    data = TrainingData(X, REAL)
    plan = TrainingPlan(SGD(0.1), batch_size=N, l2_penalty=0.3, shuffle=False)
    params, (result,) = train(data, plan, 1, REGRESSOR)
    start = REGRESSOR.initialize(FAN_IN, seed=1)
    value, gradient = loss_and_gradient(REGRESSOR, start, data, 0.3)
    assert result.loss == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(params.flat, start.flat - 0.1 * gradient.flat, rtol=1e-12)


def test_an_order_and_a_learning_rate_may_be_given():
    order = np.array([3, 1, 1, 20])
    plan = TrainingPlan(SGD(0.5), batch_size=2)
    params, (result,) = train(TrainingData(X, LABELS), plan, 1, order=order, learning_rate=0.1)
    assert (result.n_examples, result.n_steps) == (4, 2)
    same, _ = train(
        TrainingData(X[order], LABELS[order]), TrainingPlan(SGD(0.1), 2, shuffle=False), 1
    )
    np.testing.assert_array_equal(params.flat, same.flat)


def test_a_batch_may_be_larger_than_the_table():
    _, (result,) = train(TrainingData(X, LABELS), TrainingPlan(SGD(0.1), 10_000), 1)
    assert result.n_steps == 1


def test_training_goes_on_from_a_state_as_if_it_had_not_stopped():
    data, plan = TrainingData(X, LABELS), TrainingPlan(Adam(0.05), batch_size=4, seed=2)
    expected, _ = train(data, plan, n_epochs=4)
    params = CLASSIFIER.initialize(FAN_IN, seed=1)
    first = ReferenceTrainer(CLASSIFIER, params, data, plan)
    first.run_epoch()
    first.run_epoch()
    second = ReferenceTrainer(CLASSIFIER, params.copy(), data, plan, first.state)
    assert (second.step, second.state.epoch) == (12, 2)
    np.testing.assert_array_equal(second.optimizer_state.second, first.optimizer_state.second)
    second.run_epoch()
    assert second.run_epoch().epoch == 3
    np.testing.assert_array_equal(second.parameters.flat, expected.flat)


def test_parameters_are_updated_in_place():
    params = CLASSIFIER.initialize(FAN_IN, seed=1)
    flat, before = params.flat, params.flat.copy()
    ReferenceTrainer(
        CLASSIFIER, params, TrainingData(X, LABELS), TrainingPlan(SGD(0.1), 5)
    ).run_epoch()
    assert params.flat is flat
    assert not np.array_equal(flat, before)


# What X may be


@pytest.mark.parametrize(
    "table",
    [
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        scipy.sparse.csr_matrix(X),
        scipy.sparse.csr_array(X),
    ],
    ids=["fortran", "strided", "csr_matrix", "csr_array"],
)
def test_every_kind_of_table_trains_alike(table):
    plan = TrainingPlan(Adam(0.01), batch_size=5)
    expected, _ = train(TrainingData(X, LABELS), plan)
    params, _ = train(TrainingData(table, LABELS), plan)
    np.testing.assert_allclose(params.flat, expected.flat, rtol=1e-12, atol=1e-15)
    scores = predict_scores(CLASSIFIER, params, table)
    np.testing.assert_allclose(scores, predict_scores(CLASSIFIER, params, X), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.bool_, np.float16, np.float32])
def test_every_dtype_is_converted_batch_by_batch(dtype):
    table = (np.abs(X) * 2).astype(dtype)
    plan = TrainingPlan(SGD(0.01), batch_size=5)
    params, _ = train(TrainingData(table, LABELS), plan)
    expected, _ = train(TrainingData(table.astype(np.float64), LABELS), plan)
    np.testing.assert_array_equal(params.flat, expected.flat)


def test_a_read_only_table_is_left_alone():
    table = X.copy()
    table.flags.writeable = False
    train(TrainingData(table, LABELS), TrainingPlan(SGD(0.1), 5))
    np.testing.assert_array_equal(table, X)


def test_arithmetic_has_the_precision_of_the_parameters():
    plan = TrainingPlan(Adam(0.01), batch_size=5, l2_penalty=0.1)
    data = TrainingData(X, REAL, WEIGHT)
    single, _ = train(data, plan, chain=REGRESSOR, dtype=np.float32)
    double, _ = train(data, plan, chain=REGRESSOR)
    assert single.flat.dtype == np.float32
    np.testing.assert_allclose(single.flat, double.flat, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(single.flat, double.flat)
    value, gradient = loss_and_gradient(REGRESSOR, single, data, 0.1)
    assert gradient.flat.dtype == predict_scores(REGRESSOR, single, X).dtype == np.float32
    assert isinstance(value, float)


# Full-batch functions


def test_scores_and_gradient_do_not_depend_on_the_chunks(rng):
    n = 9001  # two chunks and a bit
    X, Y, w = rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), rng.uniform(0.5, 1.5, size=n)
    params = REGRESSOR.initialize(2, seed=0)
    trace = REGRESSOR.forward(params, X)
    np.testing.assert_allclose(predict_scores(REGRESSOR, params, X), trace.scores, rtol=1e-12)
    value, gradient = loss_and_gradient(REGRESSOR, params, TrainingData(X, Y, w))
    assert value == pytest.approx(REGRESSOR.loss_value(trace, Y, w), rel=1e-13)
    expected = REGRESSOR.backward(params, trace, Y, w).parameters
    np.testing.assert_allclose(gradient.flat, expected.flat, rtol=1e-10, atol=1e-14)


def test_gradient_of_the_penalized_objective_is_its_derivative():
    data = TrainingData(X, REAL, WEIGHT, weight_scale=3.0)
    params = REGRESSOR.initialize(FAN_IN, seed=0)
    _, gradient = loss_and_gradient(REGRESSOR, params, data, l2_penalty=2.0)
    h = 1e-5
    for j in range(params.flat.size):
        at = []
        for sign in (1, -1):
            moved = params.copy()
            moved.flat[j] += sign * h
            at.append(loss_and_gradient(REGRESSOR, moved, data, l2_penalty=2.0)[0])
        assert (at[0] - at[1]) / (2 * h) == pytest.approx(gradient.flat[j], rel=1e-7, abs=1e-9)


# What stops training


def failing(data, plan, chain=REGRESSOR):
    params = chain.initialize(data.X.shape[1], seed=1)
    trainer = ReferenceTrainer(chain, params, data, plan)
    kept = [params.flat.copy()]

    def run_epochs():
        for _ in range(200):
            trainer.run_epoch()
            kept.append(params.flat.copy())

    with pytest.raises(NonFiniteError, match="Solver produced non-finite parameter wei") as info:
        run_epochs()
    np.testing.assert_array_equal(params.flat, kept[-1])
    assert np.isfinite(params.flat).all()
    assert info.value.epoch == trainer.state.epoch == len(kept) - 1
    assert trainer.step == 5 * trainer.state.epoch
    return info.value


def test_nan_in_x_is_named_with_its_step():
    table = X.copy()
    table[12, 1] = np.nan
    error = failing(TrainingData(table, REAL), TrainingPlan(SGD(0.1), 5, shuffle=False))
    assert (error.epoch, error.step, error.layer) == (0, 3, None)
    assert "X contains NaN" in error.cause
    assert "epoch 0, at step 3" in str(error)


def test_nan_in_targets_is_named():
    targets = REAL.copy()
    targets[0, 0] = np.inf
    error = failing(TrainingData(X, targets), TrainingPlan(SGD(0.1), 5))
    assert "targets contain NaN, infinity" in error.cause


def test_a_learning_rate_too_high_keeps_the_last_good_weights():
    chain = Chain([Linear(6), Activation("relu"), Linear(2)], "half_squared_error")
    error = failing(TrainingData(X, REAL), TrainingPlan(SGD(1e3), 5), chain)
    assert error.step > 1
    assert "Lower the learning rate" in error.cause


def test_huge_values_are_named_as_the_cause():
    data = TrainingData(X * 1e200, REAL)
    chain = Chain([Linear(6), Activation("relu"), Linear(2)], "half_squared_error")
    error = failing(data, TrainingPlan(SGD(0.1), 5), chain)
    assert "Standardize the columns of X" in error.cause


def test_a_last_update_that_overflows_is_caught_at_the_end_of_the_epoch():
    chain = Chain([Linear(1)], "half_squared_error")
    params = chain.initialize(1, seed=0)
    data = TrainingData(np.array([[1e150]]), np.array([[0.0]]))
    trainer = ReferenceTrainer(chain, params, data, TrainingPlan(SGD(1e10), 1))
    with pytest.raises(NonFiniteError, match="layer 0") as info:
        trainer.run_epoch()
    assert info.value.layer == 0
    assert np.isfinite(params.flat).all()


def test_the_error_crosses_between_processes():
    error = NonFiniteError(2, 30, 4, "the weather.")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.epoch, copy.step, copy.layer, copy.cause) == (2, 30, 4, "the weather.")
    assert str(copy) == str(error)
    assert "epoch 2, at step 30, in layer 4. Likely cause: the weather." in str(error)


def test_parameters_of_another_width_are_refused():
    params = CLASSIFIER.initialize(FAN_IN + 1, seed=0)
    with pytest.raises(ValueError, match=r"X of shape \(23, 4\) does not fit"):
        ReferenceTrainer(CLASSIFIER, params, TrainingData(X, LABELS), TrainingPlan(SGD(), 5))
    with pytest.raises(ValueError, match=r"X of shape \(23, 4\) does not fit"):
        predict_scores(CLASSIFIER, params, X)
