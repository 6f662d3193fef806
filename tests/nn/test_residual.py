import numpy as np
import pytest

from pellucid.nn import Activation, Add, Chain, Linear, Residual

BLOCK = Residual([Linear(4), Activation("tanh")])


def test_m25_a_residual_is_written_out_with_flat_names():
    chain = Chain([Linear(4), BLOCK, Linear(1)], "half_squared_error")
    assert chain.layers == (Linear(4), Linear(4), Activation("tanh"), Add(2), Linear(1))
    names = chain.initialize(3, seed=0).names()
    assert names == ("0.W", "0.b", "1.W", "1.b", "4.W", "4.b")


def test_m25_residuals_nest():
    outer = Residual([Linear(4), Residual([Activation("relu")]), Linear(4)])
    chain = Chain([outer], "half_squared_error")
    assert chain.layers == (Linear(4), Activation("relu"), Add(1), Linear(4), Add(4))


def test_m25_the_output_is_x_plus_what_the_layers_make_of_it():
    chain = Chain([BLOCK], "half_squared_error")
    params, X = chain.initialize(4, seed=0), np.random.default_rng(0).normal(size=(5, 4))
    trace = chain.forward(params, X)
    expected = X + np.tanh(X @ params["0.W"] + params["0.b"])
    np.testing.assert_array_equal(trace.scores, expected)
    assert len(trace.values) == 4


def test_m25_the_gradient_reaches_the_input_whole_when_the_layers_give_none():
    zero = Residual([Linear(4, weights="zeros"), Activation("step")])
    chain = Chain([zero], "half_squared_error")
    params, X = chain.initialize(4, seed=0), np.ones((2, 4))
    gradients = chain.backward(params, chain.forward(params, X), np.zeros((2, 4)))
    np.testing.assert_array_equal(gradients.deltas[0], gradients.deltas[-1])


def test_widths_that_differ_are_named():
    chain = Chain([Linear(8), Residual([Linear(5), Linear(6)])], "half_squared_error")
    with pytest.raises(ValueError, match=r"layer 3 adds a value of width 8 to one of width 6.*8"):
        chain.initialize(3, seed=0)
    with pytest.raises(ValueError, match=r"layer 1, Add\(back=2\), reaches back before the input"):
        Chain([Linear(3), Add(2)], "half_squared_error").layout(3)


def test_errors_name_what_was_received():
    with pytest.raises(ValueError, match="back must be a positive integer, got 0"):
        Add(0)
    with pytest.raises(ValueError, match="at least one layer, got none"):
        Residual([])
    with pytest.raises(ValueError, match="use it inside a Network"):
        Add(1).forward({}, np.ones((1, 1)))
