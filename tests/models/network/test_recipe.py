"""The parameters of `Network` that make the plan of its training."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pellucid import Network
from pellucid.engine.instruction_set import core
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.models.network.recipe import dtype_of, precision_of, seed_of
from pellucid.nn import (
    SGD,
    Activation,
    Adagrad,
    Adam,
    AdamW,
    ClipByGlobalNorm,
    ClipByValue,
    Cosine,
    Dropout,
    Exponential,
    Linear,
    OneCycle,
    RMSProp,
)

X, Y = load_digits(return_X_y=True)
X = X / 16
LAYERS = [Linear(16), Activation("relu"), Dropout(0.2), Linear(10)]


def digits(**settings):
    return Network(LAYERS, "softmax_cross_entropy", **{"random_state": 0, **settings})


CASES = {
    "nothing": ({}, {"optimizer": Adam(1e-3)}),
    "learning_rate_init": ({"learning_rate_init": 0.02}, {"optimizer": Adam(0.02)}),
    **{
        type(optimizer).__name__: ({"optimizer": optimizer}, {"optimizer": optimizer})
        for optimizer in (SGD(0.1, 0.9), RMSProp(1e-3), Adagrad(0.01), AdamW(1e-2))
    },
    "batch_size": ({"batch_size": 32}, {"batch_size": 32}),
    "no shuffling": ({"shuffle": False}, {"shuffle": False}),
    "alpha": ({"alpha": 0.5}, {"l2_penalty": 0.5}),
    "a name of a schedule": ({"schedule": "one_cycle"}, {"schedule": OneCycle()}),
    "a schedule": ({"schedule": Cosine(0.1)}, {"schedule": Cosine(0.1)}),
    "schedules of all three": (
        {
            "schedule": {
                "learning_rate": "cosine", "weight_decay": Exponential(0.1), "dropout": "cosine",
            },
            "optimizer": AdamW(1e-2, weight_decay=0.1),
        },
        {
            "schedule": Cosine(), "weight_decay_schedule": Exponential(0.1),
            "dropout_schedule": Cosine(), "optimizer": AdamW(1e-2, weight_decay=0.1),
        },
    ),
    "a schedule of dropout": ({"schedule": {"dropout": "cosine"}}, {"dropout_schedule": Cosine()}),
    "a norm to clip to": ({"clipping": 0.1}, {"clipping": ClipByGlobalNorm(0.1)}),
    "a norm of NumPy's": ({"clipping": np.float32(0.5)}, {"clipping": ClipByGlobalNorm(0.5)}),
    "another clipping": ({"clipping": ClipByValue(1e-3)}, {"clipping": ClipByValue(1e-3)}),
    "learning_rate_factors": (
        {"learning_rate_factors": {"bias": 0.1, "3.W": 2.0}},
        {"learning_rate_factors": {"bias": 0.1, "3.W": 2.0}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_parameters_make_the_plan(case):
    settings, plan = CASES[case]
    network = digits(engine="reference", dtype="float64", max_iter=3, **settings)
    network.fit(X[:300], Y[:300])
    parameters = network.chain_.initialize(64, seed=0)
    plan = TrainingPlan(**{"optimizer": Adam(1e-3), "batch_size": 128, "n_epochs": 3, **plan})
    data = TrainingData(X[:300], Y[:300].astype(np.int64))
    trainer = ReferenceTrainer(network.chain_, parameters, data, plan)
    losses = [trainer.run_epoch().loss for _ in range(3)]
    assert network.loss_curve_ == losses
    np.testing.assert_array_equal(network.parameters_.flat, parameters.flat)


def test_every_case_is_another_training():
    losses = {case: digits(max_iter=3, **CASES[case][0]).fit(X, Y).loss_ for case in CASES}
    assert len(set(losses.values())) == len(losses)


def test_a_schedule_is_made_for_max_iter_epochs():
    whole = digits(schedule="cosine", max_iter=4).fit(X, Y)
    ended = digits(schedule="cosine", max_iter=4, callbacks=[lambda report: report.epoch == 2]).fit(
        X, Y
    )
    assert ended.loss_curve_ == whole.loss_curve_[:2]
    assert digits(schedule="cosine", max_iter=2).fit(X, Y).loss_curve_ != ended.loss_curve_


def test_threads_change_nothing():
    one, two = (digits(max_iter=2, n_threads=n).fit(X, Y).parameters_.flat for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_parameters_are_not_changed_by_a_fit():
    layers, factors, schedule = list(LAYERS), {"bias": 0.1}, {"learning_rate": "cosine"}
    network = Network(
        layers, "softmax_cross_entropy", learning_rate_factors=factors, schedule=schedule
    ).fit(X, Y)
    assert network.layers is layers
    assert network.learning_rate_factors is factors
    assert network.schedule is schedule
    assert layers == LAYERS
    assert (factors, schedule) == ({"bias": 0.1}, {"learning_rate": "cosine"})


# Precision


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        ("float32", "float32"),
        (np.float64, "float64"),
        (np.dtype("float32"), "float32"),
        ("bfloat16", "bfloat16"),
    ],
)
def test_a_precision_has_several_names(dtype, precision):
    assert precision_of(dtype) == precision


@pytest.mark.parametrize("dtype", ["float16", "double precision", None, np.int8, np.float16, 3])
def test_other_precisions_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be one of float32, float64, bfloat16"):
        precision_of(dtype)


def test_bfloat16_keeps_parameters_in_float32():
    assert dtype_of("bfloat16") == dtype_of("float32") == np.float32
    assert dtype_of("float64") == np.float64


def test_bfloat16_is_that_of_the_plan_with_float32_parameters():
    settings = {"engine": "reference", "max_iter": 2}
    network = digits(dtype="bfloat16", **settings).fit(X[:256], Y[:256])
    assert network.parameters_.flat.dtype == np.float32
    parameters = network.chain_.initialize(64, seed=0, dtype=np.float32)
    data = TrainingData(X[:256], Y[:256].astype(np.int64))
    plan = TrainingPlan(Adam(), batch_size=128, n_epochs=2, dtype="bfloat16")
    trainer = ReferenceTrainer(network.chain_, parameters, data, plan)
    trainer.run_epoch()
    trainer.run_epoch()
    np.testing.assert_array_equal(network.parameters_.flat, parameters.flat)
    unrounded = digits(**settings).fit(X[:256], Y[:256])
    assert (unrounded.parameters_.flat != parameters.flat).any()


@pytest.mark.skipif(not core.has_bfloat16, reason="no bfloat16 products")
def test_bfloat16_learns_what_float32_does():
    settings = {"learning_rate_init": 1e-2, "max_iter": 10, "record": 1}
    network = digits(dtype="bfloat16", **settings).fit(X[:1400], Y[:1400])
    unrounded = digits(**settings).fit(X[:1400], Y[:1400])
    assert (network.parameters_.flat != unrounded.parameters_.flat).any()
    loss = network.evaluate(X[1400:], Y[1400:])["loss"]
    assert loss == pytest.approx(unrounded.evaluate(X[1400:], Y[1400:])["loss"], rel=0.02)
    np.testing.assert_array_equal(network.replay(110).after.flat, network.parameters_.flat)


@pytest.mark.skipif(core.has_bfloat16, reason="bfloat16 products")
def test_bfloat16_says_what_it_needs():
    with pytest.raises(ValueError, match=r'needs a processor with AVX-512 BF16.*dtype="float32"'):
        digits(dtype="bfloat16").fit(X, Y)


# Seeds


def test_an_integer_is_its_own_seed_and_others_draw_one():
    assert [seed_of(seed) for seed in (0, 7, np.int64(3), 2**64 - 1)] == [0, 7, 3, 2**64 - 1]
    assert seed_of(None) != seed_of(None)
    drawn = [seed_of(np.random.RandomState(0)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    generator = np.random.RandomState(0)
    assert seed_of(generator) != seed_of(generator)
