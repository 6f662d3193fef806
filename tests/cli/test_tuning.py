"""`pellucid tune`: random search with cross-validation."""

import io
import math
import os
import signal
import sys

import pytest

from pellucid import TabularClassifier, TabularRegressor, load
from pellucid.cli.data import Examples
from pellucid.cli.screen import Output
from pellucid.cli.tuning import tune
from pellucid.tables import as_table


@pytest.mark.parametrize(
    ("target", "kind"), [("kind", TabularClassifier), ("size", TabularRegressor)]
)
def test_tune_finds_something_and_saves_it(run, parts, target, kind):
    other = "size" if target == "kind" else "kind"
    done = run(
        "tune", "train.csv", "--target", target, "--test-table", "test.csv", "--out", "m.pellucid",
        "--trials", 3, "--epochs", 5, "--set", "dropout=0.05", "--column", f"{other}=left out",
    )  # fmt: skip
    for word in ("trial 1/3", "trial 3/3", "Best of 3 trials", "test rows", "Saved"):
        assert word in done.output
    model = load("m.pellucid")
    assert isinstance(model, kind)
    assert model.dropout == 0.05
    again = run(
        "tune", "train.csv", "--target", target, "--test-table", "test.csv", "--out", "n.pellucid",
        "--trials", 3, "--epochs", 5, "--set", "dropout=0.05", "--column", f"{other}=left out",
    )  # fmt: skip
    trials = [line for line in done.output.splitlines() if line.startswith("trial")]
    assert trials == [line for line in again.output.splitlines() if line.startswith("trial")]


def test_too_few_rows_to_tune(run, parts):
    parts[:5].to_csv("few.csv", index=False)
    done = run(
        "tune", "few.csv", "--target", "kind", "--test", 0, "--out", "m", "--set", "alpha=0", code=1
    )
    assert "too few for 3 folds" in done.output


@pytest.fixture
def examples(parts):
    return Examples(as_table(parts[["a", "b"]]), parts["kind"].to_numpy())


class InterruptAt:
    """Send Ctrl-C as soon as so many fits have begun."""

    def __init__(self, n):
        self.n, self.begun, self.reports = n, 0, []

    def on_start(self, start):
        self.begun += 1
        if self.begun == self.n:
            os.kill(os.getpid(), signal.SIGINT)

    def on_epoch_end(self, report):
        self.reports.append(report)


@pytest.mark.alone
@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process there")
def test_an_interrupt_keeps_the_trials_that_are_done(examples, capsys):
    interrupt = InterruptAt(7)  # The first fold of the third trial.
    settings = {"callbacks": [interrupt], "max_iter": 2, "random_state": 0}
    trials = tune(TabularClassifier, settings, examples, 10, 0, Output())
    assert len(trials) == 2
    assert "Interrupted after 2 trials." in capsys.readouterr().out


def test_an_interrupt_while_a_trial_is_printed_keeps_it(examples, monkeypatch):
    class Screen(io.StringIO):
        interrupted = False

        def write(self, text):
            written = super().write(text)
            if "trial 2" in text and not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            return written

    monkeypatch.setattr(sys, "stdout", Screen())
    trials = tune(TabularClassifier, {"max_iter": 2, "random_state": 0}, examples, 10, 0, Output())
    assert len(trials) == 2
    assert "Interrupted after 2 trials." in sys.stdout.getvalue()


@pytest.mark.alone
@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process there")
def test_an_interrupt_of_the_first_trial_stops_all_folds(examples):
    interrupt = InterruptAt(1)
    settings = {"callbacks": [interrupt], "max_iter": 10**6, "n_iter_no_change": 10**6}
    with pytest.raises(KeyboardInterrupt):
        tune(TabularClassifier, settings, examples, 1, 0, Output())
    assert len(interrupt.reports) < 10**5


def test_a_trial_that_diverges_is_the_worst(parts):
    few = Examples(as_table(parts[["a"]][:90]), parts["size"].to_numpy()[:90])
    diverging = {"learning_rate_init": 1e30, "max_iter": 20, "random_state": 0}
    [trial] = tune(TabularRegressor, diverging, few, 1, 0, Output())
    assert trial.error == math.inf


def test_other_errors_end_the_search(examples):
    def fail(report):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tune(TabularClassifier, {"callbacks": [fail]}, examples, 3, 0, Output())
    with pytest.raises(ValueError, match="dropout"):
        tune(TabularClassifier, {"dropout": 2.0}, examples, 3, 0, Output())
