"""Where examples come from: a table, or blocks."""

import numpy as np
import pytest
import scipy.sparse

from pellucid.engine.blocks import block_order
from pellucid.engine.engines import ENGINES
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, Dropout, Linear
from pellucid.training import (
    CounterOrder,
    FixedOrder,
    MiniBatches,
    ShuffledOrder,
    TableRows,
    TrainingJob,
    TrainingState,
    get_epoch_rate,
)

RNG = np.random.default_rng(0)
X, Y, WEIGHT = RNG.normal(size=(60, 3)), RNG.integers(0, 2, 60), RNG.uniform(0.5, 1.5, 60)
CHAIN = Chain([Linear(8), Activation("relu"), Dropout(0.2), Linear(2)], "softmax_cross_entropy")
PLAN = TrainingPlan(Adam(0.01), batch_size=10, seed=3, epoch_rows=60)


def table(**changes):
    return TrainingData(**{"X": X, "targets": Y, "sample_weight": WEIGHT, **changes})


ORDERS = {
    "counter": lambda: CounterOrder(table(), seed=5),
    "shuffled": lambda: ShuffledOrder(np.arange(60), np.random.RandomState(5)),
    "fixed": lambda: FixedOrder(np.arange(60)),
}


@pytest.mark.parametrize("make_order", ORDERS.values(), ids=ORDERS)
def test_several_orders_are_those_of_the_epochs_one_by_one(make_order):
    order, source = make_order(), TableRows(table(), make_order())
    assert source.n_rows == 60
    for first, n in ((0, 1), (1, 4), (5, 2)):
        expected = [order(epoch).copy() for epoch in range(first, first + n)]
        orders = source.orders(first, n)
        assert orders.dtype == np.int64
        np.testing.assert_array_equal(orders, expected)


@pytest.mark.parametrize("make_order", ORDERS.values(), ids=ORDERS)
def test_the_state_is_that_of_the_order(make_order):
    source, other = TableRows(table(), make_order()), TableRows(table(), make_order())
    source.orders(0, 3)
    other.restore(source.state())
    np.testing.assert_array_equal(other.orders(3, 2), source.orders(3, 2))


def test_a_table_is_one_block():
    data = table()
    source = TableRows(data, CounterOrder(data, seed=5))
    assert source.start() is data
    ((block, order),) = source.blocks(4)
    assert block is data
    np.testing.assert_array_equal(order, CounterOrder(data, seed=5)(4))


def fingerprint(data):
    return TableRows(data, CounterOrder(data, seed=0)).fingerprint()


@pytest.mark.parametrize(
    ("changes", "different"),
    [
        ({"X": X + 1.0}, {"X"}),
        ({"X": X.astype(np.float32)}, {"X"}),
        ({"X": scipy.sparse.csr_array(X)}, {"X"}),
        ({"targets": 1 - Y}, {"y"}),
        ({"sample_weight": None}, {"sample_weight"}),
        ({"sample_weight": WEIGHT[::-1]}, {"sample_weight"}),
        ({"rows": np.arange(30)}, {"rows"}),
        ({"X": X.copy(), "targets": Y.copy()}, set()),
    ],
)
def test_the_fingerprint_names_what_differs(changes, different):
    was, now = fingerprint(table()), fingerprint(table(**changes))
    assert was.keys() == now.keys()
    assert {name for name in was if was[name] != now[name]} == different


class Blocks:
    """The table in blocks of 20 rows, each in memory of its own."""

    n_rows = 60

    def __init__(self, fails_in=None):
        self.epochs, self.fails_in = [], fails_in

    def start(self):
        return self.block(0)

    def block(self, i):
        rows = slice(20 * i, 20 * (i + 1))
        return TrainingData(X[rows].copy(), Y[rows].copy(), WEIGHT[rows].copy())

    def blocks(self, epoch):
        self.epochs.append(epoch)
        for i in range(3):
            if (epoch, i) == self.fails_in:
                raise OSError("the disk is gone")
            yield self.block(i), block_order(PLAN.seed, epoch, i, 20)

    def state(self):
        return {}, {}

    def restore(self, state):
        pass


def make_job(source, max_epochs, start=None, parameters=None):
    solver = MiniBatches(PLAN, get_epoch_rate("constant", 0.01), max_epochs)
    parameters = CHAIN.initialize(3, seed=1) if parameters is None else parameters
    return TrainingJob(CHAIN, parameters, source, solver, start=start or TrainingState())


class OrderOfBlocks:
    """The order in which `Blocks` takes the rows of the whole table."""

    n_rows = 60

    def __call__(self, epoch):
        return np.concatenate([20 * i + block_order(PLAN.seed, epoch, i, 20) for i in range(3)])

    def state(self):
        return {}, {}

    def restore(self, state):
        pass


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_blocks_train_as_the_table_does(engine):
    """To the bit, where a step never has rows of two blocks."""
    whole = make_job(TableRows(table(), OrderOfBlocks()), 4)
    expected = whole.run(engine)
    source = Blocks()
    parts = make_job(source, 4)
    result = parts.run(engine)
    assert source.epochs == [0, 1, 2, 3]
    assert result.state.history.examples_seen == 240
    np.testing.assert_array_equal(parts.parameters.flat, whole.parameters.flat)
    np.testing.assert_allclose(
        result.state.history.losses, expected.state.history.losses, rtol=1e-12
    )


def test_blocks_go_on_with_the_epoch_that_is_next():
    engine = ENGINES["native"]
    whole = make_job(Blocks(), 5)
    whole.run(engine)
    first = make_job(Blocks(), 3)
    half_way = first.run(engine)
    source = Blocks()
    second = make_job(source, 5, half_way.state, first.parameters)
    assert second.run(engine).n_iter == 5
    assert source.epochs == [3, 4]
    np.testing.assert_array_equal(first.parameters.flat, whole.parameters.flat)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_block_that_does_not_come_leaves_the_epoch_before(engine):
    expected = make_job(Blocks(), 2)
    expected.run(engine)
    job = make_job(Blocks(fails_in=(2, 1)), 5)
    result = job.run(engine)
    assert isinstance(result.error, OSError)
    assert result.n_iter == 2
    np.testing.assert_array_equal(job.parameters.flat, expected.parameters.flat)
