"""Rounding to bfloat16, and the affine map on rounded operands."""

import numpy as np
import pytest

from pellucid.nn.bfloat16 import UNIT_ROUNDOFF, round_to_bfloat16
from pellucid.nn.context import Context
from pellucid.nn.linear import Linear, affine_bfloat16, affine_bfloat16_backward


def floats(bits):
    return np.asarray(bits, dtype=np.uint32).view(np.float32)


def test_every_bfloat16_stays_what_it_is():
    every = floats(np.arange(2**16, dtype=np.uint32) << 16)
    exponent = (every.view(np.uint32) >> 23) & 0xFF
    normal = every[(exponent > 0) & (exponent < 255)]
    np.testing.assert_array_equal(round_to_bfloat16(normal), normal)


def test_the_nearest_is_taken():
    x = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    rounded = round_to_bfloat16(x)
    assert np.all(rounded.view(np.uint32) & 0xFFFF == 0)
    below = floats(x.view(np.uint32) & 0xFFFF0000).astype(np.float64)  # towards zero
    above = floats((x.view(np.uint32) & 0xFFFF0000) + 0x10000).astype(np.float64)
    nearest = np.minimum(np.abs(x - below), np.abs(x - above))
    np.testing.assert_array_equal(np.abs(x - rounded.astype(np.float64)), nearest)
    assert np.max(np.abs(x - rounded.astype(np.float64)) / np.abs(x)) <= UNIT_ROUNDOFF


@pytest.mark.parametrize("sign", [0, 0x80000000])
@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (0x3F808000, 0x3F800000),  # a tie goes to the even neighbour, here down
        (0x3F818000, 0x3F820000),  # and here up
        (0x3F808001, 0x3F810000),  # just above a tie
        (0x3F817FFF, 0x3F810000),  # just below one
        (0x3FFFFFFF, 0x40000000),  # into the next power of two
        (0x00800000, 0x00800000),  # the smallest of normal size
        (0x007FFFFF, 0x00000000),  # the largest below it
        (0x00000001, 0x00000000),
        (0x00000000, 0x00000000),
        (0x7F7F7FFF, 0x7F7F0000),  # the last that rounds to the largest
        (0x7F7F8000, 0x7F800000),  # the first that rounds to infinity
        (0x7F800000, 0x7F800000),
    ],
)
def test_edges(bits, expected, sign):
    rounded = round_to_bfloat16(floats([bits | sign]))
    assert rounded.view(np.uint32)[0] == expected | sign


@pytest.mark.parametrize("bits", [0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0xFF80FFFF, 0xFFFFFFFF])
def test_nan_stays_nan(bits):
    assert np.isnan(round_to_bfloat16(floats([bits])))[0]


def test_other_precisions_are_refused():
    with pytest.raises(TypeError, match="x must be float32, got float64"):
        round_to_bfloat16(np.ones(3))


def test_any_shape_and_strides():
    x = np.linspace(-3, 3, 24, dtype=np.float32).reshape(4, 6)
    expected = round_to_bfloat16(x.ravel()).reshape(4, 6)
    np.testing.assert_array_equal(round_to_bfloat16(x.T[::2]), expected.T[::2])


def test_products_take_rounded_operands_and_biases_stay():
    rng = np.random.default_rng(1)
    A, W, dZ = (rng.standard_normal(s).astype(np.float32) for s in [(7, 5), (5, 3), (7, 3)])
    b = rng.standard_normal(3).astype(np.float32)
    rounded_A, rounded_W, rounded_dZ = map(round_to_bfloat16, (A, W, dZ))
    np.testing.assert_array_equal(affine_bfloat16(A, W, b), rounded_A @ rounded_W + b)
    dA, dW, db = affine_bfloat16_backward(dZ, A, W)
    np.testing.assert_array_equal(dA, rounded_dZ @ rounded_W.T)
    np.testing.assert_array_equal(dW, rounded_A.T @ rounded_dZ)
    np.testing.assert_array_equal(db, dZ.sum(axis=0))


def test_a_layer_rounds_where_the_context_says_so():
    rng = np.random.default_rng(2)
    A, W, dZ = (rng.standard_normal(s).astype(np.float32) for s in [(7, 5), (5, 3), (7, 3)])
    layer, parameters = Linear(3, bias=False), {"W": W}
    context = Context(training=True, bfloat16=True)
    Z = layer.forward(parameters, A, context)
    np.testing.assert_array_equal(Z, affine_bfloat16(A, W, None))
    assert not np.array_equal(Z, layer.forward(parameters, A))
    dA, gradients = layer.backward(parameters, dZ, A, Z, context)
    expected_dA, expected_dW, _ = affine_bfloat16_backward(dZ, A, W)
    np.testing.assert_array_equal(dA, expected_dA)
    np.testing.assert_array_equal(gradients["W"], expected_dW)
