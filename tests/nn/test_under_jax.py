"""The formulas take their array namespace from their input: the same text runs under `jax.jit`."""

import numpy as np
import pytest
from layer_examples import LAYERS

from pellucid.nn import (
    ACTIVATIONS,
    LOSSES,
    SGD,
    Activation,
    Adagrad,
    Adam,
    AdamW,
    Chain,
    ClipByGlobalNorm,
    ClipByNorm,
    ClipByValue,
    Context,
    Linear,
    RMSProp,
)
from pellucid.nn.losses import mean_loss
from pellucid.nn.parameters import Parameters

jax = pytest.importorskip("jax", reason="JAX runs the same formulas here: pip install jax")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))


# Almost all of the time goes to compiling, and what is compiled runs once.
jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def train_step(chain, layout, optimizer, mask, context):
    def run(flat, X, targets, state, step):
        params = Parameters(flat, layout)
        trace = chain.forward(params, X, context)
        value = mean_loss(chain.loss.values(trace.scores, targets))
        gradient = chain.backward(params, trace, targets, context=context).parameters.flat
        flat, state = optimizer.update(gradient, state, flat, step, weight_mask=mask)
        return value, gradient, flat, state

    return run


def compare(chain, targets, optimizer=SGD(0.1), context=Context()):  # noqa: B008
    params = chain.initialize(3, seed=0)
    run = train_step(chain, params.layout, optimizer, params.layout.weight_mask(), context)
    jitted = jax.jit(run, static_argnums=4)
    state = optimizer.init(params.flat)
    plain = run(params.flat, X, targets, state, 1)
    traced = jitted(params.flat, X, targets, state, 1)
    for ours, theirs in zip(plain[:3], traced[:3], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(plain[3].first, traced[3].first, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_m14_activations_run_under_jit(name, rng):
    layers = [Linear(4, biases=0.1), Activation(name), Linear(2)]
    compare(Chain(layers, "half_squared_error"), rng.normal(size=(6, 2)))


@pytest.mark.parametrize("name", list(LOSSES))
def test_m11_losses_run_under_jit(name, rng):
    targets = rng.uniform(size=(6, 2))
    compare(Chain([Linear(4), Activation("tanh"), Linear(2)], name), targets)


def test_m09_labels_run_under_jit():
    chain = Chain([Linear(4), Activation("tanh", blend=0.5), Linear(2)], "softmax_cross_entropy")
    compare(chain, np.array([0, 1, 1, 0, 1, 0]))


@pytest.mark.parametrize("name", list(LAYERS))
def test_m25_layers_run_under_jit(name, rng):
    layers = [Linear(4), *LAYERS[name], Linear(2)]
    context = Context(training=True, seed=1, step=3)
    compare(Chain(layers, "half_squared_error"), rng.normal(size=(6, 2)), context=context)


@pytest.mark.parametrize("name", list(LAYERS))
def test_m25_gradients_of_layers_agree_with_jax_grad(name, rng):
    chain = Chain([Linear(4), *LAYERS[name], Linear(2)], "half_squared_error")
    params, targets = chain.initialize(3, seed=0), rng.uniform(size=(6, 2))
    context = Context(training=True, seed=1, step=3)

    def objective(flat):
        trace = chain.forward(Parameters(flat, params.layout), jax.numpy.asarray(X), context)
        return mean_loss(chain.loss.values(trace.scores, targets))

    trace = chain.forward(params, X, context)
    ours = chain.backward(params, trace, targets, context=context).parameters
    theirs = np.array(jax.jit(jax.grad(objective))(jax.numpy.asarray(params.flat)))
    for entry in params.layout.entries:
        if entry.role == "statistic":
            theirs[entry.span] = 0.0
    np.testing.assert_allclose(ours.flat, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, 0.9, True), Adagrad(0.1), RMSProp(0.1), Adam(0.1), AdamW(0.1)], ids=repr
)
def test_m18_optimizers_run_under_jit(optimizer, rng):
    chain = Chain([Linear(4), Activation("tanh"), Linear(2)], "half_squared_error")
    compare(chain, rng.normal(size=(6, 2)), optimizer)


@pytest.mark.parametrize("clip", [ClipByValue(0.5), ClipByNorm(0.5), ClipByGlobalNorm(0.5)])
def test_m21_clipping_runs_under_jit(clip, rng):
    layout = Chain([Linear(4), Linear(2)], "half_squared_error").layout(3)
    g = rng.normal(size=layout.size)
    traced = jax.jit(lambda g: clip.apply(g, layout))(g)
    np.testing.assert_allclose(clip.apply(g, layout), traced, rtol=1e-13)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "softmax_cross_entropy"])
def test_m15_gradients_agree_with_jax_grad(name, rng):
    chain = Chain([Linear(4), Activation("gelu"), Linear(2)], name)
    params, targets = chain.initialize(3, seed=0), rng.uniform(size=(6, 2))

    def objective(flat):
        trace = chain.forward(Parameters(flat, params.layout), jax.numpy.asarray(X))
        return mean_loss(chain.loss.values(trace.scores, targets))

    ours = chain.backward(params, chain.forward(params, X), targets).parameters.flat
    theirs = jax.jit(jax.grad(objective))(jax.numpy.asarray(params.flat))
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)
