"""What is measured on validation rows, and the rows held out: those of `train_test_split`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from pellucid.engine.contract import Measurement, ValidationRows
from pellucid.training import Validation, ValidationResult, hold_out

ROWS = ValidationRows(np.zeros((2, 1)), np.zeros((2, 1)))


class Measures:
    """A trainer that returns one measurement and keeps what it was asked for."""

    def __init__(self, loss, scores):
        self.measurement, self.rows = Measurement(loss, scores), None

    def measure(self, rows):
        self.rows = rows
        return self.measurement


def test_the_score_is_that_of_output_and_loss():
    asked = []

    def score(output, loss):
        asked.append((output, loss))
        return np.float32(0.75)

    output = np.array([[1.0], [2.0]])
    trainer = Measures(0.5, output)
    result = Validation(ROWS, score).measure(trainer)
    assert result == ValidationResult(score=0.75, loss=0.5)
    assert type(result.score) is float
    assert trainer.rows is ROWS
    assert len(asked) == 1
    assert asked[0][0] is output
    assert asked[0][1] == 0.5


def test_output_that_is_not_finite_is_not_scored():
    def score(output, loss):
        raise AssertionError

    trainer = Measures(math.nan, np.array([[math.nan], [1.0]]))
    result = Validation(ROWS, score).measure(trainer)
    assert math.isnan(result.score)
    assert math.isnan(result.loss)


def test_a_score_that_overflows_warns_of_nothing():
    """Predictions become huge before they become infinite."""
    trainer = Measures(math.inf, np.full((2, 1), 1e300))
    result = Validation(ROWS, lambda output, loss: -np.mean(output**2)).measure(trainer)
    assert result == ValidationResult(-math.inf, math.inf)


def test_a_score_may_be_no_number_where_the_loss_is_one():
    result = Validation(ROWS, lambda output, loss: math.nan).measure(Measures(0.5, np.ones((2, 1))))
    assert math.isnan(result.score)
    assert result.loss == 0.5


def test_an_error_of_the_score_is_not_hidden():
    def score(output, loss):
        raise ZeroDivisionError("no positive label")

    with pytest.raises(ZeroDivisionError, match="no positive label"):
        Validation(ROWS, score).measure(Measures(0.5, np.ones((2, 1))))


@given(
    st.integers(2, 60), st.integers(2, 60), st.sampled_from([0.1, 0.25, 0.5]), st.integers(0, 99)
)
def test_rows_are_those_of_train_test_split(n_false, n_true, fraction, seed):
    n = n_false + n_true
    groups = np.random.RandomState(seed).permutation(np.arange(n) < n_true)
    for stratify in (None, groups):
        if fraction * n <= 2:
            continue
        expected = train_test_split(
            np.arange(n),
            test_size=fraction,
            random_state=np.random.RandomState(seed),
            stratify=stratify,
        )
        actual = hold_out(n, fraction, np.random.RandomState(seed), stratify)
        np.testing.assert_array_equal(actual[0], expected[0])
        np.testing.assert_array_equal(actual[1], expected[1])


@pytest.mark.parametrize(
    ("n", "fraction", "message"),
    [
        (2, 0.1, "The validation set is too small. Increase 'validation_fraction'"),
        (100, 0.0, "The validation set is too small"),
        (4, 0.999, "The training set is too small. Decrease 'validation_fraction'"),
    ],
)
def test_too_few_rows(n, fraction, message):
    with pytest.raises(ValueError, match=message):
        hold_out(n, fraction, np.random.RandomState(0))


def test_too_few_rows_for_every_group():
    with pytest.raises(ValueError, match=r"The training set is too small\. Decrease"):
        hold_out(4, 0.75, np.random.RandomState(0), np.array([True, True, False, False]))
