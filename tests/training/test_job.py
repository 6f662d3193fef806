"""A job as a whole: what it makes of a start, what it refuses, and its parts together."""

import math
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from pellucid.engine.contract import ValidationRows
from pellucid.engine.engines import ENGINES
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, CustomLoss, Dropout, Linear
from pellucid.training import (
    CounterOrder,
    EpochRun,
    FixedOrder,
    History,
    Lbfgs,
    LbfgsRun,
    MiniBatches,
    Outcome,
    ShuffledOrder,
    StateError,
    TableRows,
    TrainingJob,
    TrainingState,
    Validation,
    get_epoch_rate,
)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(90, 4)), RNG.integers(0, 3, 90)
DATA = TrainingData(X, Y, RNG.uniform(0.5, 1.5, 90), rows=np.arange(0, 60))
CHAIN = Chain([Linear(6), Activation("relu"), Dropout(0.3), Linear(3)], "softmax_cross_entropy")
PLAN = TrainingPlan(Adam(0.01), batch_size=16, seed=2, l2_penalty=0.1)
VALIDATION = Validation(ValidationRows(X, Y[60:], rows=np.arange(60, 90)), lambda _, loss: -loss)
each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def make_job(max_epochs, *, order=None, parameters=None, **parts):
    order = CounterOrder(DATA, seed=2) if order is None else order
    solver = MiniBatches(PLAN, get_epoch_rate("constant", 0.01), max_epochs)
    parameters = CHAIN.initialize(4, seed=1) if parameters is None else parameters
    return TrainingJob(CHAIN, parameters, TableRows(DATA, order), solver, **parts)


@each_engine
def test_epochs_are_those_of_the_engine(engine):
    """The job adds nothing to the arithmetic."""
    plain = CHAIN.initialize(4, seed=1)
    trainer = engine.trainer(CHAIN, plain, DATA, PLAN)
    losses = [trainer.run_epoch().loss for _ in range(5)]
    job = make_job(5)
    result = job.run(engine)
    assert result.state.history.losses == losses
    np.testing.assert_array_equal(job.parameters.flat, plain.flat)
    assert result.state.trainer.step == trainer.step == 20


@each_engine
def test_a_job_goes_on_from_the_state_of_another_to_the_bit(engine):
    """As `partial_fit` does: parameters at hand, and the state of the result before."""
    whole, order = make_job(7), CounterOrder(DATA, seed=2)
    expected = whole.run(engine)
    first = make_job(3, order=order)
    before = first.run(engine)
    second = make_job(7, order=order, parameters=first.parameters, start=before.state)
    after = second.run(engine)
    np.testing.assert_array_equal(second.parameters.flat, whole.parameters.flat)
    assert after.state.history == expected.state.history
    assert after.n_iter == 7


def test_a_warm_start_begins_with_the_parameters_alone():
    engine = ENGINES["native"]
    first = make_job(3)
    history = first.run(engine).state.history
    expected = make_job(2, parameters=first.parameters.copy())
    expected.run(engine)
    second = make_job(2, parameters=first.parameters, start=TrainingState(history=history))
    result = second.run(engine)
    assert result.n_iter == 2
    assert len(result.state.history.losses) == 5
    np.testing.assert_array_equal(second.parameters.flat, expected.parameters.flat)


@each_engine
def test_validation_is_measured_after_each_epoch_and_the_best_weights_stay(engine):
    best, losses, copies = math.inf, [], []
    parameters = CHAIN.initialize(4, seed=1)
    trainer = engine.trainer(CHAIN, parameters, DATA, PLAN)
    for _ in range(6):
        trainer.run_epoch()
        scores = CHAIN.forward(parameters, X[60:]).scores
        losses.append(CHAIN.loss_value(scores, Y[60:]))
        copies.append(parameters.flat.copy())
    job = make_job(6, validation=VALIDATION)
    result = job.run(engine)
    assert result.validated
    np.testing.assert_allclose(result.state.history.validation_losses, losses, rtol=1e-12)
    best = int(np.argmin(losses))
    np.testing.assert_array_equal(job.parameters.flat, copies[best])
    assert result.state.best == result.state.history.validation_scores[best]


def test_each_solver_has_its_run():
    engine = ENGINES["native"]
    job = make_job(1)
    assert isinstance(job.begin(engine), EpochRun)
    lbfgs = replace(job, solver=Lbfgs(0.0, 1, 1e-4, max_iter=1, max_fun=100))
    assert isinstance(lbfgs.begin(engine), LbfgsRun)


def test_a_job_can_be_run_again_from_its_first_weights():
    """It holds values alone: no run leaves anything in it."""
    job = make_job(3, validation=VALIDATION)
    first = job.run(ENGINES["native"])
    reached = job.parameters.flat.copy()
    job.parameters.flat[:] = CHAIN.initialize(4, seed=1).flat
    second = job.run(ENGINES["native"])
    assert second.state.history == first.state.history
    np.testing.assert_array_equal(job.parameters.flat, reached)
    assert job.start == TrainingState()


@pytest.mark.parametrize("order", ["counter", "shuffled"])
def test_several_epochs_at_once_are_the_same_epochs(order):
    results, flats = [], []
    for seconds_at_once in (0.0, 1e9):
        orders = {
            "counter": CounterOrder(DATA, seed=2),
            "shuffled": ShuffledOrder(np.arange(60), np.random.RandomState(0)),
        }
        job = make_job(12, order=orders[order])
        job = replace(job, solver=replace(job.solver, seconds_at_once=seconds_at_once))
        results.append(job.run(ENGINES["native"]))
        flats.append(job.parameters.flat)
    np.testing.assert_array_equal(*flats)
    assert results[0].state.history == results[1].state.history


@each_engine
def test_any_step_can_be_replayed(engine):
    job = make_job(5, record=2)
    result = job.run(engine)
    step = result.recording.replay(result.recording.n_steps)
    assert step.step == result.state.trainer.step == 20
    np.testing.assert_array_equal(step.after.flat, job.parameters.flat)
    assert make_job(1).run(engine).recording is None


def test_statistics_are_those_of_the_steps_asked_for():
    job = make_job(3)
    plan = replace(PLAN, statistics_every=5)
    result = replace(job, solver=replace(job.solver, plan=plan)).run(ENGINES["native"])
    assert [measured.step for measured in result.statistics] == [5, 10]


def test_what_an_engine_does_not_know_is_raised_before_anything_is_trained():
    own = type("Own", (), {"apply": lambda self, gradient, layout: gradient})()
    job = make_job(3)
    before = job.parameters.flat.copy()
    unknown = replace(job, solver=replace(job.solver, plan=replace(PLAN, clipping=own)))
    with pytest.raises(TypeError, match="the native engine does not know Own"):
        unknown.run(ENGINES["native"])
    np.testing.assert_array_equal(job.parameters.flat, before)
    assert unknown.run(ENGINES["reference"]).outcome is Outcome.MAX_EPOCHS


def test_a_checkpoint_sets_parameters_moments_and_order():
    order = ShuffledOrder(np.arange(60), np.random.RandomState(0))
    start = TrainingState(
        parameters=np.arange(CHAIN.layout(4).size, dtype=np.float64),
        order=ShuffledOrder(np.arange(60)[::-1].copy(), np.random.RandomState(9)).state(),
        n_epochs=4,
    )
    job = make_job(4, order=order, start=start)
    job.run(ENGINES["native"])
    np.testing.assert_array_equal(job.parameters.flat, start.parameters)
    expected = ShuffledOrder(np.arange(60)[::-1].copy(), np.random.RandomState(9))
    np.testing.assert_array_equal(order(0), expected(0))


@pytest.mark.parametrize(
    "order",
    [({}, {}), ({}, {"rows": np.arange(60)}), ({"pos": 2**80}, {}), (None, None), ({}, None)],
)
def test_a_state_whose_order_makes_no_sense_is_refused(order):
    start = TrainingState(parameters=CHAIN.initialize(4, seed=1).flat, order=order)
    shuffled = ShuffledOrder(np.arange(60), np.random.RandomState(0))
    with pytest.raises(StateError):
        make_job(3, order=shuffled, start=start).begin(ENGINES["native"])


def test_a_result_without_an_epoch():
    result = make_job(3, start=TrainingState(n_epochs=3)).run(ENGINES["native"])
    assert (result.n_iter, result.outcome) == (3, Outcome.MAX_EPOCHS)
    assert math.isnan(result.loss)
    assert result.state.history == History()
    assert result.learned_something


def test_the_order_need_not_be_that_of_the_plan():
    """The plan shuffles; the order that the job is given decides."""
    fixed, whole = make_job(2, order=FixedOrder(np.arange(60))), CHAIN.initialize(4, seed=1)
    fixed.run(ENGINES["native"])
    trainer = ENGINES["native"].trainer(CHAIN, whole, DATA, PLAN)
    for _ in range(2):
        trainer.run_epoch(np.arange(60))
    np.testing.assert_array_equal(fixed.parameters.flat, whole.flat)


class InTheMiddle:
    """A loss of one's own, which is called for each batch and does something at one of them."""

    def __init__(self, call, act):
        self.call, self.act, self.n_calls = call, act, 0

    def __call__(self, scores, targets, weights):
        self.n_calls += 1
        if self.n_calls == self.call:
            self.act()
        error = scores - targets
        return 0.5 * float((error**2).sum()) / len(scores), error / len(scores)


def disturbed_job(engine, step, act, max_epochs=50):
    """Return a job of 4 steps an epoch that is disturbed at one of them."""
    calls_a_step = 2 if engine.name == "reference" else 1  # for the loss, and its gradient
    loss = CustomLoss(InTheMiddle(calls_a_step * step, act), checks_gradient=False)
    chain = Chain([Linear(3)], loss)
    data = TrainingData(X, X[:, :3], rows=np.arange(60))
    solver = MiniBatches(PLAN, get_epoch_rate("constant", 0.01), max_epochs, seconds_at_once=0.0)
    source = TableRows(data, CounterOrder(data, seed=2))
    return TrainingJob(chain, chain.initialize(4, seed=1), source, solver)


def weights_after(engine, n_epochs):
    job = disturbed_job(engine, -1, None, n_epochs)
    job.run(engine)
    return job.parameters.flat


@each_engine
def test_ctrl_c_in_the_middle_of_an_epoch_leaves_a_usable_model(engine):
    job = disturbed_job(engine, 10, lambda: signal.raise_signal(signal.SIGINT))
    result = job.run(engine)
    assert result.outcome is Outcome.INTERRUPTED
    assert result.error is None
    assert result.n_iter == len(result.state.history.losses) == 2
    before, after = weights_after(engine, 2), weights_after(engine, 3)
    assert not np.array_equal(job.parameters.flat, after)
    # The native engine keeps the steps done.
    assert np.array_equal(job.parameters.flat, before) is (engine.name == "reference")


@each_engine
def test_another_thread_stops_it(engine):
    def stop():
        thread = threading.Thread(target=run.stop)
        thread.start()
        thread.join()

    job = disturbed_job(engine, 10, stop)
    run = job.begin(engine)
    result = run.run()
    assert result.outcome is Outcome.INTERRUPTED
    assert result.error is None
    assert 2 <= result.n_iter < 50
    assert np.isfinite(job.parameters.flat).all()


@each_engine
@pytest.mark.parametrize(("step", "n_iter"), [(2, 0), (10, 2)])
def test_an_error_in_the_middle_of_an_epoch_is_in_the_result(engine, step, n_iter):
    def act():
        raise TimeoutError("from a signal handler")

    job = disturbed_job(engine, step, act)
    result = job.run(engine)
    assert isinstance(result.error, TimeoutError)
    assert result.n_iter == n_iter
    assert result.learned_something is (n_iter > 0)
    if n_iter == 0 or engine.name == "reference":
        np.testing.assert_array_equal(job.parameters.flat, weights_after(engine, n_iter))


@each_engine
def test_an_epoch_that_diverges_is_taken_back(engine):
    chain = Chain([Linear(3)], "half_squared_error")
    data = TrainingData(np.where(np.arange(90)[:, None] == 7, 1e200, X), X[:, :3])
    first_two = FixedOrder(np.delete(np.arange(60), 7))

    class Order(FixedOrder):
        def __call__(self, epoch=0):
            return first_two() if epoch < 2 else super().__call__(epoch)

    def job(max_epochs, order):
        solver = replace(make_job(max_epochs).solver, seconds_at_once=0.0)
        parameters = chain.initialize(4, seed=1)
        return TrainingJob(chain, parameters, TableRows(data, order), solver)

    diverging, expected = job(9, Order(np.arange(60))), job(2, first_two)
    result = diverging.run(engine)
    assert isinstance(result.error, NonFiniteError)
    assert (result.n_iter, result.error.epoch) == (2, 2)
    assert result.state.trainer is None
    expected.run(engine)
    np.testing.assert_array_equal(diverging.parameters.flat, expected.parameters.flat)
