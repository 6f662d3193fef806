"""What is found out about labels without scikit-learn's help is what scikit-learn finds."""

import numpy as np
import pytest
from sklearn.preprocessing import LabelBinarizer

from pellucid.models.perceptron.labels import as_labels, fitted_binarizer, plain_classes

PLAIN = {
    "integers": np.array([3, 1, 1, 3, 2, 1, 2]),
    "two": np.array([5, 7, 7, 5], dtype=np.uint8),
    "one": np.zeros(4, dtype=np.int64),
    "truth": np.array([True, False, True, True]),
    "text": np.array(["b", "a", "b", "a", "a"]),
    "whole": np.array([0.0, -1.0, 1.0, 1.0, 0.0, -1.0]),
    "single": np.array([1.0, 2.0, 2.0, 1.0], dtype=np.float32),
}
LEFT_TO_SCIKIT_LEARN = {
    "objects": np.array(["b", "a", "b", "a", "a"], dtype=object),
    "indicator": np.array([[0, 1], [1, 1], [1, 0]]),
    "many classes": np.arange(5),
}
REFUSED = {
    "fractions": np.array([0.5, 1.0] * 4),
    "missing": np.array([np.nan, 1.0] * 4),
    "infinite": np.array([np.inf, 1.0] * 4),
    "beyond integers": np.array([1e300, 1.0] * 4),
}


@pytest.mark.parametrize("y", PLAIN.values(), ids=PLAIN)
def test_plain_labels_are_seen_as_such(y):
    assert plain_classes(y) is not None


@pytest.mark.parametrize("y", LEFT_TO_SCIKIT_LEARN.values(), ids=LEFT_TO_SCIKIT_LEARN)
def test_others_are_left_to_scikit_learn(y):
    assert plain_classes(y) is None


@pytest.mark.parametrize("y", (all_of := PLAIN | LEFT_TO_SCIKIT_LEARN).values(), ids=all_of)
def test_binarizer_is_scikit_learns(y):
    assert as_labels(y) is y
    ours, theirs = vars(fitted_binarizer(y)), vars(LabelBinarizer().fit(y))
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert ours["classes_"].dtype == theirs["classes_"].dtype


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("y", REFUSED.values(), ids=REFUSED)
def test_what_scikit_learn_refuses_is_refused(y):
    assert plain_classes(y) is None
    with pytest.raises(ValueError, match=r"continuous|NaN|infinity"):
        as_labels(y)
