"""What is found out about labels without scikit-learn's help is what scikit-learn finds."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import unique_labels

from pellucid import MLPClassifier, TabularClassifier
from pellucid.models.labels import (
    as_labels,
    class_factors,
    codes_of,
    is_multilabel,
    plain_classes,
)
from pellucid.models.targets import label_targets

PLAIN = {
    "integers": np.array([3, 1, 1, 3, 2, 1, 2]),
    "two": np.array([5, 7, 7, 5], dtype=np.uint8),
    "one": np.zeros(4, dtype=np.int64),
    "truth": np.array([True, False, True, True]),
    "text": np.array(["b", "a", "b", "a", "a"]),
    "long text": np.array(["b", "a", "b", "a", "a"], dtype="U100"),
    "whole": np.array([0.0, -1.0, 1.0, 1.0, 0.0, -1.0]),
    "single": np.array([1.0, 2.0, 2.0, 1.0], dtype=np.float32),
}
LEFT_TO_SCIKIT_LEARN = {
    "objects": np.array(["b", "a", "b", "a", "a"], dtype=object),
    "many classes": np.arange(5),
    "big-endian": np.array([1, 0, 1, 0], dtype=">i4"),
}
INDICATOR = np.array([[0, 1], [1, 1], [1, 0]])
REFUSED = {
    "fractions": np.array([0.5, 1.0] * 4),
    "missing": np.array([np.nan, 1.0] * 4),
    "infinite": np.array([np.inf, 1.0] * 4),
    "beyond integers": np.array([1e300, 1.0] * 4),
}


@pytest.mark.parametrize("y", PLAIN.values(), ids=PLAIN)
def test_plain_labels_are_seen_as_such(y):
    assert plain_classes(y) is not None


@pytest.mark.parametrize("y", [*LEFT_TO_SCIKIT_LEARN.values(), INDICATOR])
def test_others_are_left_to_scikit_learn(y):
    assert plain_classes(y) is None


@pytest.mark.parametrize("y", (all_of := PLAIN | LEFT_TO_SCIKIT_LEARN).values(), ids=all_of)
def test_labels_are_sorted_as_scikit_learn_sorts_them(y):
    assert as_labels(y) is y
    labels, theirs = label_targets(y).labels, LabelBinarizer().fit(y).classes_
    np.testing.assert_array_equal(labels, theirs)
    assert labels.dtype == theirs.dtype
    assert not is_multilabel(y)
    codes = codes_of(labels, y)
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(labels[codes], y)


def test_an_indicator_has_several_labels_a_row():
    assert is_multilabel(INDICATOR)
    assert as_labels(INDICATOR) is INDICATOR
    np.testing.assert_array_equal(unique_labels(INDICATOR), [0, 1])


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_a_column_is_a_vector():
    np.testing.assert_array_equal(as_labels(PLAIN["text"].reshape(-1, 1)), PLAIN["text"])


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("y", REFUSED.values(), ids=REFUSED)
def test_what_scikit_learn_refuses_is_refused(y):
    assert plain_classes(y) is None
    with pytest.raises(ValueError, match=r"continuous|NaN|infinity"):
        as_labels(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array(["a", None, "b", None], dtype=object), "None in 2 of 4 rows; remove these rows"),
        (np.array(["a", 1, "b", 2], dtype=object), "one type, got int, str; make them all text"),
        (np.array([[1, 2], [3, 1]]), "one label a row, or zeros and ones"),
    ],
)
def test_what_scikit_learn_says_too_little_of(y, message):
    with pytest.raises(ValueError, match=message):
        as_labels(y)


def test_balanced_factors_are_scikit_learns():
    y = np.array(["a", "b", "b", "c", "c", "c"])
    classes, counts = np.unique(y, return_counts=True)
    expected = compute_class_weight("balanced", classes=classes, y=y)
    np.testing.assert_allclose(class_factors("balanced", classes, counts), expected, rtol=1e-15)


def test_classes_without_rows_do_not_count_in_balanced_factors():
    factors = class_factors("balanced", np.arange(3), np.array([3.0, 0.0, 1.0]))
    np.testing.assert_allclose(factors[[0, 2]] * [3.0, 1.0], [2.0, 2.0])


@pytest.mark.parametrize("nothing", [{}, {"a": 1}, {"a": 1, "b": 1, "unknown": 7}])
def test_classes_that_a_dict_leaves_out_have_weight_one(nothing):
    assert class_factors(nothing, np.array(["a", "b"]), np.ones(2)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("even", 'class_weight must be "balanced" or a dict'),
        ([1.0, 2.0], "class_weight must be .* weights of rows go into sample_weight"),
        ({"unknown": 1.0}, "a label that y has not, 'unknown'; y has"),
        ({"a": -1.0}, "numbers >= 0, got -1.0 for 'a'"),
        ({"a": np.nan}, "numbers >= 0"),
        ({"a": np.inf}, "numbers >= 0"),
        ({"a": "2"}, "numbers >= 0"),
    ],
)
def test_wrong_class_weights(given, message):
    with pytest.raises(ValueError, match=message):
        class_factors(given, np.array(["a", "b"]), np.ones(2))


@pytest.mark.parametrize("estimator", [TabularClassifier, MLPClassifier])
@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "int64[pyarrow]", "boolean"])
def test_labels_of_nullable_types_stay_what_they_are(estimator, dtype):
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = pd.Series([0, 1] * 20).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = estimator(max_iter=2).fit(X, y)
    expected = [False, True] if dtype == "boolean" else [0, 1]
    assert [(type(label), label) for label in fitted.classes_.tolist()] == [
        (type(label), label) for label in expected
    ]
    assert set(fitted.predict(X).tolist()) <= set(expected)
