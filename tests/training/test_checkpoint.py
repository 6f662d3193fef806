"""When the state of a run is kept, and a run that goes on from one."""

import numpy as np
import pytest

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Adam, Chain, Linear
from pellucid.training import (
    BestWeights,
    Callbacks,
    Checkpoints,
    EpochLoop,
    FixedOrder,
    History,
    NoImprovement,
    Outcome,
    Validation,
    ValidationResult,
    get_schedule,
    go_on_from,
)

X = np.random.default_rng(0).normal(size=(12, 2))
DATA = TrainingData(X, X[:, :1] * 2.0)
NETWORK = Chain([Linear(1)], "squared_error")


def make_loop(state=None, *, every=1, save=None, scores=None, **stopping):
    """Return a loop that goes on from `state`."""
    parameters = NETWORK.initialize(2, seed=0)
    trainer = NativeTrainer(
        NETWORK, parameters, DATA, TrainingPlan(Adam(0.1), batch_size=4), state and state.trainer
    )
    validation = None
    if scores is not None:
        measure = (ValidationResult(score, -score) for score in scores).__next__
        validation = Validation(measure, BestWeights(parameters.flat))
    loop = EpochLoop(
        trainer=trainer,
        next_order=FixedOrder(np.arange(12)),
        schedule=get_schedule("adaptive", 0.1, 0.5),
        learning_rate=0.1,
        stopping=NoImprovement(
            **{"tol": 1e-3, "patience": 3, "sign": -1 if scores is None else 1, **stopping}
        ),
        history=History(),
        validation=validation,
        checkpoints=None if save is None else Checkpoints(save, every),
    )
    if state is not None:
        go_on_from(loop, state)
    return loop


@pytest.mark.parametrize(
    ("every", "kept"), [(1, [0, 1, 2, 3, 4, 5, 6, 7]), (3, [0, 3, 6, 7]), (10, [0, 7])]
)
@pytest.mark.parametrize("seconds_at_once", [0.0, 1e6])
def test_kept_before_the_first_epoch_every_so_many_and_after_the_last(
    monkeypatch, every, kept, seconds_at_once
):
    """Also where epochs are so short that several are run at once."""
    monkeypatch.setattr("pellucid.training.fit._SECONDS_AT_ONCE", seconds_at_once)
    states = []
    make_loop(every=every, save=states.append, tol=-np.inf).run(7)
    assert [state.n_epochs for state in states] == kept
    assert [len(state.history.losses) for state in states] == kept
    assert [state.trainer.epoch for state in states] == kept


@pytest.mark.parametrize("middle", [1, 20, 59])
def test_a_run_goes_on_to_the_bit_from_any_state(middle):
    """The rate of 'adaptive', and what its stopping rule has counted, included."""
    whole = make_loop()
    whole.run(60)
    assert whole.learning_rate < 0.1
    states = []
    make_loop(save=states.append).run(middle)
    loop = make_loop(states[-1])
    loop.run(60)
    np.testing.assert_array_equal(loop.trainer.parameters.flat, whole.trainer.parameters.flat)
    assert vars(loop.history) == vars(whole.history)
    assert loop.learning_rate == whole.learning_rate
    assert vars(loop.stopping) == vars(whole.stopping)


def test_a_run_that_a_callback_ended_goes_on_as_if_it_had_not():
    """Also at a plateau, where the rate falls."""
    whole = make_loop()
    whole.run(30)
    rates = set()
    for middle in range(1, 30):
        states = []
        loop = make_loop(save=states.append, every=100)
        stop = [lambda report, last=middle: report.epoch == last]
        loop.callbacks = Callbacks(stop, NETWORK, loop.trainer.parameters)
        assert loop.run(30) is Outcome.STOPPED
        assert states[-1].n_epochs == middle
        rates.add(states[-1].learning_rate)
        again = make_loop(states[-1])
        again.run(30)
        np.testing.assert_array_equal(again.trainer.parameters.flat, whole.trainer.parameters.flat)
        assert vars(again.history) == vars(whole.history)
    assert len(rates) > 1


def test_a_state_does_not_change_as_the_run_goes_on():
    states = []
    loop = make_loop(save=states.append)
    loop.run(2)
    first, last = states[0], states[-1]
    assert first.history.losses == []
    assert not np.array_equal(first.parameters, last.parameters)
    assert not np.array_equal(first.trainer.optimizer.second, last.trainer.optimizer.second)


def test_the_best_weights_so_far_come_back():
    scores, states = [0.1, 0.9, 0.2, 0.3], []
    whole = make_loop(scores=scores, save=states.append)
    whole.run(4)
    best, last = states[2].parameters, states[-1]
    np.testing.assert_array_equal(whole.trainer.parameters.flat, best)
    np.testing.assert_array_equal(last.best_parameters, best)
    assert not np.array_equal(last.parameters, best)
    loop = make_loop(last, scores=[0.5])
    loop.run(5)
    np.testing.assert_array_equal(loop.trainer.parameters.flat, best)
    assert loop.history.validation_scores == [*scores, 0.5]
    assert loop.history.validation_losses == [-score for score in (*scores, 0.5)]


def test_a_run_that_has_converged_stays_so_unless_there_is_more_patience():
    states = []
    stops = {"scores": [0.5] * 10, "patience": 1}
    loop = make_loop(save=states.append, **stops)
    loop.schedule = get_schedule("constant", 0.1, 0.5)
    assert loop.run(10) is Outcome.CONVERGED
    again = make_loop(states[-1], save=states.append, **stops)
    n = len(states)
    assert again.run(10) is Outcome.CONVERGED
    assert len(states) == n, "nothing was trained and nothing is written"
    assert again.n_epochs == loop.n_epochs < 10
    longer = make_loop(states[-1], **{**stops, "patience": 100})
    assert longer.run(10) is Outcome.MAX_EPOCHS
    assert longer.n_epochs == 10
