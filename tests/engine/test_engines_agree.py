"""The native engine computes what the reference computes, after 20 steps and in both precisions."""

import sys

import numpy as np
import pytest
import scipy.sparse
from pairs import product_with

from pellucid.engine import native, reference
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import (
    ACTIVATIONS,
    SGD,
    Activation,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    Chain,
    ClipByGlobalNorm,
    ClipByNorm,
    ClipByValue,
    Dropout,
    InputScale,
    LayerNorm,
    Linear,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Residual,
    RMSNorm,
    RMSProp,
)
from pellucid.nn.losses import LOSSES, Loss
from pellucid.nn.schedules import Cosine, FlatCosine, LogCosine

NATIVE = "<" if sys.byteorder == "little" else ">"

N_EXAMPLES, FAN_IN = 60, 5
RELATIVE = {np.float64: 1e-10, np.float32: 1e-4}

OPTIMIZERS = {
    "sgd": SGD(0.05),
    "momentum": SGD(0.02, momentum=0.9),
    "nesterov": SGD(0.02, momentum=0.9, nesterov=True),
    "adam": Adam(0.01),
    "adam-scikit-learn": Adam(0.01, form="scikit-learn"),
    "adam-accumulator": Adam(0.001, form="accumulator"),
    "adamw": AdamW(0.01, weight_decay=0.1),
    "adagrad": Adagrad(0.05),
    "adagrad from above zero": Adagrad(0.05, initial_accumulator=0.1),
    "rmsprop": RMSProp(0.01),
}


def make_targets(loss, fan_out, rng, n=N_EXAMPLES):
    if loss in ("softmax_cross_entropy", "labels"):
        if loss == "labels":
            return rng.integers(0, fan_out, n)
        weights = rng.random((n, fan_out))
        return weights / weights.sum(axis=1, keepdims=True)
    if loss == "logistic_cross_entropy":
        return rng.integers(0, 2, (n, fan_out)).astype(float)
    if loss == "poisson":
        return rng.poisson(2.0, (n, fan_out)).astype(float)
    return rng.standard_normal((n, fan_out))


def make_problem(layers, loss, dtype, n=N_EXAMPLES, fan_in=FAN_IN, weights=True, seed=0):
    rng = np.random.default_rng(seed)
    labels = loss == "labels"
    chain = Chain(layers, Loss("softmax_cross_entropy") if labels else loss)
    parameters = chain.initialize(fan_in, seed=seed, dtype=dtype)
    X = rng.standard_normal((n, fan_in))
    name = "labels" if labels else chain.loss.name
    targets = make_targets(name, chain.fan_out(fan_in), rng, n)
    sample_weight = None
    if weights:
        sample_weight = rng.random(n) + 0.5
        sample_weight /= sample_weight.mean()
    return chain, parameters, TrainingData(X, targets, sample_weight, weight_scale=1.5)


def train(engine_trainer, chain, parameters, data, plan, epochs):
    parameters = parameters.copy()
    trainer = engine_trainer(chain, parameters, data, plan)
    losses = [trainer.run_epoch().loss for _ in range(epochs)]
    return parameters, losses, trainer


def assert_engines_agree(chain, parameters, data, plan, epochs=4):
    """Compare after `epochs` epochs, 20 steps for 60 rows in batches of 13."""
    expected, expected_losses, slow = train(
        reference.ReferenceTrainer, chain, parameters, data, plan, epochs
    )
    actual, losses, fast = train(native.NativeTrainer, chain, parameters, data, plan, epochs)
    tolerance = RELATIVE[parameters.flat.dtype.type]
    for name in expected.names():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(
            actual[name], expected[name], rtol=tolerance, atol=tolerance * scale, err_msg=name
        )
    np.testing.assert_allclose(losses, expected_losses, rtol=tolerance)
    assert fast.step == slow.step
    return fast, slow


PLAN = TrainingPlan(Adam(0.01), batch_size=13, l2_penalty=0.1, seed=3)


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    ("dtype", "activation", "loss"),
    product_with([np.float64, np.float32], ACTIVATIONS, [*LOSSES, "labels"]),
)
def test_every_activation_and_loss(dtype, activation, loss):
    layers = [Linear(9), Activation(activation), Linear(6), Activation(activation), Linear(3)]
    assert_engines_agree(*make_problem(layers, loss, dtype), PLAN)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_every_optimizer(optimizer, penalty, dtype):
    layers = [Linear(9), Activation("tanh"), Linear(3)]
    plan = TrainingPlan(OPTIMIZERS[optimizer], batch_size=13, l2_penalty=penalty, seed=3)
    fast, slow = assert_engines_agree(*make_problem(layers, "labels", dtype), plan)
    tolerance = RELATIVE[dtype]
    for mine, theirs in zip(fast.optimizer_state, slow.optimizer_state, strict=True):
        if optimizer == "sgd":
            continue  # without momentum the velocity is not used, and the engine keeps none
        scale = np.abs(theirs).max(initial=0.0)
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("blend", [0.0, 0.3, 1.7])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_blended_activations(activation, blend, dtype):
    layers = [Linear(9), Activation(activation, blend=blend), Linear(3)]
    assert_engines_agree(*make_problem(layers, "huber", dtype), PLAN)


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    "layers",
    [
        [Linear(3)],
        [Linear(3, bias=False)],
        [Activation("tanh"), Linear(3)],
        [Activation("gelu"), Activation("tanh"), Linear(3)],
        [Linear(4), Activation("tanh"), Activation("silu"), Linear(3), Activation("softplus")],
        [Linear(4, bias=False), Linear(7), Activation("leaky_relu", parameter=0.3), Linear(3)],
        [Linear(1), Activation("elu", parameter=0.5), Linear(2)],
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", [Loss("huber", 0.7), Loss("quantile", 0.9), "labels"], ids=str)
def test_shapes_of_chains(layers, loss):
    assert_engines_agree(*make_problem(layers, loss, np.float64), PLAN)


def ntk(fan_out, **kwargs):
    return Linear(fan_out, weights="standard_normal", parametrization="ntk", **kwargs)


# Bins on both sides of 0, as many as it takes for several vectors; one column has a single bin.
EDGES = [(-1.0, -0.2, 0.3, 1.1), (-0.5, 0.5), (-2.0, 0.0, 2.0), np.linspace(-1, 1, 21), (0.0, 0.1)]


# The widths make several panels, and a remainder, on every instruction set. A bias right before a
# BatchNorm has no effect: its gradient is rounding error, which Adam would make steps of.
CHAINS = {
    "dropout": [Linear(41), Activation("relu"), Dropout(0.3), Linear(3)],
    "dropout of the input": [Dropout(0.2), Linear(7), Activation("tanh"), Linear(3)],
    "dropout made up for in prediction": [Linear(9), Dropout(0.5, "prediction"), Linear(3)],
    "dropout twice": [Linear(70), Dropout(0.1), Activation("elu"), Dropout(0.6), Linear(3)],
    "rms norm": [Linear(41), RMSNorm(), Activation("tanh"), Linear(3)],
    "rms norm after an activation": [Linear(70), Activation("logistic"), RMSNorm(), Linear(3)],
    "rms norm without scale": [Linear(9), RMSNorm(scale=False), Linear(3)],
    "layer norm": [Linear(41), LayerNorm(), Activation("silu"), Linear(3)],
    "layer norm without bias": [LayerNorm(bias=False), Linear(41), LayerNorm(), Linear(3)],
    "residual": [Linear(9), Residual([Linear(9), Activation("tanh")]), Linear(3)],
    "residual around the input": [Residual([Linear(FAN_IN), Activation("tanh")]), Linear(3)],
    "residual from a pre-activation": [
        Linear(41),
        Residual([Activation("softplus"), Linear(41)]),
        Activation("tanh"),
        Linear(3),
    ],
    "residual in residual": [
        Linear(9),
        Residual([RMSNorm(), Residual([Linear(9), Activation("gelu")]), Linear(9)]),
        Residual([Activation("identity"), Activation("tanh"), Linear(9)]),
        Linear(3),
    ],
    "residual at the end": [Linear(3), Residual([Activation("tanh"), Linear(3)])],
    "scales": [InputScale(), Linear(41), InputScale(), Activation("tanh"), Linear(3)],
    "learned activations": [
        Linear(41),
        ParametricActivation("mish"),
        Linear(9),
        ParametricActivation("leaky_relu", 0.2),
        Linear(3),
    ],
    "learned activation first": [ParametricActivation("selu"), Linear(3)],
    "batch norm": [Linear(41, bias=False), BatchNorm(), Activation("relu"), Linear(3)],
    "batch norm of the input": [BatchNorm(momentum=0.3), Linear(9), Activation("tanh"), Linear(3)],
    "batch norm after dropout": [
        Linear(70, bias=False),
        Dropout(0.2),
        BatchNorm(epsilon=0.3),
        Linear(3),
    ],
    "batch norm in a residual": [
        BatchNorm(),
        Residual([BatchNorm(momentum=1.0), Linear(FAN_IN), Activation("tanh"), Dropout(0.1)]),
        Activation("tanh"),
        Linear(3, bias=False),
        BatchNorm(),
    ],
    "residual from a batch norm": [
        Linear(9, bias=False),
        BatchNorm(),
        Residual([Activation("relu"), Linear(9)]),
        Linear(3),
    ],
    "periodic": [PeriodicEmbedding(), Linear(9), Activation("tanh"), Linear(3)],
    "periodic with many waves": [PeriodicEmbedding(7, 37, 1.0), Linear(9), Linear(3)],
    "periodic with one wave": [PeriodicEmbedding(2, 1), Linear(3)],
    "periodic of what is learned": [
        Linear(41),
        Residual([PeriodicEmbedding(3, 5, 0.3), Linear(41)]),
        PeriodicEmbedding(6, 3, 0.3),
        Dropout(0.1),
        Linear(3),
    ],
    "piecewise linear": [PiecewiseLinearEmbedding(EDGES), Linear(9), Activation("tanh"), Linear(3)],
    "piecewise linear vectors": [PiecewiseLinearEmbedding(EDGES, 6), Linear(3)],
    "piecewise linear of what is learned": [
        Linear(5),
        Residual([PiecewiseLinearEmbedding(EDGES), Linear(5)]),
        Residual([PiecewiseLinearEmbedding(EDGES, 3), Linear(5)]),
        Linear(3),
    ],
    "ntk": [ntk(41), Activation("tanh"), ntk(9, bias=False), Activation("gelu"), ntk(3)],
    "ntk in a residual": [ntk(9), Residual([ntk(9), Activation("tanh")]), ntk(3)],
    "recipe": [
        PeriodicEmbedding(),
        InputScale(),
        ntk(33),
        ParametricActivation("selu"),
        Dropout(0.15),
        Residual([BatchNorm(), ntk(33), ParametricActivation("selu"), Dropout(0.15)]),
        ntk(3),
    ],
    "all together": [
        InputScale(),
        Linear(33),
        Residual([LayerNorm(), Linear(33), ParametricActivation("selu"), Dropout(0.15)]),
        RMSNorm(),
        Linear(3),
    ],
}


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", ["labels", "half_squared_error"])
@pytest.mark.parametrize("chain", CHAINS)
def test_every_layer(chain, loss, dtype):
    chain, parameters, data = make_problem(CHAINS[chain], loss, dtype)
    assert_engines_agree(chain, parameters, data, PLAN)
    tolerance = RELATIVE[dtype]
    np.testing.assert_allclose(
        native.predict_scores(chain, parameters, data.X),
        reference.predict_scores(chain, parameters, data.X),
        rtol=tolerance,
        atol=tolerance,
    )
    expected, expected_gradient = reference.loss_and_gradient(chain, parameters, data)
    actual, gradient = native.loss_and_gradient(chain, parameters, data)
    assert actual == pytest.approx(expected, rel=tolerance)
    scale = np.abs(expected_gradient.flat).max()
    np.testing.assert_allclose(
        gradient.flat, expected_gradient.flat, rtol=tolerance, atol=tolerance * scale
    )


PLANS = {
    "schedules": {
        "optimizer": AdamW(0.02, weight_decay=0.5),
        "schedule": LogCosine(),
        "weight_decay_schedule": FlatCosine(),
        "dropout_schedule": Cosine(),
        "n_epochs": 4,
    },
    "clipped by value": {"optimizer": SGD(0.05, momentum=0.9), "clipping": ClipByValue(0.01)},
    "clipped by norm": {"optimizer": Adam(0.01), "clipping": ClipByNorm(0.05)},
    "clipped by global norm": {
        "optimizer": SGD(0.05, momentum=0.9, nesterov=True),
        "clipping": ClipByGlobalNorm(0.1),
    },
    "hardly clipped": {"optimizer": AdamW(0.01), "clipping": ClipByGlobalNorm(1e6)},
    "frozen scales and shifts": {
        "optimizer": Adam(0.01),
        "learning_rate_factors": {"scale": 0.0, "bias": 0.0},
    },
    "rates of their own": {
        "optimizer": AdamW(0.02, weight_decay=0.3),
        "learning_rate_factors": {"bias": 0.1, "factor": 6.0, "alpha": 0.1, "W": 0.5},
    },
}


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("penalty", [0.0, 0.5])
@pytest.mark.parametrize("chain", ["all together", "recipe"])
@pytest.mark.parametrize("plan", PLANS)
def test_every_kind_of_plan(plan, chain, penalty, dtype):
    problem = make_problem(CHAINS[chain], "labels", dtype)
    plan = TrainingPlan(batch_size=13, l2_penalty=penalty, seed=5, **PLANS[plan])
    assert_engines_agree(*problem, plan)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fan_out", [2, 3, 40])
@pytest.mark.parametrize("targets", ["labels", "softmax_cross_entropy"])
def test_label_smoothing(targets, fan_out, dtype):
    layers = [Linear(9), Activation("tanh"), Linear(fan_out)]
    chain, parameters, data = make_problem(layers, targets, dtype)
    smoothed = Chain(chain.layers, Loss("softmax_cross_entropy", 0.1))
    assert_engines_agree(smoothed, parameters, data, PLAN)


# Widths around the panels and register blocks of every instruction set.
WIDTHS = [1, 2, 7, 15, 16, 17, 31, 33, 48, 49, 63, 64, 65, 79, 81, 100, 113, 130]


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", WIDTHS)
def test_widths_with_remainders(width, dtype):
    layers = [Linear(width), Activation("tanh"), Linear(width + 3), Activation("tanh"), Linear(4)]
    problem = make_problem(layers, "labels", dtype, fan_in=width)
    assert_engines_agree(*problem, PLAN)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [1, 3, 15, 16, 17, 33, 65, 113])
def test_columns_of_their_own_with_remainders(width, dtype):
    edges = [np.linspace(-2.0, 1.5 + 0.01 * j, 2 + j % 7) for j in range(width)]
    layers = [
        BatchNorm(epsilon=0.3),
        PiecewiseLinearEmbedding(edges, 2),
        PeriodicEmbedding(3, 2),
        Linear(width),
        PiecewiseLinearEmbedding(edges),
        ntk(4),
    ]
    problem = make_problem(layers, "labels", dtype, fan_in=width)
    plan = TrainingPlan(SGD(0.01, momentum=0.9), batch_size=13, l2_penalty=0.1, seed=3)
    assert_engines_agree(*problem, plan, epochs=1)


@pytest.mark.arithmetic
@pytest.mark.parametrize("width", [200, 700])
def test_wide_outputs_and_long_sums(width):
    layers = [Linear(width), Activation("relu"), Linear(width)]
    assert_engines_agree(*make_problem(layers, "labels", np.float64, fan_in=700), PLAN, epochs=1)
    assert_engines_agree(
        *make_problem(layers, "logistic_cross_entropy", np.float64, fan_in=700), PLAN, epochs=1
    )


@pytest.mark.arithmetic
@pytest.mark.parametrize("batch_size", [1, 2, 3, 59, 60, 61, 1000])
@pytest.mark.parametrize(
    "chain", ["linear", "batch norm after dropout", "periodic", "piecewise linear vectors"]
)
def test_batch_sizes(chain, batch_size):
    layers = CHAINS.get(chain, [Linear(9), Activation("tanh"), Linear(3)])
    plan = TrainingPlan(Adam(0.01), batch_size=batch_size, l2_penalty=0.1, seed=3)
    assert_engines_agree(*make_problem(layers, "labels", np.float64), plan)


def network_and_data():
    return make_problem([Linear(9), Activation("tanh"), Linear(3)], "labels", np.float64)


CONTAINERS = {
    "F-ordered": np.asfortranarray,
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda X: np.frombuffer(X.tobytes()).reshape(X.shape),
    "big-endian": lambda X: X.astype(">f8"),
    "byte order named": lambda X: X.astype(np.dtype("f8").newbyteorder(NATIVE)),
    "unaligned": lambda X: (
        np.frombuffer(b"x" + X.tobytes(), np.uint8)[1:].view(X.dtype).reshape(X.shape)
    ),
    "csr": scipy.sparse.csr_matrix,
    "csr with wide indices": lambda X: _wide(scipy.sparse.csr_matrix(X)),
}


def _wide(X):
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@pytest.mark.parametrize("container", CONTAINERS)
def test_rows_are_read_in_place_from_any_memory(container):
    chain, parameters, data = network_and_data()
    X = np.where(data.X > 1.0, 0.0, data.X)
    plain = TrainingData(X, data.targets, data.sample_weight)
    expected, _, _ = train(native.NativeTrainer, chain, parameters, plain, PLAN, 2)
    held = TrainingData(CONTAINERS[container](X), data.targets, data.sample_weight)
    actual, _, _ = train(native.NativeTrainer, chain, parameters, held, PLAN, 2)
    np.testing.assert_array_equal(actual.flat, expected.flat)
    np.testing.assert_array_equal(
        native.predict_scores(chain, actual, held.X), native.predict_scores(chain, actual, X)
    )


@pytest.mark.arithmetic
@pytest.mark.parametrize("compute", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("dtype", "sparse"),
    [
        (dtype, sparse)
        for dtype in ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g"]
        for sparse in (False, True)
        if not (sparse and dtype == "f2")  # SciPy has no sparse matrices of half precision
    ],
)
def test_rows_of_every_number_type(dtype, sparse, compute):
    chain, parameters, data = make_problem([Linear(3)], "labels", compute)
    X = np.abs(np.round(3 * data.X)).astype(dtype)
    if np.dtype(dtype).kind in "if":
        X = -X
    plain = TrainingData(X.astype(np.float64), data.targets)
    expected, _, _ = train(native.NativeTrainer, chain, parameters, plain, PLAN, 1)
    held = TrainingData(scipy.sparse.csr_matrix(X) if sparse else X, data.targets)
    actual, _, _ = train(native.NativeTrainer, chain, parameters, held, PLAN, 1)
    np.testing.assert_array_equal(actual.flat, expected.flat)


@pytest.mark.arithmetic
def test_half_precision_is_read_exactly():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(-1, 1)
    chain = Chain([Linear(1, bias=False, weights="zeros")], "squared_error")
    parameters = chain.initialize(1, seed=0)
    parameters["0.W"][...] = 1.0
    scores = native.predict_scores(chain, parameters, halves)
    np.testing.assert_array_equal(scores, halves.astype(np.float64))


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    ("clipping", "chain", "batch_size", "dtype"),
    product_with(
        [None, ClipByGlobalNorm(0.1)],
        ["linear", "all together", "recipe", "piecewise", "batch norm"],
        [1, 13, 200],
        [np.float64, np.float32],
    ),
)
def test_same_bits_for_any_number_of_threads(clipping, chain, batch_size, dtype):
    layers = [Linear(100), Activation("silu"), Linear(37), Activation("relu"), Linear(70)]
    if chain == "piecewise":
        layers = [Linear(5), PiecewiseLinearEmbedding(EDGES, 7), BatchNorm(), Linear(3)]
    layers = CHAINS.get(chain, layers)
    # Seven threads on fewer cores take long to meet: there are fewer steps of one row.
    n = 203 if batch_size > 1 else 40
    chain, parameters, data = make_problem(layers, "labels", dtype, n=n, fan_in=50)
    results = []
    for n_threads in (1, 2, 3, 7):
        plan = TrainingPlan(
            Adam(0.01), batch_size, 0.1, seed=3, n_threads=n_threads, clipping=clipping
        )
        trained, losses, _ = train(native.NativeTrainer, chain, parameters, data, plan, 2)
        objective, gradient = native.loss_and_gradient(chain, trained, data, 0.1, n_threads)
        scores = native.predict_scores(chain, trained, data.X, n_threads)
        results.append([trained.flat, losses, objective, gradient.flat, scores])
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 60, 1025, 2500])
def test_full_gradient_and_scores(n, dtype):
    layers = [Linear(9), Activation("tanh"), Linear(3)]
    chain, parameters, data = make_problem(layers, "labels", dtype, n=n)
    tolerance = RELATIVE[dtype]
    expected, expected_gradient = reference.loss_and_gradient(chain, parameters, data, 0.1)
    actual, gradient = native.loss_and_gradient(chain, parameters, data, 0.1)
    assert actual == pytest.approx(expected, rel=tolerance)
    scale = np.abs(expected_gradient.flat).max()
    np.testing.assert_allclose(
        gradient.flat, expected_gradient.flat, rtol=tolerance, atol=tolerance * scale
    )
    np.testing.assert_allclose(
        native.predict_scores(chain, parameters, data.X),
        reference.predict_scores(chain, parameters, data.X),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.arithmetic
def test_a_batch_norm_trains_with_any_number_of_threads_in_turn():
    """The team may change between the windows of an epoch; the moments must not notice."""
    chain = [Linear(33, bias=False), BatchNorm(), Activation("relu"), Linear(3)]
    chain, parameters, data = make_problem(chain, "labels", np.float32, n=2000)
    flat = []
    for n_threads in (1, 2, None):
        plan = TrainingPlan(Adam(0.01), batch_size=8, seed=3, n_threads=n_threads)
        flat.append(train(native.NativeTrainer, chain, parameters, data, plan, 3)[0].flat)
    np.testing.assert_array_equal(flat[0], flat[1])
    np.testing.assert_array_equal(flat[0], flat[2])


def test_running_moments_have_no_gradient_and_belong_to_the_parameters():
    chain, parameters, data = make_problem([BatchNorm(), Linear(3)], "labels", np.float64)
    parameters["0.running_mean"][...] = 0.5
    _, gradient = native.loss_and_gradient(chain, parameters, data, l2_penalty=1.0)
    np.testing.assert_array_equal(gradient["0.running_mean"], 0.0)
    np.testing.assert_array_equal(gradient["0.running_variance"], 0.0)
    moved = native.predict_scores(chain, parameters, data.X)
    parameters["0.running_mean"][...] = 0.0
    assert (moved != native.predict_scores(chain, parameters, data.X)).any()


def circular_angles(dtype):
    """Angles of every size, near the zeros of sine and cosine too, and beyond any reduction."""
    rng = np.random.default_rng(0)
    near_zeros = np.arange(-8000, 8000) * (np.pi / 2)
    small, large = rng.uniform(-7, 7, 20_000), rng.uniform(-12_000, 12_000, 20_000)
    huge = rng.uniform(-1e15, 1e15, 100) if dtype == np.float64 else rng.uniform(-1e7, 1e7, 100)
    tiny = 10.0 ** rng.uniform(-30, -1, 100)
    return np.concatenate([near_zeros, small, large, huge, tiny, [0.0]]).astype(dtype)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_cosine_and_sine_to_the_last_places(dtype):
    """At frequency 0 each column is the cosine of its phase, whose derivative is minus the sine."""
    angles = circular_angles(dtype)
    chain = Chain([PeriodicEmbedding(dim=2, n_frequencies=1)], "absolute_error")
    parameters = chain.initialize(len(angles), seed=0, dtype=dtype)
    parameters.flat[:] = 0.0
    parameters["0.phases"][:, 0] = angles
    parameters["0.W"][...] = 1.0
    X, targets = np.zeros((1, len(angles))), np.full((1, 2 * len(angles)), -3.0)
    exact = angles.astype(np.longdouble)  # on some machines no longer than a double
    cosines = native.predict_scores(chain, parameters, X)[0, 1::2]
    _, gradient = native.loss_and_gradient(chain, parameters, TrainingData(X, targets))
    sines = -gradient["0.phases"][:, 0]
    for actual, expected in ((cosines, np.cos(exact)), (sines, np.sin(exact))):
        # The remainder of the angle is rounded twice, by half a unit each, of which the result's
        # may be half; then the result itself is rounded.
        units = np.abs(actual - expected) / np.spacing(np.abs(expected.astype(dtype)))
        assert units.max() < 2.5


@pytest.mark.arithmetic
def test_an_angle_that_is_not_finite_is_not_hidden():
    chain = Chain([PeriodicEmbedding(dim=2, n_frequencies=3)], "half_squared_error")
    parameters = chain.initialize(1, seed=0, dtype=np.float32)
    scores = native.predict_scores(chain, parameters, np.array([[np.inf], [np.nan], [1.0]]))
    np.testing.assert_array_equal(np.isnan(scores[:, 1]), [True, True, False])


@pytest.mark.arithmetic
def test_native_row_order_is_that_of_nn():
    from pellucid.engine.instruction_set import core
    from pellucid.nn.random import permutation

    for seed, epoch, n in [(0, 0, 0), (0, 0, 1), (7, 3, 1000), (2**64 - 1, 2**31, 1001)]:
        order = np.empty(n, dtype=np.int64)
        core.permute(seed, epoch, order)
        np.testing.assert_array_equal(order, permutation(seed, epoch, n))
