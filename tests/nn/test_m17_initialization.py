"""What initialization does: symmetry, and the variance of values and gradients over 20 layers."""

import numpy as np
import pytest

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import Activation, Adam, Chain, Linear
from pellucid.nn.initializers import constant

DEPTH, WIDTH, M = 20, 256, 32


def hidden_after_training(weights):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    layers = [Linear(5, weights=weights), Activation("tanh"), Linear(2, weights=weights)]
    chain = Chain(layers, "half_squared_error")
    params = chain.initialize(3, seed=0)
    trainer = ReferenceTrainer(chain, params, TrainingData(X, Y), TrainingPlan(Adam(0.05), 8))
    for _ in range(20):
        trainer.run_epoch()
    return params["0.W"], params["0.b"]


@pytest.mark.parametrize("weights", ["zeros", constant(0.3)], ids=["zeros", "constant"])
def test_m17_units_that_start_equal_stay_equal_for_ever(weights):
    W, b = hidden_after_training(weights)
    # A BLAS may round its last columns otherwise than the first: 1e-16 in each of 100 steps, of
    # which later steps make more. Weights that start apart end 0.1 apart: see the next test.
    np.testing.assert_allclose(W, np.repeat(W[:, :1], 5, axis=1), rtol=0, atol=1e-11)
    np.testing.assert_allclose(b, np.repeat(b[:1], 5), rtol=0, atol=1e-11)


def test_m17_random_weights_break_the_symmetry():
    W, _ = hidden_after_training("glorot_normal")
    distances = np.linalg.norm(W[:, :, None] - W[:, None, :], axis=0)
    assert distances[~np.eye(5, dtype=bool)].min() > 0.1


def variances(activation, weights, size=1.0, n_networks=6):
    """Return the mean squares of z, and of dz relative to the last layer's, by layer.

    The weights of one network are a finite sample: over 20 layers of 256 ReLU units their chance
    multiplies the variance by about e^±0.6, so a few networks are averaged.
    """
    layers = [Linear(WIDTH, weights=weights), Activation(activation)] * DEPTH
    chain = Chain(layers, "half_squared_error")
    rng, z, dz = np.random.default_rng(0), np.zeros(DEPTH), np.zeros(DEPTH)
    for seed in range(n_networks):
        params = chain.initialize(WIDTH, seed=seed)
        trace = chain.forward(params, size * rng.normal(size=(M, WIDTH)))
        residual = max(1.0, np.abs(trace.scores).max()) * rng.normal(size=(M, WIDTH))
        gradients = chain.backward(params, trace, trace.scores - residual)
        squares = np.array([np.mean(delta**2) for delta in gradients.dz])
        z += [np.mean(value**2) for value in trace.z]
        dz += squares / squares[-1]
    return z / n_networks, dz / n_networks


def spread(values):
    return values.max() / values.min()


def test_m17_he_keeps_relu_within_a_factor_of_two():
    z, dz = variances("relu", "he_normal")
    assert spread(z) < 2
    assert spread(dz) < 2


def test_m17_xavier_keeps_tanh_within_a_factor_of_two():
    # Where Glorot's derivation holds: tanh is nearly linear, here for inputs of size 0.1.
    z, dz = variances("tanh", "glorot_normal", size=0.1)
    assert spread(z) < 2
    assert spread(dz) < 2


def test_m17_saturation_shrinks_what_xavier_would_keep():
    # v ← E tanh²(√v·ε) is below v, more so for large v; it falls like 1/(2l), not exponentially.
    z, _ = variances("tanh", "glorot_normal", n_networks=1)
    assert (np.diff(z) < 0).all()
    assert 1 / (4 * DEPTH) < z[-1] < 1 / DEPTH


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_m17_a_deviation_of_one_explodes(activation):
    z, dz = variances(activation, "standard_normal", n_networks=1)
    assert dz[0] > 1e15
    assert (z > 100).all()
    if activation == "relu":  # tanh holds the values, not the gradients
        np.testing.assert_allclose(z[1:] / z[:-1], WIDTH / 2, rtol=0.5)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_m17_a_deviation_of_a_hundredth_vanishes(activation):
    z, dz = variances(activation, "small_normal", n_networks=1)
    assert z[-1] / z[0] < 1e-20
    assert dz[0] < 1e-20
