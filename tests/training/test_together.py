"""Several jobs at once give what each gives alone."""

import subprocess
import sys
import textwrap
import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from playback import CHAIN, DATA, PLAN, Playback, start

from pellucid import MLPClassifier, Network, fit_together
from pellucid.engine.contract import Engine
from pellucid.engine.engines import ENGINES
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import SGD, Activation, Adam, AdamW, Dropout, Linear, OneCycle, RMSNorm
from pellucid.training import (
    CounterOrder,
    FixedOrder,
    History,
    Lbfgs,
    MiniBatches,
    Outcome,
    TableRows,
    TrainingJob,
    TrainingState,
    get_epoch_rate,
    run_together,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 10)).astype(np.float32)
Y = RNG.integers(0, 3, size=600)
folds = np.arange(600) % 5


def network(width=16, **settings):
    layers = [Linear(width), RMSNorm(), Activation("relu"), Dropout(0.2), Linear(3)]
    return Network(
        layers, "softmax_cross_entropy", **{"max_iter": 3, "random_state": 0, **settings}
    )


CASES = {
    "seeds": [(network(random_state=seed), {}) for seed in range(5)],
    "folds": [(network(schedule=OneCycle()), {"rows_val": folds == k}) for k in range(5)],
    "grid": [(network(optimizer=optimizer(rate)), {}) for optimizer in (SGD, Adam, AdamW)
             for rate in (1e-1, 1e-2)],
    "architectures": [(network(width, batch_size=width + 30), {}) for width in (3, 16, 64, 200)],
    "lengths": [(network(max_iter=length), {}) for length in (30, 1, 1, 1)],
    "early stopping": [
        (network(64, max_iter=30, n_iter_no_change=n, learning_rate_init=0.01),
         {"rows_val": folds == n})
        for n in range(1, 5)
    ],
    "engines": [(network(engine=engine), {}) for engine in ("reference", "native", "reference")],
    "solvers": [
        (MLPClassifier((8,), solver=solver, max_iter=5, random_state=0), {})
        for solver in ("lbfgs", "adam", "lbfgs")
    ],
    "one": [(network(), {})],
    "none": [],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("n_threads", [1, 2, 8])
def test_estimators_are_those_of_fits_one_by_one_to_the_bit(case, n_threads):
    alone = [copy_of(one).fit(X, Y, **own) for one, own in case]
    together = [copy_of(one) for one, _ in case]
    options = [own for _, own in case]
    results = fit_together(together, X, Y, options, n_threads=n_threads)
    assert len(results) == len(case)
    for one, other, result in zip(alone, together, results, strict=True):
        assert result.error is None
        assert result.outcome in (Outcome.MAX_EPOCHS, Outcome.CONVERGED)
        np.testing.assert_array_equal(one.parameters_.flat, other.parameters_.flat)
        assert one.n_iter_ == other.n_iter_ == result.n_iter
        for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
            assert getattr(one, name, None) == getattr(other, name, None)


def copy_of(estimator):
    return type(estimator)(**estimator.get_params(deep=False))


def test_the_error_of_one_does_not_touch_the_others():
    layers = [Linear(16), Activation("relu"), Linear(3)]
    networks = [
        Network(layers, "softmax_cross_entropy", optimizer=SGD(rate), max_iter=3, random_state=0)
        for rate in (0.1, 1e38, 0.1)
    ]
    with pytest.warns(UserWarning, match="the fit of network 1 failed.*non-finite"):
        results = fit_together(networks, X, Y)
    assert [result.outcome for result in results] == [Outcome.MAX_EPOCHS, None, Outcome.MAX_EPOCHS]
    assert isinstance(results[1].error, NonFiniteError)
    alone = copy_of(networks[0]).fit(X, Y)
    for one in (networks[0], networks[2]):
        np.testing.assert_array_equal(one.parameters_.flat, alone.parameters_.flat)


@pytest.mark.parametrize(
    ("other", "options", "message"),
    [
        (network(max_iter=0), None, "max_iter"),
        (network(optimizer=3), None, "optimizer"),
        (network(), [{}, {"rows": [700]}], "rows"),
        (network(), [{}], "one entry for each of 2 networks, got 1"),
    ],
)
def test_bad_input_changes_no_network(other, options, message):
    networks = [network(), other]
    before = [dict(vars(one)) for one in networks]
    with pytest.raises((TypeError, ValueError), match=message):
        fit_together(networks, X, Y, options)
    assert [vars(one) for one in networks] == before


def test_what_an_engine_does_not_know_changes_no_network():
    unknown = type("Clips", (), {"apply": lambda self, gradient, layout: gradient})()
    networks = [network(), network(clipping=unknown)]
    before = [dict(vars(one)) for one in networks]
    with pytest.raises(TypeError, match="the native engine does not know Clips"):
        fit_together(networks, X, Y)
    assert [vars(one) for one in networks] == before


def test_the_same_network_twice_is_refused():
    with pytest.raises(ValueError, match="same network twice"):
        fit_together([one := network(), one], X, Y)


@pytest.mark.parametrize(
    ("networks", "options", "message"),
    [
        (["relu"], None, "networks must be estimators of pellucid such as .* got 'relu' at 0"),
        ([network()], [3], "options must hold mappings"),
        ([network()], [{"max_iter": 3}], "'max_iter' is no parameter of Network.fit"),
        ([MLPClassifier()], [{"rows": [1]}], "'rows' is no parameter of MLPClassifier.fit"),
    ],
)
def test_what_is_no_network_or_option_is_named(networks, options, message):
    with pytest.raises(TypeError, match=message):
        fit_together(networks, np.ones((4, 2)), np.ones(4), options)


class Counts(Playback):
    """Notes with how many threads each epoch was to run, and how many jobs run at a time."""

    lock = threading.Lock()
    running = most = 0

    def __post_init__(self):
        super().__post_init__()
        self.seen, self.threads = [], set()
        self.wait = threading.Event().wait

    def _epoch(self, n_rows, learning_rate):
        with self.lock:
            Counts.running += 1
            Counts.most = max(Counts.most, Counts.running)
        self.seen.append(self.n_threads)
        self.threads.add(threading.current_thread())
        self.wait(0.002)
        with self.lock:
            Counts.running -= 1
        return super()._epoch(n_rows, learning_rate)


class Counting:
    """Jobs of so many epochs each, and an engine for each."""

    def __init__(self, *lengths, trainer=Counts, losses=None):
        Counts.running = Counts.most = 0
        self.trainers = {}
        self.jobs = [self.job(length) for length in lengths]
        self.engines = []
        for i, length in enumerate(lengths):
            self.engines.append(self.engine(i, losses or [1.0] * length, trainer))

    def job(self, length):
        solver = MiniBatches(PLAN, get_epoch_rate("constant", 1.0), length, seconds_at_once=0.0)
        source = TableRows(DATA, FixedOrder(np.arange(10)))
        return TrainingJob(CHAIN, start(), source, solver)

    def engine(self, i, losses, trainer):
        def make(chain, parameters, data, plan, state=None):
            self.trainers[i] = trainer(parameters, plan, losses)
            return self.trainers[i]

        return Engine("counting", make, predictor=None, objective=None)

    def stop_last_when(self, is_reached):
        """Let the last job end with the first epoch whose number of threads is the one awaited."""
        last = len(self.jobs) - 1

        def stop(report):
            return is_reached(self.trainers[last].seen[-1])

        self.jobs[last] = replace(self.jobs[last], callbacks=[stop])

    def run(self, n_threads=None):
        return run_together(self.jobs, self.engines, n_threads)

    def seen(self):
        """Return the threads that each job was to run on, epoch by epoch."""
        return [self.trainers[i].seen for i in range(len(self.jobs))]


class MeetsAnother(Counts):
    """In its first epoch it waits until another one has begun."""

    meeting = threading.Barrier(2)

    def _epoch(self, n_rows, learning_rate):
        if not self.seen:
            self.meeting.wait(60)
        return super()._epoch(n_rows, learning_rate)


FAR = 30_000
"""More epochs than the others can take, so that one is left alone in the end."""


@pytest.mark.parametrize(("n", "n_threads", "first_shares"), [(5, 2, {1}), (2, 5, {2, 3})])
def test_threads_are_shared_out_and_handed_on(n, n_threads, first_shares):
    together = Counting(*[3] * (n - 1), FAR)
    for i in (n - 2, n - 1):
        together.engines[i] = together.engine(i, [1.0] * FAR, MeetsAnother)
    together.stop_last_when(lambda share: share == n_threads)
    results = together.run(n_threads)
    outcomes = [result.outcome for result in results]
    assert outcomes == [Outcome.MAX_EPOCHS] * (n - 1) + [Outcome.STOPPED]
    assert [result.n_iter for result in results[:-1]] == [3] * (n - 1)
    assert Counts.most <= min(n, n_threads)
    assert {shares[0] for shares in together.seen()} == first_shares


def test_the_last_one_finds_out_how_many_threads_are_of_use(monkeypatch):
    monkeypatch.setattr("pellucid.training.together.resolve_n_threads", lambda n: n or 2)
    together = Counting(3, 3, FAR)
    together.stop_last_when(lambda share: share is None)
    results = together.run()
    assert together.seen()[0][0] == 1
    assert results[-1].outcome is Outcome.STOPPED


def test_no_jobs():
    assert run_together([], []) == []


def test_a_job_without_an_engine_is_refused():
    together = Counting(1, 1)
    with pytest.raises(ValueError, match="shorter"):
        run_together(together.jobs, together.engines[:1])


def test_a_job_that_cannot_begin_keeps_the_others_from_beginning():
    together = Counting(1, 1, 1)
    together.jobs[1] = replace(
        together.jobs[1], start=TrainingState(parameters=np.zeros(7), n_epochs=0)
    )
    with pytest.raises(ValueError, match="in place of"):
        together.run()
    assert not any(trainer.seen for trainer in together.trainers.values())


@pytest.mark.parametrize("error", [OSError("gone"), SystemExit(), MemoryError()])
def test_the_error_of_a_job_is_in_its_result(error):
    together = Counting(2, 2, 2)
    together.engines[1] = together.engine(1, [1.0, error], Counts)
    results = together.run(2)
    assert [result.error for result in results] == [None, error, None]
    assert [result.n_iter for result in results] == [2, 1, 2]


@contextmanager
def at_most(n_threads, monkeypatch):
    """Let the system start so many threads, and no more."""
    real_start, left = threading.Thread.start, iter(range(n_threads))

    def start(thread):
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        real_start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield


@pytest.mark.parametrize("available", [0, 1, 2])
@pytest.mark.parametrize("n_threads", [3, 8])
def test_without_more_threads_all_jobs_are_done_and_one_warning_is_given(
    monkeypatch, available, n_threads
):
    together = Counting(*[3] * 6)
    asked = min(6, n_threads)
    message = rf"refused to start more threads: running on {available + 1} of the {asked} asked for"
    with at_most(available, monkeypatch), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = together.run(n_threads)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(caught[0].message))
    assert [result.outcome for result in results] == [Outcome.MAX_EPOCHS] * 6
    assert Counts.most <= available + 1
    shares = {share for seen in together.seen() for share in seen}
    assert max(shares) <= available + 1, "the engine asks for no thread that is not there"


def test_without_more_threads_the_results_are_the_same(monkeypatch):
    alone = [network(random_state=seed).fit(X, Y) for seed in range(3)]
    together = [network(random_state=seed) for seed in range(3)]
    message = "running on 1 of the 3 asked for"
    with at_most(0, monkeypatch), pytest.warns(RuntimeWarning, match=message) as caught:
        fit_together(together, X, Y, n_threads=3)
    assert [warning.filename for warning in caught] == [__file__], "it points at this line"
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.parameters_.flat, other.parameters_.flat)


@pytest.mark.filterwarnings("ignore:the system refused")
def test_ctrl_c_on_the_calling_thread_stops_all(monkeypatch):
    """Where no thread can be started, the calling one trains and gets the signal."""
    together = Counting(5, 5, 5)
    together.engines[1] = together.engine(1, [1.0, KeyboardInterrupt()], Counts)
    with at_most(0, monkeypatch):
        results = together.run(3)
    assert [result.outcome.name for result in results] == [
        "MAX_EPOCHS",
        "INTERRUPTED",
        "INTERRUPTED",
    ]
    assert [result.n_iter for result in results] == [5, 1, 0]
    assert [result.error for result in results] == [None] * 3


@pytest.mark.filterwarnings("error:the system refused")
def test_a_warning_that_is_an_error_ends_all(monkeypatch):
    together = Counting(5, 5, 5)
    with at_most(0, monkeypatch), pytest.raises(RuntimeWarning, match="refused to start"):
        together.run(3)
    assert not any(trainer.seen for trainer in together.trainers.values())


class EndsWhenStopped(Counts):
    """Trains until it is stopped."""

    begun = threading.Semaphore(0)

    def __post_init__(self):
        super().__post_init__()
        self.ends = threading.Event()

    def stop(self):
        self.ends.set()

    def _epoch(self, n_rows, learning_rate):
        self.begun.release()
        assert self.ends.wait(60)
        raise KeyboardInterrupt


class PressedWhile:
    """Stands for an event whose waiting thread gets Ctrl-C once two jobs have begun."""

    def __init__(self, error):
        self.event, self.error, self.pressed = threading.Event(), error, False

    def wait(self, seconds):
        if not self.pressed:
            self.pressed = True
            for _ in range(2):
                assert EndsWhenStopped.begun.acquire(timeout=60)
            raise self.error
        return self.event.wait(seconds)

    def __getattr__(self, name):
        return getattr(self.event, name)


class PressedAfter(PressedWhile):
    """Stands for an event whose waiting thread gets Ctrl-C when all jobs have finished."""

    def wait(self, seconds):
        assert self.event.wait(60)
        raise self.error


def test_an_interrupt_that_comes_as_all_have_finished_is_not_lost(monkeypatch):
    together = Counting(5, 5, 5)
    events = iter([threading.Event(), PressedAfter(KeyboardInterrupt())])
    fake = type("threading", (), {**vars(threading), "Event": lambda: next(events)})
    monkeypatch.setattr("pellucid.training.together.threading", fake)
    results = together.run(2)
    assert [result.n_iter for result in results] == [5, 5, 5]
    assert results[-1].outcome is Outcome.INTERRUPTED


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError("from a signal handler")])
def test_what_interrupts_the_calling_thread_stops_all(monkeypatch, error):
    """Those that run and those that have not begun."""
    together = Counting(5, 5, 5, 5, trainer=EndsWhenStopped)
    history = History([2.0])
    together.jobs[3] = replace(together.jobs[3], start=TrainingState(history=history))
    events = iter([threading.Event(), PressedWhile(error)])  # `_Cores.stopped`, then `finished`
    fake = type("threading", (), {**vars(threading), "Event": lambda: next(events)})
    monkeypatch.setattr("pellucid.training.together.threading", fake)
    if isinstance(error, KeyboardInterrupt):
        results = together.run(2)
        assert {result.outcome for result in results} == {Outcome.INTERRUPTED}
        assert {result.n_iter for result in results} == {0}
        assert results[3].state.history == history
    else:
        with pytest.raises(TimeoutError, match="from a signal handler"):
            together.run(2)


def test_lbfgs_runs_beside_epochs():
    data = TrainingData(X.astype(np.float64), X[:, :1].astype(np.float64))
    chain = replace(CHAIN, layers=(Linear(4), Activation("tanh"), Linear(1)))

    def jobs():
        parameters = [chain.initialize(10, seed=seed) for seed in range(4)]
        lbfgs = Lbfgs(0.0, 1, 1e-4, max_iter=20, max_fun=1000)
        epochs = MiniBatches(
            TrainingPlan(Adam(), 50), get_epoch_rate("constant", 0.001), max_epochs=4
        )
        source = TableRows(data, CounterOrder(data, seed=0))
        return [
            TrainingJob(chain, each, source, solver)
            for each, solver in zip(parameters, [lbfgs, epochs, lbfgs, epochs], strict=True)
        ]

    alone, together = jobs(), jobs()
    expected = [job.run(ENGINES["native"]) for job in alone]
    results = run_together(together, [ENGINES["native"]] * 4, 2)
    for i in range(4):
        assert results[i].n_iter == expected[i].n_iter
        assert results[i].loss == expected[i].loss
        np.testing.assert_array_equal(alone[i].parameters.flat, together[i].parameters.flat)


@pytest.mark.alone
def test_ctrl_c_stops_all_and_leaves_usable_networks():
    code = """
        import os, signal, threading, time, warnings
        import numpy as np
        from pellucid import Network, fit_together
        from pellucid.nn import Activation, Linear

        warnings.simplefilter("ignore")
        X = np.random.default_rng(0).normal(size=(4000, 20)).astype(np.float32)

        training = set()

        class InterruptsSoon:
            # A schedule, so that the signal comes when all train, however long that takes.
            def factor(self, step, n_steps):
                if step > 1000 and id(self) not in training:
                    training.add(id(self))
                    if len(training) == 2:
                        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
                return 1.0

        networks = [Network([Linear(64), Activation("relu"), Linear(1)], "squared_error",
                            max_iter=10**8, schedule=InterruptsSoon()) for _ in range(2)]
        results = fit_together(networks, X, X[:, 0], n_threads=2)
        print([result.outcome.name for result in results])
        print([len(network.predict(X)) for network in networks])
        networks[0].set_params(max_iter=1, warm_start=True, schedule=None).fit(X, X[:, 0])
        print("went on")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == [
        "['INTERRUPTED', 'INTERRUPTED']",
        "[4000, 4000]",
        "went on",
    ], done.stderr
