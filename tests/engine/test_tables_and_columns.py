"""Embedding tables and `Columns`: both engines take lazy steps, and agree about them."""

import numpy as np
import pytest
from engine.test_engines_agree import OPTIMIZERS, RELATIVE, assert_engines_agree, train
from pairs import product_with

from pellucid.engine import native, reference
from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import (
    SGD,
    Activation,
    Adagrad,
    Adam,
    Chain,
    ClipByGlobalNorm,
    ClipByNorm,
    ClipByValue,
    Columns,
    Dropout,
    Embedding,
    InputScale,
    LayerNorm,
    Linear,
    Parameters,
    ParametricActivation,
    Residual,
    RMSNorm,
)

ENGINES = [ReferenceTrainer, NativeTrainer]
N_ROWS, K = 11, 2
PLAN = TrainingPlan(Adam(0.01), batch_size=13, l2_penalty=0.1, seed=3)
CLIPPINGS = [None, ClipByValue(0.002), ClipByNorm(0.05), ClipByGlobalNorm(0.05)]


def make_problem(layers, dtype, n_numbers=0, n_ids=K, n_used=N_ROWS, n=60):
    """Return a network and rows of `n_numbers` numbers and `n_ids` ids below `n_used`."""
    rng = np.random.default_rng(0)
    chain = Chain(layers, "half_squared_error")
    fan_in = n_numbers + n_ids
    X = np.column_stack([rng.normal(size=(n, n_numbers)), rng.integers(n_used, size=(n, n_ids))])
    targets = rng.normal(size=(n, chain.fan_out(fan_in)))
    parameters = chain.initialize(fan_in, seed=0, dtype=dtype)
    return chain, parameters, TrainingData(X, targets)


def table_network(dim, n_rows=N_ROWS):
    return [Embedding(n_rows, dim), Linear(5), Activation("tanh"), Linear(2)]


def assert_states_agree(fast, slow, dtype):
    for mine, theirs in zip(fast.optimizer_state, slow.optimizer_state, strict=True):
        scale = np.abs(theirs).max(initial=0.0)
        np.testing.assert_allclose(mine, theirs, rtol=RELATIVE[dtype], atol=RELATIVE[dtype] * scale)


# Lazy steps


def by_hand(table, moments, step, gradient, rows, rate=0.1):
    """Return a table after one step of Adam in `rows` alone."""
    table, (m, v) = table.copy(), (moment.copy() for moment in moments)
    for r in rows:
        m[r] = 0.9 * m[r] + 0.1 * gradient[r]
        v[r] = 0.999 * v[r] + 0.001 * gradient[r] ** 2
        m_hat, v_hat = m[r] / (1 - 0.9**step), v[r] / (1 - 0.999**step)
        table[r] -= rate * m_hat / (np.sqrt(v_hat) + 1e-8)
    return table, (m, v)


@pytest.mark.arithmetic
@pytest.mark.parametrize("engine", ENGINES)
def test_lazy_adam_is_adam_in_the_rows_of_the_batch_alone(engine):
    # The score is the sum of the two vectors' numbers, so ∂(½(s - y)²) by either row is s - y.
    chain = Chain([Embedding(4, 1), Linear(1, bias=False)], "half_squared_error")
    parameters = chain.initialize(2, seed=0)
    parameters["1.W"][...] = 1.0
    batches, targets = [[[0, 1]], [[1, 1]], [[2, 0]], [[0, 1]]], [1.0, -2.0, 0.5, 3.0]
    data = TrainingData(np.array(batches)[:, 0], np.array(targets)[:, None])
    plan = TrainingPlan(
        Adam(0.1), batch_size=1, shuffle=False, learning_rate_factors={"weight": 0.0}
    )
    table = parameters["0.table"][:, 0].copy()
    moments = np.zeros(4), np.zeros(4)
    for step, (ids, target) in enumerate(zip(data.X, targets, strict=True), start=1):
        gradient = np.zeros(4)
        np.add.at(gradient, ids, table[ids].sum() - target)
        table, moments = by_hand(table, moments, step, gradient, set(ids.tolist()))
    trainer = engine(chain, parameters, data, plan)
    before = parameters["0.table"][3].copy()
    trainer.run_epoch()
    np.testing.assert_allclose(parameters["0.table"][:, 0], table, rtol=1e-12)
    assert parameters["0.table"][3] == before
    for kept, expected in zip(trainer.optimizer_state, moments, strict=True):
        np.testing.assert_allclose(kept[:4], expected, rtol=1e-12)


@pytest.mark.arithmetic
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.1)], ids=["momentum", "adam"])
def test_momentum_does_not_go_on_in_rows_that_a_batch_does_not_have(engine, optimizer):
    chain, parameters, data = make_problem(table_network(3), np.float64, n_ids=1)
    ids = np.repeat([[4.0], [7.0]], 10, axis=0)
    data = TrainingData(ids, data.targets[:20])
    trainer = engine(chain, parameters, data, TrainingPlan(optimizer, batch_size=5))
    trainer.run_epoch(order=np.arange(10))
    after_four = parameters["0.table"].copy(), trainer.optimizer_state
    trainer.run_epoch(order=np.arange(10, 20))
    np.testing.assert_array_equal(parameters["0.table"][4], after_four[0][4])
    assert (parameters["0.table"][7] != after_four[0][7]).all()
    for now, then in zip(trainer.optimizer_state, after_four[1], strict=True):
        np.testing.assert_array_equal(now[12:15], then[12:15])


@pytest.mark.arithmetic
@pytest.mark.parametrize("optimizer", [SGD(0.1), Adagrad(0.1)], ids=["sgd", "adagrad"])
def test_without_fading_moments_lazy_steps_are_dense_steps(optimizer):
    chain, parameters, data = make_problem(table_network(3), np.float64, n_ids=1)
    one_hot = Chain([Linear(3, bias=False), *chain.layers[1:]], chain.loss)
    X = np.eye(N_ROWS)[data.X[:, 0].astype(int)]
    dense = one_hot.initialize(N_ROWS, seed=0)
    dense.flat[:] = parameters.flat
    plan = TrainingPlan(optimizer, batch_size=13)
    NativeTrainer(chain, parameters, data, plan).run_epoch()
    NativeTrainer(one_hot, dense, TrainingData(X, data.targets), plan).run_epoch()
    np.testing.assert_allclose(parameters.flat, dense.flat, rtol=1e-11)


# The engines agree


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_ids", [1, 3, 20])
@pytest.mark.parametrize("dim", [1, 3, 16, 17, 70])
def test_widths_with_remainders(dim, n_ids, dtype):
    problem = make_problem(table_network(dim), dtype, n_ids=n_ids)
    fast, slow = assert_engines_agree(*problem, PLAN)
    assert_states_agree(fast, slow, dtype)


@pytest.mark.arithmetic
@pytest.mark.parametrize("n_used", [1, 2, 500])
@pytest.mark.parametrize("batch_size", [1, 2, 59, 60])
def test_repeated_and_unseen_ids(batch_size, n_used):
    chain, parameters, data = make_problem(table_network(3, 1000), np.float64, n_used=n_used)
    plan = TrainingPlan(Adam(0.01), batch_size)
    before = parameters["0.table"].copy()
    fast, slow = assert_engines_agree(chain, parameters, data, plan)
    assert_states_agree(fast, slow, np.float64)
    unseen = np.setdiff1d(np.arange(1000), data.X)
    np.testing.assert_array_equal(fast.parameters["0.table"][unseen], before[unseen])


@pytest.mark.arithmetic
@pytest.mark.parametrize("clipping", CLIPPINGS, ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_clipping(optimizer, clipping):
    factors = {"table": 0.5}
    plan = TrainingPlan(
        OPTIMIZERS[optimizer], 13, 0.5, clipping=clipping, learning_rate_factors=factors
    )
    assert_engines_agree(*make_problem(table_network(17), np.float64), plan)


# Adagrad's first step is as long for a gradient that is nothing but rounding as for any other.
@pytest.mark.arithmetic
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "adagrad"])
def test_every_optimizer_in_single_precision(optimizer):
    plan = TrainingPlan(OPTIMIZERS[optimizer], 13, 0.5)
    assert_engines_agree(*make_problem(table_network(17), np.float32), plan)


@pytest.mark.arithmetic
def test_clipping_clips():
    plans = [TrainingPlan(SGD(0.05), 13, clipping=clipping) for clipping in CLIPPINGS]
    problem = make_problem(table_network(3), np.float64)
    results = [train(NativeTrainer, *problem, plan, 1)[0]["0.table"] for plan in plans]
    for one in range(4):
        for other in range(one):
            assert not np.allclose(results[one], results[other], rtol=1e-6)


# The parts start and end inside vectors and panels of every instruction set.
COLUMNS = {
    "ids beside numbers": [
        Columns([(3, Activation("identity")), (2, Embedding(N_ROWS, 5))]),
        Linear(5),
        Activation("tanh"),
        Linear(2),
    ],
    "tables of several widths": [
        Columns([(3, Linear(70)), (1, Embedding(N_ROWS, 17)), (1, Embedding(N_ROWS, 3))]),
        Linear(2),
    ],
    "every layer": [
        Columns(
            [
                (1, InputScale()),
                (1, Linear(6, bias=False)),
                (1, ParametricActivation("mish")),
                (1, Embedding(N_ROWS, 2)),
                (1, Embedding(N_ROWS, 4)),
            ]
        ),
        InputScale(),
        Linear(40),
        Columns(
            [
                (7, RMSNorm()),
                (9, LayerNorm()),
                (5, Dropout(0.3)),
                (4, Dropout(0.4, "prediction")),
                (6, Activation("softplus")),
                (2, Activation("identity")),
                (7, Linear(3)),
            ]
        ),
        Linear(2),
    ],
    "in a residual": [
        Columns([(3, Linear(20)), (2, Embedding(N_ROWS, 10))]),
        Residual([Columns([(13, Activation("tanh")), (27, RMSNorm())])]),
        Linear(2),
    ],
    "passed back to twice": [
        Linear(20),
        Residual([Columns([(3, Dropout(0.2)), (17, Activation("identity"))]), Linear(20)]),
        Linear(2),
    ],
    "at the end": [Columns([(3, Linear(1)), (2, Embedding(N_ROWS, 1))])],
    "without anything to learn": [Columns([(3, Activation("tanh")), (2, Dropout(0.1))]), Linear(2)],
}


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("clipping", [None, ClipByGlobalNorm(0.1)])
@pytest.mark.parametrize("chain", COLUMNS)
def test_columns(chain, clipping, dtype):
    chain, parameters, data = make_problem(COLUMNS[chain], dtype, n_numbers=3)
    plan = TrainingPlan(Adam(0.01), 13, 0.1, seed=3, clipping=clipping)
    fast, slow = assert_engines_agree(chain, parameters, data, plan)
    assert_states_agree(fast, slow, dtype)
    tolerance = RELATIVE[dtype]
    for n in (1, 60):
        np.testing.assert_allclose(
            native.predict_scores(chain, parameters, data.X[:n]),
            reference.predict_scores(chain, parameters, data.X[:n]),
            rtol=tolerance,
            atol=tolerance,
        )


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 60, 1500])
def test_full_gradient(n, dtype):
    problem = make_problem(COLUMNS["tables of several widths"], dtype, n_numbers=3, n=n)
    expected, expected_gradient = reference.loss_and_gradient(*problem, 0.1)
    objective = native.NativeObjective(*problem, 0.1)
    for _ in range(2):  # nothing is left over from the first call
        actual, gradient = objective(problem[1].flat)
        assert actual == pytest.approx(expected, rel=RELATIVE[dtype])
        scale = np.abs(expected_gradient.flat).max()
        np.testing.assert_allclose(
            gradient.flat,
            expected_gradient.flat,
            rtol=RELATIVE[dtype],
            atol=RELATIVE[dtype] * scale,
        )


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    ("clipping", "batch_size", "dtype"),
    product_with([None, ClipByGlobalNorm(0.1)], [1, 13, 200], [np.float64, np.float32]),
)
def test_same_bits_for_any_number_of_threads(clipping, batch_size, dtype):
    n = 203 if batch_size > 1 else 40  # seven threads on fewer cores take long to meet
    chain, parameters, data = make_problem(COLUMNS["every layer"], dtype, n_numbers=3, n=n)
    results = []
    for n_threads in (1, 2, 3, 7):
        plan = TrainingPlan(
            Adam(0.01), batch_size, 0.1, seed=3, n_threads=n_threads, clipping=clipping
        )
        trained, losses, _ = train(NativeTrainer, chain, parameters, data, plan, 2)
        objective, gradient = native.loss_and_gradient(chain, trained, data, 0.1, n_threads)
        scores = native.predict_scores(chain, trained, data.X, n_threads)
        results.append([trained.flat, losses, objective, gradient.flat, scores])
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adagrad from above zero"])
def test_training_goes_on_as_if_it_had_never_stopped(optimizer):
    chain, parameters, data = make_problem(table_network(17), np.float32)
    plan = TrainingPlan(OPTIMIZERS[optimizer], batch_size=13, seed=1)
    straight, _, _ = train(NativeTrainer, chain, parameters, data, plan, 4)
    first, _, trainer = train(NativeTrainer, chain, parameters, data, plan, 2)
    resumed = NativeTrainer(chain, first, data, plan, trainer.state)
    for _ in range(2):
        resumed.run_epoch()
    np.testing.assert_array_equal(first.flat, straight.flat)


# Ids that are none


@pytest.mark.arithmetic
@pytest.mark.parametrize("wrong", [-1.0, N_ROWS, 0.5, np.nan, 1e30, -np.inf])
@pytest.mark.parametrize("n", [60, 3000])
def test_values_that_are_no_ids_are_named(wrong, n):
    layers = COLUMNS["ids beside numbers"]
    chain, parameters, data = make_problem(layers, np.float64, n_numbers=3, n=n)
    data.X[n - 2, 4] = wrong
    before = parameters.flat.copy()
    message = f"whole numbers from 0 to {N_ROWS - 1}, got .*{wrong:g}".replace("+", r"\+")
    trainer = NativeTrainer(chain, parameters, data, PLAN)
    with pytest.raises(ValueError, match=message):
        trainer.run_epoch()
    np.testing.assert_array_equal(parameters.flat, before)
    with pytest.raises(RuntimeError, match="make a new one"):
        trainer.run_epoch()
    with pytest.raises(ValueError, match=message):
        native.predict_scores(chain, parameters, data.X)
    with pytest.raises(ValueError, match=message):
        native.loss_and_gradient(chain, parameters, data)
    native.predict_scores(chain, parameters, data.X[: n - 2])


def test_a_table_that_float32_cannot_address_is_refused():
    chain = Chain([Embedding(2**24 + 1, 1)], "half_squared_error")
    parameters = Parameters.zeros(chain.layout(1), np.float32)
    with pytest.raises(ValueError, match=r"float32 cannot tell .* 16777217 rows .* use float64"):
        native.predict_scores(chain, parameters, np.zeros((1, 1)))


def test_a_part_that_the_engine_does_not_know_is_named():
    class Doubling(Activation):
        pass

    chain = Chain([Columns([(1, Linear(1)), (1, Doubling("tanh"))])], "half_squared_error")
    with pytest.raises(TypeError, match=r"layer 0\.1 is a Doubling, which the native engine does"):
        native.predict_scores(chain, chain.initialize(2, seed=0), np.zeros((1, 2)))
