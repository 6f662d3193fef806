"""What y means to a model: encoded, decoded, scored, weighed and kept, for every kind of target."""

import json

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.class_weight import compute_sample_weight

from pellucid.models.saving import targets_from_json, targets_to_json
from pellucid.models.targets import (
    IndicatorTargets,
    LabelTargets,
    NumberTargets,
    OwnTargets,
    ShareTargets,
    label_targets,
    number_targets,
    targets_from_state,
    targets_of_loss,
)
from pellucid.nn import CustomLoss, Loss

some = settings(max_examples=25, deadline=None, derandomize=True, database=None)

NAMES = np.array(["no", "perhaps", "yes"])


def labels(*known):
    known = np.array(known)
    return lambda rng, n: known[rng.integers(len(known), size=n)]


def zeros_and_ones(rng, n):
    return rng.integers(2, size=(n, 3))


def shares(rng, n):
    return rng.dirichlet([1.0, 1.0, 1.0], size=n)


def numbers(*shape):
    return lambda rng, n: rng.normal(3.0, 2.0, size=(n, *shape))


#: Targets, and what draws a y of n rows for them.
KINDS = {
    "three labels": (LabelTargets(3, NAMES), labels(*NAMES)),
    "two labels": (LabelTargets(1, NAMES[:2]), labels(*NAMES[:2])),
    "two labels, softmax": (LabelTargets(2, np.array([False, True])), labels(False, True)),
    "one label": (LabelTargets(1, np.array([7])), labels(7)),
    "several labels": (IndicatorTargets(3), zeros_and_ones),
    "sparse labels": (
        IndicatorTargets(3, is_sparse=True),
        lambda rng, n: scipy.sparse.csr_matrix(zeros_and_ones(rng, n)),
    ),
    "shares": (ShareTargets(3), shares),
    "numbers": (NumberTargets(1), numbers()),
    "a column": (NumberTargets(1, is_vector=False), numbers(1)),
    "two numbers": (NumberTargets(2, is_vector=False), numbers(2)),
    "standardized": (NumberTargets(1, mean=(3.0,), scale=(2.0,)), numbers()),
    "two, standardized": (
        NumberTargets(2, False, mean=(3.0, -1.0), scale=(2.0, 1e-3)),
        numbers(2),
    ),
    "counts": (NumberTargets(1, at_least_zero=True), lambda rng, n: rng.poisson(2.0, size=n)),
    "own": (OwnTargets(1), numbers()),
}
LABELS = [name for name, (targets, _) in KINDS.items() if isinstance(targets, LabelTargets)]
each_kind = pytest.mark.parametrize("kind", KINDS)
rows = st.integers(1, 12), st.integers(0, 2**32 - 1)


def draw(kind, n, seed):
    targets, make = KINDS[kind]
    return targets, make(np.random.default_rng(seed), n)


def perfect(targets, encoded):
    """Return predictions (n, K) that say what is encoded."""
    if encoded.ndim == 1 and isinstance(targets, LabelTargets):
        return np.eye(targets.n_outputs)[encoded]
    return np.asarray(encoded, dtype=np.float64).reshape(len(encoded), -1)


def dense(y):
    return y.toarray() if hasattr(y, "toarray") else np.asarray(y)


@each_kind
@some
@given(*rows)
def test_what_is_encoded_is_decoded(kind, n, seed):
    targets, y = draw(kind, n, seed)
    encoded = targets.encode(y, np.float64)
    decoded = targets.decode(perfect(targets, encoded))
    expected = y.argmax(axis=1) if kind == "shares" else y
    assert type(decoded) is type(expected)
    assert decoded.shape == expected.shape
    if isinstance(targets, NumberTargets):
        np.testing.assert_allclose(decoded, expected, rtol=1e-12)
    else:
        np.testing.assert_array_equal(dense(decoded), dense(expected))


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_have_the_form_that_the_loss_takes(kind, dtype):
    targets, y = draw(kind, 9, 0)
    encoded = targets.encode(y, dtype)
    if isinstance(targets, LabelTargets) and targets.n_outputs > 1:
        assert encoded.dtype == np.int64
        assert encoded.shape == (9,)
    else:
        assert encoded.dtype == dtype
        assert encoded.shape == (9, targets.n_outputs)


@each_kind
@some
@given(*rows)
def test_the_score_is_that_of_scikit_learn(kind, n, seed):
    targets, y = draw(kind, n + 1, seed)  # R² needs two rows
    rng = np.random.default_rng([seed, 1])
    encoded, weight = targets.encode(y, np.float64), rng.uniform(0.1, 2.0, n + 1)
    if isinstance(targets, NumberTargets):
        predictions = rng.normal(size=encoded.shape)
        expected = r2_score(encoded, predictions, sample_weight=weight)
    else:
        predictions = rng.dirichlet(np.ones(max(targets.n_outputs, 2)), n + 1)
        predictions = predictions[:, : targets.n_outputs]
        said, known = (dense(targets.decode(p)) for p in (predictions, perfect(targets, encoded)))
        expected = accuracy_score(known, said, sample_weight=weight)
    assert targets.score(predictions, encoded, weight) == pytest.approx(expected, abs=1e-12)
    assert targets.score(perfect(targets, encoded), encoded, None) == 1.0


@each_kind
@some
@given(*rows)
def test_probabilities_are_of_the_classes(kind, n, seed):
    targets, _ = draw(kind, 1, seed)
    predictions = np.random.default_rng(seed).dirichlet(np.ones(max(targets.n_outputs, 2)), n)
    predictions = predictions[:, : targets.n_outputs]
    if targets.classes is None:
        return
    probabilities = targets.probabilities(predictions)
    assert probabilities.shape == (n, len(targets.classes))
    if not isinstance(targets, IndicatorTargets):
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
        best = targets.classes[probabilities.argmax(axis=1)]
        np.testing.assert_array_equal(targets.decode(predictions), best)
    std = 0.1 * predictions
    of_each = targets.deviation_of_probabilities(std)
    assert of_each.shape == probabilities.shape
    assert (of_each >= 0.0).all()


@each_kind
def test_deviations_have_the_form_of_predictions(kind):
    targets, _ = draw(kind, 1, 0)
    rng = np.random.default_rng(0)
    mean = rng.uniform(size=(9, targets.n_outputs))
    std = rng.uniform(size=(9, targets.n_outputs))
    decoded, deviation = targets.decode(mean), targets.deviation(mean, std)
    assert deviation.shape == decoded.shape
    if targets.classes is not None and decoded.ndim == 1 and len(targets.classes) > 1:
        of_each = targets.deviation_of_probabilities(std)
        places = targets.probabilities(mean).argmax(axis=1)
        np.testing.assert_array_equal(deviation, of_each[np.arange(9), places])


def test_deviations_of_standardized_numbers_are_on_the_scale_of_y():
    targets, _ = KINDS["two, standardized"]
    ones = np.ones((4, 2))
    np.testing.assert_array_equal(targets.deviation(0 * ones, ones), ones * [2.0, 1e-3])


def test_a_single_label_is_certain():
    targets, _ = KINDS["one label"]
    anything = np.array([[0.1], [0.9]])
    assert targets.decode(anything).tolist() == [7, 7]
    assert targets.score(anything, np.zeros((2, 1)), None) == 1.0
    assert targets.probabilities(anything).tolist() == [[1.0], [1.0]]
    assert targets.deviation(anything, anything).tolist() == [0.0, 0.0]
    assert targets.deviation_of_probabilities(anything).tolist() == [[0.0], [0.0]]


@each_kind
@some
@given(*rows)
def test_targets_come_back_from_json(kind, n, seed):
    targets, y = draw(kind, n, seed)
    again = targets_from_json(json.loads(json.dumps(targets_to_json(targets))))
    assert type(again) is type(targets)
    assert targets_to_json(again) == targets_to_json(targets)
    encoded = again.encode(y, np.float64)
    np.testing.assert_array_equal(encoded, targets.encode(y, np.float64))
    predictions = perfect(targets, encoded)
    decoded = [each.decode(predictions) for each in (again, targets)]
    np.testing.assert_array_equal(*map(dense, decoded))
    assert decoded[0].dtype == decoded[1].dtype


@pytest.mark.parametrize(
    "state",
    [
        {"kind": "unknown", "n_outputs": 1},
        {"n_outputs": 1},
        {"kind": "numbers"},
        {"kind": "numbers", "n_outputs": 0},
        {"kind": "numbers", "n_outputs": 1.0},
        {"kind": "numbers", "n_outputs": True},
        {"kind": "numbers", "n_outputs": 2, "is_vector": True},
        {"kind": "numbers", "n_outputs": 2, "is_vector": False, "mean": (1.0,), "scale": (1.0,)},
        {"kind": "numbers", "n_outputs": 1, "mean": (1.0,)},
        {"kind": "numbers", "n_outputs": 1, "mean": (np.nan,), "scale": (1.0,)},
        {"kind": "numbers", "n_outputs": 1, "mean": (0.0,), "scale": (0.0,)},
        {"kind": "numbers", "n_outputs": 1, "mean": (0.0,), "scale": (-1.0,)},
        {"kind": "numbers", "n_outputs": 1, "shape": 3},
        {"kind": "label", "n_outputs": 2, "labels": NAMES},
        {"kind": "label", "n_outputs": 1, "labels": NAMES},
        {"kind": "label", "n_outputs": 3, "labels": NAMES[::-1]},
        {"kind": "label", "n_outputs": 2, "labels": NAMES[[0, 0]]},
    ],
)
def test_states_that_do_not_fit_together_are_refused(state):
    with pytest.raises((ValueError, TypeError, KeyError)):
        targets_from_state(state)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("counted", [False, True])
def test_balanced_weights_are_scikit_learns(kind, counted):
    targets, y = draw(kind, 30, 0)
    weight = np.random.default_rng(1).integers(1, 4, 30) if counted else None
    weighed = targets.weigh("balanced", y, weight)
    if counted:
        of_rows = compute_sample_weight("balanced", np.repeat(y, weight))
        np.testing.assert_allclose(np.repeat(weighed / weight, weight), of_rows, rtol=1e-12)
    else:
        np.testing.assert_allclose(weighed, compute_sample_weight("balanced", y), rtol=1e-12)


@each_kind
def test_without_class_weight_the_weights_are_those_given(kind):
    targets, y = draw(kind, 3, 0)
    weight = np.ones(3)
    assert targets.weigh(None, y, None) is None
    assert targets.weigh(None, y, weight) is weight


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in LABELS])
def test_what_is_no_single_label_has_no_class_weight(kind):
    targets, y = draw(kind, 3, 0)
    with pytest.raises(ValueError, match="class_weight='balanced' needs one label a row"):
        targets.weigh("balanced", y, None)


@each_kind
def test_a_split_keeps_the_shares_of_two_labels_only(kind):
    targets, y = draw(kind, 12, 0)
    groups = targets.groups_to_split(targets.encode(y, np.float64))
    if kind == "two labels":
        np.testing.assert_array_equal(groups, y == targets.labels[1])
    else:
        assert groups is None or not groups.any()


def test_a_label_of_one_row_cannot_be_split():
    targets = LabelTargets(1, np.array(["common", "rare"]))
    encoded = targets.encode(["common"] * 9 + ["rare"], np.float64)
    with pytest.raises(ValueError, match=r"only 1 member.*'rare'.*set early_stopping=False"):
        targets.groups_to_split(encoded)


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        ("three labels", ["no", "never"], r"`y_val` has classes not in .*\['never'\]"),
        ("three labels", [0, 1], r"`y_val` has classes not in .*\[0 1\]"),
        ("three labels", [["no", "yes"]], r"y_val must hold one label a row, got shape \(1, 2\)"),
        ("two labels", ["yes"], r"`y_val` has classes not in"),
        ("two labels, softmax", np.array([True, 2], object), r"classes not in .*\[2\]"),
        ("several labels", [[0, 2, 0]], "y_val must be from 0 to 1 .* got 0 to 2"),
        ("several labels", [[0, 1]], r"y_val must have 3 columns.*got shape \(1, 2\)"),
        ("shares", [[0.5, 0.5, 0.5]], "each row of y_val must hold shares .* sum to 1"),
        ("shares", [[1.5, -0.5, 0.0]], "at least 0"),
        ("numbers", [1.0, np.nan], "y_val contains NaN"),
        ("numbers", [1.0, np.inf], "y_val contains infinity"),
        ("numbers", ["a"], "y_val must be numbers for this loss"),
        ("two numbers", [1.0, 2.0], "y_val must have 2 columns"),
        ("counts", [1.0, -2.0], "loss='poisson' needs y_val >= 0.* got -2"),
    ],
)
def test_what_cannot_be_encoded_is_named(kind, y, message):
    targets, _ = KINDS[kind]
    with pytest.raises(ValueError, match=message):
        targets.encode(y, np.float64, "y_val")


def test_numbers_beyond_float32_are_refused_where_it_is_the_dtype():
    targets, _ = KINDS["numbers"]
    assert targets.encode([1e300], np.float64).tolist() == [[1e300]]
    with pytest.raises(ValueError, match=r"too large for float32.*dtype='float64'"):
        targets.encode([1e300], np.float32)


def test_own_targets_take_whole_numbers_as_codes():
    assert OwnTargets(3).encode([0, 2, 1], np.float32).dtype == np.int64
    assert OwnTargets(3).encode([0.0, 2.0, 1.0], np.float32).shape == (3, 1)
    assert OwnTargets(1).encode([0, 2, 1], np.float32).dtype == np.float32


def test_own_targets_of_another_shape_have_no_score():
    with pytest.raises(ValueError, match=r"has no score; look at validation_loss_curve_"):
        OwnTargets(3).score(np.zeros((4, 3)), np.zeros(4), None)


@pytest.mark.parametrize(
    ("y", "kind", "n_outputs"),
    [
        (np.array(["a", "b", "a", "b"]), LabelTargets, 1),
        (np.array([3, 1, 2, 1, 2, 3]), LabelTargets, 3),
        (np.array([1, 1, 1]), LabelTargets, 1),
        (np.array([[0, 1], [1, 1]]), IndicatorTargets, 2),
        (scipy.sparse.csr_array(np.array([[0, 1, 1], [1, 1, 0]])), IndicatorTargets, 3),
    ],
)
def test_what_labels_mean_to_a_classifier(y, kind, n_outputs):
    targets = label_targets(y)
    assert type(targets) is kind
    assert targets.n_outputs == n_outputs
    if kind is IndicatorTargets:
        assert targets.is_sparse == scipy.sparse.issparse(y)


@pytest.mark.parametrize(("shape", "is_vector"), [((5,), True), ((5, 1), False), ((5, 2), False)])
def test_what_numbers_mean_to_a_regressor(shape, is_vector):
    targets = number_targets(np.zeros(shape))
    assert targets == NumberTargets((*shape, 1)[1], is_vector)


def _own(scores, targets, weights):
    return 0.0, np.zeros_like(scores)


@pytest.mark.parametrize(
    ("y", "loss", "n_outputs", "kind"),
    [
        (NAMES, Loss("softmax_cross_entropy"), 3, LabelTargets),
        (NAMES[[0, 1, 1]], Loss("logistic_cross_entropy"), 1, LabelTargets),
        (np.eye(3), Loss("softmax_cross_entropy"), 3, ShareTargets),
        (np.eye(3), Loss("logistic_cross_entropy"), 3, IndicatorTargets),
        (np.arange(3.0), Loss("half_squared_error"), 1, NumberTargets),
        (np.eye(3), Loss("huber"), 3, NumberTargets),
        (np.arange(3), Loss("poisson"), 1, NumberTargets),
        (np.arange(3.0), CustomLoss(_own), 1, OwnTargets),
    ],
)
def test_what_y_means_to_a_network_follows_from_its_loss(y, loss, n_outputs, kind):
    targets = targets_of_loss(y, loss, n_outputs)
    assert type(targets) is kind
    assert targets.n_outputs == n_outputs
    if isinstance(targets, NumberTargets):
        assert targets.is_vector == (y.ndim == 1)
        assert targets.at_least_zero == (loss.name == "poisson")


def test_classes_name_labels_that_y_lacks():
    softmax = Loss("softmax_cross_entropy")
    assert targets_of_loss(["no"], softmax, 3, classes=NAMES).labels.tolist() == NAMES.tolist()
    with pytest.raises(ValueError, match=r"classes must have all labels of y"):
        targets_of_loss(["never"], softmax, 3, classes=NAMES)
    with pytest.raises(ValueError, match="classes names the labels"):
        targets_of_loss([1.0], Loss("huber"), 1, classes=[1, 2])
    with pytest.raises(ValueError, match=r"3 labels and the network 2 outputs; end with Linear"):
        targets_of_loss(NAMES, softmax, 2)
