"""The progress bar: on a terminal, in a notebook, in a file."""

import copy
import io
import pickle
import re
import sys
import types

import pytest
from rich.console import Console
from rich.text import Text

from pellucid.training import EpochReport, Outcome, ProgressBar, TrainingStart, progress

START = TrainingStart(None, None, 200, "accuracy")


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes only when told to."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def _report(epoch, score=None, seconds=0.5):
    return EpochReport(epoch, 1 / epoch, score, 1e-3, 1000, seconds)


def _console(width=100, **kwargs):
    return Console(file=io.StringIO(), width=width, **kwargs)


def _run(bar, clock, reports, seconds, start=START):
    bar.on_start(start)
    for report in reports:
        clock.now += seconds
        bar.on_epoch_end(report)
    bar.on_end(Outcome.MAX_EPOCHS)
    return bar.console.file.getvalue()


def _epochs(text):
    return [int(number) for number in re.findall(r"epoch +(\d+)/200", text)]


def test_plain_lines_come_once_a_second(clock):
    text = _run(ProgressBar(_console()), clock, map(_report, range(1, 201)), seconds=0.03125)
    epochs = _epochs(text)
    assert epochs == [1, 33, 65, 97, 129, 161, 193, 200]
    assert text.count("\n") == len(epochs)


def test_plain_lines_of_long_trainings_become_fewer(clock):
    reports = [_report(1 + i // 500) for i in range(36_000)]
    lines = _run(ProgressBar(_console()), clock, reports, seconds=0.1).count("\n")
    # Ten lines in the first ten seconds, then one each time the time has grown by a tenth:
    # log(3600 / 10) / log(1.1) = 62.
    assert 60 < lines < 75


def test_what_a_line_says(clock):
    reports = [_report(1, 0.9), _report(2, 0.5), _report(3, 0.7)]
    last = _run(ProgressBar(_console()), clock, reports, seconds=2).splitlines()[-1]
    assert last == (
        "epoch   3/200  loss 0.3333  validation accuracy 0.7000 (best 0.9000)  2,000 examples/s  "
        "0:06:34 left at most"
    )


def test_the_time_left_when_training_goes_on_from_a_later_epoch(clock):
    text = _run(ProgressBar(_console()), clock, [_report(101), _report(102)], seconds=3)
    assert "epoch 102/200" in text
    assert "0:04:54 left at most" in text  # 98 epochs of 3 seconds.


def test_a_score_without_a_name_is_minus_the_loss(clock):
    start = TrainingStart(None, None, 2)
    text = _run(ProgressBar(_console()), clock, [_report(1, -0.5), _report(2, -0.75)], 2, start)
    assert "validation loss 0.7500 (best 0.5000)" in text


def test_scores_that_are_no_numbers(clock):
    nan = float("nan")
    text = _run(ProgressBar(_console()), clock, [_report(1, nan), _report(2, 0.5)], 2)
    assert "validation accuracy nan" in text
    assert "0.5000 (best 0.5000)" in text


def test_on_a_terminal_the_lines_are_rewritten():
    bar = ProgressBar(_console(force_terminal=True))
    bar.on_start(START)
    for epoch in range(1, 151):
        bar.on_epoch_end(_report(epoch, 0.5))
        if epoch in (50, 100):
            bar._display._live.refresh()  # What a thread does ten times a second.
    assert progress._terminal.locked()
    bar.on_end(Outcome.CONVERGED)
    assert not progress._terminal.locked()
    text = bar.console.file.getvalue()
    assert set(_epochs(text)) >= {50, 100, 150}
    assert len(_epochs(text)) < 150
    # From the last time on that the cursor goes up:
    shown = Text.from_ansi(text[text.rindex("\x1b[1A") :]).plain
    assert _epochs(shown) == [150]
    assert "━" in shown
    assert "validation accuracy 0.5000" in shown


@pytest.mark.parametrize("width", [30, 40, 80])
def test_the_number_of_the_epoch_is_never_cut(width, clock):
    console = _console(force_terminal=True, width=width)
    _run(ProgressBar(console), clock, [_report(1), _report(2)], seconds=1)
    assert "epoch   2/200" in Text.from_ansi(console.file.getvalue()).plain


def test_a_second_bar_on_the_terminal_writes_plain_lines(clock):
    first, second = (ProgressBar(_console(force_terminal=True)) for _ in range(2))
    first.on_start(START)
    text = _run(second, clock, [_report(1), _report(2)], seconds=2)
    first.on_end(Outcome.MAX_EPOCHS)
    assert len(text.splitlines()) == 2
    assert "\x1b[1A" not in text


@pytest.fixture
def cell(monkeypatch):
    """What a notebook's cell shows; `display` as IPython documents it."""
    outputs = []

    class Handle:
        def update(self, thing):
            outputs[-1] = thing
            self.n_updates += 1

        n_updates = 0

    handle = Handle()

    def display(thing, display_id):
        assert display_id is True
        outputs.append(thing)
        return handle

    module = types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return types.SimpleNamespace(outputs=outputs, handle=handle)


def test_in_a_notebook_one_output_is_replaced(clock, cell):
    bar = ProgressBar(_console(force_jupyter=True))
    _run(bar, clock, map(_report, range(1, 201)), seconds=1 / 64)
    assert len(cell.outputs) == 1
    # 200/64 seconds, at most 10 a second, and the last.
    assert 20 < cell.handle.n_updates <= 32
    shown = cell.outputs[0]._repr_mimebundle_([], [])
    assert "epoch 200/200" in shown["text/plain"]
    assert "epoch 200/200" in shown["text/html"]
    assert "━" in shown["text/html"]


def test_a_notebook_console_outside_a_notebook_is_silent(clock, cell, monkeypatch):
    monkeypatch.setattr(sys.modules["IPython.display"], "display", lambda *_, **__: None)
    _run(ProgressBar(_console(force_jupyter=True)), clock, [_report(1)], seconds=1)


def test_one_bar_shows_one_fit_at_a_time(clock):
    bar = ProgressBar(_console())
    bar.on_start(START)
    with pytest.raises(ValueError, match="give each fit one of its own"):
        bar.on_start(START)
    bar.on_end(None)
    assert _epochs(_run(bar, clock, [_report(1)], seconds=1)) == [1]


def test_copies():
    bar = ProgressBar(_console())
    bar.on_start(START)
    bar.on_epoch_end(_report(1))
    other = copy.deepcopy(bar)
    assert other.console is bar.console
    other.on_start(START)
    assert pickle.loads(pickle.dumps(bar)).console is None
