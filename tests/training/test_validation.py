"""The rows held out are those of `train_test_split`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from pellucid.training import hold_out


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
