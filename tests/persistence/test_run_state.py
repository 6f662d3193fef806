import json

import numpy as np
import pytest

from pellucid.engine.plan import TrainerState
from pellucid.nn.optimizers import OptimizerState
from pellucid.persistence.run_state import run_state_from_parts, run_state_to_parts
from pellucid.training import History, RunState


@pytest.mark.parametrize("best", [0.1 + 0.2, -np.inf, np.float32(0.1)])
@pytest.mark.parametrize("has_best_parameters", [True, False])
def test_every_number_comes_back_to_the_bit(best, has_best_parameters):
    moments = OptimizerState(np.full(3, 1e-40, np.float32), np.zeros(0, np.float32))
    state = RunState(
        parameters=np.array([1.0, -0.0, np.nan], np.float32),
        best_parameters=np.ones(3, np.float32) if has_best_parameters else None,
        trainer=TrainerState(moments, step=2**40, epoch=7),
        learning_rate=1 / 3,
        best=best,
        n_without_improvement=2,
        has_converged=np.True_,
        n_epochs=5,
        history=History([0.1, np.float64(1 / 3)], [float("nan")], examples_seen=np.int64(99)),
    )
    numbers, arrays = run_state_to_parts(state)
    back = run_state_from_parts(json.loads(json.dumps(numbers)), arrays)
    for name in ("parameters", "best_parameters"):
        one, other = getattr(back, name), getattr(state, name)
        assert (one is None) == (other is None)
        assert one is None or (one.tobytes(), one.dtype) == (other.tobytes(), other.dtype)
    assert back.trainer.optimizer.first.tobytes() == moments.first.tobytes()
    assert (back.trainer.step, back.trainer.epoch, back.n_epochs) == (2**40, 7, 5)
    assert (back.learning_rate, back.best, back.n_without_improvement) == (1 / 3, best, 2)
    assert back.has_converged is True
    assert back.history.losses == [0.1, 1 / 3]
    assert np.isnan(back.history.validation_scores).tolist() == [True]
    assert back.history.examples_seen == 99


def test_parts_that_are_missing_are_an_error():
    with pytest.raises(KeyError):
        run_state_from_parts({}, {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("step", 10**30, "steps and epochs must be from 0"),
        ("n_epochs", -1, "steps and epochs must be from 0"),
        ("history.losses", np.zeros((2, 1)), r"losses must have one number an epoch, got \(2, 1\)"),
        ("history.losses", np.array(1.0), "losses must have one number an epoch"),
    ],
)
def test_numbers_that_make_no_sense_are_an_error(name, value, message):
    trainer = TrainerState(OptimizerState(np.ones(2), np.zeros(0)), step=8, epoch=2)
    state = RunState(np.ones(2), None, trainer, 0.01, 0.1, 0, False, 2, History([0.5, 0.1]))
    numbers, arrays = run_state_to_parts(state)
    with pytest.raises(ValueError, match=message):
        run_state_from_parts(numbers | {name: value}, arrays | {name: value})
