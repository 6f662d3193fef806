"""Training with bfloat16 products: the engines agree, and what must not change does not."""

import dataclasses
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from pairs import product_with

from pellucid.engine import _cpu, native
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.instruction_set import core
from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer, predict_scores
from pellucid.nn import (
    SGD,
    Activation,
    Adam,
    AdamW,
    BatchNorm,
    Chain,
    ClipByGlobalNorm,
    Columns,
    Dropout,
    LayerNorm,
    Linear,
    Residual,
    RMSNorm,
)
from pellucid.nn.bfloat16 import UNIT_ROUNDOFF, round_to_bfloat16
from pellucid.nn.schedules import LogCosine

needs_bfloat16 = pytest.mark.skipif(
    not core.has_bfloat16, reason=f"{native.instruction_set()} has no bfloat16 products"
)
PLANS = {
    "adam": TrainingPlan(Adam(0.01), batch_size=13, l2_penalty=0.1, seed=3, dtype="bfloat16"),
    "momentum": TrainingPlan(SGD(0.05, momentum=0.9), batch_size=13, seed=3, dtype="bfloat16"),
}
LAYERS = {
    "one": [Linear(3)],
    "no bias": [Linear(41, bias=False), Activation("relu"), Linear(3)],
    "dropout": [Dropout(0.2), Linear(70), Activation("silu"), Dropout(0.3), Linear(3)],
    "norms": [Linear(41), RMSNorm(), Activation("tanh"), Linear(17), LayerNorm(), Linear(3)],
    "residual": [
        Linear(33),
        Residual([RMSNorm(), Linear(33), Activation("gelu")]),
        Residual([Activation("tanh"), Linear(33)]),
        Linear(3),
    ],
    "ntk": [
        Linear(41, weights="standard_normal", parametrization="ntk"),
        Activation("tanh"),
        Linear(3, weights="standard_normal", parametrization="ntk"),
    ],
    "columns": [
        Linear(12, bias=False),  # BatchNorm takes most of a bias away again
        Columns([(7, Linear(33, bias=False)), (5, Activation("tanh"))]),
        BatchNorm(),
        Activation("relu"),
        Columns([(21, Linear(17, parametrization="ntk")), (17, Linear(4))]),
        Linear(3),
    ],
}
# Around pairs, vectors and panels: odd and even, with and without a remainder.
WIDTHS = [1, 2, 3, 15, 16, 17, 31, 33, 47, 48, 49, 63, 64, 65, 80, 81, 113, 130]


def make_problem(layers, fan_in=5, n=60, seed=0):
    rng = np.random.default_rng(seed)
    chain = Chain(layers, "softmax_cross_entropy")
    X = rng.standard_normal((n, fan_in)).astype(np.float32)
    labels = rng.integers(0, chain.fan_out(fan_in), n)
    parameters = chain.initialize(fan_in, seed=seed, dtype=np.float32)
    return chain, parameters, TrainingData(X, labels)


def train(engine, problem, plan, n_steps):
    """Return the parameters, as float64, after so many steps over the rows as they stand."""
    chain, parameters, data = problem
    parameters = parameters.copy()
    trainer = engine(chain, parameters, data, plan)
    rows = np.arange(data.n_examples)
    while trainer.step < n_steps:
        left = (n_steps - trainer.step) * plan.batch_size
        trainer.run_epoch(rows[:left])
    return parameters.flat.astype(np.float64)


def assert_engines_agree(problem, plan):
    """Where the float32 sums of two engines straddle a tie an operand rounds differently.

    That is rare, but one such number sets the next steps apart. So the first two steps must come
    much nearer to the reference than to training in float32; after 20 the distance must be below
    what it were if every operand had been rounded the other way, 2 unit roundoffs.
    """
    start = problem[1].flat.astype(np.float64)
    mine, theirs = (train(engine, problem, plan, 2) for engine in (NativeTrainer, ReferenceTrainer))
    unrounded = train(ReferenceTrainer, problem, dataclasses.replace(plan, dtype="float32"), 2)
    effect = np.linalg.norm(unrounded - theirs)
    assert effect > 1e-4 * np.linalg.norm(theirs - start)
    assert np.linalg.norm(mine - theirs) < 0.2 * effect
    mine, theirs = (
        train(engine, problem, plan, 20) for engine in (NativeTrainer, ReferenceTrainer)
    )
    assert np.linalg.norm(mine - theirs) < 2 * UNIT_ROUNDOFF * np.linalg.norm(theirs - start)


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("layers", LAYERS)
def test_engines_agree_on_what_stands_around_the_products(layers, plan):
    assert_engines_agree(make_problem(LAYERS[layers]), PLANS[plan])


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize("width", WIDTHS)
def test_engines_agree_on_widths_with_remainders(width):
    layers = [Linear(width), Activation("tanh"), Linear(width + 3), Activation("tanh"), Linear(4)]
    assert_engines_agree(make_problem(layers, fan_in=width), PLANS["momentum"])


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize("batch_size", [1, 2, 3, 59, 60, 61])
def test_engines_agree_on_batch_sizes(batch_size):
    plan = dataclasses.replace(PLANS["momentum"], batch_size=batch_size)
    assert_engines_agree(make_problem([Linear(9), Activation("tanh"), Linear(3)]), plan)


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize("fan_in", [700, 2100])
def test_engines_agree_on_sums_of_several_blocks(fan_in):
    layers = [Linear(50), Activation("relu"), Linear(3)]
    assert_engines_agree(make_problem(layers, fan_in=fan_in), PLANS["momentum"])


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize("widths", [(5, 3), (16, 16, 2), (33, 50, 17, 2), (130, 81, 65, 4)])
@pytest.mark.parametrize("batch_size", [1, 2, 16, 64])
def test_what_bfloat16_can_hold_is_computed_without_error(widths, batch_size):
    """Small integers: every operand is a bfloat16 and every sum exact, in either precision."""
    rng = np.random.default_rng(0)
    chain = Chain([Linear(w) for w in widths[1:]], "half_squared_error")
    parameters = chain.initialize(widths[0], seed=0, dtype=np.float32)
    sparse = rng.random(parameters.flat.size) < 3 / max(widths)
    parameters.flat[:] = np.where(sparse, rng.choice([-1.0, 1.0], parameters.flat.size), 0.0)
    X = np.where(rng.random((64, widths[0])) < 0.2, rng.choice([-1.0, 1.0], (64, widths[0])), 0.0)
    targets = rng.integers(-1, 2, (64, widths[-1])).astype(float)
    results = []
    for dtype in ("float32", "bfloat16"):
        plan = TrainingPlan(SGD(0.5), batch_size, shuffle=False, dtype=dtype)
        problem = chain, parameters, TrainingData(X, targets)
        results.append(train(NativeTrainer, problem, plan, 1))
    assert not np.array_equal(results[0], parameters.flat)
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.arithmetic
@needs_bfloat16
def test_the_engine_rounds_as_the_formula_does():
    """One row whose delta is 1 or −1: the step is the rounded row itself."""
    rng = np.random.default_rng(0)
    exponents = np.concatenate([np.full(997, 127), rng.integers(0, 2, 500), np.arange(2, 250)])
    bits = exponents.astype(np.uint32) << 23 | rng.integers(0, 2**23, len(exponents))
    ties = (np.arange(500, dtype=np.uint32) + 0x3F80) << 16 | 0x8000
    row = np.concatenate([bits, ties]).astype(np.uint32).view(np.float32)
    chain = Chain([Linear(2, bias=False, weights="zeros")], "half_squared_error")
    parameters = chain.initialize(len(row), seed=0, dtype=np.float32)
    data = TrainingData(row[None], np.array([[1.0, -1.0]]))
    plan = TrainingPlan(SGD(1.0), batch_size=1, dtype="bfloat16")
    NativeTrainer(chain, parameters, data, plan).run_epoch()
    expected = round_to_bfloat16(row)
    np.testing.assert_array_equal(parameters["0.W"], np.stack([expected, -expected], axis=1))


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize(
    ("clipping", "layers", "batch_size"),
    product_with([None, ClipByGlobalNorm(0.1)], LAYERS, [1, 13, 14, 200]),
)
def test_same_bits_for_any_number_of_threads(clipping, layers, batch_size):
    problem = make_problem(LAYERS[layers], fan_in=50, n=203)
    plan = dataclasses.replace(PLANS["adam"], batch_size=batch_size, clipping=clipping)
    results = [
        train(NativeTrainer, problem, dataclasses.replace(plan, n_threads=n_threads), 5)
        for n_threads in (1, 2, 3, 7)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize("layers", LAYERS)
def test_engines_measure_the_same(layers):
    plan = dataclasses.replace(PLANS["momentum"], batch_size=60, statistics_every=1)
    chain, parameters, data = make_problem(LAYERS[layers])
    mine, theirs = (
        engine(chain, parameters.copy(), data, plan).run_epoch().statistics[0]
        for engine in (NativeTrainer, ReferenceTrainer)
    )
    for kind in ("gradient_norms", "update_norms", "weight_norms"):
        assert getattr(mine, kind) == pytest.approx(getattr(theirs, kind), rel=1e-3, abs=1e-7)
    assert mine.dead_units == theirs.dead_units
    assert mine.z_counts.keys() == theirs.z_counts.keys()
    for place, counts in theirs.z_counts.items():
        assert mine.z_counts[place].sum() == counts.sum()
        # A number next to an edge may fall on its other side.
        assert abs(mine.z_counts[place] - counts).sum() <= 0.01 * counts.sum()


@pytest.mark.arithmetic
@needs_bfloat16
def test_it_goes_on_as_if_it_had_never_stopped():
    chain, parameters, data = make_problem(LAYERS["residual"])
    straight, resumed = parameters.copy(), parameters.copy()
    trainer = NativeTrainer(chain, straight, data, PLANS["adam"])
    trainer.run_epoch()
    trainer.run_epoch()
    first = NativeTrainer(chain, resumed, data, PLANS["adam"])
    first.run_epoch()
    NativeTrainer(chain, resumed, data, PLANS["adam"], first.state).run_epoch()
    np.testing.assert_array_equal(straight.flat, resumed.flat)


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    "engine", [ReferenceTrainer, pytest.param(NativeTrainer, marks=needs_bfloat16)]
)
def test_a_whole_recipe_learns(engine):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3)).astype(np.float32)
    labels = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    layers = [Linear(48), Activation("selu"), Dropout(0.1)]
    layers += [Residual([RMSNorm(), Linear(48), Activation("selu")]), Linear(2)]
    chain = Chain(layers, "softmax_cross_entropy")
    parameters = chain.initialize(3, seed=1, dtype=np.float32)
    plan = TrainingPlan(
        AdamW(0.02, weight_decay=0.02),
        batch_size=32,
        n_epochs=30,
        schedule=LogCosine(),
        clipping=ClipByGlobalNorm(1.0),
        learning_rate_factors={"bias": 0.1},
        dtype="bfloat16",
    )
    trainer = engine(chain, parameters, TrainingData(X, labels), plan)
    for _ in range(30):
        trainer.run_epoch()
    # Prediction with the trained parameters is that of any float32 network.
    scores = native.predict_scores(chain, parameters, X)
    np.testing.assert_allclose(scores, predict_scores(chain, parameters, X), rtol=1e-3, atol=1e-3)
    assert np.mean(scores.argmax(axis=1) == labels) > 0.95


@pytest.mark.arithmetic
@needs_bfloat16
@pytest.mark.parametrize("value", [np.nan, np.inf, 3.4e38])
def test_what_is_not_finite_is_reported(value):
    chain, parameters, data = make_problem(LAYERS["one"])
    data.X[17, 2] = value
    before = parameters.flat.copy()
    with pytest.raises(NonFiniteError):
        NativeTrainer(chain, parameters, data, PLANS["adam"]).run_epoch()
    np.testing.assert_array_equal(parameters.flat, before)


@pytest.mark.parametrize("engine", [ReferenceTrainer, NativeTrainer])
@pytest.mark.parametrize(
    ("dtype", "parameters"),
    [("bfloat16", "float64"), ("float32", "float64"), ("float64", "float32")],
)
def test_parameters_of_another_precision_are_refused(engine, dtype, parameters):
    chain, _, data = make_problem(LAYERS["one"])
    plan = TrainingPlan(SGD(0.1), batch_size=8, dtype=dtype)
    with pytest.raises(
        ValueError, match=f"dtype='{dtype}' trains parameters of float.*got {parameters}"
    ):
        engine(chain, chain.initialize(5, seed=0, dtype=parameters), data, plan)


def run_with(instruction_set, code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PELLUCID_ISA": instruction_set},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(
    "PELLUCID_SANITIZER" in os.environ, reason="sanitizers build one instruction set alone"
)
@pytest.mark.parametrize("name", [name for name in _cpu.supported() if name != "avx512bf16"])
def test_instruction_sets_without_it_say_so(name):
    finished = run_with(
        name,
        """
        import numpy as np
        from pellucid.engine.native import NativeTrainer
        from pellucid.engine.plan import TrainingData, TrainingPlan
        from pellucid.nn import SGD, Linear, Chain
        chain = Chain([Linear(1)], "squared_error")
        parameters = chain.initialize(1, seed=0, dtype=np.float32)
        data = TrainingData(np.ones((1, 1)), np.ones((1, 1)))
        try:
            NativeTrainer(chain, parameters, data, TrainingPlan(SGD(0.1), 1, dtype="bfloat16"))
        except ValueError as error:
            print(error)
        """,
    )
    assert 'dtype="bfloat16" needs' in finished.stdout, finished.stderr
    assert f'in use is {name!r}: train with dtype="float32"' in finished.stdout


@pytest.mark.skipif(
    "PELLUCID_SANITIZER" in os.environ, reason="sanitizers build one instruction set alone"
)
@pytest.mark.skipif("avx512bf16" not in _cpu.supported(), reason="no bfloat16 on this processor")
def test_float32_and_float64_are_bitwise_those_of_avx512():
    code = """
        import hashlib
        import numpy as np
        from pellucid.engine.native import NativeTrainer, predict_scores
        from pellucid.engine.plan import TrainingData, TrainingPlan
        from pellucid.nn import Adam, Activation, Dropout, Linear, Chain, RMSNorm
        layers = [Linear(70), RMSNorm(), Activation("silu"), Dropout(0.2), Linear(33), Linear(7)]
        chain = Chain(layers, "softmax_cross_entropy")
        rng = np.random.default_rng(0)
        data = TrainingData(rng.standard_normal((203, 50)), rng.integers(0, 7, 203))
        for dtype in ("float32", "float64"):
            parameters = chain.initialize(50, seed=0, dtype=dtype)
            trainer = NativeTrainer(chain, parameters, data, TrainingPlan(Adam(0.01), 13, 0.1))
            for _ in range(3):
                print(dtype, trainer.run_epoch().loss)
            print(hashlib.sha256(parameters.flat.tobytes()).hexdigest())
            scores = predict_scores(chain, parameters, data.X)
            print(hashlib.sha256(scores.tobytes()).hexdigest())
    """
    finished = [run_with(name, code) for name in ("avx512", "avx512bf16")]
    assert finished[0].stdout.count("\n") == 10, finished[0].stderr
    assert finished[0].stdout == finished[1].stdout
