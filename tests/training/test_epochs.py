"""The epoch loop, with a trainer that only plays back losses."""

import math

import numpy as np
import pytest

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import EpochResult
from pellucid.training import (
    BestWeights,
    EpochLoop,
    FixedOrder,
    History,
    NoImprovement,
    Outcome,
    Validation,
    ValidationResult,
    get_schedule,
)


@pytest.fixture(params=[0.1, 1e-6], ids=["long epochs", "short epochs"], autouse=True)
def _seconds(request, monkeypatch):
    """Whether epochs run one by one, or several at once where nothing is to be decided."""
    monkeypatch.setattr(PlaysBack, "seconds", request.param, raising=False)


class PlaysBack:
    """Sets its only weight to the number of the epoch; raises what stands for a loss."""

    seconds: float

    def __init__(self, losses):
        self.flat = np.zeros(1)
        self.losses = list(losses)
        self.rates = []

    def run_epochs(self, orders, learning_rate=None):
        for order in orders:
            loss = self.losses[len(self.rates)]
            self.rates.append(learning_rate)
            if isinstance(loss, BaseException):
                raise loss
            self.flat[0] += 1
            yield EpochResult(len(self.rates) - 1, loss, len(order), 1, self.seconds)


def _loop(losses, *, scores=None, schedule="constant", patience=1.0, **kwargs):
    trainer = PlaysBack(losses)
    validation = None
    if scores is not None:
        results = (ValidationResult(score, 2.0 - score) for score in scores)
        validation = Validation(results.__next__, BestWeights(trainer.flat))
    sign = -1 if scores is None else 1
    return EpochLoop(
        trainer=trainer,
        next_order=FixedOrder(np.arange(10)),
        schedule=get_schedule(schedule, 1.0, 0.5),
        learning_rate=1.0,
        stopping=NoImprovement(tol=0.0625, patience=patience, sign=sign),
        history=History(),
        validation=validation,
        **kwargs,
    )


DIVERGED = NonFiniteError(0, 1, None, "test")


def test_stops_after_more_epochs_without_improvement_than_the_patience():
    loop = _loop([1.0, 0.5, 0.5, 0.5, 0.1])
    assert loop.run(100) is Outcome.CONVERGED
    assert loop.n_epochs == 4
    assert loop.history.losses == [1.0, 0.5, 0.5, 0.5]
    assert loop.history.examples_seen == 40


def test_stops_at_the_last_epoch():
    loop = _loop([3.0, 2.0, 1.0])
    assert loop.run(3) is Outcome.MAX_EPOCHS
    assert loop.stopping.best == 1.0


def test_inverse_scaling_follows_the_examples():
    loop = _loop([3.0, 2.0, 1.0], schedule="invscaling")
    loop.run(3)
    assert loop.trainer.rates == [1.0, 1 / 11**0.5, 1 / 21**0.5]


def test_adaptive_lowers_the_rate_at_each_plateau():
    lines = []
    loop = _loop([1.0] * 6, schedule="adaptive", say=lines.append)
    assert loop.run(6) is Outcome.MAX_EPOCHS
    assert loop.trainer.rates == [1.0, 1.0, 1.0, 0.2, 0.2, 0.2 / 5]
    assert "consecutive epochs. Setting learning rate to 0.200000" in lines[3]


def test_adaptive_stops_when_the_rate_is_small():
    lines = []
    loop = _loop([1.0] * 100, schedule="adaptive", say=lines.append)
    assert loop.run(100) is Outcome.CONVERGED
    assert loop.learning_rate <= 1e-6
    assert lines[-1].endswith("Learning rate too small. Stopping.")


def test_the_best_weights_are_put_back():
    loop = _loop([1.0] * 5, scores=[0.1, 0.9, 0.5, 0.5])
    assert loop.run(100) is Outcome.CONVERGED
    assert loop.trainer.flat[0] == 2
    assert loop.history.validation_scores == [0.1, 0.9, 0.5, 0.5]
    assert loop.history.validation_losses == [1.9, 1.1, 1.5, 1.5]


@pytest.mark.parametrize(
    ("end", "outcome"),
    [(KeyboardInterrupt(), Outcome.INTERRUPTED), (DIVERGED, Outcome.DIVERGED)],
)
def test_the_best_weights_are_put_back_whatever_ends_training(end, outcome):
    loop = _loop([1.0, 1.0, end], scores=[0.9, 0.1])
    assert loop.run(100) is outcome
    assert loop.trainer.flat[0] == 1


def test_divergence_is_recorded():
    loop = _loop([1.0, DIVERGED], scores=[0.0])
    loop.run(100)
    assert loop.n_epochs == 2
    assert math.isnan(loop.history.losses[-1])
    assert math.isnan(loop.history.validation_scores[-1])


def test_divergence_without_validation_is_an_error():
    loop = _loop([1.0, DIVERGED])
    with pytest.raises(NonFiniteError):
        loop.run(100)
    assert loop.n_epochs == 1


def test_divergence_before_any_score_is_an_error():
    loop = _loop([DIVERGED], scores=[])
    with pytest.raises(NonFiniteError):
        loop.run(100)
    assert loop.n_epochs == 0


def test_nan_scores_count_as_no_improvement():
    loop = _loop([1.0] * 9, scores=[0.5, math.nan, math.nan])
    assert loop.run(100) is Outcome.CONVERGED
    assert loop.n_epochs == 3
    assert loop.trainer.flat[0] == 1


def test_reports():
    reports = []
    loop = _loop([2.0, 1.0], scores=[0.1, 0.2], on_epoch=reports.append)
    loop.run(2)
    assert [(r.epoch, r.loss, r.validation_score) for r in reports] == [
        (1, 2.0, 0.1),
        (2, 1.0, 0.2),
    ]
    assert {(r.learning_rate, r.n_examples, r.seconds) for r in reports} == {
        (1.0, 10, PlaysBack.seconds)
    }
