import math

import numpy as np
import pytest

from pellucid.nn import ACTIVATIONS, Activation
from pellucid.nn.activations import logistic, logistic_backward, relu_backward, tanh, tanh_backward

NAMES = list(ACTIVATIONS)

# The textbook forms, written without care for overflow, in plain Python.
TEXTBOOK = {
    "identity": lambda z: z,
    "step": lambda z: 1.0 if z > 0 else 0.0,
    "logistic": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "softplus": lambda z: math.log1p(math.exp(z)),
    "gelu": lambda z: z * 0.5 * math.erfc(-z / math.sqrt(2)),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
}


def derivative(layer, z):
    return layer.backward({}, np.ones_like(z), z, layer.forward({}, z))[0]


@pytest.mark.parametrize("name", NAMES)
def test_m14_values_are_those_of_the_textbook(name):
    z = np.linspace(-8.0, 8.0, 161)
    expected = [TEXTBOOK[name](value) for value in z.tolist()]
    np.testing.assert_allclose(Activation(name).forward({}, z), expected, rtol=1e-14, atol=1e-18)


@pytest.mark.parametrize("name", NAMES)
def test_m14_derivatives_are_central_differences(name):
    z, h = np.linspace(-6.05, 6.05, 122), 1e-5  # an even number of points: none at the kink
    layer = Activation(name)
    estimate = (layer.forward({}, z + h) - layer.forward({}, z - h)) / (2 * h)
    np.testing.assert_allclose(derivative(layer, z), estimate, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("blend", [1.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_m14_finite_for_scores_up_to_1e4(name, blend, dtype):
    sizes = np.concatenate([[0.0], np.geomspace(1e-30, 1e4, 200)])
    z = np.concatenate([-sizes, sizes]).astype(dtype)
    layer = Activation(name, blend=blend)
    a, dz = layer.forward({}, z), derivative(layer, z)
    assert a.dtype == dz.dtype == dtype
    assert np.isfinite(a).all()
    assert np.isfinite(dz).all()


def test_m14_logistic_and_tanh_derivatives_from_their_values():
    z = np.linspace(-5.0, 5.0, 21)
    ones = np.ones_like(z)
    s, t = logistic(z), tanh(z)
    np.testing.assert_array_equal(logistic_backward(ones, z, s), s * (1 - s))
    np.testing.assert_array_equal(tanh_backward(ones, z, t), 1 - t * t)


@pytest.mark.parametrize(
    ("name", "at_zero"),
    [
        ("relu", 0.0),
        ("step", 0.0),
        ("leaky_relu", 0.01),
        ("elu", 1.0),
        ("selu", 1.7580993408473766),
    ],
)
def test_m14_derivatives_at_the_kink_are_the_documented_ones(name, at_zero):
    zeros = np.array([0.0, -0.0])
    np.testing.assert_allclose(derivative(Activation(name), zeros), at_zero, rtol=1e-15)


def test_m14_relu_passes_the_gradient_where_it_is_active():
    z, da = np.array([-1.0, 0.0, 2.0]), np.array([3.0, 3.0, 3.0])
    assert relu_backward(da, z, np.maximum(z, 0)).tolist() == [0.0, 0.0, 3.0]


@pytest.mark.parametrize("name", NAMES)
def test_m14_blend_goes_from_the_identity_to_the_function(name):
    z = np.linspace(-3.05, 3.05, 62)
    phi, slope = Activation(name).forward({}, z), derivative(Activation(name), z)
    for blend in (0.0, 0.25, 1.0):
        layer = Activation(name, blend=blend)
        close = {"rtol": 1e-13, "atol": 1e-15}
        np.testing.assert_allclose(layer.forward({}, z), z + blend * (phi - z), **close)
        np.testing.assert_allclose(derivative(layer, z), 1 + blend * (slope - 1), **close)


def test_m14_parameters_are_the_slope_and_alpha():
    z = np.array([-1.0, 2.0])
    assert Activation("leaky_relu", 0.25).forward({}, z).tolist() == [-0.25, 2.0]
    assert derivative(Activation("leaky_relu", 0.25), z).tolist() == [0.25, 1.0]
    np.testing.assert_allclose(Activation("elu", 2.0).forward({}, z), [2 * math.expm1(-1), 2.0])


def test_nan_is_never_swallowed():
    z = np.array([math.nan])
    kept = [name for name in NAMES if np.isnan(Activation(name).forward({}, z)).all()]
    assert kept == [name for name in NAMES if name != "step"]


def test_errors_name_what_was_received():
    with pytest.raises(ValueError, match=r"one of identity.*got 'sigmoid'"):
        Activation("sigmoid")
    with pytest.raises(ValueError, match="'relu' has no parameter"):
        Activation("relu", 0.1)
    with pytest.raises(ValueError, match="parameter must be finite, got nan"):
        Activation("elu", math.nan)
    with pytest.raises(ValueError, match="blend must be finite, got inf"):
        Activation("elu", blend=math.inf)
