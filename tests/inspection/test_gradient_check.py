from dataclasses import dataclass

import numpy as np
import pytest

from pellucid.engine.plan import TrainingData
from pellucid.engine.reference import loss_and_gradient
from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import Activation, Chain, Layer, Linear, Parameters

rng = np.random.default_rng(0)
X = rng.normal(size=(5, 3))
Y = rng.normal(size=(5, 2))


@dataclass(frozen=True)
class WrongTanh(Layer):
    """tanh with a derivative that is 1 % too large."""

    def forward(self, parameters, z, context):
        return np.tanh(z)

    def backward(self, parameters, da, z, a, context):
        return 1.01 * da * (1 - a * a), {}


def test_m15_a_right_gradient_passes_per_layer_and_per_parameter():
    chain = Chain([Linear(4), Activation("tanh"), Linear(2)], "half_squared_error")
    check = check_gradient(chain, chain.initialize(3, seed=0), X, Y)
    assert check.passed
    assert check.relative_error < 1e-7
    assert [part.name for part in check.parameters] == ["0.W", "0.b", "2.W", "2.b"]
    assert [part.gradient.shape for part in check.parameters] == [(3, 4), (4,), (4, 2), (2,)]
    assert {layer: part.gradient.size for layer, part in check.layers.items()} == {0: 16, 2: 10}
    assert all(part.relative_error < 1e-7 for part in check.layers.values())


def test_m15_a_right_gradient_passes_at_large_weights_near_a_minimum():
    """A step in proportion to such weights would see more of the curvature than of the slope."""
    chain = Chain([Linear(1), Activation("tanh")], "half_squared_error")
    params = Parameters.zeros(chain.layout(1))
    params["0.W"][...], params["0.b"][...] = 30.0, -29.5
    check = check_gradient(chain, params, np.array([[1.0]]), np.array([[np.tanh(0.5) - 1e-5]]))
    assert check.passed


def test_m15_a_wrong_gradient_is_found_in_the_layers_below_it():
    chain = Chain([Linear(4), WrongTanh(), Linear(2)], "half_squared_error")
    check = check_gradient(chain, chain.initialize(3, seed=0), X, Y)
    assert not check.passed
    assert [part.name for part in check.parameters if not part.passed] == ["0.W", "0.b"]
    assert check.layers[0].relative_error == pytest.approx(0.005, rel=0.01)
    assert "0.W" in str(check)
    assert "WRONG" in str(check)


def test_m15_kinks_are_reported_not_hidden():
    chain = Chain([Linear(2), Activation("relu"), Linear(1)], "half_squared_error")
    params = Parameters.zeros(chain.layout(2))
    params["0.W"][...] = [[1.0, 1.0], [-1.0, 1.0]]
    params["2.W"][...] = [[1.0], [1.0]]
    # Unit 0 is at z = 1·1 - 1·1 = 0 exactly: its weights and bias move it across the kink.
    check = check_gradient(chain, params, np.array([[1.0, 1.0]]), np.array([[5.0]]))
    first = check.parameters[0]
    np.testing.assert_array_equal(first.kinks, [[True, False], [True, False]])
    assert check.n_kinks == 3
    assert check.passed
    assert first.relative_error < 1e-7
    assert first.relative_error_with_kinks > 0.1
    # A central difference averages the slopes of the two sides, 0 and (2 - 5)·1.
    np.testing.assert_allclose(first.estimate[first.kinks], -1.5, rtol=1e-5)
    assert (first.gradient[first.kinks] == 0).all()
    assert "2 of 4 at a kink" in str(check)


def test_m15_a_residual_of_zero_is_a_kink_of_the_absolute_error():
    chain = Chain([Linear(1, weights="zeros")], "absolute_error")
    params = chain.initialize(2, seed=0)
    check = check_gradient(chain, params, np.array([[1.0, 0.0]]), np.array([[0.0]]))
    assert check.parameters[0].kinks.ravel().tolist() == [True, False]
    assert check.parameters[1].kinks.tolist() == [True]


def test_m15_a_dead_unit_that_does_not_move_is_no_kink():
    chain = Chain([Linear(1), Activation("relu"), Linear(1)], "half_squared_error")
    params = Parameters.zeros(chain.layout(1))
    params["0.b"][...] = -1.0
    check = check_gradient(chain, params, np.array([[2.0]]), np.array([[1.0]]))
    assert check.n_kinks == 0
    assert check.passed
    assert check.parameters[0].relative_error == 0.0


def test_m15_float32_parameters_are_checked_in_float64():
    chain = Chain([Linear(4), Activation("silu"), Linear(2)], "softmax_cross_entropy")
    params = chain.initialize(3, seed=0, dtype=np.float32)
    check = check_gradient(chain, params, X.astype(np.float32), np.array([0, 1, 1, 0, 1]))
    assert check.relative_error < 1e-7
    assert params.flat.dtype == np.float32


def test_m15_large_parameters_get_larger_steps():
    chain = Chain([Linear(2, biases=1.0)], "half_squared_error")
    params = chain.initialize(3, seed=0)
    params.flat *= 1e8
    check = check_gradient(chain, params, X, Y)
    assert check.relative_error < 1e-7


def test_the_report_reads_as_text():
    chain = Chain([Linear(2)], "half_squared_error")
    lines = str(check_gradient(chain, chain.initialize(3, seed=0), X, Y)).splitlines()
    assert [line.split()[0] for line in lines] == ["0.W", "0.b", "all"]
    assert all("relative error" in line and "ok" in line for line in lines)


def test_m15_the_gradient_of_an_engine_can_be_given():
    chain = Chain([Linear(4), Activation("tanh"), Linear(2)], "half_squared_error")
    params = chain.initialize(3, seed=0)
    _, gradient = loss_and_gradient(chain, params, TrainingData(X, Y))
    assert check_gradient(chain, params, X, Y, gradient=gradient).relative_error < 1e-7
    gradient["2.b"][...] += 0.01
    check = check_gradient(chain, params, X, Y, gradient=gradient)
    assert [part.name for part in check.parameters if not part.passed] == ["2.b"]


def test_a_gradient_of_another_network_is_refused():
    chain = Chain([Linear(2)], "half_squared_error")
    other = Parameters.zeros(Chain([Linear(2), Linear(2)], "half_squared_error").layout(3))
    with pytest.raises(ValueError, match="gradient must be laid out as"):
        check_gradient(chain, chain.initialize(3, seed=0), X, Y, gradient=other)
