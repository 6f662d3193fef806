"""An epoch that comes in blocks is, to the bit, the epoch over the whole table."""

import numpy as np
import pytest

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.instruction_set import core
from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import SGD, Activation, Adam, BatchNorm, Chain, CustomLoss, Dropout, Linear
from pellucid.nn.random import permutation
from pellucid.nn.schedules import OneCycle

TRAINERS = [ReferenceTrainer, NativeTrainer]
N, BATCH = 110, 20
X = np.random.default_rng(0).standard_normal((N, 4))
LABELS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 1)
WEIGHTS = np.random.default_rng(1).uniform(0.5, 1.5, N)
HIDDEN = [Linear(12), BatchNorm(), Activation("relu"), Dropout(0.3)]


def half_square(scores, targets, weights):
    error = scores - targets
    loss = 0.5 * float((weights[:, None] * error**2).sum()) / len(scores)
    return loss, weights[:, None] * error / len(scores)


CASES = {
    "labels": (Chain([*HIDDEN, Linear(3)], "softmax_cross_entropy"), LABELS, None),
    "numbers": (Chain([*HIDDEN, Linear(2)], "half_squared_error"), X[:, :2], WEIGHTS),
    "own loss": (Chain([*HIDDEN, Linear(2)], CustomLoss(half_square)), X[:, :2], WEIGHTS),
}


def make(trainer, case, first=N, **options):
    chain, _, _ = CASES[case]
    params = chain.initialize(4, seed=0)
    options = {"n_epochs": 3, "schedule": OneCycle(), "seed": 7, "l2_penalty": 0.1, **options}
    plan = TrainingPlan(Adam(1e-2), BATCH, statistics_every=2, **options)
    return trainer(chain, params, part(case, 0, first), plan)


def part(case, first, last):
    _, targets, weights = CASES[case]
    weights = None if weights is None else weights[first:last]
    return TrainingData(X[first:last], targets[first:last], weights, 2.0)


def blocks(case, order, sizes):
    """Rows of X in the order given, in blocks of their own arrays."""
    _, targets, weights = CASES[case]
    for first, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
        rows = order[first : first + size]
        weight = None if weights is None else weights[rows]
        data = TrainingData(X[rows].copy(), targets[rows].copy(), weight, 2.0)
        yield data, np.arange(size)


@pytest.mark.arithmetic
@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("first", [0, 40, N])
def test_blocks_are_the_epoch_over_the_whole_table(trainer, case, first):
    whole = make(trainer, case)
    orders = [permutation(7, epoch, N) for epoch in range(3)]
    expected = [whole.run_epoch(order) for order in orders]
    for n_threads in (1, 2):
        split = make(trainer, case, first, epoch_rows=N, n_threads=n_threads)
        results = [split.run_blocks(blocks(case, order, (40, 60, 10))) for order in orders]
        np.testing.assert_array_equal(split.parameters.flat, whole.parameters.flat)
        assert split.step == whole.step == 18
        assert split.epoch == whole.epoch == split.state.epoch == 3
        np.testing.assert_array_equal(split.state.optimizer, whole.state.optimizer)
        for result, wanted in zip(results, expected, strict=True):
            assert result.epoch == wanted.epoch
            assert result.n_examples == N
            assert result.n_steps == 6
            assert result.loss == pytest.approx(wanted.loss, rel=1e-12)
            assert len(result.statistics) == 3
            for measured, known in zip(result.statistics, wanted.statistics, strict=True):
                assert measured.step == known.step
                assert measured.gradient_norms == known.gradient_norms


@pytest.mark.parametrize("trainer", TRAINERS)
def test_after_an_error_the_parameters_are_those_of_the_last_epoch(trainer):
    split = make(trainer, "labels", epoch_rows=N)
    order = np.arange(N)
    split.run_blocks(blocks("labels", order, (40, 70)))
    reached = split.parameters.flat.copy()

    def ends_early():
        yield next(blocks("labels", order, (40, 70)))
        raise OSError("the file ends")

    with pytest.raises(OSError, match="the file ends"):
        split.run_blocks(ends_early())
    np.testing.assert_array_equal(split.parameters.flat, reached)

    def infinite():
        yield from blocks("labels", order, (40, 70))
        yield TrainingData(np.full((20, 4), np.nan), LABELS[:20], None, 2.0), np.arange(20)

    split = make(trainer, "labels", epoch_rows=N)
    before = split.parameters.flat.copy()
    with pytest.raises(NonFiniteError, match="epoch"):
        split.run_blocks(infinite())
    np.testing.assert_array_equal(split.parameters.flat, before)
    with pytest.raises(ValueError, match="at least one block"):
        make(trainer, "labels").run_blocks([])


@pytest.mark.parametrize("trainer", TRAINERS)
def test_an_interrupted_epoch_does_not_count(trainer):
    split = make(trainer, "labels", epoch_rows=N)

    def interrupted():
        yield next(blocks("labels", np.arange(N), (40, 70)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        split.run_blocks(interrupted())
    assert split.epoch == 0
    assert split.step == 2


@pytest.mark.parametrize("trainer", TRAINERS)
def test_blocks_of_another_form_are_refused(trainer):
    chain = Chain([Linear(2)], "half_squared_error")
    data = TrainingData(X, X[:, :2])
    made = trainer(chain, chain.initialize(4, seed=0), data, TrainingPlan(SGD(0.1), 8))
    for name, other in [
        ("columns: the first had 4, the next has 3", TrainingData(X[:, :3], X[:, :2])),
        ("columns of targets", TrainingData(X, X[:, :1])),
        ("columns of targets", TrainingData(X, LABELS)),
        ("weight_scale", TrainingData(X, X[:, :2], weight_scale=3.0)),
    ]:
        with pytest.raises(ValueError, match=f"blocks of an epoch must agree in {name}"):
            made.data = other
    assert made.data is data


@pytest.mark.parametrize("part", [0, 1, 5])
def test_each_part_of_an_epoch_has_an_order_of_its_own(part):
    order = np.arange(1000)
    core.permute(2**40 + 3, 2, order, part)
    np.testing.assert_array_equal(order, permutation(2**40 + 3, 2, 1000, part))
    assert (order != permutation(2**40 + 3, 2, 1000, part + 1)).any()
    assert sorted(order) == list(range(1000))
