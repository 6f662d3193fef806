import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import SGD, Chain, ClipByGlobalNorm, ClipByNorm, ClipByValue, Linear
from pellucid.nn.clipping import clip_by_norm, clip_by_value

LAYOUT = Chain([Linear(3), Linear(2)], "half_squared_error").layout(4)
GRADIENT = np.random.default_rng(0).normal(size=LAYOUT.size)


def test_m21_by_value_clips_each_element():
    expected = [-0.5, 0.2, 0.5]
    assert clip_by_value(np.array([-3.0, 0.2, 9.0]), 0.5).tolist() == expected
    clipped = ClipByValue(0.5).apply(GRADIENT, LAYOUT)
    np.testing.assert_array_equal(clipped, np.clip(GRADIENT, -0.5, 0.5))


@given(seed=st.integers(0, 999), size=st.floats(1e-3, 1e3), limit=st.floats(1e-2, 1e2))
def test_m21_by_norm_shortens_and_keeps_the_direction(seed, size, limit):
    g = size * np.random.default_rng(seed).normal(size=(3, 4))
    clipped = clip_by_norm(g, limit)
    length = np.linalg.norm(g)
    assert np.linalg.norm(clipped) == pytest.approx(min(length, limit), rel=1e-12)
    np.testing.assert_allclose(clipped * length, g * np.linalg.norm(clipped), rtol=1e-12)
    if length <= limit:
        np.testing.assert_array_equal(clipped, g)


def test_m21_by_norm_takes_each_array_by_itself():
    clipped = ClipByNorm(1.0).apply(GRADIENT, LAYOUT)
    for entry in LAYOUT.entries:
        norm = np.linalg.norm(GRADIENT[entry.span])
        expected = GRADIENT[entry.span] * min(1.0, 1.0 / norm)
        np.testing.assert_allclose(clipped[entry.span], expected, rtol=1e-14)


def test_m21_by_global_norm_takes_all_together():
    clipped = ClipByGlobalNorm(1.0).apply(GRADIENT, LAYOUT)
    np.testing.assert_allclose(clipped, GRADIENT / np.linalg.norm(GRADIENT), rtol=1e-14)


@pytest.mark.parametrize("clip", [ClipByValue(1.0), ClipByNorm(1.0), ClipByGlobalNorm(1.0)])
def test_m21_clipping_keeps_zero_and_the_precision(clip):
    zero = np.zeros(LAYOUT.size, dtype=np.float32)
    assert not clip.apply(zero, LAYOUT).any()
    single = GRADIENT.astype(np.float32)
    assert clip.apply(single, LAYOUT).dtype == np.float32


@pytest.mark.parametrize("clip", [ClipByNorm(1.0), ClipByGlobalNorm(1.0)])
@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_m21_norms_whose_squares_are_no_float32_are_right(clip, size):
    gradient = (size * GRADIENT).astype(np.float32)
    expected = clip.apply(size * GRADIENT, LAYOUT)
    np.testing.assert_allclose(clip.apply(gradient, LAYOUT), expected, rtol=1e-5)


@pytest.mark.parametrize("trainer", [NativeTrainer, ReferenceTrainer])
@pytest.mark.parametrize("clip", [ClipByNorm(1.0), ClipByGlobalNorm(1.0)])
def test_m21_a_huge_gradient_is_clipped_to_a_step(trainer, clip):
    chain = Chain([Linear(1, weights="zeros", bias=False)], "half_squared_error")
    params = chain.initialize(2, seed=0, dtype=np.float32)
    X = np.array([[3e10, 4e10]], dtype=np.float32)
    data = TrainingData(X, np.array([[-1e12]], dtype=np.float32))
    plan = TrainingPlan(SGD(0.5), batch_size=1, clipping=clip)
    trainer(chain, params, data, plan).run_epoch()
    np.testing.assert_allclose(params.flat, [-0.3, -0.4], rtol=1e-6)


def test_m21_the_trainer_clips_every_step():
    chain = Chain([Linear(1, weights="zeros")], "squared_error")
    params = chain.initialize(2, seed=0)
    data = TrainingData(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    plan = TrainingPlan(SGD(0.5), batch_size=1, clipping=ClipByGlobalNorm(2.0))
    ReferenceTrainer(chain, params, data, plan).run_epoch()
    gradient = np.array([-40.0, -60.0, -20.0])  # of M13
    expected = -0.5 * 2.0 * gradient / np.linalg.norm(gradient)
    np.testing.assert_allclose(params.flat, expected, rtol=1e-14)


@pytest.mark.parametrize("kind", [ClipByValue, ClipByNorm, ClipByGlobalNorm])
@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, math.nan])
def test_errors_name_what_was_received(kind, limit):
    with pytest.raises(ValueError, match=f"limit must be a number above 0, got {limit}"):
        kind(limit)
