"""The solver of epochs, with a trainer that plays back losses and scores."""

import math

import numpy as np
import pytest
from playback import CHAIN, DATA, PLAN, Playback, playing, start

from pellucid.engine.contract import ValidationRows
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import EpochResult, TrainerState
from pellucid.training import (
    Callbacks,
    EpochRun,
    FixedOrder,
    History,
    MiniBatches,
    Outcome,
    TableRows,
    TrainingJob,
    TrainingState,
    Validation,
    get_epoch_rate,
)

ROWS = ValidationRows(np.zeros((1, 1)), np.zeros((1, 1)))
VALIDATION = Validation(ROWS, lambda scores, loss: float(scores[0, 0]))
DIVERGED = NonFiniteError(0, 1, None, "test")


@pytest.fixture(params=[0.0, 1e9], ids=["one by one", "at once"], autouse=True)
def _at_once(request, monkeypatch):
    """Whether epochs run one by one, or several at once where nothing is to be decided."""
    monkeypatch.setattr(Solver, "seconds_at_once", request.param)


class Solver:
    seconds_at_once = 0.0

    @classmethod
    def make(cls, rate="constant", n_iter_no_change=1.0, max_epochs=100):
        return MiniBatches(
            PLAN,
            get_epoch_rate(rate, 1.0, 0.5),
            max_epochs,
            tol=0.0625,
            n_iter_no_change=n_iter_no_change,
            seconds_at_once=cls.seconds_at_once,
        )


def begin(losses, *, scores=None, state=None, validation=VALIDATION, say=None, **settings):
    """Return a run that is about to begin."""
    state = TrainingState() if state is None else state
    return EpochRun(
        Solver.make(**settings),
        Playback(start(), PLAN, losses, scores or (), state=state.trainer),
        TableRows(DATA, FixedOrder(np.arange(10))),
        state,
        None if scores is None else validation,
        say=say,
    )


def weight(run):
    """Return the number of the epoch that the caller's weights are of."""
    return run.trainer.parameters.flat[0]


def test_stops_after_more_epochs_without_improvement_than_allowed():
    run = begin([1.0, 0.5, 0.5, 0.5, 0.1])
    result = run.run()
    assert result.outcome is Outcome.CONVERGED
    assert result.n_iter == result.state.n_epochs == 4
    assert result.state.history.losses == [1.0, 0.5, 0.5, 0.5]
    assert result.state.history.examples_seen == 40
    assert weight(run) == 4


def test_stops_at_the_last_epoch():
    result = begin([3.0, 2.0, 1.0], max_epochs=3).run()
    assert result.outcome is Outcome.MAX_EPOCHS
    assert (result.loss, result.state.best) == (1.0, 1.0)
    assert not result.validated
    assert result.error is None


def test_epochs_run_together_until_something_may_have_to_be_decided():
    run = begin([1.0] * 9, n_iter_no_change=4)
    run.run()
    # The first one shows how long an epoch takes; the others may end training.
    assert run.trainer.calls == ([1] * 6 if Solver.seconds_at_once == 0.0 else [1, 5])


def test_inverse_scaling_follows_the_examples():
    run = begin([3.0, 2.0, 1.0], rate="invscaling", max_epochs=3)
    run.run()
    assert run.trainer.rates == [1.0, 1 / 11**0.5, 1 / 21**0.5]


def test_adaptive_lowers_the_rate_at_each_plateau():
    lines = []
    run = begin([1.0] * 6, rate="adaptive", max_epochs=6, say=lines.append)
    assert run.run().outcome is Outcome.MAX_EPOCHS
    assert run.trainer.rates == [1.0, 1.0, 1.0, 0.2, 0.2, 0.2 / 5]
    assert lines[0] == "Iteration 1, loss = 1.00000000"
    assert lines[3] == (
        "Training loss did not improve more than tol=0.062500 for 1 consecutive epochs. "
        "Setting learning rate to 0.200000"
    )


def test_adaptive_stops_when_the_rate_is_small():
    lines = []
    result = begin([1.0] * 100, rate="adaptive", say=lines.append).run()
    assert result.outcome is Outcome.CONVERGED
    assert result.state.learning_rate <= 1e-6
    assert lines[-1].endswith("Learning rate too small. Stopping.")


def test_the_best_weights_are_put_back():
    lines = []
    run = begin([1.0] * 5, scores=[0.1, 0.9, 0.5, 0.5], say=lines.append)
    result = run.run()
    assert result.outcome is Outcome.CONVERGED
    assert result.validated
    assert weight(run) == 2
    assert result.state.history.validation_scores == [0.1, 0.9, 0.5, 0.5]
    assert result.state.history.validation_losses == [1.9, 1.1, 1.5, 1.5]
    assert lines[1] == "Validation score: 0.100000"
    assert lines[-1].startswith("Validation score did not improve")


@pytest.mark.parametrize(
    ("end", "outcome"),
    [(KeyboardInterrupt(), Outcome.INTERRUPTED), (DIVERGED, Outcome.DIVERGED), (OSError(), None)],
)
def test_the_best_weights_are_put_back_whatever_ends_training(end, outcome):
    run = begin([1.0, 1.0, end], scores=[0.9, 0.1])
    result = run.run()
    assert result.outcome is outcome
    assert result.error is (end if outcome is None else None)
    assert weight(run) == 1


@pytest.mark.parametrize("end", [KeyboardInterrupt(), DIVERGED, OSError()])
@pytest.mark.parametrize("scores", [None, []])
def test_what_ends_the_first_epoch_leaves_the_first_weights(end, scores):
    state = TrainingState(best_parameters=np.array([7.0])) if scores == [] else None
    run = begin([end], scores=scores, state=state)
    result = run.run()
    assert weight(run) == (0 if scores is None else 7)
    assert result.n_iter == 0
    assert math.isnan(result.loss)
    assert result.state.history == History()


def test_divergence_is_recorded():
    result = begin([1.0, DIVERGED], scores=[0.0]).run()
    assert result.n_iter == 2
    assert result.error is None
    assert result.state.trainer is None, "its moments may be non-finite"
    history = result.state.history
    for curve in (history.losses, history.validation_scores, history.validation_losses):
        assert len(curve) == 2
        assert math.isnan(curve[-1])


def test_divergence_without_validation_is_an_error():
    run = begin([1.0, DIVERGED])
    result = run.run()
    assert result.error is DIVERGED
    assert result.outcome is None
    assert result.n_iter == weight(run) == 1
    assert result.learned_something
    assert result.state.trainer is None


def test_divergence_before_any_score_is_an_error():
    result = begin([DIVERGED], scores=[]).run()
    assert result.error is DIVERGED
    assert result.n_iter == 0
    assert not result.learned_something


def test_nan_scores_count_as_no_improvement():
    run = begin([1.0] * 9, scores=[0.5, math.nan, math.nan])
    result = run.run()
    assert result.outcome is Outcome.CONVERGED
    assert result.n_iter == 3
    assert weight(run) == 1


def test_without_any_finite_score_the_last_weights_stay():
    run = begin([1.0] * 9, scores=[math.nan] * 2)
    assert run.run().outcome is Outcome.CONVERGED
    assert weight(run) == 2


def test_the_best_score_of_an_earlier_run_has_to_be_beaten():
    state = TrainingState(best=0.5, history=History([9.0]), n_without_improvement=1)
    run = begin([1.0] * 9, scores=[0.4], state=state)
    result = run.run()
    assert result.outcome is Outcome.CONVERGED
    assert result.n_iter == 1
    assert weight(run) == 0, "the weights before were better"
    assert result.state.history.losses == [9.0, 1.0]
    assert state.history.losses == [9.0], "the earlier result stays as it was"


@pytest.mark.parametrize(("first", "kept"), [(0.1, 1), (0.4, 0), (math.nan, 1)])
def test_first_weights_are_scored_again_where_the_best_score_was_measured_otherwise(first, kept):
    state = TrainingState(best=0.5)
    validation = Validation(ROWS, VALIDATION.score, compares_with_before=False)
    run = begin(
        [1.0] * 9, scores=[first, 0.3, 0.2, 0.2], state=state, validation=validation, max_epochs=3
    )
    run.run()
    assert weight(run) == kept


def test_a_resumed_run_compares_with_its_own_best_score():
    state = TrainingState(best=0.5, n_epochs=2, best_parameters=np.array([-1.0]))
    validation = Validation(ROWS, VALIDATION.score, compares_with_before=False)
    run = begin([1.0], scores=[0.4], state=state, validation=validation, max_epochs=3)
    run.run()
    assert weight(run) == -1


class Notes:
    """A callback that keeps its reports."""

    def __init__(self, stops_at=None, error=None):
        self.reports, self.stops_at, self.error = [], stops_at, error

    def on_epoch_end(self, report):
        self.reports.append(report)
        if self.error is not None:
            raise self.error
        return report.epoch == self.stops_at


def told(run, *callbacks):
    run.callbacks = Callbacks(callbacks, CHAIN, run.trainer.parameters)
    return run


def test_reports():
    notes = Notes()
    told(begin([2.0, 1.0], scores=[0.1, 0.2], max_epochs=2), notes).run()
    assert [(r.epoch, r.loss, r.validation_score, r.validation_loss) for r in notes.reports] == [
        (1, 2.0, 0.1, 1.9),
        (2, 1.0, 0.2, 1.8),
    ]
    assert {(r.learning_rate, r.n_examples, r.seconds) for r in notes.reports} == {(1.0, 10, 1.0)}


def test_a_callback_ends_training_between_two_epochs():
    run = told(begin([2.0, 1.5, 1.0]), Notes(stops_at=2))
    result = run.run()
    assert result.outcome is Outcome.STOPPED
    assert result.n_iter == weight(run) == 2
    assert run.trainer.calls == [1, 1]


@pytest.mark.parametrize(
    ("error", "outcome"), [(OSError("no space"), None), (KeyboardInterrupt(), Outcome.INTERRUPTED)]
)
def test_an_error_in_a_callback_keeps_the_epoch_before_it(error, outcome):
    run = told(begin([2.0, 1.0]), Notes(error=error))
    result = run.run()
    assert result.outcome is outcome
    assert result.error is (error if outcome is None else None)
    assert result.n_iter == weight(run) == 1
    assert (result.state.trainer is None) == (outcome is None)


@pytest.mark.parametrize("where", ["on_start", "on_end"])
def test_ctrl_c_before_the_first_and_after_the_last_epoch_is_ctrl_c(where):
    def press(_):
        raise KeyboardInterrupt

    run = told(begin([2.0], max_epochs=1), type("Presses", (), {where: staticmethod(press)}))
    result = run.run()
    assert result.outcome is Outcome.INTERRUPTED
    assert result.error is None
    assert result.n_iter == weight(run) == (0 if where == "on_start" else 1)


def test_what_comes_before_the_engine_is_given_epochs_is_called_each_time():
    run = begin([1.0] * 9, n_iter_no_change=4)
    calls = []
    run.before_run = lambda: calls.append(run.n_epochs)
    run.run()
    assert len(calls) == len(run.trainer.calls)
    assert calls[:2] == [0, 1]


def test_threads_and_stopping_are_passed_on():
    run = begin([])
    assert run.n_threads is None
    run.n_threads = 3
    assert run.trainer.n_threads == 3
    run.stop()
    assert run.trainer.stopped


def test_statistics_are_collected():
    class Measured(Playback):
        def _epoch(self, n_rows, learning_rate):
            result = super()._epoch(n_rows, learning_rate)
            return EpochResult(**{**vars(result), "statistics": (f"of epoch {result.epoch}",)})

    run = begin([3.0, 2.0, 1.0], max_epochs=3)
    run.trainer = Measured(start(), PLAN, [3.0, 2.0, 1.0])
    assert run.run().statistics == ("of epoch 0", "of epoch 1", "of epoch 2")


def test_numbers_of_epochs_go_on_where_the_trainer_stands():
    """Those that a source is asked for; reports count the epochs of the run."""
    asked = []

    class Counted(FixedOrder):
        def __call__(self, epoch=0):
            asked.append(epoch)
            return super().__call__(epoch)

    moments = PLAN.optimizer.init(start().flat)
    run = begin([3.0, 2.0, 1.0], max_epochs=3, state=TrainingState(TrainerState(moments, 80, 40)))
    run.source = TableRows(DATA, Counted(np.arange(10)))
    assert run.run().n_iter == 3
    assert asked == [40, 41, 42]


@pytest.mark.parametrize(("n_iter_no_change", "outcome"), [(1, "CONVERGED"), (9, "MAX_EPOCHS")])
def test_what_has_converged_stays_so_unless_more_epochs_without_improvement_are_allowed(
    n_iter_no_change, outcome
):
    state = TrainingState(best=0.5, n_without_improvement=2, n_epochs=4, has_converged=True)
    run = begin([0.5] * 9, state=state, n_iter_no_change=n_iter_no_change, max_epochs=6)
    assert run.run().outcome is Outcome[outcome]
    assert weight(run) == (0 if outcome == "CONVERGED" else 2)


def test_max_epochs_counts_those_before_the_state():
    run = begin([1.0] * 9, state=TrainingState(n_epochs=4), max_epochs=4)
    result = run.run()
    assert result.outcome is Outcome.MAX_EPOCHS
    assert result.n_iter == 4
    assert run.trainer.calls == []


def test_a_job_makes_such_a_run(capsys):
    source = TableRows(DATA, FixedOrder(np.arange(10)))
    parameters = start()
    solver = Solver.make(max_epochs=2)
    job = TrainingJob(CHAIN, parameters, source, solver, VALIDATION, verbose=True)
    result = job.run(playing([2.0, 1.0], [0.75, 0.25]))
    assert result.outcome is Outcome.MAX_EPOCHS
    assert parameters.flat[0] == 1.0
    assert capsys.readouterr().out.splitlines() == [
        "Iteration 1, loss = 2.00000000",
        "Validation score: 0.750000",
        "Iteration 2, loss = 1.00000000",
        "Validation score: 0.250000",
    ]
