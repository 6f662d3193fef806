"""When the state of a training is kept, and a training that goes on from one."""

import numpy as np
import pytest

from pellucid.engine.contract import ValidationRows
from pellucid.engine.engines import ENGINES
from pellucid.engine.plan import TrainerState, TrainingData, TrainingPlan
from pellucid.nn import SGD, Adam, Chain, Linear
from pellucid.nn.optimizers import OptimizerState
from pellucid.training import (
    Checkpoints,
    FixedOrder,
    History,
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

X = np.random.default_rng(0).normal(size=(12, 2))
DATA = TrainingData(X, X[:, :1] * 2.0)
CHAIN = Chain([Linear(1)], "squared_error")
PLAN = TrainingPlan(Adam(0.1), batch_size=4)
ROWS = ValidationRows(X, DATA.targets)


def make_job(
    max_epochs, state=None, *, every=1, save=None, scores=None, callbacks=(), order=None, **solver
):
    """Return a job that goes on from `state`."""
    settings = {"tol": 1e-3, "n_iter_no_change": 3, **solver}
    if scores is not None:
        scores = iter(scores)
    return TrainingJob(
        chain=CHAIN,
        parameters=CHAIN.initialize(2, seed=0),
        source=TableRows(DATA, order or ShuffledOrder(np.arange(12), np.random.RandomState(0))),
        solver=MiniBatches(PLAN, get_epoch_rate("adaptive", 0.1), max_epochs, **settings),
        validation=None if scores is None else Validation(ROWS, lambda *_: next(scores)),
        start=TrainingState() if state is None else state,
        callbacks=callbacks,
        checkpoints=None if save is None else Checkpoints(save, every),
    )


def run(job):
    return job.run(ENGINES["native"])


def assert_same_states(one, other):
    """Compare what two trainings have reached, to the bit."""
    for name in ("history", "n_epochs", "learning_rate", "best", "n_without_improvement"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.trainer.step, one.trainer.epoch) == (other.trainer.step, other.trainer.epoch)
    for array, like in zip(one.trainer.optimizer, other.trainer.optimizer, strict=True):
        np.testing.assert_array_equal(array, like)


@pytest.mark.parametrize(
    ("every", "kept"), [(1, [0, 1, 2, 3, 4, 5, 6, 7]), (3, [0, 3, 6, 7]), (10, [0, 7])]
)
@pytest.mark.parametrize("seconds_at_once", [0.0, 1e6])
def test_kept_before_the_first_epoch_every_so_many_and_after_the_last(every, kept, seconds_at_once):
    """Also where epochs are so short that several are run at once."""
    states = []
    run(make_job(7, every=every, save=states.append, tol=-np.inf, seconds_at_once=seconds_at_once))
    assert [state.n_epochs for state in states] == kept
    assert [len(state.history.losses) for state in states] == kept
    assert [state.trainer.epoch for state in states] == kept


def test_without_an_epoch_to_train_nothing_is_kept():
    states = []
    run(make_job(3, TrainingState(n_epochs=3), save=states.append))
    assert states == []


@pytest.mark.parametrize("middle", [1, 20, 59])
def test_a_training_goes_on_to_the_bit_from_any_state(middle):
    """The rate of 'adaptive', what its stopping rule has counted and the row order included."""
    whole, states = make_job(60), []
    expected = run(whole).state
    assert expected.learning_rate < 0.1
    run(make_job(middle, save=states.append))
    again = make_job(60, states[-1])
    assert_same_states(run(again).state, expected)
    np.testing.assert_array_equal(again.parameters.flat, whole.parameters.flat)


def test_a_training_that_a_callback_ended_goes_on_as_if_it_had_not():
    """Also at a plateau, where the rate falls."""
    whole = make_job(30)
    expected = run(whole).state
    rates = set()
    for middle in range(1, 30):
        states = []
        stops = [lambda report, last=middle: report.epoch == last]
        result = run(make_job(30, save=states.append, every=100, callbacks=stops))
        assert result.outcome is Outcome.STOPPED
        assert states[-1].n_epochs == middle
        rates.add(states[-1].learning_rate)
        again = make_job(30, states[-1])
        assert_same_states(run(again).state, expected)
        np.testing.assert_array_equal(again.parameters.flat, whole.parameters.flat)
    assert len(rates) > 1


def test_a_state_does_not_change_as_training_goes_on():
    states = []
    run(make_job(2, save=states.append))
    first, last = states[0], states[-1]
    assert first.history.losses == []
    for of in (
        lambda state: state.parameters,
        lambda state: state.trainer.optimizer.second,
        lambda state: state.order[1]["rows"],
        lambda state: state.order[1]["key"],
    ):
        assert not np.array_equal(of(first), of(last))


def test_the_best_weights_so_far_come_back():
    scores, states = [0.1, 0.9, 0.2, 0.3], []
    whole = make_job(4, scores=scores, save=states.append)
    run(whole)
    best, last = states[2].parameters, states[-1]
    np.testing.assert_array_equal(whole.parameters.flat, best)
    np.testing.assert_array_equal(last.best_parameters, best)
    assert not np.array_equal(last.parameters, best)
    again = make_job(5, last, scores=[0.5])
    result = run(again)
    np.testing.assert_array_equal(again.parameters.flat, best)
    assert result.state.history.validation_scores == [*scores, 0.5]
    assert len(result.state.history.validation_losses) == 5


def test_what_has_converged_is_not_written_again():
    states = []
    settings = {"scores": [0.5] * 100, "n_iter_no_change": 1, "save": states.append}
    result = run(make_job(100, **settings))
    assert result.outcome is Outcome.CONVERGED
    n = len(states)
    again = run(make_job(100, states[-1], **settings))
    assert again.outcome is Outcome.CONVERGED
    assert again.n_iter == result.n_iter < 100
    assert len(states) == n
    longer = run(make_job(100, states[-1], **{**settings, "n_iter_no_change": 100}))
    assert longer.outcome is Outcome.MAX_EPOCHS
    assert longer.n_iter == 100


@pytest.mark.parametrize("n_epochs", [0, 9, 10, 11])
def test_epochs_until_the_next_state(n_epochs):
    checkpoints = Checkpoints(print, 10)
    assert (n_epochs + checkpoints.epochs_until_next(n_epochs)) % 10 == 0
    assert 1 <= checkpoints.epochs_until_next(n_epochs) <= 10


FLAT = np.zeros(3)
MOMENTS = OptimizerState(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize(
    "state",
    [
        TrainingState(parameters=np.zeros(4)),
        TrainingState(parameters=np.zeros(3, np.float32)),
        TrainingState(best_parameters=np.zeros((1, 3))),
        TrainingState(TrainerState(OptimizerState(np.zeros(3), np.zeros(0)))),
        TrainingState(TrainerState(OptimizerState(np.zeros(2), np.zeros(3)))),
        TrainingState(TrainerState(OptimizerState(np.zeros(3, np.float32), np.zeros(3)))),
    ],
    ids=["size", "dtype", "shape", "no second", "first", "dtype of first"],
)
def test_arrays_of_another_chain_or_optimizer_are_refused(state):
    with pytest.raises(StateError, match=r"float.* in place of float64 \(3,\)"):
        state.check_fits(FLAT, Adam())
    before = (job := make_job(3, state)).parameters.flat.copy()
    with pytest.raises(StateError):
        run(job)
    np.testing.assert_array_equal(job.parameters.flat, before)


def test_arrays_of_this_chain_and_optimizer_fit():
    TrainingState(TrainerState(MOMENTS), parameters=FLAT, best_parameters=FLAT).check_fits(
        FLAT, Adam()
    )
    TrainingState(TrainerState(OptimizerState(FLAT, np.zeros(0)))).check_fits(FLAT, SGD())
    TrainingState().check_fits(FLAT, Adam())


def test_the_order_of_other_rows_is_refused():
    states = []
    run(make_job(2, save=states.append))
    other = ShuffledOrder(np.arange(3, 15), np.random.RandomState(0))
    with pytest.raises(StateError, match="its row order is not one of these rows"):
        run(make_job(3, states[-1], order=other))
    run(make_job(3, states[-1], order=FixedOrder(np.arange(12))))


def test_the_history_of_a_start_is_left_as_it_was():
    start = TrainingState(history=History([4.0], examples_seen=12))
    result = run(make_job(2, start))
    assert result.state.history.losses[0] == 4.0
    assert result.state.history.examples_seen == 36
    assert start.history == History([4.0], examples_seen=12)
