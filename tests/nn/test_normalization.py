import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.nn import Context, Dropout, LayerNorm, RMSNorm
from pellucid.nn.dropout import dropout_mask
from pellucid.nn.normalization import rms_norm, rms_norm_backward

GIVEN = {"seed": st.integers(0, 10**6), "d": st.integers(1, 40), "size": st.floats(1e-3, 1e3)}


def rows(seed, d, size, m=3):
    return size * np.random.default_rng(seed).normal(size=(m, d))


def norm(h):
    return rms_norm(h, None, 0.0)


@given(**GIVEN)
def test_m24_the_output_has_the_norm_root_d(seed, d, size):
    y = norm(rows(seed, d, size))
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), math.sqrt(d), rtol=1e-12)


@given(**GIVEN)
def test_m24_inner_products_are_d_times_the_cosine(seed, d, size):
    h = rows(seed, d, size)
    lengths = np.linalg.norm(h, axis=1)
    cosine = h @ h.T / np.outer(lengths, lengths)
    np.testing.assert_allclose(norm(h) @ norm(h).T, d * cosine, rtol=1e-10, atol=1e-10)


@given(**GIVEN, alpha=st.floats(1e-3, 1e3))
def test_m24_the_scale_of_a_row_does_not_matter(seed, d, size, alpha):
    h = rows(seed, d, size)
    np.testing.assert_allclose(norm(alpha * h), norm(h), rtol=1e-12)
    np.testing.assert_allclose(norm(-alpha * h), -norm(h), rtol=1e-12)


@given(seed=st.integers(0, 10**6), d=st.integers(2, 40))
def test_m24_after_a_mask_the_norm_is_still_root_d(seed, d):
    mask = dropout_mask(3, d, 20000, Context(training=True, seed=seed))
    kept = mask.any(axis=1)
    y = norm(rows(seed, d, 1.0)[kept] * mask[kept])
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), math.sqrt(d), rtol=1e-12)


def test_m24_a_mask_after_the_norm_keeps_its_mean_times_one_minus_p():
    n, d, layer = 20_000, 16, Dropout(0.25, "prediction")
    y = norm(rows(0, d, 1.0, m=1))
    dropped = layer.forward({}, np.repeat(y, n, axis=0), Context(training=True, seed=1))
    error = np.abs(dropped.mean(axis=0) - 0.75 * y[0])
    assert (error < 5 * np.abs(y[0]) * math.sqrt(0.25 * 0.75 / n)).all()


@given(**GIVEN)
def test_m24_the_jacobian_is_bounded(seed, d, size):
    h = rows(seed, d, size, m=1)
    jacobian = rms_norm_backward(np.eye(d), np.repeat(h, d, axis=0), None, 0.0)[0]
    bound = math.sqrt(d) / float(np.linalg.norm(h))
    assert np.linalg.norm(jacobian, 2) <= bound * (1 + 1e-12)
    # What points along h is removed: the output does not change when the row is scaled.
    np.testing.assert_allclose(jacobian @ h[0], 0, atol=1e-9 * bound * np.linalg.norm(h))


def test_m24_epsilon_bounds_the_jacobian_at_zero():
    jacobian = rms_norm_backward(np.eye(4), np.zeros((4, 4)), None, 1e-6)[0]
    np.testing.assert_allclose(jacobian, 1e3 * np.eye(4), rtol=1e-12)
    assert not RMSNorm(scale=False).forward({}, np.zeros((2, 3))).any()


def test_m24_gamma_scales_the_columns():
    h, gamma = rows(0, 5, 1.0), np.arange(5.0)
    np.testing.assert_allclose(
        RMSNorm(0.0).forward({"gamma": gamma}, h), norm(h) * gamma, rtol=1e-15
    )


@given(**GIVEN)
def test_m25_layer_norm_standardizes_rows_and_ignores_shift_and_scale(seed, d, size):
    h = rows(seed, d + 1, size)
    ones, zeros = np.ones(d + 1), np.zeros(d + 1)
    layer = LayerNorm(epsilon=0.0)
    y = layer.forward({"gamma": ones, "beta": zeros}, h)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-11)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-9)
    moved = layer.forward({"gamma": ones, "beta": zeros}, 3 * h + 2 * size)
    np.testing.assert_allclose(moved, y, rtol=1e-7, atol=1e-7)


def test_m25_layer_norm_keeps_a_constant_row_at_its_bias():
    h, beta = np.full((2, 3), 7.0), np.array([1.0, 2.0, 3.0])
    y = LayerNorm().forward({"gamma": np.ones(3), "beta": beta}, h)
    np.testing.assert_array_equal(y, [beta, beta])


def test_what_they_learn_starts_at_one_and_zero_and_does_not_decay():
    from pellucid.nn import Chain, Linear

    chain = Chain([LayerNorm(), RMSNorm(), Linear(1)], "half_squared_error")
    params = chain.initialize(3, seed=0)
    assert params.names()[:3] == ("0.gamma", "0.beta", "1.gamma")
    assert params["0.gamma"].tolist() == params["1.gamma"].tolist() == [1.0] * 3
    assert not params["0.beta"].any()
    assert params.layout.weight_mask().tolist() == [False] * 9 + [True] * 3 + [False]
    assert RMSNorm(scale=False).parameter_shapes(3) == {}
    assert list(LayerNorm(bias=False).parameter_shapes(3)) == ["gamma"]


@pytest.mark.parametrize("layer", [RMSNorm, LayerNorm])
def test_errors_name_what_was_received(layer):
    with pytest.raises(ValueError, match=r"epsilon must be a number of at least 0, got -1\.0"):
        layer(epsilon=-1.0)
