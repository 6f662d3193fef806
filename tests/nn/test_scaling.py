import numpy as np

from pellucid.nn import Chain, InputScale, Linear


def test_each_column_has_its_factor_from_one():
    layer, x = InputScale(), np.array([[1.0, 2.0], [3.0, 4.0]])
    params = Chain([layer, Linear(1)], "half_squared_error").initialize(2, seed=0)
    assert params["0.factor"].tolist() == [1.0, 1.0]
    factor = np.array([2.0, -1.0])
    np.testing.assert_array_equal(layer.forward({"factor": factor}, x), x * factor)
    dx, gradients = layer.backward({"factor": factor}, np.ones((2, 2)), x, x * factor)
    np.testing.assert_array_equal(dx, [factor, factor])
    np.testing.assert_array_equal(gradients["factor"], [4.0, 6.0])


def test_factors_do_not_decay():
    layout = Chain([InputScale(), Linear(1)], "half_squared_error").layout(2)
    assert layout.weight_mask().tolist() == [False, False, True, True, False]
