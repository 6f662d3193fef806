"""Both engines keep what the contract promises."""

import inspect
import math
import threading
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from pellucid.engine.contract import Predictor, Trainer, ValidationRows
from pellucid.engine.engines import ENGINES, engine_of
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import (
    Activation,
    Adam,
    BatchNorm,
    Chain,
    CustomActivation,
    Dropout,
    Linear,
    Residual,
)

each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)

RNG = np.random.default_rng(0)
X = np.where(RNG.random((70, 5)) < 0.6, RNG.normal(size=(70, 5)), 0.0)
LABELS = RNG.integers(0, 3, 70)
NUMBERS = RNG.normal(size=(70, 2))
WEIGHT = RNG.uniform(0.5, 1.5, 70)
WEIGHT /= WEIGHT.mean()
HIDDEN = [Linear(8), BatchNorm(), Activation("relu"), Dropout(0.3)]
PROBLEMS = {
    "labels": (Chain([*HIDDEN, Linear(3)], "softmax_cross_entropy"), LABELS),
    "numbers": (Chain([*HIDDEN, Linear(2)], "huber"), NUMBERS),
}
each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
PLAN = TrainingPlan(Adam(0.01), batch_size=16, seed=3, l2_penalty=0.1)


def make(engine, problem, *, X=X, dtype=np.float64, state=None, **plan):
    chain, targets = problem
    parameters = chain.initialize(5, seed=1, dtype=dtype)
    data = TrainingData(X, targets, WEIGHT)
    trainer = engine.trainer(chain, parameters, data, replace(PLAN, **plan), state)
    return trainer, parameters


@each_engine
@pytest.mark.parametrize("protocol", [Trainer, Predictor])
def test_everything_that_the_contract_names_is_there(engine, protocol):
    trainer, parameters = make(engine, PROBLEMS["labels"])
    made = trainer if protocol is Trainer else engine.predictor(trainer.chain, parameters, 5)
    named = {name for name in vars(protocol) if not name.startswith("_") or name == "__call__"}
    assert named
    for name in named | set(inspect.get_annotations(protocol)):
        assert hasattr(made, name), name
        member = vars(protocol).get(name)
        if inspect.isfunction(member):
            promised = list(inspect.signature(member).parameters)[1:]
            own = inspect.signature(getattr(made, name)).parameters
            assert list(own)[: len(promised)] == promised, name
            assert all(p.default is not p.empty for p in list(own.values())[len(promised) :])


@each_engine
@each_problem
def test_pull_brings_the_parameters_up_to_date(engine, problem):
    trainer, parameters = make(engine, problem)
    first = parameters.flat.copy()
    assert trainer.pull() is parameters
    np.testing.assert_array_equal(parameters.flat, first)
    for orders in (trainer.row_order()[None], np.array([trainer.row_order(e) for e in (1, 2)])):
        before = parameters.flat.copy()
        list(trainer.run_epochs(orders))
        assert trainer.pull() is parameters
        assert not np.array_equal(parameters.flat, before)
    assert (trainer.step, trainer.epoch) == (15, 3)
    assert (trainer.state.step, trainer.state.epoch) == (15, 3)


@each_engine
@each_problem
def test_another_trainer_goes_on_from_state_and_parameters(engine, problem):
    whole, expected = make(engine, problem)
    first, parameters = make(engine, problem)
    for epoch in range(4):
        whole.run_epoch()
        if epoch < 2:
            first.run_epoch()
    second, going_on = make(engine, problem, state=first.state)
    going_on.flat[:] = first.pull().flat
    for _ in range(2):
        second.run_epoch()
    np.testing.assert_array_equal(going_on.flat, whole.pull().flat)
    assert expected is whole.pull()
    assert parameters is first.pull()


def tables():
    yield "dense", X
    yield "Fortran", np.asfortranarray(X)
    yield "float32", X.astype(np.float32)
    yield "CSR", scipy.sparse.csr_array(X)


@each_engine
@each_problem
@pytest.mark.parametrize("table", [table for _, table in tables()], ids=[n for n, _ in tables()])
@pytest.mark.parametrize("chosen", [None, np.array([60, 3, 3, 0, 41])], ids=["all", "some"])
@pytest.mark.parametrize("weighed", [False, True], ids=["even", "weighed"])
def test_loss_and_scores_are_those_of_the_formulas(engine, problem, table, chosen, weighed):
    chain, targets = problem
    trainer, parameters = make(engine, problem)
    rows = slice(None) if chosen is None else chosen
    weight = WEIGHT[rows] / WEIGHT[rows].mean() if weighed else None
    measured = ValidationRows(table, targets[rows], weight, chosen)
    for _ in range(2):  # before training, and after an epoch
        dense = table.toarray() if scipy.sparse.issparse(table) else table
        scores = chain.forward(parameters, dense[rows].astype(np.float64)).scores
        loss, found = trainer.measure(measured)
        np.testing.assert_allclose(found, scores, rtol=1e-12, atol=1e-13)
        assert found.shape == (len(targets[rows]), chain.fan_out(5))
        assert loss == pytest.approx(chain.loss_value(scores, targets[rows], weight), rel=1e-12)
        trainer.run_epoch()
        trainer.pull()


@each_engine
def test_what_is_measured_is_without_penalty_and_changes_nothing(engine):
    problem = PROBLEMS["numbers"]
    light, heavy = (make(engine, problem, l2_penalty=penalty)[0] for penalty in (0.0, 1e6))
    rows = ValidationRows(X, NUMBERS)
    assert light.measure(rows).loss == heavy.measure(rows).loss
    plain, _ = make(engine, problem)
    watched, _ = make(engine, problem)
    for _ in range(3):
        plain.run_epoch()
        watched.run_epoch()
        watched.measure(rows)
    np.testing.assert_array_equal(plain.pull().flat, watched.pull().flat)
    assert plain.state.step == watched.state.step


@each_engine
def test_float32_parameters_are_measured_in_float32(engine):
    chain, targets = problem = PROBLEMS["numbers"]
    trainer, parameters = make(engine, problem, dtype=np.float32)
    measurement = trainer.measure(ValidationRows(X, targets))
    assert measurement.scores.dtype == np.float32
    exact = chain.forward(parameters, X.astype(np.float32)).scores
    np.testing.assert_allclose(measurement.scores, exact, rtol=1e-4, atol=1e-5)


@each_engine
@each_problem
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_loss_of_scores_that_are_not_finite_is_nan(engine, problem, bad):
    _, targets = problem
    trainer, parameters = make(engine, problem)
    spoiled = X.copy()
    spoiled[7, 2] = bad
    loss, scores = trainer.measure(ValidationRows(spoiled, targets))
    assert math.isnan(loss)
    assert not np.isfinite(scores[7]).all()
    assert np.isfinite(np.delete(scores, 7, axis=0)).all()
    assert np.isfinite(parameters.flat).all()
    others = np.delete(np.arange(70), 7)
    assert math.isfinite(
        trainer.measure(ValidationRows(spoiled, targets[others], rows=others)).loss
    )


@each_engine
def test_a_loss_that_overflows_is_infinite(engine):
    """Scores become huge before they become infinite, and nothing warns of it."""
    chain = Chain([Linear(2)], "half_squared_error")
    trainer, _ = make(engine, (chain, NUMBERS))
    assert trainer.measure(ValidationRows(np.full((3, 5), 1e200), NUMBERS[:3])).loss == math.inf


@each_engine
@each_problem
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_do_not_depend_on_the_number_of_threads(engine, problem, dtype):
    _, targets = problem
    alone, _ = make(engine, problem, dtype=dtype, n_threads=1)
    changing, _ = make(engine, problem, dtype=dtype, n_threads=4)
    rows = ValidationRows(X, targets)
    assert (alone.n_threads, changing.n_threads) == (1, 4)
    for n_threads in (4, 3, None, 1, 2):
        changing.n_threads = n_threads
        assert changing.n_threads == n_threads
        assert changing.run_epoch().loss == alone.run_epoch().loss
        np.testing.assert_array_equal(changing.pull().flat, alone.pull().flat)
        one, other = changing.measure(rows), alone.measure(rows)
        assert one.loss == other.loss
        np.testing.assert_array_equal(one.scores, other.scores)
    for one, other in zip(changing.state.optimizer, alone.state.optimizer, strict=True):
        np.testing.assert_array_equal(one, other)


@each_engine
@pytest.mark.parametrize("table", [table for _, table in tables()], ids=[n for n, _ in tables()])
def test_rows_are_those_of_a_table_that_holds_no_others(engine, table):
    """Training reads the rows of a subset where they lie."""
    chain, targets = PROBLEMS["labels"]
    rows = np.array([60, 3, 41, 5, 6, 7, 0, 22])
    some, alone = chain.initialize(5, seed=1), chain.initialize(5, seed=1)
    plan = replace(PLAN, batch_size=3)
    subset = TrainingData(table, targets, WEIGHT, rows=rows)
    copied = TrainingData(table[rows], targets[rows], WEIGHT[rows])
    one = engine.trainer(chain, some, subset, plan)
    other = engine.trainer(chain, alone, copied, plan)
    np.testing.assert_array_equal(one.row_order(4), rows[other.row_order(4)])
    for _ in range(3):
        assert one.run_epoch().loss == other.run_epoch().loss
    np.testing.assert_array_equal(one.pull().flat, other.pull().flat)
    loss, gradient = engine.objective(chain, some, subset, 0.1)(some.flat)
    other_loss, other_gradient = engine.objective(chain, alone, copied, 0.1)(alone.flat)
    assert loss == other_loss
    np.testing.assert_array_equal(gradient.flat, other_gradient.flat)


@each_engine
@each_problem
def test_predictors_follow_the_parameters(engine, problem):
    chain, _ = problem
    trainer, parameters = make(engine, problem)
    predict = engine.predictor(chain, parameters, 5, 2)
    before = predict(X)
    trainer.run_epoch()
    trainer.pull()
    after = predict(X)
    assert not np.array_equal(before, after)
    rows, out = np.array([5, 5, 0]), np.empty((3, chain.fan_out(5)))
    assert predict(X, rows, out) is out
    np.testing.assert_array_equal(out, after[rows])
    np.testing.assert_array_equal(predict(scipy.sparse.csr_array(X), rows), out)


@each_engine
@each_problem
def test_the_objective_is_that_of_the_formulas(engine, problem):
    chain, targets = problem
    parameters = chain.initialize(5, seed=1)
    before = parameters.flat.copy()
    objective = engine.objective(chain, parameters, TrainingData(X, targets, WEIGHT), 0.5, 2)
    flat = before + 0.1
    loss, gradient = objective(flat)
    there = parameters.copy()
    there.flat[:] = flat
    weights = [e for e in there.layout.entries if e.role == "weight"]
    penalty = 0.25 / 70 * sum(float((flat[e.span] ** 2).sum()) for e in weights)
    trace = chain.forward(there, X)
    assert loss == pytest.approx(chain.loss_value(trace, targets, WEIGHT) + penalty, rel=1e-12)
    expected = chain.backward(there, trace, targets, WEIGHT).parameters
    for entry in weights:
        expected.flat[entry.span] += 0.5 / 70 * flat[entry.span]
    np.testing.assert_allclose(gradient.flat, expected.flat, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(parameters.flat, before)


@each_engine
def test_stop_ends_the_epoch_that_is_next_and_no_other(engine):
    trainer, parameters = make(engine, PROBLEMS["labels"])
    plain, _ = make(engine, PROBLEMS["labels"])
    thread = threading.Thread(target=trainer.stop)
    thread.start()
    thread.join()
    with pytest.raises(KeyboardInterrupt):
        trainer.run_epoch()
    assert np.isfinite(trainer.pull().flat).all()
    parameters.flat[:] = plain.pull().flat  # a step may have been taken
    again = engine.trainer(trainer.chain, parameters, trainer.data, PLAN, plain.state)
    assert again.run_epoch().loss == plain.run_epoch().loss
    np.testing.assert_array_equal(again.pull().flat, plain.pull().flat)


@each_engine
def test_an_epoch_that_diverges_leaves_the_one_before(engine):
    chain = Chain([Linear(2)], "half_squared_error")
    spoiled = np.vstack([X[:10], np.full((1, 5), 1e300)])
    parameters = chain.initialize(5, seed=1)
    data = TrainingData(spoiled, np.zeros((11, 2)))
    trainer = engine.trainer(chain, parameters, data, TrainingPlan(Adam(0.1), batch_size=2))
    trainer.run_epoch(np.arange(10))
    before = trainer.pull().flat.copy()
    with pytest.raises(NonFiniteError, match=r"epoch 1, at step 10.*as large as 1e\+300"):
        trainer.run_epoch(np.array([3, 4, 5, 6, 7, 8, 9, 9, 10, 10]))
    np.testing.assert_array_equal(trainer.pull().flat, before)


def test_the_engine_of_a_chain_is_the_one_that_knows_its_layers():
    assert engine_of(PROBLEMS["labels"][0]) is ENGINES["native"]
    own = CustomActivation(np.sin, np.cos)
    for layers in ([own], [Residual([Linear(2), own])]):
        chain = Chain([Linear(2), *layers, Linear(1)], "huber")
        assert engine_of(chain) is ENGINES["reference"]
