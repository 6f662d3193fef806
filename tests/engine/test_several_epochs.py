"""Several epochs in one call of the engine."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import SGD, Activation, Adam, Chain, Dropout, Linear


@pytest.mark.arithmetic
@pytest.mark.parametrize("n_threads", [1, 2])
def test_several_epochs_at_once_are_the_same_epochs(n_threads):
    chain = Chain([Linear(9), Activation("relu"), Dropout(0.3), Linear(2)], "half_squared_error")
    X, Y = np.random.default_rng(0).standard_normal((2, 53, 4))
    data = TrainingData(X, Y[:, :2])
    orders = np.array([np.random.default_rng(i).permutation(53) for i in range(5)])
    plan = TrainingPlan(
        Adam(0.01), batch_size=20, seed=4, n_threads=n_threads, l2_penalty=0.1, statistics_every=2
    )
    one_by_one, together = (chain.initialize(4, seed=1) for _ in range(2))
    single = NativeTrainer(chain, one_by_one, data, plan)
    several = NativeTrainer(chain, together, data, plan)
    expected = [single.run_epoch(order, 0.02) for order in orders]
    results = list(several.run_epochs(orders, 0.02))
    assert (together.flat == one_by_one.flat).all()
    for ours, theirs in zip(results, expected, strict=True):
        assert (ours.epoch, ours.loss, ours.n_examples, ours.n_steps) == (
            theirs.epoch,
            theirs.loss,
            theirs.n_examples,
            theirs.n_steps,
        )
        assert [s.step for s in ours.statistics] == [s.step for s in theirs.statistics]
    assert (several.state.step, several.state.epoch) == (15, 5)
    assert (several.state.optimizer.first == single.state.optimizer.first).all()


def test_of_several_epochs_those_before_a_divergence_are_kept():
    chain = Chain([Linear(1)], "half_squared_error")
    X = np.full((4, 1), 1e154)
    data = TrainingData(np.vstack([np.ones((4, 1)), X]), np.ones((8, 1)))
    orders = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [4, 5, 6, 7], [0, 1, 2, 3]])
    plan = TrainingPlan(SGD(0.1), batch_size=2)
    expected, parameters = (chain.initialize(1, seed=1) for _ in range(2))
    list(NativeTrainer(chain, expected, data, plan).run_epochs(orders[:2]))
    results = NativeTrainer(chain, parameters, data, plan).run_epochs(orders)
    assert [next(results).epoch, next(results).epoch] == [0, 1]
    with pytest.raises(NonFiniteError, match="epoch 2, at step 6"):
        next(results)
    assert (parameters.flat == expected.flat).all()


@pytest.mark.parametrize("trainer", [NativeTrainer, ReferenceTrainer])
def test_no_epochs_are_no_results(trainer):
    chain = Chain([Linear(1)], "half_squared_error")
    parameters = chain.initialize(1, seed=1)
    data = TrainingData(np.ones((4, 1)), np.ones((4, 1)))
    fresh = trainer(chain, parameters, data, TrainingPlan(SGD(0.1), batch_size=2))
    assert list(fresh.run_epochs(np.empty((0, 4), dtype=np.int64))) == []
