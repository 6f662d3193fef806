import numpy as np
import pytest

from pellucid.nn import Activation, Chain, Linear, Parameters

NETWORK = Chain([Linear(3), Activation("relu"), Linear(2, bias=False)], "half_squared_error")


def test_layout_is_w_then_b_layer_by_layer_without_padding():
    layout = NETWORK.layout(5)
    assert layout.names() == ("0.W", "0.b", "2.W")
    assert [entry.shape for entry in layout.entries] == [(5, 3), (3,), (3, 2)]
    assert [entry.offset for entry in layout.entries] == [0, 15, 18]
    assert layout.size == 24
    assert layout.weight_mask().sum() == 15 + 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flat_is_aligned_and_names_are_views_of_it(dtype):
    for size_of_fan_in in range(1, 20):
        parameters = Parameters.zeros(NETWORK.layout(size_of_fan_in), dtype)
        assert parameters.flat.ctypes.data % 64 == 0
        assert parameters.copy().flat.ctypes.data % 64 == 0
        assert parameters.flat.flags.c_contiguous
    parameters["0.W"][1, 2] = 7.0
    assert parameters.flat[1 * 3 + 2] == 7.0
    assert np.shares_memory(parameters["2.W"], parameters.flat)


def test_copy_and_pack_are_independent():
    parameters = NETWORK.initialize(5, seed=0)
    duplicate = parameters.copy()
    packed = Parameters.pack(
        parameters.layout, {name: parameters[name] for name in parameters.names()}
    )
    parameters.flat[:] = 0.0
    assert duplicate.flat.any()
    np.testing.assert_array_equal(packed.flat, duplicate.flat)


def test_errors_name_what_was_received():
    parameters = NETWORK.initialize(5, seed=0)
    with pytest.raises(KeyError, match=r"'1.W'; the names are: 0.W, 0.b, 2.W"):
        parameters["1.W"]
    with pytest.raises(ValueError, match=r"shape \(24,\) for this layout, got \(23,\)"):
        Parameters(np.zeros(23), NETWORK.layout(5))
    with pytest.raises(ValueError, match="fan_in must be at least 1, got 0"):
        NETWORK.layout(0)
