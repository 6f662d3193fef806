import math

import numpy as np
import pytest

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import SGD, Activation, Chain, Context, Dropout, Linear, Parameters, RMSNorm
from pellucid.nn.dropout import dropout_mask
from pellucid.nn.random import philox

TRAINING = Context(training=True, seed=5, epoch=2, step=9, layer=3)


def test_m23_the_mask_is_what_the_counter_says():
    seed, m, width, threshold = 2**40 + 5, 3, 11, 20000
    context = Context(training=True, seed=seed, epoch=2, step=9, layer=3)
    mask = dropout_mask(m, width, threshold, context)
    assert mask.shape == (m, width)
    for i, j in np.ndindex(m, width):
        counter = np.array([[i * 2 + j // 8, 9, 2, 2 * 2**24 + 3]], dtype=np.uint32)
        word = int(philox(counter, seed)[0, j % 8 // 2])
        half = word >> 16 if j % 2 else word & 0xFFFF
        assert mask[i, j] == (half >= threshold)


def test_m23_other_steps_epochs_layers_and_seeds_have_other_masks():
    contexts = [
        TRAINING,
        Context(training=True, seed=6, epoch=2, step=9, layer=3),
        Context(training=True, seed=5, epoch=3, step=9, layer=3),
        Context(training=True, seed=5, epoch=2, step=10, layer=3),
        Context(training=True, seed=5, epoch=2, step=9, layer=4),
    ]
    masks = {dropout_mask(8, 32, 32768, context).tobytes() for context in contexts}
    assert len(masks) == len(contexts)


@pytest.mark.parametrize("p", [0.0, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("scale_at", ["training", "prediction"])
def test_m23_mean_and_variance_of_what_is_kept(p, scale_at):
    n, h = 200_000, 1.7
    layer = Dropout(p, scale_at)
    y = layer.forward({}, np.full((n // 50, 50), h), TRAINING)
    scale = 1 / layer.kept_share if scale_at == "training" else 1.0
    variance = scale**2 * p * (1 - p) * h**2
    # Five standard errors; p is rounded to 2^-16.
    assert abs(y.mean() - scale * (1 - p) * h) <= 5 * math.sqrt(variance / n) + 2**-15
    assert abs(y.var() - variance) < 5 * scale**2 * h**2 / math.sqrt(n) + 2**-15
    expected = layer.forward({}, np.full((1, 1), h))[0, 0]
    assert abs(y.mean() - expected) <= 5 * math.sqrt(variance / n) + 1e-12


def test_m23_both_conventions_predict_the_same_up_to_a_common_factor():
    h = np.arange(6.0).reshape(2, 3)
    early, late = Dropout(0.25), Dropout(0.25, "prediction")
    assert early.kept_share == late.kept_share == 0.75
    np.testing.assert_allclose(
        0.75 * early.forward({}, h, TRAINING), late.forward({}, h, TRAINING), rtol=1e-15
    )
    np.testing.assert_array_equal(early.forward({}, h), h)
    np.testing.assert_array_equal(late.forward({}, h), 0.75 * h)


def test_m23_p_is_rounded_to_sixteen_bits():
    assert Dropout(0.1).threshold == 6554
    assert Dropout(0.1).kept_share == 1 - 6554 / 65536
    assert Dropout(0.0).forward({}, np.ones((2, 2)), TRAINING).tolist() == [[1.0, 1.0]] * 2


def test_m23_monte_carlo_samples_average_to_the_prediction_of_a_linear_network():
    chain = Chain([Dropout(0.5), Linear(2)], "half_squared_error")
    params, X = chain.initialize(20, seed=0), np.random.default_rng(0).normal(size=(3, 20))
    samples = chain.sample_scores(params, X, 4000, seed=1)
    assert samples.shape == (4000, 3, 2)
    scores = chain.forward(params, X).scores
    # The variance of Σ_j m_j x_j w_jk/(1 - p) is p/(1 - p) Σ_j (x_j w_jk)², here Σ.
    variance = (X**2) @ (params["1.W"] ** 2)
    assert (np.abs(samples.mean(axis=0) - scores) < 5 * np.sqrt(variance / 4000)).all()
    np.testing.assert_allclose(samples.var(axis=0), variance, rtol=0.2)
    np.testing.assert_array_equal(samples[:2], chain.sample_scores(params, X, 2, seed=1))
    assert not np.array_equal(samples[0], samples[1])


def test_m23_the_trainer_draws_a_new_mask_at_each_step():
    X, Y = np.ones((6, 16)), np.ones((6, 1))
    chain = Chain([Dropout(0.5), Linear(1, weights="zeros")], "half_squared_error")
    plan = TrainingPlan(SGD(1.0), batch_size=3, shuffle=False, seed=11)
    params = chain.initialize(16, seed=0)
    trainer = ReferenceTrainer(chain, params, TrainingData(X, Y), plan)
    trainer.run_epoch()
    trainer.run_epoch()
    theta = chain.initialize(16, seed=0).flat
    for step, epoch in ((1, 0), (2, 0), (3, 1), (4, 1)):
        context = Context(training=True, seed=11, epoch=epoch, step=step)
        at = Parameters(theta, params.layout)
        trace = chain.forward(at, X[:3], context)
        gradient = chain.backward(at, trace, Y[:3], context=context).parameters
        theta = theta - gradient.flat
    np.testing.assert_allclose(params.flat, theta, rtol=1e-14)


def test_m23_prediction_is_the_same_each_time():
    chain = Chain([Linear(4), Dropout(0.5), RMSNorm(), Linear(2)], "half_squared_error")
    params, X = chain.initialize(3, seed=0), np.ones((2, 3))
    plain = Chain([Linear(4), Activation("identity"), RMSNorm(), Linear(2)], chain.loss)
    np.testing.assert_array_equal(chain.forward(params, X).scores, plain.forward(params, X).scores)


@pytest.mark.parametrize("p", [-0.1, 1.0, math.nan, 0.999999])
def test_p_must_leave_something(p):
    with pytest.raises(ValueError, match="p must be at least 0 and below 1, got"):
        Dropout(p)


def test_other_errors_name_what_was_received():
    with pytest.raises(ValueError, match='"training" or "prediction", got \'test\''):
        Dropout(0.5, "test")
    chain = Chain([Dropout(0.5), Linear(1)], "half_squared_error")
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        chain.sample_scores(chain.initialize(2, seed=0), np.ones((1, 2)), 0)
