import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.nn import Linear
from pellucid.nn.linear import affine, affine_backward, affine_columns, affine_columns_backward

sizes = st.integers(1, 6)


@given(m=sizes, fan_in=sizes, fan_out=sizes, seed=st.integers(0, 1000))
def test_m07_column_convention_is_the_same_numbers_transposed(m, fan_in, fan_out, seed):
    rng = np.random.default_rng(seed)
    A, W = rng.normal(size=(m, fan_in)), rng.normal(size=(fan_in, fan_out))
    b, dZ = rng.normal(size=fan_out), rng.normal(size=(m, fan_out))
    dA, dW, db = affine_backward(dZ, A, W)
    dA_columns, dW_columns, db_columns = affine_columns_backward(dZ.T, A.T, W.T)
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(affine_columns(A.T, W.T, b[:, None]), affine(A, W, b).T, **close)
    np.testing.assert_allclose(dA_columns, dA.T, **close)
    np.testing.assert_allclose(dW_columns, dW.T, **close)
    np.testing.assert_allclose(db_columns[:, 0], db, **close)


def test_m07_each_gradient_has_the_shape_of_its_quantity():
    A, W, dZ = np.ones((5, 3)), np.ones((3, 2)), np.ones((5, 2))
    dA, dW, db = affine_backward(dZ, A, W)
    assert (dA.shape, dW.shape, db.shape) == ((5, 3), (3, 2), (2,))


def test_layer_without_bias_has_no_b():
    layer = Linear(2, bias=False)
    assert layer.parameter_shapes(3) == {"W": ((3, 2), "weight")}
    W, A = np.ones((3, 2)), np.ones((4, 3))
    dA, gradients = layer.backward({"W": W}, np.ones((4, 2)), A, layer.forward({"W": W}, A))
    assert dA.shape == (4, 3)
    assert set(gradients) == {"W"}


@pytest.mark.parametrize("fan_out", [0, -1, 2.5, True, "3"])
def test_fan_out_must_be_a_positive_integer(fan_out):
    with pytest.raises(ValueError, match=f"fan_out must be a positive integer, got {fan_out!r}"):
        Linear(fan_out)


def test_unknown_initializers_are_refused():
    with pytest.raises(ValueError, match=r"one of zeros.*got 'xavier'"):
        Linear(3, weights="xavier")
    with pytest.raises(ValueError, match="or a number, got 'ones'"):
        Linear(3, biases="ones")
    with pytest.raises(ValueError, match="biases must be finite, got inf"):
        Linear(3, biases=float("inf"))
