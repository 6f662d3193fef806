"""Callbacks of a job, where each kind of end is real."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor

from pellucid import Network, ProgressBar, fit_together
from pellucid.engine.contract import ValidationRows
from pellucid.engine.engines import ENGINES
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import SGD, Activation, Adam, Chain, Linear
from pellucid.training import (
    Callback,
    CounterOrder,
    MiniBatches,
    Outcome,
    TableRows,
    TrainingJob,
    Validation,
    check_callbacks,
    get_epoch_rate,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(np.int64)
CHAIN = Chain([Linear(4), Activation("relu"), Linear(2)], "softmax_cross_entropy")
OPTIMIZER, DATA = Adam(0.01), TrainingData(X[20:], Y[20:])
VALIDATION = Validation(ValidationRows(X[:20], Y[:20]), lambda scores, loss: -loss)


class Trained:
    """A job that has run; its epochs are so short that several would run at once."""

    def __init__(
        self,
        max_epochs,
        callbacks=(),
        *,
        optimizer=OPTIMIZER,
        validation=None,
        batch_size=16,
        data=DATA,
    ):
        plan = TrainingPlan(optimizer, batch_size)
        rate = get_epoch_rate("constant", optimizer.learning_rate)
        self.parameters = CHAIN.initialize(3, seed=0)
        source = TableRows(data, CounterOrder(data, seed=0))
        self.job = TrainingJob(
            CHAIN,
            self.parameters,
            source,
            MiniBatches(plan, rate, max_epochs, seconds_at_once=1e9),
            validation,
            callbacks=callbacks,
        )
        self.result = self.job.run(ENGINES["native"])
        self.flat = self.parameters.flat
        self.history = self.result.state.history


class Notes:
    """Writes down everything that it is told, with the weights of the moment."""

    def __init__(self):
        self.calls = []
        self.weights = []

    def on_start(self, start):
        self.start = start
        self.calls.append(("start", start.max_epochs))

    def on_epoch_start(self, epoch):
        self.calls.append(("epoch starts", epoch))

    def on_epoch_end(self, report):
        self.calls.append(("epoch ends", report.epoch))
        self.weights.append(self.start.parameters.flat.copy())

    def on_end(self, outcome):
        self.calls.append(("end", outcome))
        self.weights.append(self.start.parameters.flat.copy())


def test_the_order_of_calls():
    notes = Notes()
    trained = Trained(2, [notes])
    assert notes.calls == [
        ("start", 2),
        *[("epoch starts", 1), ("epoch ends", 1), ("epoch starts", 2), ("epoch ends", 2)],
        ("end", Outcome.MAX_EPOCHS),
    ]
    assert notes.start.chain is CHAIN
    assert notes.start.parameters is trained.parameters
    assert notes.start.score_name is None


def test_the_score_has_its_name():
    notes = Notes()
    Trained(1, [notes], validation=replace(VALIDATION, name="accuracy"))
    assert notes.start.score_name == "accuracy"


def test_any_method_may_be_missing():
    class Nothing:
        def on_end(self, outcome):
            self.outcome = outcome

    callback = Nothing()
    Trained(2, (callback, Callback()))
    assert callback.outcome is Outcome.MAX_EPOCHS


def test_callbacks_see_the_weights_of_the_moment_and_change_nothing():
    notes, plain = Notes(), Trained(3)
    np.testing.assert_array_equal(Trained(3, [notes]).flat, plain.flat)
    for epochs, weights in enumerate(notes.weights[:3], start=1):
        np.testing.assert_array_equal(weights, Trained(epochs).flat)


def test_reports():
    reports = []
    trained = Trained(5, [reports.append], validation=VALIDATION)
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5]
    assert [report.loss for report in reports] == trained.history.losses
    assert [-r.validation_score for r in reports] == trained.history.validation_losses
    assert [r.validation_loss for r in reports] == trained.history.validation_losses
    assert {report.n_examples for report in reports} == {40}
    assert {report.learning_rate for report in reports} == {0.01}


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_ends_training_at_that_epoch(answer):
    notes = Notes()
    stopped = Trained(50, [lambda report: answer if report.epoch == 3 else None, notes])
    assert len(stopped.history.losses) == 3
    assert notes.calls[-2:] == [("epoch ends", 3), ("end", Outcome.STOPPED)]
    np.testing.assert_array_equal(stopped.flat, Trained(3).flat)


@pytest.mark.parametrize("answer", [1, "stop", 0.5, np.ones(3)])
def test_only_true_ends_training(answer):
    assert Trained(3, [lambda report: answer]).result.outcome is Outcome.MAX_EPOCHS


def test_the_best_weights_are_kept_when_a_callback_ends_training():
    notes = Notes()
    # At this rate the validation loss goes up and down.
    settings = {"optimizer": SGD(2.0), "validation": VALIDATION, "batch_size": 5}
    losses = Trained(30, **settings).history.validation_losses
    rises = next(i for i in range(1, 30) if losses[i] > min(losses[:i]))
    Trained(30, [notes, lambda report: report.epoch == rises + 1], **settings)
    best = int(np.argmin(losses[: rises + 1]))
    assert len(notes.weights) == rises + 2
    np.testing.assert_array_equal(notes.weights[-1], notes.weights[best])


def test_an_error_in_a_callback_keeps_the_last_finished_epoch():
    notes = Notes()

    def fails(report):
        if report.epoch == 4:
            raise OSError("no space left")

    trained = Trained(50, [notes, fails])
    assert isinstance(trained.result.error, OSError)
    assert notes.calls[-1] == ("end", None)
    assert len(trained.history.losses) == 4
    np.testing.assert_array_equal(trained.flat, Trained(4).flat)


def test_every_callback_that_was_begun_is_ended():
    class FailsToStart(Notes):
        def on_start(self, start):
            raise OSError("no start")

        def on_end(self, outcome):
            self.calls.append(outcome)

    before, fails, after = Notes(), FailsToStart(), Notes()
    result = Trained(3, [before, fails, after]).result
    assert isinstance(result.error, OSError)
    assert not result.learned_something
    assert before.calls[-1] == ("end", None)
    assert fails.calls == [None]
    assert after.calls == []


def test_every_callback_is_ended_where_the_end_of_one_fails():
    class FailsToEnd(Notes):
        def on_end(self, outcome):
            raise OSError("no end")

    before, after = Notes(), Notes()
    trained = Trained(2, [before, FailsToEnd(), after])
    assert isinstance(trained.result.error, OSError)
    assert before.calls[-1] == after.calls[-1] == ("end", Outcome.MAX_EPOCHS)
    np.testing.assert_array_equal(trained.flat, Trained(2).flat)


def test_divergence_ends_callbacks_with_none():
    notes = Notes()
    data = TrainingData(X * 1e30, Y)
    trained = Trained(3, [notes], data=data, optimizer=SGD(1e300))
    assert isinstance(trained.result.error, NonFiniteError)
    assert notes.calls[-1] == ("end", None)


def test_ctrl_c_in_a_callback_is_ctrl_c():
    notes = Notes()

    def presses(report):
        raise KeyboardInterrupt

    trained = Trained(50, [notes, presses])
    assert trained.result.outcome is Outcome.INTERRUPTED
    assert notes.calls[-1] == ("end", Outcome.INTERRUPTED)
    assert len(trained.history.losses) == 1


def test_fits_together_tell_each_its_own():
    notes = [Notes(), Notes()]
    networks = [
        Network(CHAIN.layers, CHAIN.loss, max_iter=3, random_state=seed, callbacks=[each])
        for seed, each in enumerate(notes)
    ]
    fit_together(networks, X, Y, n_threads=2)
    for each, trained in zip(notes, networks, strict=True):
        assert len(each.calls) == 8
        np.testing.assert_array_equal(each.weights[-1], trained.parameters_.flat)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (ProgressBar(), r"callbacks must be a list such as \[ProgressBar\(\)\]"),
        (print, "callbacks must be a list"),
        ([ProgressBar], "functions of an EpochReport, or objects with"),
        (["progress"], "functions of an EpochReport, or objects with"),
        ([ScoringMonitor(scoring="r2")], "pass it to set_callbacks"),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, message):
    with pytest.raises(TypeError, match=message):
        check_callbacks(callbacks)


def test_no_callbacks():
    assert check_callbacks(None) == check_callbacks([]) == ()
