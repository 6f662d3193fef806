import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainerState, TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import SGD, Adam, Chain, Linear, OneCycle, Parameters
from pellucid.nn.optimizers import OptimizerState
from pellucid.persistence.training_state import (
    MOST_EPOCHS,
    training_state_from_parts,
    training_state_to_parts,
)
from pellucid.training import History, TrainingState

CHAIN = Chain([Linear(1)], "squared_error")
X = np.random.default_rng(0).normal(size=(12, 2))
DATA = TrainingData(X, X[:, :1] * 2.0)
PLANS = {
    "Adam": TrainingPlan(Adam(0.1), batch_size=4, n_epochs=5, schedule=OneCycle()),
    "SGD": TrainingPlan(SGD(0.1, momentum=0.9), batch_size=4),
}


def trained(plan):
    """Return the state of a run of three epochs that goes on from a model of one epoch."""
    parameters = CHAIN.initialize(2, seed=0)
    trainer = NativeTrainer(CHAIN, parameters, DATA, PLANS[plan])
    losses = [9.0, *(trainer.run_epoch().loss for _ in range(3))]
    return TrainingState(
        parameters=parameters.flat.copy(),
        best_parameters=parameters.flat + 1.0,
        trainer=trainer.state,
        learning_rate=0.1,
        best=-losses[-1],
        n_without_improvement=1,
        has_converged=False,
        n_epochs=3,
        order=({"kind": "shuffled"}, {"rows": np.arange(12)}),
        history=History(losses, [-loss for loss in losses], losses[1:], examples_seen=36),
    )


STATES = {plan: trained(plan) for plan in PLANS}


def contents(numbers, arrays):
    """Return parts so that they can be compared, NaN and the sign of zero included."""
    known = {name: (type(value), repr(value)) for name, value in numbers.items()}
    return known | {n: (a.dtype.str, a.shape, a.tobytes()) for n, a in arrays.items()}


@pytest.mark.parametrize("best", [0.1 + 0.2, -np.inf, np.inf, np.float32(0.1)])
@pytest.mark.parametrize("has_best_parameters", [True, False])
def test_every_number_comes_back_to_the_bit(best, has_best_parameters):
    moments = OptimizerState(np.full(3, 1e-40, np.float32), np.zeros(0, np.float32))
    state = TrainingState(
        parameters=np.array([1.0, -0.0, 1e-40], np.float32),
        best_parameters=np.ones(3, np.float32) if has_best_parameters else None,
        trainer=TrainerState(moments, step=2**40, epoch=np.int64(7)),
        learning_rate=1 / 3,
        best=best,
        n_without_improvement=2,
        has_converged=np.True_,
        n_epochs=1,
        history=History([0.1, np.float64(1 / 3)], [float("nan")], examples_seen=np.int64(99)),
    )
    numbers, arrays = training_state_to_parts(state)
    back = training_state_from_parts(json.loads(json.dumps(numbers)), arrays)
    for name in ("parameters", "best_parameters"):
        one, other = getattr(back, name), getattr(state, name)
        assert (one is None) == (other is None)
        assert one is None or (one.tobytes(), one.dtype) == (other.tobytes(), other.dtype)
    assert back.trainer.optimizer.first.tobytes() == moments.first.tobytes()
    assert (back.trainer.step, back.trainer.epoch, back.n_epochs) == (2**40, 7, 1)
    assert (back.learning_rate, back.best, back.n_without_improvement) == (1 / 3, best, 2)
    assert back.has_converged is True
    assert back.history.losses == [0.1, 1 / 3]
    assert np.isnan(back.history.validation_scores).tolist() == [True]
    assert back.history.examples_seen == 99


@pytest.mark.parametrize("plan", PLANS)
def test_a_state_before_the_first_epoch(plan):
    parameters = CHAIN.initialize(2, seed=0).flat
    start = TrainerState(PLANS[plan].optimizer.init(parameters))
    state = TrainingState(start, 0.1, parameters=parameters)
    parts = training_state_to_parts(state)
    assert contents(*training_state_to_parts(training_state_from_parts(*parts))) == contents(*parts)


@pytest.mark.parametrize("numbers", [{}, [], None, "", 3])
def test_parts_that_are_missing_are_an_error(numbers):
    with pytest.raises((KeyError, TypeError)):
        training_state_from_parts(numbers, {})


def test_every_part_but_the_best_parameters_is_needed():
    parts = training_state_to_parts(STATES["Adam"])
    for i, part in enumerate(parts):
        for name in part:
            without = [dict(each) for each in parts]
            del without[i][name]
            if name == "order.rows":
                assert training_state_from_parts(*without).order[1] == {}
            elif name == "best_parameters":
                assert training_state_from_parts(*without).best_parameters is None
            else:
                with pytest.raises(KeyError, match=name):
                    training_state_from_parts(*without)


COUNTS = ("step", "trainer_epoch", "n_epochs", "n_without_improvement", "examples_seen")
RATES = ("learning_rate", "best")
VECTORS = ("parameters", "best_parameters", "optimizer.first", "optimizer.second")
CURVES = ("history.losses", "history.validation_scores", "history.validation_losses")

WRONG = [
    *((name, value, f"{name} must be from 0 to") for name in COUNTS for value in (-1, 2**53 + 1)),
    *((name, value, f"{name} must be of type int") for name in COUNTS for value in (True, "", 1.0)),
    *((name, value, f"{name} must be of type float") for name in RATES for value in (1, "1", None)),
    *(("has_converged", value, "has_converged must be of type bool") for value in (0, 1, "no")),
    ("trainer_epoch", 2**40, "trainer_epoch must be from 0 to 2147483648"),
    ("trainer_epoch", MOST_EPOCHS + 1, "trainer_epoch must be from 0 to 2147483648"),
    ("step", 10**30, "step must be from 0 to"),
    ("n_epochs", 5, "losses must have at least the 5 epochs of the run"),
    ("n_epochs", 4, "validation_losses must have at least the 4 epochs of the run"),
    *(("learning_rate", value, "learning_rate must be") for value in (np.inf, np.nan, -0.1)),
    *((name, np.zeros((3, 1)), "parameters") for name in VECTORS),
    *((name, np.zeros(()), "parameters") for name in VECTORS),
    *((name, np.zeros(2), "parameters") for name in VECTORS),
    *((name, np.zeros(3, np.float32), "parameters") for name in VECTORS),
    *((name, np.zeros(3, np.float16), "parameters") for name in VECTORS),
    *((name, np.zeros(3, np.int64), "parameters") for name in VECTORS),
    *((name, np.zeros(0), "parameters") for name in VECTORS[:3]),
    ("optimizer.second", np.zeros(0, np.float32), "second must be like the parameters"),
    *((name, np.full(3, np.nan), "the parameters must be finite") for name in VECTORS[:2]),
    *((name, np.full(3, -np.inf), "the parameters must be finite") for name in VECTORS[:2]),
    *((name, np.zeros((4, 1)), r"must have one float64 an epoch, .*\(4, 1\)") for name in CURVES),
    *((name, np.array(1.0), "must have one float64 an epoch") for name in CURVES),
    *((name, np.zeros(4, np.float32), "must have one float64 an epoch") for name in CURVES),
    *((name, np.zeros(4, np.int64), "must have one float64 an epoch") for name in CURVES),
    *((name, np.zeros(5), "at most the 4 of losses, got 5") for name in CURVES[1:]),
    *((name, np.zeros(2), "at least the 3 epochs of the run") for name in CURVES),
    ("history.losses", np.zeros(0), "at least the 3 epochs of the run"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_what_makes_no_state_is_an_error(name, value, message):
    numbers, arrays = training_state_to_parts(STATES["Adam"])
    part = arrays if isinstance(value, np.ndarray) else numbers
    assert name in part
    part[name] = value
    with pytest.raises(ValueError, match=message):
        training_state_from_parts(numbers, arrays)


@pytest.mark.parametrize("trainer", [NativeTrainer, ReferenceTrainer])
@pytest.mark.parametrize("plan", PLANS)
def test_an_engine_goes_on_from_the_largest_counts(plan, trainer):
    state = STATES[plan]
    largest = replace(state.trainer, step=2**53, epoch=MOST_EPOCHS)
    parts = training_state_to_parts(replace(state, trainer=largest))
    go_on(training_state_from_parts(*parts), PLANS[plan], trainer)


def go_on(state, plan, trainer):
    """Train two more epochs."""
    parameters = Parameters(state.parameters.copy(), CHAIN.layout(2))
    going_on = trainer(CHAIN, parameters, DATA, plan, state.trainer)
    for _ in range(2):
        going_on.run_epoch(learning_rate=state.learning_rate)
    assert going_on.epoch == state.trainer.epoch + 2


LARGE = [2**31 - 1, 2**31, 2**32, 2**40, 2**53, 2**63, 2**64, 10**400]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([*LARGE, *(-large for large in LARGE)]),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
DTYPES = st.sampled_from(["f2", "f4", "f8", ">f8", "i1", "i8", "u8", "?"])
ARRAYS = [
    lambda array, draw: array.reshape(-1, 1),
    lambda array, draw: array.reshape(1, -1),
    lambda array, draw: np.resize(array, 1).reshape(()),
    lambda array, draw: array.ravel()[: draw(st.integers(0, 4))],
    lambda array, draw: np.resize(array, draw(st.integers(0, 6))),
    lambda array, draw: np.nan_to_num(array).clip(0, 1).astype(draw(DTYPES)),
    lambda array, draw: np.where(np.arange(array.size) == 0, draw(st.floats()), array.ravel()),
]


@st.composite
def mutated_parts(draw, state):
    """Draw the parts of a state with one to three of them changed, exchanged or left out."""
    parts = training_state_to_parts(state)
    for _ in range(draw(st.integers(1, 3))):
        part = parts[draw(st.integers(0, 1))]
        if len(part) == 0:
            continue
        name, other = (draw(st.sampled_from(sorted(part))) for _ in range(2))
        kind = draw(st.integers(0, 9))
        if kind == 0:
            del part[name]
        elif kind == 1:
            part[name], part[other] = part[other], part[name]
        elif part is parts[0]:
            part[name] = draw(VALUES)
        else:
            part[name] = draw(st.sampled_from(ARRAYS))(part[name], draw)
    return parts


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=600, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_mutation_gives_a_state_to_go_on_from_or_an_error(plan, data):
    numbers, arrays = data.draw(mutated_parts(STATES[plan]))
    try:
        state = training_state_from_parts(numbers, arrays)
    except (KeyError, TypeError, ValueError):
        return
    assert contents(*training_state_to_parts(state)) == contents(numbers, arrays)
    # Enormous rates; parameters of another network, moments of another optimizer.
    with suppress(NonFiniteError, ValueError):
        go_on(state, PLANS[plan], NativeTrainer)
