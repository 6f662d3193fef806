"""Everything at once: the recipe of RealMLP, trained by the reference engine."""

import numpy as np
import pytest

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer, predict_scores
from pellucid.nn import (
    SGD,
    AdamW,
    BatchNorm,
    Chain,
    ClipByGlobalNorm,
    Columns,
    Dropout,
    Embedding,
    InputScale,
    Layer,
    Linear,
    Loss,
    ParametricActivation,
    PeriodicEmbedding,
    Residual,
    RMSNorm,
)
from pellucid.nn.schedules import FlatCosine, LogCosine

rng = np.random.default_rng(0)
N = 200
IDS = rng.integers(6, size=N)
X = np.column_stack([rng.normal(size=(N, 3)), IDS])
LABELS = (X[:, 0] * X[:, 1] + 0.5 * (IDS % 2) > 0.2).astype(np.int64)
DATA = TrainingData(X, LABELS)


def linear(width):
    return Linear(width, weights="standard_normal", parametrization="ntk")


NETWORK = Chain(
    [
        Columns([(3, PeriodicEmbedding()), (1, Embedding(6, 4))]),
        InputScale(),
        linear(24),
        ParametricActivation("selu"),
        Dropout(0.15),
        Residual([RMSNorm(), linear(24), ParametricActivation("selu"), Dropout(0.15)]),
        BatchNorm(),
        linear(2),
    ],
    Loss("softmax_cross_entropy", 0.1),
)
PLAN = TrainingPlan(
    AdamW(0.04, beta_2=0.95, weight_decay=0.02),
    batch_size=32,
    seed=7,
    n_epochs=20,
    schedule=LogCosine(),
    weight_decay_schedule=FlatCosine(),
    dropout_schedule=FlatCosine(),
    clipping=ClipByGlobalNorm(1.0),
    learning_rate_factors={"bias": 0.1, "factor": 6.0, "0.0": 0.1, "alpha": 0.1},
)


def trained(n_epochs=20, dtype=np.float64, restart_after=None):
    params = NETWORK.initialize_from_data(X, seed=1, dtype=dtype)
    trainer = ReferenceTrainer(NETWORK, params, DATA, PLAN)
    losses = []
    for epoch in range(n_epochs):
        if epoch == restart_after:
            trainer = ReferenceTrainer(NETWORK, params, DATA, PLAN, trainer.state)
        losses.append(trainer.run_epoch().loss)
    return params, losses


def test_it_learns():
    params, losses = trained()
    assert losses[-1] < 0.7 * losses[0]
    accuracy = np.mean(predict_scores(NETWORK, params, X).argmax(axis=1) == LABELS)
    assert accuracy > 0.9


def test_it_goes_on_as_if_it_had_never_stopped():
    straight, _ = trained(4)
    resumed, _ = trained(4, restart_after=2)
    np.testing.assert_array_equal(straight.flat, resumed.flat)


def test_both_precisions_agree():
    double, _ = trained(2)
    single, _ = trained(2, dtype=np.float32)
    assert single.flat.dtype == np.float32
    np.testing.assert_allclose(single.flat, double.flat, rtol=1e-2, atol=1e-3)


BASE = Chain([Linear(3)], "softmax_cross_entropy")


class Doubling(Layer):
    def forward(self, parameters, x, context):
        return 2.0 * x

    def backward(self, parameters, dy, x, y, context):
        return 2.0 * dy, {}


def test_the_native_engine_refuses_what_it_does_not_know():
    chain = Chain([Columns([(1, Doubling()), (3, Linear(2))]), Linear(3)], BASE.loss)
    params = chain.initialize(4, seed=0)
    with pytest.raises(TypeError, match=r"layer 0\.0 is a Doubling, which the native engine does"):
        NativeTrainer(chain, params, DATA, TrainingPlan(SGD(0.1), batch_size=8))
    ReferenceTrainer(chain, params, DATA, TrainingPlan(SGD(0.1), batch_size=8)).run_epoch()


@pytest.mark.parametrize("engine", [ReferenceTrainer, NativeTrainer])
def test_factors_that_name_nothing_are_refused(engine):
    plan = TrainingPlan(SGD(0.1), batch_size=8, learning_rate_factors={"gamma": 2.0})
    with pytest.raises(ValueError, match="names 'gamma', which no parameter of the network has"):
        engine(BASE, BASE.initialize(4, seed=0), DATA, plan)
