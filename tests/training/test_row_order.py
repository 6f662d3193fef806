"""Row orders: those of `nn` for a seed and an epoch, and those of `sklearn.utils.shuffle`."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import shuffle

from pellucid.engine.plan import TrainingData
from pellucid.nn.random import permutation
from pellucid.training import CounterOrder, FixedOrder, ShuffledOrder
from pellucid.training.row_order import generator_from, generator_state


def table(n, rows=None):
    return TrainingData(np.zeros((n, 1)), np.zeros((n, 1)), rows=rows)


@given(st.integers(1, 50), st.integers(0, 2**64 - 1), st.integers(0, 2**31))
def test_counter_order(n, seed, epoch):
    order = CounterOrder(table(n), seed)
    assert order.n_rows == n
    np.testing.assert_array_equal(order(epoch), permutation(seed, epoch, n))


def test_counter_order_needs_no_memory():
    order = CounterOrder(table(20), seed=3)
    orders = [order(epoch).copy() for epoch in (5, 0, 5)]
    np.testing.assert_array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0], orders[1])
    assert order.state() == ({}, {})
    other = CounterOrder(table(20), seed=3)
    other.restore(order.state())
    np.testing.assert_array_equal(other(5), orders[0])


def test_counter_order_of_some_rows():
    rows = np.array([7, 3, 9])
    order = CounterOrder(table(10, rows), seed=1)
    assert order.n_rows == 3
    for epoch in range(5):
        np.testing.assert_array_equal(order(epoch), rows[permutation(1, epoch, 3)])


@given(st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_shuffled_order(n, seed):
    order = ShuffledOrder(np.arange(n), np.random.RandomState(seed))
    assert order.n_rows == n
    random_state, expected = np.random.RandomState(seed), np.arange(n)
    for epoch in range(4):
        expected = shuffle(expected, random_state=random_state)
        np.testing.assert_array_equal(order(epoch), expected)


def test_shuffled_order_of_some_rows():
    rows = np.array([7, 3, 9])
    order = ShuffledOrder(rows.copy(), np.random.RandomState(0))
    assert all(sorted(order()) == [3, 7, 9] for _ in range(5))


@given(st.integers(1, 50), st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_shuffled_order_goes_on_from_its_state(n, seed, n_epochs):
    order = ShuffledOrder(np.arange(n), np.random.RandomState(seed))
    for epoch in range(n_epochs):
        order(epoch)
    numbers, arrays = order.state()
    other = ShuffledOrder(np.arange(n), np.random.RandomState())
    other.restore((json.loads(json.dumps(numbers)), arrays))
    for epoch in range(n_epochs, n_epochs + 3):
        np.testing.assert_array_equal(other(epoch), order(epoch))


def test_a_state_does_not_change_with_the_order():
    order = ShuffledOrder(np.arange(30), np.random.RandomState(0))
    order(0)
    numbers, arrays = order.state()
    before = {name: array.copy() for name, array in arrays.items()}
    order(1)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])
    assert order.state()[0] != numbers


def whole_state():
    return ShuffledOrder(np.arange(5), np.random.RandomState(0)).state()


DAMAGES = {
    "no rows": lambda numbers, arrays: arrays.pop("rows"),
    "a row twice": lambda numbers, arrays: arrays["rows"].__setitem__(0, arrays["rows"][1]),
    "a row too few": lambda numbers, arrays: arrays.update(rows=np.arange(4)),
    "rows in a table": lambda numbers, arrays: arrays.update(rows=np.arange(5)[:, None]),
    "other rows": lambda numbers, arrays: arrays.update(rows=np.arange(1, 6)),
    "rows that are no integers": lambda numbers, arrays: arrays.update(rows=np.full(5, np.nan)),
    "no key": lambda numbers, arrays: arrays.pop("key"),
    "a short key": lambda numbers, arrays: arrays.update(key=arrays["key"][:-1]),
    "a key of floats": lambda numbers, arrays: arrays.update(key=arrays["key"] * 1.0),
    "no position": lambda numbers, arrays: numbers.pop("pos"),
    "a position before the key": lambda numbers, arrays: numbers.update(pos=-1),
    "a position behind the key": lambda numbers, arrays: numbers.update(pos=625),
    "a position that is no number": lambda numbers, arrays: numbers.update(pos="first"),
    "no Gaussian": lambda numbers, arrays: numbers.pop("gauss"),
    "a Gaussian that is no number": lambda numbers, arrays: numbers.update(gauss=None),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_refused_and_changes_nothing(damage):
    state = whole_state()
    damage(*state)
    order = ShuffledOrder(np.arange(5), np.random.RandomState(7))
    with pytest.raises((ValueError, TypeError, KeyError)):
        order.restore(state)
    expected = ShuffledOrder(np.arange(5), np.random.RandomState(7))
    np.testing.assert_array_equal(order(0), expected(0))


def test_the_generator_comes_back_with_the_number_that_it_kept():
    generator = np.random.RandomState(0)
    generator.standard_normal()  # draws two and keeps one
    again = generator_from(generator_state(generator))
    np.testing.assert_array_equal(again.standard_normal(3), generator.standard_normal(3))


def test_another_kind_of_generator_is_refused():
    order = ShuffledOrder(np.arange(5), np.random.RandomState(np.random.PCG64(0)))
    with pytest.raises(TypeError, match=r"checkpoints need a random_state such as 0.*PCG64"):
        order.state()


@pytest.mark.parametrize("n", [1, 5])
def test_fixed_order(n):
    order = FixedOrder(np.arange(n))
    assert order.n_rows == n
    assert order(0) is order(1)
    assert order.state() == ({}, {})
    order.restore(({}, {}))
    np.testing.assert_array_equal(order(2), np.arange(n))
