"""What every layer has to do, whatever it computes."""

import numpy as np
import pytest
from layer_examples import LAYERS

from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import LOSSES, Chain, Context, Linear, Parameters

TRAINING = Context(training=True, seed=3, epoch=1, step=7)


def network_of(name, loss="half_squared_error"):
    return Chain([Linear(4, biases=0.1), *LAYERS[name], Linear(2)], loss)


def random_parameters(chain, fan_in, seed):
    """Away from the start, where scales are 1 and shifts 0 and a mistake could hide."""
    params = chain.initialize(fan_in, seed=seed)
    moves = np.random.default_rng(seed).uniform(-0.3, 0.3, params.flat.size)
    return Parameters(params.flat + moves, params.layout)


def targets_for(loss, m, rng):
    if loss == "poisson":
        return rng.poisson(2.0, size=(m, 2)).astype(float)
    if loss == "softmax_cross_entropy":
        return rng.dirichlet(np.ones(2), size=m)
    return rng.uniform(size=(m, 2))


@pytest.mark.parametrize("context", [TRAINING, Context()], ids=["training", "prediction"])
@pytest.mark.parametrize("m", [1, 3, 8])
@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("name", list(LAYERS))
def test_m15_gradient_of_every_layer_with_every_loss(name, loss, m, context):
    rng = np.random.default_rng([m, 7])
    chain = network_of(name, loss)
    params = random_parameters(chain, 3, m)
    X, Y = rng.normal(size=(m, 3)), targets_for(loss, m, rng)
    check = check_gradient(chain, params, X, Y, tolerance=1e-6, context=context)
    assert check.passed, check
    assert check.relative_error < 1e-7
    assert check.n_kinks == 0


@pytest.mark.parametrize("name", list(LAYERS))
def test_m15_gradient_by_the_input(name):
    rng = np.random.default_rng(1)
    chain = network_of(name)
    params, X, Y = (
        random_parameters(chain, 3, 1),
        rng.normal(size=(4, 3)),
        rng.normal(size=(4, 2)),
    )
    trace = chain.forward(params, X, TRAINING)
    dX = chain.backward(params, trace, Y, context=TRAINING).da[0]
    h = 1e-6
    for i, j in np.ndindex(X.shape):
        E = np.zeros_like(X)
        E[i, j] = h
        above, below = (
            chain.loss_value(chain.forward(params, X + s * E, TRAINING), Y) for s in (1, -1)
        )
        assert (above - below) / (2 * h) == pytest.approx(dX[i, j], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", list(LAYERS))
def test_layers_are_pure_and_keep_the_precision(name):
    chain = network_of(name)
    params = chain.initialize(3, seed=0, dtype=np.float32)
    before, X = params.flat.copy(), np.random.default_rng(0).normal(size=(5, 3))
    trace = chain.forward(params, X, TRAINING)
    values = [value.copy() for value in trace.values]
    gradients = chain.backward(params, trace, np.zeros((5, 2)), context=TRAINING)
    statistics = chain.updated_statistics(params, trace, TRAINING)
    np.testing.assert_array_equal(params.flat, before)
    for value, copy in zip(trace.values, values, strict=True):
        np.testing.assert_array_equal(value, copy)
    arrays = (*trace.values, *gradients.deltas, gradients.parameters.flat, *statistics.values())
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert [d.shape for d in gradients.deltas] == [v.shape for v in trace.values]
    assert chain.widths(3) == tuple(value.shape[1] for value in trace.values)


@pytest.mark.parametrize("name", list(LAYERS))
def test_layers_are_values(name):
    assert network_of(name) == network_of(name)
    assert hash(network_of(name)) == hash(network_of(name))
