"""Callbacks on the epoch loop, and in `Network.fit`, where each kind of end is real."""

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor

from pellucid import Network, ProgressBar, fit_together
from pellucid.engine.errors import NonFiniteError
from pellucid.nn import SGD, Activation, Linear
from pellucid.training import Outcome, check_callbacks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
y = X[:, 0] > 0


def network():
    return Network([Linear(4), Activation("relu"), Linear(2)], "softmax_cross_entropy")


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
    network().fit(X, y, epochs=2, callbacks=[notes])
    assert notes.calls == [
        ("start", 2),
        *[("epoch starts", 1), ("epoch ends", 1), ("epoch starts", 2), ("epoch ends", 2)],
        ("end", Outcome.MAX_EPOCHS),
    ]


def test_any_method_may_be_missing():
    class Nothing:
        def on_end(self, outcome):
            self.outcome = outcome

    callback = Nothing()
    network().fit(X, y, epochs=2, callbacks=(callback,))
    assert callback.outcome is Outcome.MAX_EPOCHS


def test_callbacks_see_the_weights_of_the_moment_and_change_nothing():
    notes, plain = Notes(), network().fit(X, y, epochs=3)
    told = network().fit(X, y, epochs=3, callbacks=[notes])
    np.testing.assert_array_equal(told.parameters.flat, plain.parameters.flat)
    for epochs, weights in enumerate(notes.weights[:3], start=1):
        alone = network().fit(X, y, epochs=epochs)
        np.testing.assert_array_equal(weights, alone.parameters.flat)


def test_reports():
    reports = []
    trained = network().fit(X, y, epochs=5, rows_val=range(20), callbacks=[reports.append])
    assert [report.epoch for report in reports] == [1, 2, 3, 4, 5]
    assert [report.loss for report in reports] == trained.history["loss"]
    assert [-r.validation_score for r in reports] == trained.history["validation_loss"]
    assert {report.n_examples for report in reports} == {40}


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_ends_training_at_that_epoch(answer):
    notes = Notes()
    # The short epochs would otherwise run several at once.
    stopped = network().fit(
        X, y, epochs=50, callbacks=[lambda report: answer if report.epoch == 3 else None, notes]
    )
    assert len(stopped.history["loss"]) == 3
    assert notes.calls[-2:] == [("epoch ends", 3), ("end", Outcome.STOPPED)]
    np.testing.assert_array_equal(
        stopped.parameters.flat, network().fit(X, y, epochs=3).parameters.flat
    )


@pytest.mark.parametrize("answer", [1, "stop", 0.5, np.ones(3)])
def test_only_true_ends_training(answer):
    trained = network().fit(X, y, epochs=3, callbacks=[lambda report: answer])
    assert len(trained.history["loss"]) == 3


def test_the_best_weights_are_kept_when_a_callback_ends_training():
    notes = Notes()
    # At this rate the validation loss goes up and down.
    options = {"epochs": 30, "optimizer": SGD(2.0), "rows_val": range(20), "batch_size": 5}
    losses = network().fit(X, y, **options).history["validation_loss"]
    rises = next(i for i in range(1, 30) if losses[i] > min(losses[:i]))
    network().fit(X, y, **options, callbacks=[notes, lambda report: report.epoch == rises + 1])
    best = int(np.argmin(losses[: rises + 1]))
    assert len(notes.weights) == rises + 2
    np.testing.assert_array_equal(notes.weights[-1], notes.weights[best])


def test_an_error_in_a_callback_keeps_the_last_finished_epoch():
    notes = Notes()

    def fails(report):
        if report.epoch == 4:
            raise OSError("no space left")

    trained = network()
    with pytest.raises(OSError, match="no space left"):
        trained.fit(X, y, epochs=50, callbacks=[notes, fails])
    assert notes.calls[-1] == ("end", None)
    assert len(trained.history["loss"]) == 4
    np.testing.assert_array_equal(
        trained.parameters.flat, network().fit(X, y, epochs=4).parameters.flat
    )


def test_every_callback_that_was_begun_is_ended():
    class FailsToStart(Notes):
        def on_start(self, start):
            raise OSError("no start")

        def on_end(self, outcome):
            self.calls.append(outcome)

    before, fails, after = Notes(), FailsToStart(), Notes()
    with pytest.raises(OSError, match="no start"):
        network().fit(X, y, callbacks=[before, fails, after])
    assert before.calls[-1] == ("end", None)
    assert fails.calls == [None]
    assert after.calls == []


def test_divergence_ends_callbacks_with_none():
    notes = Notes()
    with pytest.raises(NonFiniteError):
        network().fit(X * 1e30, y, optimizer=SGD(1e30), callbacks=[notes])
    assert notes.calls[-1] == ("end", None)


def test_ctrl_c_in_a_callback_is_ctrl_c():
    notes = Notes()

    def presses(report):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted by user"):
        trained = network().fit(X, y, callbacks=[notes, presses])
    assert notes.calls[-1] == ("end", Outcome.INTERRUPTED)
    assert len(trained.history["loss"]) == 1


def test_fits_together_tell_each_its_own():
    notes = [Notes(), Notes()]
    networks = [network(), network()]
    options = [{"callbacks": [each], "seed": seed} for seed, each in enumerate(notes)]
    fit_together(networks, X, y, options, epochs=3, n_threads=2)
    for each, trained in zip(notes, networks, strict=True):
        assert len(each.calls) == 8
        np.testing.assert_array_equal(each.weights[-1], trained.parameters.flat)


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
        network().fit(X, y, callbacks=callbacks)


def test_no_callbacks():
    assert check_callbacks(None) == check_callbacks([]) == ()
