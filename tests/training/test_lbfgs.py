"""The solver 'lbfgs', with objectives that fail, stop and overflow at a known evaluation."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from pellucid.engine.engines import ENGINES
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData
from pellucid.nn import Activation, Chain, Linear
from pellucid.training import (
    FixedOrder,
    History,
    Lbfgs,
    Outcome,
    TableRows,
    TrainingJob,
    TrainingState,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
DATA = TrainingData(X, np.tanh(X[:, :1]) - X[:, 1:2] * X[:, 2:3])
CHAIN = Chain([Linear(6), Activation("tanh"), Linear(1)], "half_squared_error")
LINE = Chain([Linear(1)], "half_squared_error")


def make_job(max_iter=500, *, chain=CHAIN, data=DATA, dtype=np.float64, job=None, **settings):
    settings = {"l2_penalty": 0.0, "n_threads": 1, "tol": 1e-4, "max_fun": 10_000, **settings}
    return TrainingJob(
        chain=chain,
        parameters=chain.initialize(data.X.shape[1], seed=1, dtype=dtype),
        source=TableRows(data, FixedOrder(np.arange(data.n_examples))),
        solver=Lbfgs(max_iter=max_iter, **settings),
        **(job or {}),
    )


def weights_after(n_iter, **settings):
    """Return the parameters after so many iterations of a training that nothing disturbs."""
    job = make_job(n_iter, **settings)
    assert job.run(ENGINES["native"]).n_iter == n_iter
    return job.parameters.flat


def disturbed(act):
    """Return an engine that calls `act(number, loss, gradient)` at each evaluation, from 1."""
    native = ENGINES["native"]

    def make(*args):
        evaluate, numbers = native.objective(*args), iter(range(1, 10_000))

        def call(flat):
            loss, gradient = evaluate(flat)
            answer = act(next(numbers), loss, gradient)
            return (loss, gradient) if answer is None else answer

        return call

    return replace(native, objective=make)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_least_squares_are_found(engine):
    data = TrainingData(X, X @ np.array([[1.0], [-2.0], [0.5], [0.0]]) + 3.0)
    job = make_job(chain=LINE, data=data, tol=1e-10)
    result = job.run(engine)
    assert result.outcome is Outcome.CONVERGED
    assert result.complaint is None
    assert not result.validated
    np.testing.assert_allclose(job.parameters["0.W"].ravel(), [1.0, -2.0, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(job.parameters["0.b"], [3.0], atol=1e-6)
    assert result.loss == pytest.approx(0.0, abs=1e-12)


def test_it_ends_where_the_gradient_is_small():
    job = make_job(tol=1e-3, l2_penalty=1.0)
    assert job.run(ENGINES["native"]).outcome is Outcome.CONVERGED
    objective = ENGINES["reference"].objective(CHAIN, job.parameters, DATA, 1.0)
    _, gradient = objective(job.parameters.flat)
    assert np.abs(gradient.flat).max() <= 1e-3


def test_the_same_to_the_bit_with_any_number_of_threads():
    one, many = make_job(20), make_job(20, n_threads=3)
    for job in (one, many):
        job.run(ENGINES["native"])
    np.testing.assert_array_equal(one.parameters.flat, many.parameters.flat)


def test_the_arithmetic_of_float32_parameters_is_in_float64():
    seen = []
    engine = disturbed(lambda _, loss, gradient: seen.append(gradient.flat.dtype))
    job = make_job(3, dtype=np.float32)
    job.run(engine)
    assert set(seen) == {np.dtype(np.float64)}
    assert job.parameters.flat.dtype == np.float32


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(KeyboardInterrupt(), Outcome.INTERRUPTED), (OSError("gone"), None), (SystemExit(), None)],
    ids=["Ctrl-C", "error", "exit"],
)
def test_what_ends_an_evaluation_keeps_the_last_point(error, outcome):
    def act(number, *_):
        if number == 20:
            raise error

    job = make_job()
    result = job.run(disturbed(act))
    assert result.outcome is outcome
    assert result.error is (error if outcome is None else None)
    assert 0 < result.n_iter < 20
    assert result.complaint is None
    np.testing.assert_array_equal(job.parameters.flat, weights_after(result.n_iter))


def test_what_ends_the_first_evaluation_keeps_the_first_weights():
    def act(*_):
        raise OSError

    job = make_job()
    before = job.parameters.flat.copy()
    result = job.run(disturbed(act))
    assert result.n_iter == 0
    assert not result.learned_something
    assert math.isnan(result.loss)
    np.testing.assert_array_equal(job.parameters.flat, before)


def test_another_thread_stops_it():
    def stops(number, *_):
        if number == 20:
            thread = threading.Thread(target=run.stop)
            thread.start()
            thread.join()
        assert number <= 20

    job = make_job()
    run = job.begin(disturbed(stops))
    result = run.run()
    assert result.outcome is Outcome.INTERRUPTED
    assert result.error is None
    assert 0 < result.n_iter < 20
    np.testing.assert_array_equal(job.parameters.flat, weights_after(result.n_iter))


def test_what_is_stopped_before_it_begins_trains_nothing():
    def act(*_):
        raise AssertionError

    job = make_job()
    before = job.parameters.flat.copy()
    run = job.begin(disturbed(act))
    run.stop()
    result = run.run()
    assert result.outcome is Outcome.INTERRUPTED
    assert result.n_iter == 0
    np.testing.assert_array_equal(job.parameters.flat, before)


def test_ctrl_c_before_the_first_evaluation():
    def presses():
        raise KeyboardInterrupt

    run = make_job().begin(ENGINES["native"])
    run.before_run = presses
    assert run.run().outcome is Outcome.INTERRUPTED


def test_the_threads_are_those_set_last():
    asked = []

    def make(chain, parameters, data, l2_penalty, n_threads):
        asked.append((l2_penalty, n_threads))
        return ENGINES["native"].objective(chain, parameters, data, l2_penalty, n_threads)

    run = make_job(2, l2_penalty=0.5, n_threads=None).begin(
        replace(ENGINES["native"], objective=make)
    )
    assert run.n_threads is None
    run.before_run = lambda: setattr(run, "n_threads", 2)
    run.run()
    assert asked == [(0.5, 2)]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_iter": 3}, r"after 3 iteration\(s\).*\n.*max_iter \(now 3\) or max_fun \(now 10000"),
        ({"max_fun": 5}, r"Increase max_iter \(now 500\) or max_fun \(now 5\), or bring the col"),
    ],
)
def test_a_limit_is_complained_of(limits, message):
    job = make_job(**limits)
    result = job.run(ENGINES["native"])
    assert result.outcome is Outcome.MAX_EPOCHS
    assert result.n_iter <= 3 or "max_fun" in limits
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(result.complaint)


class Notes:
    """Writes down what it is told, with the weights of the moment."""

    def __init__(self, stops_at=None):
        self.stops_at, self.calls, self.reports, self.weights = stops_at, [], [], []

    def on_start(self, start):
        self.start = start
        self.calls.append(("start", start.max_epochs, start.score_name))

    def on_epoch_start(self, epoch):
        self.calls.append(("begins", epoch))

    def on_epoch_end(self, report):
        self.calls.append(("ends", report.epoch))
        self.reports.append(report)
        self.weights.append(self.start.parameters.flat.copy())
        return report.epoch == self.stops_at

    def on_end(self, outcome):
        self.calls.append(outcome)


def test_callbacks_are_told_of_each_iteration():
    notes = Notes()
    job = make_job(3, job={"callbacks": [notes]})
    result = job.run(ENGINES["native"])
    steps = [(what, i) for i in (1, 2, 3) for what in ("begins", "ends")]
    assert notes.calls == [("start", 3, None), *steps, Outcome.MAX_EPOCHS]
    for i, (report, weights) in enumerate(zip(notes.reports, notes.weights, strict=True), start=1):
        np.testing.assert_array_equal(weights, weights_after(i))
        assert report.validation_score is report.validation_loss is None
        assert math.isnan(report.learning_rate)
        assert report.n_examples == 80
        assert report.seconds >= 0.0
    losses = [report.loss for report in notes.reports]
    assert losses == sorted(losses, reverse=True)
    assert result.loss == losses[-1]


def test_a_callback_stops_it():
    job = make_job(job={"callbacks": [Notes(stops_at=4)]})
    result = job.run(ENGINES["native"])
    assert result.outcome is Outcome.STOPPED
    assert result.n_iter == 4
    assert result.complaint is None
    np.testing.assert_array_equal(job.parameters.flat, weights_after(4))


@pytest.mark.parametrize(
    ("error", "outcome"), [(OSError("no space"), None), (KeyboardInterrupt(), Outcome.INTERRUPTED)]
)
@pytest.mark.parametrize("method", ["on_start", "on_epoch_start", "on_epoch_end", "on_end"])
def test_errors_in_callbacks(method, error, outcome):
    def fails(what):
        if what != 1:  # an epoch has begun
            raise error

    notes, failing = Notes(), type("Fails", (), {method: staticmethod(fails)})()
    result = make_job(3, job={"callbacks": [notes, failing]}).run(ENGINES["native"])
    assert result.outcome is outcome
    assert result.error is (error if outcome is None else None)
    assert (
        result.n_iter
        == {"on_start": 0, "on_epoch_start": 1, "on_epoch_end": 1, "on_end": 3}[method]
    )
    ends = {"on_start": None, "on_end": Outcome.MAX_EPOCHS}
    assert notes.calls[-1] is ends.get(method, outcome)


def test_lines_are_printed(capsys):
    result = make_job(2, job={"verbose": True}).run(ENGINES["native"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1] == f"Iteration 2, loss = {result.loss:.8f}"


def test_the_history_of_before_is_handed_on():
    history = History([3.0, 2.0], [0.5, 0.6], [1.0, 0.9], 160)
    result = make_job(4, job={"start": TrainingState(history=history)}).run(ENGINES["native"])
    assert result.state.history == history
    assert result.state.history is not history
    assert result.state.trainer is None
    assert result.state.n_epochs == 4


@pytest.mark.parametrize("value", [math.nan, math.inf, "gradient"])
@pytest.mark.parametrize("number", [1, 20])
def test_an_objective_that_stays_non_finite_is_an_error(number, value):
    def act(i, loss, gradient):
        if i < number:
            return None
        if value == "gradient":
            gradient.flat[0] = math.nan
            return loss, gradient
        return value, gradient

    job = make_job()
    before = job.parameters.flat.copy()
    result = job.run(disturbed(act))
    assert isinstance(result.error, NonFiniteError)
    assert result.outcome is None
    assert (result.n_iter == 0) == (number == 1)
    kept = before if number == 1 else weights_after(result.n_iter)
    np.testing.assert_array_equal(job.parameters.flat, kept)


def test_a_point_that_is_not_finite_is_no_convergence():
    """SciPy goes back to the point before it and claims to have converged."""

    def act(number, _, gradient):
        return (math.inf, gradient) if number == 5 else None

    job = make_job()
    result = job.run(disturbed(act))
    assert result.error is None
    assert result.loss > 0.1
    np.testing.assert_array_equal(job.parameters.flat, weights_after(result.n_iter - 1))
    assert "the objective was not finite at the next point" in result.complaint
    assert result.complaint.endswith("for regression, the targets, or change alpha.")


def test_a_point_that_is_not_finite_on_the_way_is_forgotten():
    def act(number, _, gradient):
        return (math.nan, gradient) if number == 5 else None

    result = make_job().run(disturbed(act))
    assert result.outcome is Outcome.CONVERGED
    assert result.complaint is None
    assert result.loss < 1e-2


@pytest.mark.parametrize(
    ("X", "targets", "layer", "cause"),
    [
        (
            X,
            np.full((80, 1), 1e200),
            None,
            r"the loss itself overflowed.*as large as 1e\+2",
        ),
        (np.full((80, 4), 1e308), DATA.targets, 0, r"values in X are as large as 1e\+308"),
        (X * np.nan, DATA.targets, None, "X contains NaN"),
    ],
    ids=["targets", "X", "NaN"],
)
def test_the_likely_cause_is_named(X, targets, layer, cause):
    with np.errstate(all="ignore"):
        result = make_job(chain=LINE, data=TrainingData(X, targets)).run(ENGINES["native"])
    assert isinstance(result.error, NonFiniteError)
    assert result.error.layer == layer
    with pytest.raises(NonFiniteError, match=cause):
        raise result.error


def test_where_every_row_has_a_finite_loss_the_sum_is_the_cause():
    engine = disturbed(lambda _, loss, gradient: (math.inf, gradient))
    error = make_job().run(engine).error
    assert error.layer is None
    assert error.cause.startswith("the penalty, the gradient or the sum of the losses overflowed")
    assert "values in X are as large as 3.77, the targets as large as" in error.cause
