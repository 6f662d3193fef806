"""Vanishing and exploding gradients at depth 20, and what each remedy does about them."""

import numpy as np
import pytest

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import (
    SGD,
    Activation,
    Adam,
    BatchNorm,
    Chain,
    ClipByGlobalNorm,
    Context,
    Linear,
    Residual,
    RMSNorm,
)

DEPTH, WIDTH, M = 20, 128, 64
VANISHING = [("logistic", "glorot_normal"), ("tanh", "small_normal"), ("relu", "small_normal")]
EXPLODING = [("tanh", "standard_normal"), ("relu", "standard_normal")]


def plain(activation, weights):
    return [Linear(WIDTH, weights=weights), Activation(activation)]


def with_batch_norm(activation, weights):
    return [Linear(WIDTH, weights=weights), BatchNorm(), Activation(activation)]


def with_rms_norm(activation, weights):
    return [Linear(WIDTH, weights=weights), RMSNorm(), Activation(activation)]


def with_residuals(activation, weights):
    return [Residual(plain(activation, weights))]


def growth(layers):
    """Return ‖dA_0‖/‖dA_L‖: how much longer the gradient is at the input than at the output."""
    chain = Chain(layers, "half_squared_error")
    rng, context = np.random.default_rng(0), Context(training=True, step=1)
    params = chain.initialize(WIDTH, seed=0)
    trace = chain.forward(params, rng.normal(size=(M, WIDTH)), context)
    targets = trace.scores - np.maximum(1.0, np.abs(trace.scores)) * rng.normal(size=(M, WIDTH))
    da = chain.backward(params, trace, targets, context=context).da
    return np.linalg.norm(da[0]) / np.linalg.norm(da[-1])


@pytest.mark.parametrize(("activation", "weights"), VANISHING)
def test_m22_gradients_vanish(activation, weights):
    assert growth(plain(activation, weights) * DEPTH) < 1e-10


@pytest.mark.parametrize(("activation", "weights"), EXPLODING)
def test_m22_gradients_explode(activation, weights):
    assert growth(plain(activation, weights) * DEPTH) > 1e5


@pytest.mark.parametrize(
    ("activation", "weights"), [("relu", "he_normal"), ("tanh", "glorot_normal")]
)
def test_m22_remedy_activation_and_initialization(activation, weights):
    assert 0.1 < growth(plain(activation, weights) * DEPTH) < 10


@pytest.mark.parametrize(("activation", "weights"), VANISHING + EXPLODING)
def test_m22_remedy_batch_normalization(activation, weights):
    assert 0.01 < growth(with_batch_norm(activation, weights) * DEPTH) < 1000


@pytest.mark.parametrize(("activation", "weights"), VANISHING[1:] + EXPLODING)
def test_m22_remedy_rms_normalization(activation, weights):
    assert 0.01 < growth(with_rms_norm(activation, weights) * DEPTH) < 1000


@pytest.mark.parametrize(("activation", "weights"), VANISHING)
def test_m22_remedy_residual_connections(activation, weights):
    assert 0.5 < growth(with_residuals(activation, weights) * DEPTH) < 10


def test_m22_remedy_clipping_bounds_the_step_whatever_the_gradient():
    chain = Chain([*plain("relu", "standard_normal") * DEPTH, Linear(1)], "half_squared_error")
    rng = np.random.default_rng(0)
    data = TrainingData(rng.normal(size=(M, WIDTH)), rng.normal(size=(M, 1)))
    params = chain.initialize(WIDTH, seed=0)
    before = params.flat.copy()
    trace = chain.forward(params, data.X)
    gradient = chain.backward(params, trace, data.targets).parameters.flat
    assert np.linalg.norm(gradient) > 1e20
    plan = TrainingPlan(SGD(0.1), batch_size=M, clipping=ClipByGlobalNorm(1.0))
    ReferenceTrainer(chain, params, data, plan).run_epoch()
    assert np.linalg.norm(params.flat - before) == pytest.approx(0.1, rel=1e-6)


def trained_loss(block):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(128, 2))
    labels = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    chain = Chain([Linear(16), *block * 12, Linear(2)], "softmax_cross_entropy")
    params = chain.initialize(2, seed=0)
    trainer = ReferenceTrainer(
        chain, params, TrainingData(X, labels), TrainingPlan(Adam(0.01), batch_size=32)
    )
    return [trainer.run_epoch().loss for _ in range(40)][-1]


def test_m22_what_does_not_learn_learns_with_a_remedy():
    linear, logistic = Linear(16, weights="glorot_normal"), Activation("logistic")
    assert trained_loss([linear, logistic]) > 0.65  # log 2 = 0.693: nothing learned
    assert trained_loss([Residual([BatchNorm(), linear, logistic])]) < 0.2
