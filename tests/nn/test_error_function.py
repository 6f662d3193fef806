import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from pellucid.nn.error_function import erf, erfc

EVERYWHERE = np.concatenate(
    [np.linspace(-6.5, 6.5, 20_001), np.linspace(-0.5, 0.5, 5_001), [-4.0, -0.46875, 0.46875, 4.0]]
)


def test_m14_erf_agrees_with_scipy():
    np.testing.assert_allclose(erf(EVERYWHERE), scipy.special.erf(EVERYWHERE), rtol=1e-15)


def test_m14_erfc_keeps_its_relative_precision_in_the_tail():
    x = np.linspace(-6.0, 26.0, 3_001)
    expected = np.array([math.erfc(value) for value in x])
    np.testing.assert_allclose(erfc(x), expected, rtol=2e-15)


@given(st.floats(-40.0, 40.0))
def test_erf_is_odd_and_complements_erfc(x):
    z = np.array([x])
    assert erf(z)[0] == -erf(-z)[0]
    assert erf(z)[0] + erfc(z)[0] == pytest.approx(1.0, abs=4e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_saturates_and_keeps_the_dtype(dtype):
    z = np.array([-1e30, -1e4, 0.0, 1e4, 1e30], dtype=dtype)
    assert erf(z).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
    assert erfc(z).tolist() == [2.0, 2.0, 1.0, 0.0, 0.0]
    assert erf(z).dtype == erfc(z).dtype == dtype
