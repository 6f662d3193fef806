"""scikit-learn's no-improvement rule."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.training import NoImprovement


@given(
    st.lists(st.floats(-1e3, 1e3) | st.just(math.nan), min_size=1, max_size=20),
    st.floats(0.0, 1.0),
)
def test_losses_and_scores_are_mirror_images(values, tol):
    score = NoImprovement(tol=tol, patience=3, sign=1)
    loss = NoImprovement(tol=tol, patience=3, sign=-1)
    for value in values:
        assert score.update(value) == loss.update(-value)
        assert (score.count, score.best) == (loss.count, -loss.best)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.floats(0.0, 1.0))
def test_the_count_is_that_of_scikit_learn(losses, tol):
    rule = NoImprovement(tol=tol, patience=3, sign=-1)
    best, count = math.inf, 0
    for loss in losses:
        count = count + 1 if loss > best - tol else 0
        best = min(best, loss)
        rule.update(loss)
        assert (rule.best, rule.count) == (best, count)
        assert rule.exhausted == (count > 3)


def test_nan_is_no_improvement():
    rule = NoImprovement(tol=0.0, patience=1, sign=1)
    assert not rule.update(math.nan)
    assert rule.count == 1
    assert rule.update(0.0)
    assert (rule.count, rule.best) == (0, 0.0)


def test_infinite_patience_never_stops():
    rule = NoImprovement(tol=1.0, patience=math.inf, sign=-1)
    for _ in range(1000):
        rule.update(0.0)
    assert rule.count == 999
    assert not rule.exhausted


@pytest.mark.parametrize("sign", [1, -1])
def test_goes_on_from_an_earlier_best(sign):
    rule = NoImprovement(tol=0.1, patience=2, sign=sign, best=sign * 5.0, count=2)
    assert not rule.update(sign * 5.0)
    assert rule.exhausted
