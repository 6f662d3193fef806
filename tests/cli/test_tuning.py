"""`pellucid tune`: random search with cross-validation."""

import io
import json
import math
import os
import pathlib
import re
import signal
import sys

import pytest

from pellucid import TabularClassifier, TabularRegressor, load
from pellucid.cli.data import Examples
from pellucid.cli.folds import make_folds
from pellucid.cli.screen import Output
from pellucid.cli.trials import TrialsFile
from pellucid.cli.tuning import Search, tune
from pellucid.tables import as_table

QUICK = ("--trials", 2, "--epochs", 2, "--hidden", "8")


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
    assert errors_of(done) == errors_of(again)


def test_sizes_and_learning_rate_are_fixed_by_their_options(run, parts):
    call = ("tune", "train.csv", "--target", "kind", "--out", "m.pellucid", "--json", *QUICK)
    trials = json.loads(run(*call, "--learning-rate", "0.02").stdout)["trials"]
    for name, value in (("hidden_layer_sizes", [8]), ("learning_rate_init", 0.02)):
        assert [trial["parameters"][name] for trial in trials] == [value, value]


def errors_of(done):
    return re.findall(r"^trial .*?\)", done.output, re.MULTILINE)


def test_the_folds_are_named_and_can_be_chosen(run, parts):
    call = ("tune", "train.csv", "--target", "kind", "--out", "m.pellucid", *QUICK)
    output = run(*call).output
    assert "by log loss on 3 folds of 64 rows, stratified by class, seed 0." in output
    assert ", about 0:00:0" in output
    facts = json.loads(run(*call, "--folds", 4, "--json").stdout)
    assert facts["compared_on"].startswith("4 folds of 48 rows")
    assert [trial["trial"] for trial in sorted(facts["trials"], key=lambda t: t["trial"])] == [1, 2]


def test_trials_can_be_compared_on_another_table(run, parts):
    call = ("tune", "train.csv", "--target", "size", "--out", "m.pellucid", *QUICK)
    output = run(*call, "--validation", "val.csv", "--test-table", "test.csv").output
    assert "val.csv: 80 rows for validation." in output
    assert "by RMSE on 80 rows for validation" in output
    assert "80 test rows" in output


def test_a_search_goes_on_from_its_file(run, parts):
    call = ("tune", "train.csv", "--target", "kind", "--out", "m.pellucid", "--epochs", 2)
    kept = ("--save-trials", "trials.jsonl")
    first = run(*call, "--trials", 2, *kept)
    more = run(*call, "--trials", 4, *kept)
    whole = run(*call, "--trials", 4)
    assert errors_of(more) == errors_of(whole)
    assert errors_of(more)[0].split(": ")[1] == errors_of(first)[0].split(": ")[1]
    lines = [json.loads(line) for line in pathlib.Path("trials.jsonl").read_text().splitlines()]
    assert [line["trial"] for line in lines[1:]] == [1, 2, 3, 4]
    output = run(*call, "--trials", 2, *kept, "--seed", 1, code=1).output
    assert "another search" in output
    before = pathlib.Path("train.csv").read_bytes()
    assert "Pass two paths" in run(*call, "--save-trials", "m.pellucid", code=1).output
    run(*call, "--save-trials", "train.csv", code=1)
    assert pathlib.Path("train.csv").read_bytes() == before


def test_finished_trials_are_not_fitted_again(examples, tmp_path, capsys):
    class Count:
        begun = 0

        def on_start(self, start):
            Count.begun += 1

    settings = {"callbacks": [Count()], **FEW}

    def found():
        file = TrialsFile(tmp_path / "trials.jsonl", {"seed": 0})
        search = search_of(examples, 2, file=file)
        return tune(TabularClassifier, settings, examples, search, Output())

    trials = found()
    assert Count.begun == 6
    again = found()
    assert Count.begun == 6
    assert [trial.error for trial in again] == [trial.error for trial in trials]


def test_no_trial_begins_after_the_time_limit(run, parts):
    call = ("tune", "train.csv", "--target", "kind", "--out", "m.pellucid", *QUICK)
    output = run(*call, "--minutes", 0).output
    assert "Stopped after 0 minutes: 1 trial." in output
    assert "trial 2/" not in output
    assert re.search(r"^trial 1/2: \S+ \(best \S+\), cut short", output, re.MULTILINE)


def test_the_time_limit_ends_the_trial_in_progress(examples, tmp_path):
    file = TrialsFile(tmp_path / "trials.jsonl", {})
    settings = {"max_iter": 1000, "n_iter_no_change": 1000, "random_state": 0}
    search = search_of(examples, 3, seconds=0.0, file=file)
    [trial] = tune(TabularClassifier, settings, examples, search, Output(quiet=True))
    assert trial.is_cut_short
    assert 0 < trial.error < 1
    assert trial.parameters == settings
    assert file.find(1, settings) is None


def test_too_few_rows_to_tune(run, parts):
    parts[:5].to_csv("few.csv", index=False)
    done = run(
        "tune", "few.csv", "--target", "kind", "--test", 0, "--out", "m", "--set", "alpha=0", code=1
    )
    assert "too few for 3 folds" in done.output


FEW = {"max_iter": 2, "random_state": 0}


def search_of(examples, n_trials, labels=True, **more):
    """Return a search with three folds."""
    return Search(n_trials, 0, make_folds(examples.y, 3, labels, 0), **more)


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
    trials = tune(TabularClassifier, settings, examples, search_of(examples, 10), Output())
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
    trials = tune(TabularClassifier, FEW, examples, search_of(examples, 10), Output())
    assert len(trials) == 2
    assert "Interrupted after 2 trials." in sys.stdout.getvalue()


@pytest.mark.alone
@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process there")
def test_an_interrupt_of_the_first_trial_stops_all_folds(examples):
    interrupt = InterruptAt(1)
    settings = {"callbacks": [interrupt], "max_iter": 10**6, "n_iter_no_change": 10**6}
    with pytest.raises(KeyboardInterrupt):
        tune(TabularClassifier, settings, examples, search_of(examples, 1), Output())
    assert len(interrupt.reports) < 10**5


def test_a_trial_that_diverges_is_the_worst(parts):
    few = Examples(as_table(parts[["a"]][:90]), parts["size"].to_numpy()[:90])
    diverging = {"learning_rate_init": 1e30, "max_iter": 20, "random_state": 0}
    [trial] = tune(TabularRegressor, diverging, few, search_of(few, 1, labels=False), Output())
    assert trial.error == math.inf


def test_other_errors_end_the_search(examples):
    search = search_of(examples, 3)

    def fail(report):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tune(TabularClassifier, {"callbacks": [fail]}, examples, search, Output())
    with pytest.raises(ValueError, match="dropout"):
        tune(TabularClassifier, {"dropout": 2.0}, examples, search, Output())
