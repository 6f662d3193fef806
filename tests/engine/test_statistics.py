"""Statistics of steps: both engines measure the same, and measuring changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.engine.statistics import Z_EDGES, count_z
from pellucid.nn import (
    SGD,
    Activation,
    Adam,
    AdamW,
    BatchNorm,
    Chain,
    ClipByGlobalNorm,
    ClipByNorm,
    ClipByValue,
    Columns,
    Dropout,
    Embedding,
    InputScale,
    Linear,
    ParametricActivation,
    Residual,
    RMSNorm,
)

RNG = np.random.default_rng(0)
X = 3.0 * RNG.standard_normal((61, 5))
LABELS = RNG.integers(0, 3, 61)
NETWORKS = {
    "plain": Chain(
        [Linear(70), Activation("relu"), Linear(9), Activation("tanh"), Linear(3)],
        "softmax_cross_entropy",
    ),
    "everything": Chain(
        [
            InputScale(),
            Linear(20, bias=False),
            ParametricActivation("elu"),
            Residual([RMSNorm(), Linear(20), Activation("relu"), Dropout(0.3)]),
            Linear(3),
            Activation("identity"),
        ],
        "softmax_cross_entropy",
    ),
}
TABLE = Chain(
    [
        Columns([(3, Linear(7, bias=False)), (2, Embedding(9, 5))]),
        BatchNorm(),
        Activation("relu"),
        Linear(3),
    ],
    "softmax_cross_entropy",
)
WITH_IDS = np.hstack([X[:, :3], RNG.integers(0, 8, (61, 2))])
OPTIMIZERS = [
    (Adam(0.02), None),
    (SGD(0.1, momentum=0.9), ClipByGlobalNorm(0.1)),
    (AdamW(0.02), ClipByNorm(0.05)),
    (SGD(0.1), ClipByValue(0.01)),
]


def statistics_of(trainer, chain, optimizer, clipping, every, n_threads=None, epochs=3):
    parameters = chain.initialize(5, seed=3)
    parameters.flat[:] += 0.01  # dead units too
    plan = TrainingPlan(
        optimizer,
        batch_size=16,
        l2_penalty=0.5,
        clipping=clipping,
        statistics_every=every,
        n_threads=n_threads,
    )
    table = WITH_IDS if chain is TABLE else X
    run = trainer(chain, parameters, TrainingData(table, LABELS), plan)
    results = [run.run_epoch() for _ in range(epochs)]
    return [s for result in results for s in result.statistics], parameters


@pytest.mark.arithmetic
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize(("optimizer", "clipping"), OPTIMIZERS)
@pytest.mark.parametrize("name", [*NETWORKS, "table"])
def test_engines_measure_the_same(name, optimizer, clipping, n_threads):
    chain = NETWORKS.get(name, TABLE)
    arguments = chain, optimizer, clipping, 5
    expected, expected_parameters = statistics_of(ReferenceTrainer, *arguments)
    measured, parameters = statistics_of(NativeTrainer, *arguments, n_threads=n_threads)
    assert [s.step for s in measured] == [s.step for s in expected] == [5, 10]
    np.testing.assert_allclose(parameters.flat, expected_parameters.flat, rtol=1e-8, atol=1e-11)
    for ours, theirs in zip(measured, expected, strict=True):
        for kind in ("gradient_norms", "update_norms", "weight_norms"):
            assert getattr(ours, kind) == pytest.approx(getattr(theirs, kind), rel=1e-7)
        assert ours.dead_units == theirs.dead_units
        assert ours.z_counts.keys() == theirs.z_counts.keys()
        for place, counts in theirs.z_counts.items():
            np.testing.assert_array_equal(ours.z_counts[place], counts)
            assert counts.sum() == 16 * chain.widths(5)[place + 1]


@pytest.mark.arithmetic
def test_dead_units_are_counted():
    chain = Chain([Linear(40), Activation("relu"), Linear(3)], "softmax_cross_entropy")
    parameters = chain.initialize(5, seed=0)
    parameters["0.b"][:7] = -1000.0
    plan = TrainingPlan(SGD(1e-30), batch_size=61, statistics_every=1)
    run = NativeTrainer(chain, parameters, TrainingData(X, LABELS), plan)
    (step,) = run.run_epoch().statistics
    assert step.dead_units == {1: 7}
    assert step.z_counts[0][0] >= 7 * 61
    assert step.update_ratios["0.W"] == 0.0  # lost in rounding
    assert step.weight_norms["0.W"] == pytest.approx(np.linalg.norm(parameters["0.W"]))


@pytest.mark.arithmetic
@pytest.mark.parametrize(("optimizer", "clipping"), OPTIMIZERS)
def test_measuring_does_not_change_the_training(optimizer, clipping):
    chain = NETWORKS["everything"]
    none, without = statistics_of(NativeTrainer, chain, optimizer, clipping, None)
    _, with_statistics = statistics_of(NativeTrainer, chain, optimizer, clipping, 1)
    assert none == []
    assert (without.flat == with_statistics.flat).all()


def test_bins_hold_their_lower_edge():
    z = np.array([-8.0, -8.01, -1e9, 7.99, 8.0, 1e9, 0.0, -0.125])
    counts = count_z(z)
    assert counts[0] == 2
    assert counts[1] == 1
    assert counts[64] == 1
    assert counts[65] == 2
    assert counts[1 + list(Z_EDGES).index(0.0)] == 1
    assert counts[list(Z_EDGES).index(0.0)] == 1
    assert counts.sum() == len(z)


def test_statistics_every_must_be_positive():
    with pytest.raises(ValueError, match="statistics_every must be at least 1 or None, got 0"):
        TrainingPlan(Adam(), 8, statistics_every=0)
