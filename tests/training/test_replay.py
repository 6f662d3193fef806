"""A step run again is the step that was, to the bit."""

import numpy as np
import pytest
import scipy.sparse
from layer_examples import LAYERS

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import (
    SGD,
    Activation,
    Adagrad,
    AdamW,
    Chain,
    ClipByGlobalNorm,
    Dropout,
    Linear,
    OneCycle,
    Residual,
    RMSNorm,
    StepDecay,
)
from pellucid.training import Recording

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6))
Y = RNG.integers(0, 3, size=90)
CHAIN = Chain(
    [Linear(8), Activation("relu"), Residual([RMSNorm(), Dropout(0.3), Linear(8)]), Linear(3)],
    "softmax_cross_entropy",
)
PLANS = {
    "adamw, one cycle, clipped": TrainingPlan(
        AdamW(1e-2), 20, n_epochs=5, schedule=OneCycle(), clipping=ClipByGlobalNorm(0.1), seed=3
    ),
    "nesterov, dropout schedule, penalty": TrainingPlan(
        SGD(0.1, 0.9), 32, n_epochs=5, dropout_schedule=StepDecay(), l2_penalty=0.1
    ),
    "adagrad, not shuffled": TrainingPlan(Adagrad(0.1), 13, n_epochs=5, shuffle=False),
}
ENGINES = {"native": NativeTrainer, "reference": ReferenceTrainer}


def happened(engine, data, plan):
    """Return the rows and the parameters before and after each step, taken one at a time."""
    parameters = CHAIN.initialize(6, seed=1, dtype=np.float32)
    steps, state = [], None
    for epoch in range(plan.n_epochs):
        trainer = engine(CHAIN, parameters, data, plan, state)
        order = trainer.row_order()
        for first in range(0, len(order), plan.batch_size):
            rows = order[first : first + plan.batch_size]
            before = parameters.flat.copy()
            trainer = engine(CHAIN, parameters, data, plan, state)
            trainer.run_epoch(rows)
            # `run_epoch` counts an epoch for each call; these steps are of the same one.
            state = type(trainer.state)(trainer.state.optimizer, trainer.step, epoch)
            steps.append((epoch, rows, before, parameters.flat.copy()))
        state = type(state)(state.optimizer, state.step, epoch + 1)
    return steps


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("every", [1, 3])
def test_every_step_is_what_it_was(engine, plan, every):
    weight = RNG.uniform(0.5, 1.5, size=90)
    rows = np.arange(0, 90, 2) if every == 3 else None
    data = TrainingData(X, Y, weight / weight.mean(), 1.0, rows)
    wanted = happened(engine, data, plan)
    trainer = engine(CHAIN, CHAIN.initialize(6, seed=1, dtype=np.float32), data, plan)
    recording = Recording(trainer, every)
    for _ in range(plan.n_epochs):
        recording.before_epoch()
        trainer.run_epoch()
    assert recording.n_steps == len(wanted)
    for number in (1, 2, len(wanted) // 2, len(wanted) - 1, len(wanted)):
        epoch, rows_then, before, after = wanted[number - 1]
        step = recording.replay(number)
        assert (step.step, step.epoch) == (number, epoch)
        np.testing.assert_array_equal(step.rows, rows_then)
        np.testing.assert_array_equal(step.before.flat, before)
        np.testing.assert_array_equal(step.after.flat, after)
        np.testing.assert_array_equal(step.update.flat, after - before)
    np.testing.assert_array_equal(step.after.flat, trainer.parameters.flat)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_trace_and_gradients_are_those_of_the_step(engine):
    data, plan = TrainingData(X, Y), TrainingPlan(SGD(0.125), 20, seed=5)
    trainer = engine(CHAIN, CHAIN.initialize(6, seed=1), data, plan)
    recording = Recording(trainer)
    for _ in range(3):
        recording.before_epoch()
        trainer.run_epoch()
    step = recording.replay(12)
    assert step.epoch == 2
    np.testing.assert_array_equal(step.trace.values[0], X[step.rows])
    dropped = (step.trace.values[4] == 0.0)[step.trace.values[3] != 0.0]
    assert 0.1 < dropped.mean() < 0.5  # the masks of training
    # Without momentum the update is the gradient.
    np.testing.assert_allclose(
        step.update.flat, -0.125 * step.gradients.parameters.flat, rtol=1e-9, atol=1e-15
    )
    assert step.loss == CHAIN.loss_value(step.trace, Y[step.rows])


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_steps_on_sparse_rows_are_replayed(engine):
    sparse = scipy.sparse.csr_array(np.where(RNG.random(X.shape) < 0.2, X, 0.0))
    data, plan = TrainingData(sparse, Y, rows=np.arange(10, 80)), TrainingPlan(SGD(0.1), 20)
    trainer = engine(CHAIN, CHAIN.initialize(6, seed=1), data, plan)
    recording = Recording(trainer)
    for _ in range(2):
        recording.before_epoch()
        trainer.run_epoch()
    step = recording.replay(8)
    np.testing.assert_array_equal(step.trace.values[0], sparse[step.rows].toarray())
    np.testing.assert_array_equal(step.after.flat, trainer.parameters.flat)


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_every_layer_can_be_replayed(layers):
    chain = Chain([*layers, Linear(3)], "softmax_cross_entropy")
    data, plan = TrainingData(X[:, :4], Y), TrainingPlan(AdamW(1e-2), 40)
    trainer = ReferenceTrainer(chain, chain.initialize(4, seed=1), data, plan)
    recording = Recording(trainer)
    for _ in range(2):
        recording.before_epoch()
        trainer.run_epoch()
    np.testing.assert_array_equal(recording.replay(6).after.flat, trainer.parameters.flat)


def test_checkpoints_take_the_memory_that_is_stated():
    trainer = NativeTrainer(
        CHAIN, CHAIN.initialize(6, seed=1), TrainingData(X, Y), TrainingPlan(AdamW(), 20)
    )
    recording = Recording(trainer, every=2)
    assert recording.n_bytes == 0
    for _ in range(5):
        recording.before_epoch()
        trainer.run_epoch()
    assert recording.n_bytes == 3 * 3 * trainer.parameters.flat.nbytes  # epochs 0, 2 and 4


def test_a_step_that_never_was_is_refused():
    trainer = NativeTrainer(
        CHAIN, CHAIN.initialize(6, seed=1), TrainingData(X, Y), TrainingPlan(SGD(), 45)
    )
    recording = Recording(trainer)
    with pytest.raises(ValueError, match="step must be 1 to 0"):
        recording.replay(1)
    recording.before_epoch()
    trainer.run_epoch()
    for step in (0, 3, -1, 1.5, "1"):
        with pytest.raises(
            ValueError, match=f"step must be 1 to 2, the steps recorded, got {step!r}"
        ):
            recording.replay(step)
    with pytest.raises(ValueError, match="positive integer; got 0"):
        Recording(trainer, every=0)


@pytest.mark.parametrize("what", ["X", "targets", "sample_weight"])
@pytest.mark.parametrize("rows", [None, np.arange(40, 90)])
def test_rows_changed_since_are_noticed(what, rows):
    data = TrainingData(X.copy(), Y.copy(), np.ones(90), rows=rows)
    trainer = NativeTrainer(CHAIN, CHAIN.initialize(6, seed=1), data, TrainingPlan(SGD(), 45))
    recording = Recording(trainer)
    recording.before_epoch()
    trainer.run_epoch()
    step = recording.replay(1)
    changed = getattr(data, what)
    was = changed.copy()
    changed += 1
    with pytest.raises(ValueError, match=r"were changed since the training.* undo the change"):
        recording.replay(1)
    changed[...] = was
    np.testing.assert_array_equal(recording.replay(1).before.flat, step.before.flat)
