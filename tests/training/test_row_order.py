"""Row orders are those of `sklearn.utils.shuffle`, again and again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import shuffle

from pellucid.training import FixedOrder, ShuffledOrder


@given(st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_shuffled_order(n, seed):
    next_order = ShuffledOrder(np.arange(n), np.random.RandomState(seed))
    random_state, expected = np.random.RandomState(seed), np.arange(n)
    for _ in range(4):
        expected = shuffle(expected, random_state=random_state)
        np.testing.assert_array_equal(next_order(), expected)


def test_shuffled_order_of_some_rows():
    rows = np.array([7, 3, 9])
    next_order = ShuffledOrder(rows.copy(), np.random.RandomState(0))
    assert all(sorted(next_order()) == [3, 7, 9] for _ in range(5))


@pytest.mark.parametrize("n", [1, 5])
def test_fixed_order(n):
    next_order = FixedOrder(np.arange(n))
    assert next_order() is next_order()
