"""A trainer that one thread uses refuses another; predictors serve several."""

import threading

import numpy as np
import pytest

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Adam, Chain, CustomLoss, Linear

X = np.random.default_rng(0).standard_normal((64, 4))


def trainer_with(loss):
    chain = Chain([Linear(1)], CustomLoss(loss))
    parameters = chain.initialize(4, seed=0, dtype=np.float64)
    plan = TrainingPlan(Adam(), batch_size=64)
    return NativeTrainer(chain, parameters, TrainingData(X, X[:, :1]), plan)


def test_another_thread_is_refused_and_nothing_is_lost():
    entered, goes_on = threading.Event(), threading.Event()
    waits = False

    def loss(scores, targets, weights):
        if waits:
            entered.set()
            assert goes_on.wait(60)
        return float(np.sum((scores - targets) ** 2)), 2.0 * (scores - targets)

    trainer, expected = trainer_with(loss), trainer_with(loss)
    expected.run_epoch()
    waits = True
    results = []
    worker = threading.Thread(target=lambda: results.append(trainer.run_epoch()))
    worker.start()
    assert entered.wait(60)
    with pytest.raises(RuntimeError, match="this trainer is in use"):
        trainer.run_epoch()
    with pytest.raises(RuntimeError, match="this trainer is in use"):
        _ = trainer.optimizer_state
    goes_on.set()
    worker.join()
    assert len(results) == 1
    np.testing.assert_array_equal(trainer.parameters.flat, expected.parameters.flat)
    waits = False
    trainer.run_epoch()


def test_a_loss_that_uses_its_own_trainer_is_refused():
    def loss(scores, targets, weights):
        if trainers:
            trainers[0].run_epoch()
        return float(np.sum(scores**2)), 2.0 * scores

    trainers = []
    trainer = trainer_with(loss)
    trainers.append(trainer)
    with pytest.raises(RuntimeError, match="this trainer is in use"):
        trainer.run_epoch()
