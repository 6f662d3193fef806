import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    d2_pinball_score,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)

from pellucid.nn import LOSSES, Loss, get_loss
from pellucid.nn.losses import log_softmax, mean_loss, softmax

rng = np.random.default_rng(0)
SCORES = rng.normal(size=(6, 3))
REAL = rng.normal(size=(6, 3))
COUNTS = rng.poisson(2.0, size=(6, 3)).astype(float)

score_rows = arrays(np.float64, (3, 4), elements=st.floats(-1e4, 1e4))


# M04: softmax


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_m04_softmax_is_finite_for_scores_of_1e4(dtype):
    scores = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype=dtype)
    loss = get_loss("softmax_cross_entropy")
    p = softmax(scores)
    np.testing.assert_allclose(p, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]], rtol=1e-6)
    for labels in ([0, 0, 0], [1, 1, 1], [2, 2, 2]):
        values = loss.values(scores, np.array(labels))
        gradient = loss.gradient(scores, np.array(labels))
        assert values.dtype == gradient.dtype == p.dtype == dtype
        assert np.isfinite(values).all()
        assert np.isfinite(gradient).all()
    assert loss.values(scores, np.array([1, 0, 2])).tolist() == pytest.approx(
        [2e4, math.log(3), 2e4 + math.log(2)]
    )


@given(score_rows, st.floats(-1e4, 1e4))
def test_m04_softmax_is_a_distribution_that_ignores_a_common_shift(scores, shift):
    p = softmax(scores)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-14)
    assert (p >= 0).all()
    np.testing.assert_allclose(softmax(scores + shift), p, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(np.exp(log_softmax(scores)), p, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("name", list(LOSSES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_m04_every_loss_is_finite_for_scores_of_1e4(name, dtype):
    sizes = np.concatenate([[0.0], np.geomspace(1e-30, 1e4, 100)])
    scores = np.concatenate([-sizes, sizes])[:, None].astype(dtype)
    loss = Loss(name)
    for target in (0.0, 0.5, 1.0):
        targets = np.full_like(scores, target)
        results = loss.values(scores, targets), loss.gradient(scores, targets), loss.link(scores)
        for result in results:
            assert result.dtype == dtype
            assert np.isfinite(result).all()


# M05: the binary sigmoid is a two-class softmax


@given(arrays(np.float64, (5, 1), elements=st.floats(-500, 500)), st.integers(0, 31))
def test_m05_logistic_is_softmax_with_one_score_at_zero(scores, bits):
    labels = np.array([bits >> i & 1 for i in range(5)])
    two_scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    binary, two_class = get_loss("logistic_cross_entropy"), get_loss("softmax_cross_entropy")
    targets = labels[:, None].astype(float)
    np.testing.assert_allclose(
        binary.values(scores, targets), two_class.values(two_scores, labels), rtol=1e-14, atol=1e-15
    )
    np.testing.assert_allclose(
        binary.gradient(scores, targets)[:, 0],
        two_class.gradient(two_scores, labels)[:, 1],
        rtol=1e-14,
        atol=2e-16,
    )
    np.testing.assert_allclose(
        binary.link(scores)[:, 0], two_class.link(two_scores)[:, 1], rtol=1e-13
    )


# M08: softmax and cross-entropy together


def test_m08_worked_example():
    scores = np.log(np.array([[0.2, 0.7, 0.1]]))
    loss = get_loss("softmax_cross_entropy")
    one_hot = np.array([[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(loss.gradient(scores, one_hot), [[0.2, -0.3, 0.1]], atol=1e-16)
    np.testing.assert_allclose(loss.values(scores, one_hot), [-math.log(0.7)], rtol=1e-15)


def test_m08_equals_the_log_likelihood_form():
    y = np.eye(3)[[0, 2, 1, 1, 0, 2]]
    likelihood = (y * SCORES).sum(axis=1) - np.log(np.exp(SCORES).sum(axis=1))
    ascent = y - np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    loss = get_loss("softmax_cross_entropy")
    np.testing.assert_allclose(loss.values(SCORES, y), -likelihood, rtol=1e-13)
    np.testing.assert_allclose(loss.gradient(SCORES, y), -ascent, rtol=1e-13, atol=1e-16)


# M09, M10: what cross-entropy accepts


def test_m09_labels_and_one_hot_rows_are_the_same():
    labels = np.array([0, 2, 1, 1, 0, 2])
    loss = get_loss("softmax_cross_entropy")
    one_hot = np.eye(3)[labels]
    np.testing.assert_array_equal(loss.values(SCORES, labels), loss.values(SCORES, one_hot))
    np.testing.assert_array_equal(loss.gradient(SCORES, labels), loss.gradient(SCORES, one_hot))
    expected = log_loss(labels, loss.link(SCORES))
    assert mean_loss(loss.values(SCORES, labels)) == pytest.approx(expected, rel=1e-14)


def test_m09_soft_targets_are_mixtures_of_labels():
    soft = np.array([[0.5, 0.3, 0.2]])
    loss, scores = get_loss("softmax_cross_entropy"), SCORES[:1]
    by_label = [loss.values(scores, np.array([c]))[0] for c in range(3)]
    assert loss.values(scores, soft)[0] == pytest.approx(np.dot(soft[0], by_label), rel=1e-14)
    np.testing.assert_allclose(loss.gradient(scores, soft), softmax(scores) - soft, rtol=1e-15)


def test_m09_rows_that_do_not_sum_to_one_weigh_more_or_less():
    loss, y = get_loss("softmax_cross_entropy"), np.array([[0.5, 0.25, 0.25]])
    np.testing.assert_allclose(
        loss.gradient(SCORES[:1], 3 * y), 3 * loss.gradient(SCORES[:1], y), rtol=1e-14
    )


def test_m10_binary_cross_entropy_on_one_output():
    labels = np.array([0, 1, 1, 0, 1, 0])
    scores = SCORES[:, :1]
    loss = get_loss("logistic_cross_entropy")
    expected = log_loss(labels, loss.link(scores)[:, 0])
    assert mean_loss(loss.values(scores, labels[:, None])) == pytest.approx(expected, rel=1e-14)


def test_m10_multilabel_is_the_sum_over_outputs():
    y = np.array([[0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 1], [0, 1, 0]], dtype=float)
    loss = get_loss("logistic_cross_entropy")
    single = [loss.values(SCORES[:, [k]], y[:, [k]]) for k in range(3)]
    np.testing.assert_allclose(loss.values(SCORES, y), np.sum(single, axis=0), rtol=1e-14)
    np.testing.assert_allclose(loss.gradient(SCORES, y), loss.link(SCORES) - y, rtol=1e-15)


# M11: regression


def test_m11_half_squared_error_is_one_over_2m_frobenius():
    loss = get_loss("half_squared_error")
    m = len(SCORES)
    frobenius = np.linalg.norm(SCORES - REAL, "fro") ** 2
    assert mean_loss(loss.values(SCORES, REAL)) == pytest.approx(frobenius / (2 * m), rel=1e-14)
    np.testing.assert_allclose(loss.gradient(SCORES, REAL) / m, (SCORES - REAL) / m, rtol=1e-15)


def test_m11_squared_error_is_twice_the_half_and_sums_over_outputs():
    loss, half = get_loss("squared_error"), get_loss("half_squared_error")
    np.testing.assert_allclose(loss.values(SCORES, REAL), 2 * half.values(SCORES, REAL))
    np.testing.assert_allclose(loss.gradient(SCORES, REAL), 2 * (SCORES - REAL))
    mean_over_outputs = mean_squared_error(REAL, SCORES)
    assert mean_loss(loss.values(SCORES, REAL)) == pytest.approx(3 * mean_over_outputs, rel=1e-14)


def test_m11_multi_output_gradient_is_that_of_the_loss_reported():
    from sklearn.neural_network._base import squared_loss

    loss, m, n_outputs, h = get_loss("half_squared_error"), *SCORES.shape, 1e-5
    E = np.zeros_like(SCORES)
    E[2, 1] = h
    above, below = (mean_loss(loss.values(SCORES + sign * E, REAL)) for sign in (1, -1))
    ours = loss.gradient(SCORES, REAL)[2, 1] / m
    assert (above - below) / (2 * h) == pytest.approx(ours, rel=1e-8)
    # scikit-learn's loss averages over outputs too, and its gradient is ours: its issue 8349.
    theirs = squared_loss(REAL, SCORES + E) - squared_loss(REAL, SCORES - E)
    assert theirs / (2 * h) == pytest.approx(ours / n_outputs, rel=1e-8)


def test_m11_absolute_error():
    loss = get_loss("absolute_error")
    expected = 3 * mean_absolute_error(REAL, SCORES)
    assert mean_loss(loss.values(SCORES, REAL)) == pytest.approx(expected, rel=1e-14)
    assert loss.gradient(np.array([[2.0, 1.0, -1.0]]), np.ones((1, 3))).tolist() == [[1, 0, -1]]


def test_m11_huber_is_squared_inside_and_linear_outside():
    loss = Loss("huber", 2.0)
    scores, zeros = np.array([[1.0], [2.0], [5.0], [-5.0]]), np.zeros((4, 1))
    assert loss.values(scores, zeros).tolist() == [0.5, 2.0, 8.0, 8.0]
    assert loss.gradient(scores, zeros).ravel().tolist() == [1.0, 2.0, 2.0, -2.0]
    wide = Loss("huber", 1e6).values(SCORES, REAL)
    np.testing.assert_allclose(wide, get_loss("half_squared_error").values(SCORES, REAL))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_m11_quantile_is_the_pinball_loss(level):
    loss = Loss("quantile", level)
    expected = 3 * mean_pinball_loss(REAL, SCORES, alpha=level)
    assert mean_loss(loss.values(SCORES, REAL)) == pytest.approx(expected, rel=1e-14)
    below, above = np.array([[0.0]]), np.array([[2.0]])
    assert loss.gradient(below, np.ones((1, 1))).item() == -level
    assert loss.gradient(above, np.ones((1, 1))).item() == pytest.approx(1 - level)
    assert loss.gradient(np.ones((1, 1)), np.ones((1, 1))).item() == 0.0


def test_m11_quantile_is_smallest_at_the_quantile():
    y = np.random.default_rng(1).normal(size=(1001, 1))
    loss, best = Loss("quantile", 0.8), np.quantile(y, 0.8)
    at = [mean_loss(loss.values(np.full_like(y, s), y)) for s in (best - 0.05, best, best + 0.05)]
    assert at[1] < min(at[0], at[2])
    assert d2_pinball_score(y, np.full_like(y, best), alpha=0.8) == pytest.approx(0.0, abs=1e-12)


def test_m11_poisson_is_half_the_deviance_and_zero_at_the_best():
    loss = get_loss("poisson")
    expected = 3 * mean_poisson_deviance(COUNTS.ravel(), np.exp(SCORES).ravel()) / 2
    assert mean_loss(loss.values(SCORES, COUNTS)) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(loss.gradient(SCORES, COUNTS), np.exp(SCORES) - COUNTS)
    positive = COUNTS + 1
    np.testing.assert_allclose(loss.values(np.log(positive), positive), 0.0, atol=1e-13)


def test_m11_poisson_continues_beyond_its_cap_with_its_slope():
    loss, zero, h = get_loss("poisson"), np.zeros((1, 1)), 1e-3
    for s in (59.0, 61.0, 100.0):
        above, below = (loss.values(np.array([[s + d]]), zero) for d in (h, -h))
        slope = loss.gradient(np.array([[s]]), zero).item()
        assert (above - below).item() / (2 * h) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_have_the_sign_that_descends(name):
    targets = {"poisson": COUNTS, "softmax_cross_entropy": np.eye(3)[[0, 1, 2, 0, 1, 2]]}.get(
        name, (REAL > 0).astype(float)
    )
    loss = Loss(name)
    moved = SCORES - 1e-4 * loss.gradient(SCORES, targets)
    assert (loss.values(moved, targets) < loss.values(SCORES, targets)).all()


def test_mean_loss_weighs_rows():
    assert mean_loss(np.array([1.0, 3.0])) == 2.0
    assert mean_loss(np.array([1.0, 3.0]), np.array([0.0, 2.0])) == 3.0


@pytest.mark.parametrize(
    ("name", "targets", "message"),
    [
        ("half_squared_error", np.zeros(6), r"scores, \(6, 3\); got shape \(6,\)"),
        ("half_squared_error", np.zeros((6, 1)), r"got shape \(6, 1\)"),
        ("softmax_cross_entropy", np.zeros(5, dtype=int), r"labels of shape \(6,\); got shape"),
        ("softmax_cross_entropy", np.zeros(6), "dtype float64"),
    ],
)
def test_targets_of_another_shape_are_refused_not_broadcast(name, targets, message):
    loss = get_loss(name)
    with pytest.raises(ValueError, match=message):
        loss.values(SCORES, targets)
    with pytest.raises(ValueError, match=message):
        loss.gradient(SCORES, targets)


def test_errors_name_what_was_received():
    with pytest.raises(ValueError, match=r"one of softmax_cross_entropy.*got 'log_loss'"):
        get_loss("log_loss")
    with pytest.raises(ValueError, match="'poisson' has no parameter, got 2"):
        Loss("poisson", 2)
    with pytest.raises(ValueError, match=r"above 0 and below 1.0, got 1.5"):
        Loss("quantile", 1.5)
    with pytest.raises(ValueError, match="above 0 and below inf, got 0"):
        Loss("huber", 0)


# M25: label smoothing


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_m25_label_smoothing_is_cross_entropy_with_softer_targets(smoothing):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(6, 4)), rng.integers(4, size=6)
    plain, smooth = Loss("softmax_cross_entropy"), Loss("softmax_cross_entropy", smoothing)
    one_hot = np.eye(4)[labels]
    softer = (1 - smoothing) * one_hot + smoothing / 4
    for targets in (labels, one_hot):
        for name in ("values", "gradient"):
            ours = getattr(smooth, name)(scores, targets)
            expected = getattr(plain, name)(scores, softer)
            np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_m25_label_smoothing_of_zero_is_none_and_keeps_the_weight_of_a_row():
    rng = np.random.default_rng(0)
    scores, rows = rng.normal(size=(6, 4)), rng.uniform(size=(6, 4))
    plain, smooth = Loss("softmax_cross_entropy"), Loss("softmax_cross_entropy", 0.2)
    np.testing.assert_array_equal(
        Loss("softmax_cross_entropy", 0.0).gradient(scores, rows), plain.gradient(scores, rows)
    )
    np.testing.assert_allclose(smooth.gradient(scores, rows).sum(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(
        smooth.values(scores, 3 * rows), 3 * smooth.values(scores, rows), rtol=1e-13
    )


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_m25_label_smoothing_has_limits(smoothing):
    with pytest.raises(ValueError, match=f"at least 0 and below 1.0, got {smoothing}"):
        Loss("softmax_cross_entropy", smoothing)
