"""Numbers below the smallest usual one are zeros to the engine, and to nobody else."""

import numpy as np
import pytest

from pellucid.engine.native import NativeTrainer, predict_scores
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, CustomLoss, Linear, Parameters

pytestmark = pytest.mark.arithmetic
BELOW = {np.float32: 1e-40, np.float64: 1e-310}


def keeps_them():
    return all(kind(value) * kind(0.5) > 0 for kind, value in BELOW.items())


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("dtype", "epochs"), [(np.float32, 120), (np.float64, 900)])
def test_the_moments_of_a_column_that_is_rare_become_zero(dtype, epochs, n_threads):
    chain = Chain([Linear(5), Activation("tanh"), Linear(1)], "half_squared_error")
    parameters = chain.initialize(4, seed=0, dtype=dtype)
    X = np.random.default_rng(0).standard_normal((64, 4))
    trainer = NativeTrainer(
        *(chain, parameters, TrainingData(X, X[:, 1:2])),
        TrainingPlan(Adam(0.01), batch_size=8, n_threads=n_threads),
    )

    def first_moments():
        return Parameters(trainer.optimizer_state.first, parameters.layout)["0.W"][0]

    trainer.run_epoch()
    assert (first_moments() != 0).all()
    X[:, 0] = 0.0
    trainer.data = TrainingData(X, X[:, 1:2])
    for _ in range(epochs):  # 0.9 to the power of the steps is below the smallest number.
        trainer.run_epoch()
    assert (first_moments() == 0).all()
    assert keeps_them()


@pytest.mark.parametrize("dtype", BELOW)
def test_predictions_below_are_zero(dtype):
    chain = Chain([Linear(1)], "half_squared_error")
    parameters = chain.initialize(2, seed=0, dtype=dtype)
    parameters.flat[:] = [1.0, 1.0, 0.0]
    X = np.array([[BELOW[dtype], 0.0], [1.0, 2.0]], dtype)
    np.testing.assert_array_equal(predict_scores(chain, parameters, X), [[0.0], [3.0]])
    assert keeps_them()


def test_a_loss_in_python_sees_them():
    seen = []

    def loss(scores, targets, weights):
        seen.append(keeps_them())
        return float(np.sum((scores - targets) ** 2)), 2.0 * (scores - targets)

    chain = Chain([Linear(1)], CustomLoss(loss))
    parameters = chain.initialize(4, seed=0, dtype=np.float64)
    X = np.random.default_rng(0).standard_normal((64, 4))
    plan = TrainingPlan(Adam(0.01), batch_size=8)
    NativeTrainer(chain, parameters, TrainingData(X, X[:, :1]), plan).run_epoch()
    assert len(seen) >= 8
    assert all(seen)
