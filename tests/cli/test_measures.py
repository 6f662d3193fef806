"""Measures are scikit-learn's metrics, with any weights of the rows."""

import numpy as np
import pytest
from sklearn import metrics

from pellucid.cli import measures

N = 400
RNG = np.random.default_rng(0)
#: Equal to one tenth, so that many scores are tied.
P3 = RNG.dirichlet(np.ones(3), N).round(1)
P3[:, 0] += 1 - P3.sum(axis=1)
P3 = np.clip(P3, 0.01, 1)
P3 /= P3.sum(axis=1, keepdims=True)
P2 = np.column_stack([1 - P3[:, 0], P3[:, 0]])
CODES3 = np.array([RNG.choice(3, p=p) for p in P3])
CODES2 = (RNG.random(N) < P3[:, 0]).astype(int)
Y = RNG.gamma(2.0, size=N)
TOLD = Y * RNG.uniform(0.5, 2.0, N)
WEIGHTS = RNG.integers(0, 4, (5, N)).astype(float)

LABELS = {
    "accuracy": (
        measures.accuracy,
        lambda c, P, w: metrics.accuracy_score(c, P.argmax(axis=1), sample_weight=w),
    ),
    "balanced accuracy": (
        measures.balanced_accuracy,
        lambda c, P, w: metrics.balanced_accuracy_score(c, P.argmax(axis=1), sample_weight=w),
    ),
    "log loss": (
        measures.log_loss,
        lambda c, P, w: metrics.log_loss(c, P, sample_weight=w),
    ),
}
NUMBERS = {
    "rmse": (measures.rmse, metrics.root_mean_squared_error),
    "mae": (measures.mae, metrics.mean_absolute_error),
    "r2": (measures.r2, metrics.r2_score),
    "poisson": (measures.poisson_deviance, metrics.mean_poisson_deviance),
    "pinball": (
        lambda y, p: measures.pinball(y, p, 0.9),
        lambda y, p, **w: metrics.mean_pinball_loss(y, p, alpha=0.9, **w),
    ),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize(("P", "codes"), [(P2, CODES2), (P3, CODES3)], ids=["two", "three"])
def test_measures_of_labels(name, P, codes):
    make, expected = LABELS[name]
    found = make(P, codes)(WEIGHTS)
    np.testing.assert_allclose(found, [expected(codes, P, w) for w in WEIGHTS])


@pytest.mark.parametrize("name", NUMBERS)
def test_measures_of_numbers(name):
    make, expected = NUMBERS[name]
    found = make(Y, TOLD)(WEIGHTS)
    np.testing.assert_allclose(found, [expected(Y, TOLD, sample_weight=w) for w in WEIGHTS])


def test_a_predicted_rate_of_zero_has_a_finite_deviance():
    measure = measures.poisson_deviance(np.array([0.0, 5.0, 5.0]), np.array([0.0, 0.0, 5.0]))
    found = measure(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    tiny = np.finfo(np.float64).tiny
    np.testing.assert_allclose(found, [0.0, 10 * (np.log(5 / 2) - np.log(tiny / 2) - 1)], atol=1e-9)


def test_coverage_counts_targets_up_to_the_prediction():
    measure = measures.coverage(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.9, 5.0, 4.1]))
    np.testing.assert_allclose(measure(np.array([[1, 1, 1, 1], [0, 2, 0, 1]])), [0.75, 1 / 3])


def test_r2_of_constant_targets():
    ones = np.ones((1, 3))
    assert measures.r2(np.full(3, 7.0), np.full(3, 7.0))(ones) == 1
    assert measures.r2(np.full(3, 7.0), np.array([7.0, 7.0, 8.0]))(ones) == 0


def test_roc_auc():
    ones = np.ones((1, N))
    found = measures.roc_auc(P2, CODES2)(ones)
    np.testing.assert_allclose(found, metrics.roc_auc_score(CODES2, P2[:, 1]))
    expected = metrics.roc_auc_score(CODES3, P3, multi_class="ovr", average="macro")
    np.testing.assert_allclose(measures.roc_auc(P3, CODES3)(ones), expected)


def test_roc_auc_of_resamples_is_that_of_scikit_learn_to_first_order():
    measure, difference = measures.roc_auc(P2, CODES2), []
    for weights in measures.resamples(N, 50, 1):
        exact = [metrics.roc_auc_score(CODES2, P2[:, 1], sample_weight=w) for w in weights]
        difference.extend(measure(weights) - exact)
    assert np.abs(difference).max() < 2.0 / N
    none = np.zeros((1, N))
    none[0, np.flatnonzero(CODES2)[0]] = 1.0
    assert np.isnan(measure(none)).all()


def test_classes_that_no_row_has_do_not_count():
    wide = np.column_stack([P2, np.full(N, 1e-3)])
    ones = np.ones((1, N))
    for make in (measures.balanced_accuracy, measures.roc_auc):
        found = make(wide, CODES2)(ones)
        assert 0.5 < found[0] < 1
    both = [metrics.roc_auc_score(k == CODES2, P2[:, k]) for k in (0, 1)]
    np.testing.assert_allclose(measures.roc_auc(wide, CODES2)(ones), np.mean(both))


def test_calibration_error_by_hand():
    # Bins of 1/15: two rows at 0.9 (one right), two at 0.6 (both right).
    P = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    codes = np.array([0, 1, 0, 0])
    expected = 0.5 * abs(0.5 - 0.9) + 0.5 * abs(1.0 - 0.6)
    np.testing.assert_allclose(measures.calibration_error(P, codes)(np.ones((1, 4))), expected)


def test_intervals_are_those_of_the_mean():
    rows = np.random.default_rng(3).normal(size=2000)
    low, high = measures.intervals_of([measures.mean_of(rows)], len(rows), 1000, seed=0)
    expected = 1.96 * rows.std() / np.sqrt(len(rows))
    # The standard error of a percentile of 1,000 normal resamples is about 3 % of this width.
    np.testing.assert_allclose([rows.mean() - low[0], high[0] - rows.mean()], expected, rtol=0.12)
    again = measures.intervals_of([measures.mean_of(rows)], len(rows), 1000, seed=0)
    np.testing.assert_array_equal(again, (low, high))


def test_large_tables_are_resampled_less_often():
    assert measures.n_resamples_for(100) == measures.MOST_RESAMPLES
    assert measures.n_resamples_for(50_000) == 400
    assert measures.n_resamples_for(10**7) == measures.FEWEST_RESAMPLES
    assert sum(len(w) for w in measures.resamples(3000, 7, 0)) == 7
    assert all((w.sum(axis=1) == 3000).all() for w in measures.resamples(3000, 7, 0))
