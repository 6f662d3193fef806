import numpy as np
import pytest

from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import ACTIVATIONS, Activation, Chain, Linear, ParametricActivation

Z = np.random.default_rng(0).normal(size=(5, 3))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_m14_alpha_goes_from_the_identity_to_the_function_unit_by_unit(name):
    alpha = np.array([0.0, 0.3, 1.0])
    a = ParametricActivation(name).forward({"alpha": alpha}, Z)
    for j, share in enumerate(alpha.tolist()):
        fixed = Activation(name, blend=share).forward({}, Z)
        np.testing.assert_allclose(a[:, j], fixed[:, j], rtol=1e-13)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_m15_gradient_by_alpha_for_every_activation(name):
    chain = Chain([Linear(3, biases=0.1), ParametricActivation(name)], "squared_error")
    params = chain.initialize(3, seed=0)
    assert params["1.alpha"].tolist() == [1.0, 1.0, 1.0]
    params["1.alpha"][...] = [0.2, 0.7, 1.3]
    check = check_gradient(chain, params, Z, np.ones((5, 3)), tolerance=1e-6)
    assert check.passed, check
    assert check.relative_error < 1e-7


def test_m15_kinks_of_a_parametric_activation_are_reported():
    chain = Chain([Linear(1), ParametricActivation("relu")], "squared_error")
    params = chain.initialize(1, seed=0)
    check = check_gradient(chain, params, np.array([[1.0], [0.0]]), np.ones((2, 1)))
    assert check.n_kinks == 1  # the bias: the second row's z is exactly 0


def test_errors_are_those_of_the_activation():
    with pytest.raises(ValueError, match=r"function must be one of .*; got 'sine'"):
        ParametricActivation("sine")
