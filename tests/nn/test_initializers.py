import math

import numpy as np
import pytest

from pellucid.nn import INITIALIZERS, Activation, BatchNorm, Chain, Initializer, Linear, Residual
from pellucid.nn.initializers import constant, normal, uniform
from pellucid.nn.random import Purpose, Stream

FAN_IN, FAN_OUT = 300, 200
N = FAN_IN * FAN_OUT
STREAM = Stream(seed=5, purpose=Purpose.INITIALIZATION)

DEVIATIONS = {
    "standard_normal": 1.0,
    "small_normal": 0.01,
    "glorot_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "he_normal": math.sqrt(2 / FAN_IN),
    "lecun_normal": math.sqrt(1 / FAN_IN),
}
BOUNDS = {
    "unit_uniform": 1.0,
    "glorot_uniform": math.sqrt(6 / (FAN_IN + FAN_OUT)),
    "he_uniform": math.sqrt(6 / FAN_IN),
    "lecun_uniform": math.sqrt(3 / FAN_IN),
}


def draw(name):
    return INITIALIZERS[name].draw(STREAM, FAN_IN, FAN_OUT)


def test_m16_every_initializer_is_tested():
    assert set(INITIALIZERS) == {*DEVIATIONS, *BOUNDS, "zeros", "orthogonal"}


@pytest.mark.parametrize("name", list(DEVIATIONS))
def test_m16_normal_schemes_have_their_variance(name):
    W, deviation = draw(name), DEVIATIONS[name]
    # Five standard errors of the mean and of the variance of N normal numbers.
    assert abs(W.mean()) < 5 * deviation / math.sqrt(N)
    assert abs(W.var() / deviation**2 - 1) < 5 * math.sqrt(2 / N)
    assert np.abs(W).max() > 3 * deviation


@pytest.mark.parametrize("name", list(BOUNDS))
def test_m16_uniform_schemes_have_their_bound(name):
    W, bound = draw(name), BOUNDS[name]
    assert np.abs(W).max() <= bound
    # The largest of N falls short of the bound by a factor 1 - t with probability (1 - t)^N.
    assert np.abs(W).max() > bound * (1 - 20 / N)
    # The variance of u² for u in (-1, 1) is 4/45.
    assert abs((W**2).mean() / bound**2 - 1 / 3) < 5 * math.sqrt(4 / 45 / N)


def test_m16_zeros_and_constants():
    assert not draw("zeros").any()
    assert (constant(0.5).draw(STREAM, 2, 3) == 0.5).all()


def test_m16_custom_scales():
    np.testing.assert_allclose(
        normal(0.01).draw(STREAM, FAN_IN, FAN_OUT), draw("small_normal"), rtol=1e-15
    )
    np.testing.assert_allclose(
        uniform(1.0).draw(STREAM, FAN_IN, FAN_OUT), draw("unit_uniform"), rtol=1e-15
    )


@pytest.mark.parametrize(("fan_in", "fan_out"), [(7, 4), (4, 7), (5, 5), (1, 3)])
def test_m16_orthogonal_columns_or_rows(fan_in, fan_out):
    W = INITIALIZERS["orthogonal"].draw(STREAM, fan_in, fan_out)
    assert W.shape == (fan_in, fan_out)
    product = W.T @ W if fan_in >= fan_out else W @ W.T
    np.testing.assert_allclose(product, np.eye(min(fan_in, fan_out)), atol=1e-14)


@pytest.mark.parametrize("bias", [0.1, 0.0])
def test_m16_biases_are_zero_or_a_constant(bias):
    chain = Chain([Linear(4, biases=bias), Linear(2)], "half_squared_error")
    parameters = chain.initialize(3, seed=0)
    assert (parameters["0.b"] == bias).all()
    assert not parameters["1.b"].any()


def test_m16_same_seed_same_weights_in_either_precision():
    chain = Chain([Linear(4, weights="he_normal"), Linear(4)], "half_squared_error")
    first, second = chain.initialize(4, seed=3), chain.initialize(4, seed=3)
    np.testing.assert_array_equal(first.flat, second.flat)
    single = chain.initialize(4, seed=3, dtype=np.float32)
    np.testing.assert_array_equal(single.flat, first.flat.astype(np.float32))
    assert not np.array_equal(first.flat, chain.initialize(4, seed=4).flat)
    assert not np.array_equal(first["0.W"], first["1.W"])


def test_m16_an_initializer_of_your_own():
    identity = Initializer("identity", lambda stream, fan_in, fan_out: np.eye(fan_in, fan_out))
    chain = Chain([Linear(3, weights=identity)], "half_squared_error")
    np.testing.assert_array_equal(chain.initialize(2, seed=0)["0.W"], np.eye(2, 3))


# From data

ROWS = np.random.default_rng(0).normal(size=(500, 6)) * [1, 10, 0.1, 1, 1, 3] + 2.0
DEEP = Chain(
    [
        Linear(8, weights="standard_normal", parametrization="ntk"),
        Activation("relu"),
        Residual([Linear(8), BatchNorm(), Activation("selu")]),
        Linear(3, weights="he_normal"),
    ],
    "half_squared_error",
)


def test_m16_from_data_every_unit_has_deviation_one():
    params = DEEP.initialize_from_data(ROWS, seed=1)
    for Z in DEEP.forward(params, ROWS).z:
        np.testing.assert_allclose(Z.std(axis=0), 1.0, rtol=1e-12)


def test_m16_from_data_biases_put_the_kink_among_the_rows():
    params = DEEP.initialize_from_data(ROWS, seed=1)
    for Z in DEEP.forward(params, ROWS).z:
        assert (Z.min(axis=0) < 0).all()
        assert (Z.max(axis=0) > 0).all()
    # A mean of n = 5 rows with weights w has the variance E Σw², 2/(n + 1), of that of a row.
    chain = Chain([Linear(20_000)], "half_squared_error")
    Z = chain.forward(chain.initialize_from_data(ROWS, seed=2), ROWS).scores
    assert Z.mean(axis=0).var() == pytest.approx(2 / 6, rel=0.05)
    assert abs(Z.mean()) < 5 * math.sqrt(2 / 6 / 20_000)


def test_m16_from_data_the_scale_of_the_initializer_does_not_matter():
    one = Chain([Linear(4, weights="standard_normal")], "half_squared_error")
    other = Chain([Linear(4, weights="small_normal")], "half_squared_error")
    np.testing.assert_allclose(
        one.initialize_from_data(ROWS, seed=3).flat,
        other.initialize_from_data(ROWS, seed=3).flat,
        rtol=1e-12,
    )


def test_m16_from_data_same_seed_same_weights_and_both_precisions():
    double = DEEP.initialize_from_data(ROWS, seed=1)
    single = DEEP.initialize_from_data(ROWS, seed=1, dtype=np.float32)
    np.testing.assert_array_equal(single.flat, double.flat.astype(np.float32))
    assert not np.array_equal(double.flat, DEEP.initialize_from_data(ROWS, seed=2).flat)
    constant_rows = Chain([Linear(4)], "half_squared_error").initialize_from_data(
        np.ones((5, 2)), seed=0
    )
    assert np.isfinite(constant_rows.flat).all()
    with pytest.raises(ValueError, match=r"X must have shape .* with rows, got \(0, 6\)"):
        DEEP.initialize_from_data(ROWS[:0], seed=1)


def test_m16_the_ntk_parametrization_starts_as_lecun_does():
    ntk = Chain([Linear(5, weights="standard_normal", parametrization="ntk")], "half_squared_error")
    lecun = Chain([Linear(5, weights="lecun_normal")], "half_squared_error")
    X = ROWS[:4]
    scores = ntk.forward(ntk.initialize(6, seed=1), X).scores
    expected = lecun.forward(lecun.initialize(6, seed=1), X).scores
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    with pytest.raises(ValueError, match="one of standard, ntk; got 'mup'"):
        Linear(5, parametrization="mup")
