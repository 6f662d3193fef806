"""PyTorch's autograd derives every gradient on its own; ours agree with it."""

import numpy as np
import pytest

from pellucid.nn import (
    ACTIVATIONS,
    SGD,
    Activation,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    Chain,
    Context,
    LayerNorm,
    Linear,
    Loss,
    RMSNorm,
    RMSProp,
)
from pellucid.nn.schedules import Cosine, Exponential, OneCycle, StepDecay, WarmUp

torch = pytest.importorskip("torch", reason="PyTorch is the peer here: pip install torch==2.13.0")

F = torch.nn.functional
S = torch.optim.lr_scheduler

TORCH_ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
}

RNG = np.random.default_rng(0)
M, FAN_IN, FAN_OUT = 9, 4, 3
X = RNG.normal(size=(M, FAN_IN))
REAL = RNG.normal(size=(M, FAN_OUT))
SOFT = RNG.dirichlet(np.ones(FAN_OUT), size=M)
LABELS = RNG.integers(FAN_OUT, size=M)
COUNTS = RNG.poisson(2.0, size=(M, FAN_OUT)).astype(float)


def name_of(value):
    """Return the text of what is ours; others may have an address in it, new in each process."""
    return repr(value) if type(value).__module__.startswith("pellucid") else None


def summed(function, **options):
    return lambda s, y: function(s, y, reduction="sum", **options) / M


TORCH_LOSSES = [
    (Loss("softmax_cross_entropy"), LABELS, summed(F.cross_entropy)),
    (Loss("softmax_cross_entropy"), SOFT, summed(F.cross_entropy)),
    (Loss("softmax_cross_entropy", 0.2), LABELS, summed(F.cross_entropy, label_smoothing=0.2)),
    (Loss("softmax_cross_entropy", 0.2), SOFT, summed(F.cross_entropy, label_smoothing=0.2)),
    (Loss("logistic_cross_entropy"), SOFT, summed(F.binary_cross_entropy_with_logits)),
    (Loss("half_squared_error"), REAL, lambda s, y: 0.5 * summed(F.mse_loss)(s, y)),
    (Loss("squared_error"), REAL, summed(F.mse_loss)),
    (Loss("absolute_error"), REAL, summed(F.l1_loss)),
    (Loss("huber", 0.5), REAL, summed(F.huber_loss, delta=0.5)),
    (
        Loss("quantile", 0.8),
        REAL,
        lambda s, y: torch.maximum(0.8 * (y - s), -0.2 * (y - s)).sum() / M,
    ),
    (
        Loss("poisson"),
        COUNTS,
        lambda s, y: summed(F.poisson_nll_loss)(s, y) + (torch.xlogy(y, y) - y).sum() / M,
    ),
]


def torch_loss_and_gradient(params, activation, loss, targets):
    leaves = {
        name: torch.tensor(np.array(params[name]), requires_grad=True) for name in params.names()
    }
    z = torch.tensor(X) @ leaves["0.W"] + leaves["0.b"]
    scores = activation(z) @ leaves["2.W"] + leaves["2.b"]
    value = loss(scores, torch.tensor(targets))
    value.backward()
    return value.item(), np.concatenate([leaf.grad.numpy().ravel() for leaf in leaves.values()])


def test_every_activation_is_compared():
    assert set(TORCH_ACTIVATIONS) | {"step"} == set(ACTIVATIONS)


@pytest.mark.parametrize(("loss", "targets", "theirs"), TORCH_LOSSES, ids=name_of)
@pytest.mark.parametrize("name", list(TORCH_ACTIVATIONS))
def test_m15_loss_and_gradient_agree_with_autograd(name, loss, targets, theirs):
    chain = Chain([Linear(5, biases=0.1), Activation(name), Linear(FAN_OUT)], loss)
    params = chain.initialize(FAN_IN, seed=3)
    trace = chain.forward(params, X)
    value, gradient = torch_loss_and_gradient(params, TORCH_ACTIVATIONS[name], theirs, targets)
    assert chain.loss_value(trace, targets) == pytest.approx(value, rel=1e-12)
    ours = chain.backward(params, trace, targets).parameters.flat
    np.testing.assert_allclose(ours, gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
        (SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (SGD(0.1, 0.9, True), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
        (Adam(0.1, epsilon=1e-3), lambda p: torch.optim.Adam(p, lr=0.1, eps=1e-3)),
        (
            AdamW(0.1, weight_decay=0.2, epsilon=1e-3),
            lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.2, eps=1e-3),
        ),
        (Adagrad(0.1), lambda p: torch.optim.Adagrad(p, lr=0.1)),
        (
            Adagrad(0.1, epsilon=1e-3, initial_accumulator=0.3),
            lambda p: torch.optim.Adagrad(p, lr=0.1, eps=1e-3, initial_accumulator_value=0.3),
        ),
        (RMSProp(0.1, 0.9), lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9)),
    ],
    ids=name_of,
)
def test_m18_optimizers_agree_with_torch(ours, theirs, rng):
    theta, gradients = rng.normal(size=6), rng.normal(size=(25, 6))
    tensor = torch.nn.Parameter(torch.tensor(theta.copy()))
    optimizer, state = theirs([tensor]), ours.init(theta)
    for step, gradient in enumerate(gradients, start=1):
        tensor.grad = torch.tensor(gradient)
        optimizer.step()
        theta, state = ours.update(gradient, state, theta, step)
    np.testing.assert_allclose(theta, tensor.detach().numpy(), rtol=1e-11)


def agrees_with_module(layer, module, training, arrays, names, rng):
    """Compare a layer and its gradients with a PyTorch module that holds the same arrays."""
    context = Context(training=training)
    x, dy = rng.normal(size=(M, FAN_IN)), rng.normal(size=(M, FAN_IN))
    module = module.double().train(training)
    with torch.no_grad():
        for ours, theirs in names.items():
            getattr(module, theirs).copy_(torch.tensor(arrays[ours]))
    leaf = torch.tensor(x, requires_grad=True)
    output = module(leaf)
    output.backward(torch.tensor(dy))
    y = layer.forward(arrays, x, context)
    dx, gradients = layer.backward(arrays, dy, x, y, context)
    np.testing.assert_allclose(y, output.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-10, atol=1e-12)
    for name, gradient in gradients.items():
        expected = getattr(module, names[name]).grad.numpy()
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12)
    return x, module


def test_m24_rms_norm_agrees_with_torch(rng):
    arrays, names = {"gamma": rng.normal(size=FAN_IN)}, {"gamma": "weight"}
    module = torch.nn.RMSNorm(FAN_IN, eps=1e-3)
    agrees_with_module(RMSNorm(epsilon=1e-3), module, True, arrays, names, rng)


def test_m25_layer_norm_agrees_with_torch(rng):
    arrays = {"gamma": rng.normal(size=FAN_IN), "beta": rng.normal(size=FAN_IN)}
    module = torch.nn.LayerNorm(FAN_IN, eps=1e-3)
    names = {"gamma": "weight", "beta": "bias"}
    agrees_with_module(LayerNorm(epsilon=1e-3), module, True, arrays, names, rng)


@pytest.mark.parametrize("training", [True, False])
def test_m25_batch_norm_agrees_with_torch(training, rng):
    arrays = {
        "gamma": rng.normal(size=FAN_IN),
        "beta": rng.normal(size=FAN_IN),
        "running_mean": rng.normal(size=FAN_IN),
        "running_variance": rng.uniform(0.5, 2.0, size=FAN_IN),
    }
    names = {"gamma": "weight", "beta": "bias"}
    names |= {"running_mean": "running_mean", "running_variance": "running_var"}
    layer, module = BatchNorm(0.2, 1e-3), torch.nn.BatchNorm1d(FAN_IN, eps=1e-3, momentum=0.2)
    x, module = agrees_with_module(layer, module, training, arrays, names, rng)
    updated = layer.updated_statistics(arrays, x, Context(training=training))
    for name, value in updated.items():
        np.testing.assert_allclose(value, getattr(module, names[name]).numpy(), rtol=1e-12)


N_STEPS = 40


def torch_factors(make):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule, rates = make(optimizer), []
    for _ in range(N_STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (StepDecay(0.1, (0.5, 0.75)), lambda o: S.MultiStepLR(o, [20, 30], gamma=0.1)),
        (Exponential(0.01), lambda o: S.ExponentialLR(o, 0.01 ** (1 / N_STEPS))),
        (Cosine(0.1), lambda o: S.CosineAnnealingLR(o, N_STEPS, eta_min=0.1)),
        (
            OneCycle(0.3, 1 / 25, 1 / 250_000),
            lambda o: S.OneCycleLR(o, 1.0, N_STEPS + 1, cycle_momentum=False),
        ),
        (WarmUp(share=0.5, start=0.2), lambda o: S.LinearLR(o, 0.2, 1.0, N_STEPS // 2)),
    ],
    ids=name_of,
)
def test_m21_schedules_agree_with_torch(ours, theirs):
    n = N_STEPS + 1 if isinstance(ours, OneCycle) else N_STEPS
    factors = [ours.factor(step, n) for step in range(1, N_STEPS + 1)]
    np.testing.assert_allclose(factors, torch_factors(theirs), rtol=1e-10, atol=1e-14)
