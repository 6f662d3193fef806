import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import ACTIVATIONS, LOSSES, SGD, Activation, Chain, Linear, Loss, Parameters


def classifier(*widths):
    layers = []
    for width in widths[1:]:
        layers += [Linear(width), Activation("relu")]
    return Chain(layers[:-1], "softmax_cross_entropy")


def targets_for(loss, m, n_outputs, rng):
    if loss == "poisson":
        return rng.poisson(2.0, size=(m, n_outputs)).astype(float)
    if loss == "softmax_cross_entropy":
        return rng.dirichlet(np.ones(n_outputs), size=m)
    if loss == "logistic_cross_entropy":
        return rng.uniform(size=(m, n_outputs))
    return rng.normal(size=(m, n_outputs))


# M06: forward and its bookkeeping


@pytest.mark.parametrize(
    ("m", "widths", "expected"),
    [
        (32, (100, 50, 10), "(32, 100) → (32, 50) → (32, 10)"),
        (4, (3, 5, 2), "(4, 3) → (4, 5) → (4, 2)"),
    ],
)
def test_m06_shapes_are_part_of_the_trace(m, widths, expected):
    chain = classifier(*widths)
    trace = chain.forward(chain.initialize(widths[0], seed=0), np.ones((m, widths[0])))
    assert str(trace) == expected
    assert trace.shapes == tuple((m, width) for width in widths)


def test_m06_every_z_and_a_is_what_the_equations_say():
    rng = np.random.default_rng(0)
    chain, X = classifier(4, 6, 5, 3), rng.normal(size=(7, 4))
    params = chain.initialize(4, seed=1)
    trace = chain.forward(params, X)
    A = X
    np.testing.assert_array_equal(trace.a[0], X)
    for place, (Z, a) in enumerate(zip(trace.z, trace.a[1:], strict=True)):
        np.testing.assert_array_equal(Z, A @ params[f"{2 * place}.W"] + params[f"{2 * place}.b"])
        A = np.maximum(Z, 0) if place < 2 else Z
        np.testing.assert_array_equal(a, A)
    np.testing.assert_array_equal(trace.scores, A)


# M07: backward


def test_m07_every_delta_is_what_the_equations_say():
    rng = np.random.default_rng(0)
    chain, X, labels = classifier(4, 6, 3), rng.normal(size=(7, 4)), rng.integers(3, size=7)
    params = chain.initialize(4, seed=1)
    trace = chain.forward(params, X)
    gradients = chain.backward(params, trace, labels)
    dZ2 = chain.loss.gradient(trace.scores, labels) / 7
    dA1 = dZ2 @ params["2.W"].T
    dZ1 = dA1 * (trace.z[0] > 0)
    close = {"rtol": 1e-14, "atol": 1e-16}
    np.testing.assert_allclose(gradients.dz[1], dZ2, **close)
    np.testing.assert_allclose(gradients.da[1], dA1, **close)
    np.testing.assert_allclose(gradients.dz[0], dZ1, **close)
    np.testing.assert_allclose(gradients.da[0], dZ1 @ params["0.W"].T, **close)
    np.testing.assert_allclose(gradients.parameters["2.W"], trace.a[1].T @ dZ2, **close)
    np.testing.assert_allclose(gradients.parameters["2.b"], dZ2.sum(axis=0), **close)
    np.testing.assert_allclose(gradients.parameters["0.W"], X.T @ dZ1, **close)
    np.testing.assert_allclose(gradients.parameters["0.b"], dZ1.sum(axis=0), **close)


@settings(max_examples=25)
@given(
    m=st.integers(1, 5),
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    seed=st.integers(0, 99),
)
def test_m07_each_gradient_has_the_shape_of_its_quantity(m, widths, seed):
    chain = classifier(*widths)
    params = chain.initialize(widths[0], seed=seed)
    trace = chain.forward(params, np.ones((m, widths[0])))
    gradients = chain.backward(params, trace, np.zeros(m, dtype=int))
    assert [d.shape for d in gradients.deltas] == [v.shape for v in trace.values]
    assert gradients.parameters.layout == params.layout
    assert chain.fan_out(widths[0]) == widths[-1] == trace.scores.shape[1]


def test_m07_input_gradient_is_the_derivative_of_the_loss_by_the_input():
    rng = np.random.default_rng(0)
    chain = Chain([Linear(4), Activation("tanh"), Linear(2)], "half_squared_error")
    params, X, Y = chain.initialize(3, seed=0), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    dX = chain.backward(params, chain.forward(params, X), Y).da[0]
    h = 1e-6
    for i, j in np.ndindex(X.shape):
        E = np.zeros_like(X)
        E[i, j] = h
        above, below = (chain.loss_value(chain.forward(params, X + s * E), Y) for s in (1, -1))
        assert (above - below) / (2 * h) == pytest.approx(dX[i, j], rel=1e-6, abs=1e-9)


# M12 and M13: the worked examples


def test_m12_worked_example_to_the_last_digit():
    chain = Chain([Linear(2), Activation("relu"), Linear(1)], "half_squared_error")
    params = Parameters.zeros(chain.layout(2))
    params["0.W"][...] = [[0.1, 0.3], [0.2, 0.4]]
    params["2.W"][...] = [[0.5], [0.6]]
    y = np.array([[1.0]])
    trace = chain.forward(params, np.array([[1.0, 2.0]]))
    gradients = chain.backward(params, trace, y)
    g = gradients.parameters

    def exactly(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-16)

    exactly(trace.z[0], [[0.5, 1.1]])
    exactly(trace.scores, [[0.91]])
    exactly(chain.loss_value(trace, y), 0.00405)
    exactly(gradients.dz[1], [[-0.09]])
    exactly(g["2.W"], [[-0.045], [-0.099]])
    exactly(g["2.b"], [-0.09])
    exactly(gradients.dz[0], [[-0.045, -0.054]])
    exactly(g["0.W"], [[-0.045, -0.054], [-0.090, -0.108]])
    exactly(g["0.b"], [-0.045, -0.054])


def test_m13_regression_example_to_the_last_digit():
    X = np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 1.0], [4.0, 5.0]])
    Y = np.array([[6.0], [10.0], [8.0], [18.0]])
    chain = Chain([Linear(1, weights="zeros")], "squared_error")
    params = chain.initialize(2, seed=0)
    x, y = X[1:2], Y[1:2]
    trace = chain.forward(params, x)
    gradient = chain.backward(params, trace, y).parameters
    assert trace.scores.tolist() == [[0.0]]
    assert chain.loss_value(trace, y) == 100.0
    assert gradient["0.W"].ravel().tolist() == [-40.0, -60.0]
    assert gradient["0.b"].tolist() == [-20.0]
    optimizer = SGD(0.01)
    flat, _ = optimizer.update(gradient.flat, optimizer.init(params.flat), params.flat, 1)
    assert flat.tolist() == [0.4, 0.6, 0.2]
    after = chain.forward(Parameters(flat, params.layout), x)
    np.testing.assert_allclose(after.scores, [[2.8]], rtol=0, atol=5e-16)
    assert chain.loss_value(after, y) == pytest.approx(51.84, rel=5e-16)


def test_m13_two_points_an_hour_fit_the_table_exactly():
    X = np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 1.0], [4.0, 5.0]])
    Y = np.array([[6.0], [10.0], [8.0], [18.0]])
    chain = Chain([Linear(1)], "squared_error")
    params = Parameters(np.array([2.0, 2.0, 0.0]), chain.layout(2))
    trace = chain.forward(params, X)
    assert chain.loss_value(trace, Y) == 0.0
    assert not chain.backward(params, trace, Y).parameters.flat.any()


# M15: every activation with every loss


@pytest.mark.parametrize("m", [1, 3, 8])
@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_m15_gradient_of_every_activation_with_every_loss(activation, loss, m):
    rng = np.random.default_rng([m, 7])
    chain = Chain([Linear(4, biases=0.1), Activation(activation), Linear(2)], loss)
    params = chain.initialize(3, seed=m)
    check = check_gradient(
        chain, params, rng.normal(size=(m, 3)), targets_for(loss, m, 2, rng), tolerance=1e-6
    )
    assert check.n_kinks == 0
    assert check.relative_error < 1e-7
    assert all(part.relative_error < 1e-6 or part.passed for part in check.parameters), check


@pytest.mark.parametrize(
    "layer",
    [
        Activation("leaky_relu", 0.3),
        Activation("elu", 2.0),
        *(Activation(name, blend=0.3) for name in ACTIVATIONS),
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", [Loss("huber", 0.3), Loss("quantile", 0.9)], ids=str)
def test_m15_gradient_with_parameters_and_blends(layer, loss):
    rng = np.random.default_rng(1)
    chain = Chain([Linear(4, biases=0.1), layer, Linear(2)], loss)
    params = chain.initialize(3, seed=1)
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    check = check_gradient(chain, params, X, Y, tolerance=1e-6)
    assert check.n_kinks == 0
    assert check.passed, check
    assert check.relative_error < 1e-7


@pytest.mark.parametrize("m", [1, 3, 8])
def test_m15_gradient_with_labels_weights_and_depth(m):
    rng = np.random.default_rng(m)
    layers = [Linear(5), Activation("tanh"), Linear(4, bias=False), Activation("silu"), Linear(3)]
    chain = Chain(layers, "softmax_cross_entropy")
    params = chain.initialize(3, seed=m)
    check = check_gradient(
        chain,
        params,
        rng.normal(size=(m, 3)),
        rng.integers(3, size=m),
        sample_weight=rng.uniform(0.5, 1.5, size=m),
    )
    assert check.relative_error < 1e-7
    assert check.passed


def test_weights_weigh_rows_as_repetition_does():
    rng = np.random.default_rng(0)
    chain, X, labels = classifier(3, 4, 2), rng.normal(size=(3, 3)), np.array([0, 1, 1])
    params = chain.initialize(3, seed=0)
    rows = np.array([0, 0, 1, 2, 2, 2])
    repeated = chain.forward(params, X[rows])
    weighted = chain.forward(params, X)
    w = np.array([2.0, 1.0, 3.0]) / 2.0
    assert chain.loss_value(weighted, labels, w) == pytest.approx(
        chain.loss_value(repeated, labels[rows]), rel=1e-14
    )
    np.testing.assert_allclose(
        chain.backward(params, weighted, labels, w).parameters.flat,
        chain.backward(params, repeated, labels[rows]).parameters.flat,
        rtol=1e-12,
        atol=1e-15,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_has_the_precision_of_the_parameters(dtype):
    chain = classifier(3, 4, 2)
    params = chain.initialize(3, seed=0, dtype=dtype)
    trace = chain.forward(params, np.arange(6).reshape(2, 3))
    gradients = chain.backward(params, trace, np.array([0, 1]), np.ones(2))
    assert {v.dtype for v in (*trace.values, *gradients.deltas)} == {np.dtype(dtype)}
    assert gradients.parameters.flat.dtype == dtype


def test_nothing_is_written_in_place():
    chain, X, labels = classifier(3, 4, 2), np.ones((2, 3)), np.array([0, 1])
    params = chain.initialize(3, seed=0)
    before = params.flat.copy()
    trace = chain.forward(params, X)
    values = [v.copy() for v in trace.values]
    chain.backward(params, trace, labels)
    np.testing.assert_array_equal(params.flat, before)
    for value, copy in zip(trace.values, values, strict=True):
        np.testing.assert_array_equal(value, copy)


def test_networks_are_values():
    assert classifier(3, 4, 2) == classifier(3, 4, 2)
    assert hash(classifier(3, 4, 2)) == hash(classifier(3, 4, 2))
    assert classifier(3, 4, 2) != classifier(3, 5, 2)
    with pytest.raises(AttributeError):
        classifier(3, 4, 2).loss = "huber"


def test_x_must_be_two_dimensional():
    chain = classifier(3, 2)
    with pytest.raises(ValueError, match=r"shape \(m, fan_in\), got \(3,\)"):
        chain.forward(chain.initialize(3, seed=0), np.ones(3))
