import math
from dataclasses import replace

import numpy as np
import pytest

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import SCHEDULES, SGD, AdamW, Chain, Context, Dropout, Linear, Parameters
from pellucid.nn.schedules import (
    Constant,
    Cosine,
    Exponential,
    FlatCosine,
    InverseScaling,
    LogCosine,
    OneCycle,
    StepDecay,
    WarmUp,
)

N = 40


def factors(schedule, n=N):
    return np.array([schedule.factor(step, n) for step in range(1, n + 1)])


T = np.arange(N) / N


@pytest.mark.parametrize(
    ("schedule", "equation"),
    [
        (Constant(), np.ones(N)),
        (StepDecay(0.1, (0.5, 0.75)), np.repeat([1.0, 0.1, 0.01], [20, 10, 10])),
        (Exponential(0.01), 0.01**T),
        (InverseScaling(0.5), 1 / np.sqrt(np.arange(1, N + 1))),
        (Cosine(), 0.5 * (1 + np.cos(np.pi * T))),
        (Cosine(0.2), 0.2 + 0.8 * 0.5 * (1 + np.cos(np.pi * T))),
        (FlatCosine(), np.where(T < 0.5, 1, 0.5 * (1 + np.cos(np.pi * (2 * T - 1))))),
        (LogCosine(), 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * T)))),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_m21_schedules_are_what_their_equations_say(schedule, equation):
    np.testing.assert_allclose(factors(schedule), equation, rtol=1e-12, atol=1e-15)


def test_m21_warm_up_is_a_line_and_then_the_other_schedule():
    schedule = WarmUp(Cosine(), share=0.25, start=0.1)
    expected = [*(0.1 + 0.9 * np.arange(10) / 10), *factors(Cosine(), 30)]
    np.testing.assert_allclose(factors(schedule), expected, rtol=1e-12)
    np.testing.assert_array_equal(factors(WarmUp(Cosine(), share=0.0)), factors(Cosine()))


def test_m21_one_cycle_goes_up_and_down():
    values = factors(OneCycle(0.3, start=0.04, final=0.001), n=100)
    assert values[0] == pytest.approx(0.04)
    assert values.max() == values[29] == 1.0
    assert values[-1] == pytest.approx(0.001)
    assert (np.diff(values[:30]) > 0).all()
    assert (np.diff(values[29:]) < 0).all()


def test_m21_the_logarithmic_cosine_has_four_cycles_each_twice_as_long():
    n = 15 * 200
    values = factors(LogCosine(), n)
    (zeros,) = np.nonzero(values < 1e-12)
    assert zeros.tolist() == [0, 200, 600, 1400]
    assert values.max() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_m21_factors_are_between_0_and_1_and_go_on_past_the_end(name):
    schedule = SCHEDULES[name]
    values = [schedule.factor(step, n) for n in (1, 2, 7, 100) for step in range(1, 2 * n + 2)]
    assert all(0.0 <= value <= 1.0 for value in values)


def test_m21_the_trainer_multiplies_the_rate_of_each_step():
    # A linear loss gives every step the same gradient, so the move tells the rate.
    chain = Chain([Linear(1, bias=False, weights="zeros")], "quantile")
    params = chain.initialize(1, seed=0)
    data = TrainingData(np.ones((6, 1)), np.full((6, 1), 1e6))
    plan = TrainingPlan(SGD(0.1), batch_size=2, n_epochs=4, schedule=Cosine())
    trainer = ReferenceTrainer(chain, params, data, plan)
    moves, at = [], 0.0
    for rate in (None, None, 0.3, None):
        trainer.run_epoch(learning_rate=rate)
        moves.append(float(params.flat[0]) - at)
        at = float(params.flat[0])
    f = factors(Cosine(), 12).reshape(4, 3).sum(axis=1)
    np.testing.assert_allclose(moves, 0.5 * np.array([0.1, 0.1, 0.3, 0.1]) * f, rtol=1e-9)


def test_m21_the_trainer_schedules_weight_decay_and_dropout():
    chain = Chain([Dropout(0.5), Linear(1, weights="unit_uniform")], "half_squared_error")
    params = chain.initialize(8, seed=0)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(4, 8)), rng.normal(size=(4, 1))
    plan = TrainingPlan(
        AdamW(0.1, weight_decay=0.2),
        batch_size=2,
        shuffle=False,
        seed=3,
        n_epochs=2,
        weight_decay_schedule=Exponential(0.01),
        dropout_schedule=FlatCosine(0.0),
    )
    theta, optimizer = params.flat.copy(), plan.optimizer
    state, mask = optimizer.init(theta), params.layout.weight_mask()
    trainer = ReferenceTrainer(chain, params, TrainingData(X, Y), plan)
    trainer.run_epoch()
    trainer.run_epoch()
    for step, epoch, rows in ((1, 0, [0, 1]), (2, 0, [2, 3]), (3, 1, [0, 1]), (4, 1, [2, 3])):
        factor = FlatCosine(0.0).factor(step, 4)
        context = Context(training=True, seed=3, epoch=epoch, step=step, dropout_factor=factor)
        at = Parameters(theta, params.layout)
        trace = chain.forward(at, X[rows], context)
        gradient = chain.backward(at, trace, Y[rows], context=context).parameters.flat
        decaying = replace(optimizer, weight_decay=0.2 * Exponential(0.01).factor(step, 4))
        theta, state = decaying.update(gradient, state, theta, step, weight_mask=mask)
    np.testing.assert_allclose(params.flat, theta, rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Exponential(0.0), "final must be a number above 0, got 0.0"),
        (lambda: StepDecay(2.0), "decay must be a number above 0 and at most 1, got 2.0"),
        (lambda: StepDecay(at=(1.5,)), "at must be a number .*at most 1, got 1.5"),
        (lambda: Cosine(-1.0), "final must be a number of at least 0, got -1.0"),
        (lambda: FlatCosine(1.5), "flat must be a number of at least 0 and at most 1, got 1.5"),
        (lambda: WarmUp(share=math.nan), "share must be a number of at least 0 .*, got nan"),
        (lambda: OneCycle(0.0), "peak_at must be a number above 0 and at most 1, got 0.0"),
        (
            lambda: TrainingPlan(SGD(), 5, schedule=Cosine()),
            "schedule needs n_epochs, the length of the training; got None",
        ),
        (
            lambda: TrainingPlan(SGD(), 5, n_epochs=2, weight_decay_schedule=Cosine()),
            "weight_decay_schedule needs an optimizer with weight decay, AdamW; got SGD",
        ),
        (lambda: TrainingPlan(SGD(), 5, n_epochs=0), "n_epochs must be at least 1, got 0"),
    ],
)
def test_errors_name_what_was_received(make, message):
    with pytest.raises(ValueError, match=message):
        make()
