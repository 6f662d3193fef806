"""Wrong arguments and parameters of `Network`: named, and nothing of the network is changed."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from case_names import case_name
from sklearn.datasets import load_digits

from pellucid import Network
from pellucid.nn import (
    SGD,
    Activation,
    Adam,
    ClipByNorm,
    Columns,
    CustomLoss,
    Dropout,
    Linear,
    Loss,
    OneCycle,
)

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
N = len(Y)
MIXED = np.array([1, "a"] * (N // 2), dtype=object)
NONE_IN = np.array([1, None] * (N // 2), dtype=object)
VECTOR = "must be a vector of row numbers, at least one, or a mask of 300 booleans"


def digits(**settings):
    layers = [Linear(8), Activation("relu"), Linear(10)]
    settings = {"random_state": 0, "max_iter": 1, **settings}
    return Network(layers, "softmax_cross_entropy", **settings)


def numbers(loss="squared_error", n_outputs=1, **settings):
    layers = [Linear(4), Activation("tanh"), Linear(n_outputs)]
    return Network(layers, loss, **{"random_state": 0, "max_iter": 1, **settings})


def where(values, bad, change):
    return np.where(bad, change, values)


def check_refused(network, error, message, *data, **named):
    """Fit with wrong data; the network must have the attributes, and the numbers, that it had."""
    before = vars(network).copy()
    flat = network.parameters_.flat.copy()
    losses = list(network.loss_curve_)
    with pytest.raises(error, match=message):
        network.fit(*data, **named)
    assert vars(network).keys() == before.keys()
    assert [name for name, value in vars(network).items() if value is not before[name]] == []
    np.testing.assert_array_equal(network.parameters_.flat, flat)
    assert network.loss_curve_ == losses


def named(value):
    return next(iter(value)) if isinstance(value, dict) else ""


TABLES = {
    "nothing": (None, "Expected 2D array, got scalar"),
    "a number": (3, "Expected 2D array, got scalar"),
    "text": ("table", "Expected 2D array, got scalar"),
    "a dict": ({"a": 1}, "Expected 2D array, got scalar"),
    "a generator": ((row for row in X), "Expected 2D array, got scalar"),
    "one column": (X[:, 0], "Expected 2D array, got 1D array"),
    "three axes": (X.reshape(N, 8, 8), "dim 3, while dim <= 2"),
    "no rows": (X[:0], "0 sample"),
    "no columns": (X[:, :0], "0 feature"),
    "rows of several lengths": ([[1.0], [2.0, 3.0]], "inhomogeneous|sequence"),
    "NaN": (where(X, X > 0.99, np.nan), "Input X contains NaN"),
    "infinity": (where(X, X > 0.99, np.inf), "Input X contains infinity"),
    "infinity in half": (where(X, X > 0.99, np.inf).astype("f2"), "Input X contains infinity"),
    "NaN in CSR": (scipy.sparse.csr_array(where(X, X > 0.99, np.nan)), "Input X contains NaN"),
    "words": (np.full((N, 2), "a"), "X holds text.*TabularClassifier"),
    "words among objects": (where(X.astype(object), X > 0.99, "a"), "X holds text.*'a'"),
    "words in a frame": (pd.DataFrame({"a": ["x"] * N}), "X holds text.*'x'"),
    "missing in a frame": (pd.DataFrame({"a": [None] * N}), "Input X contains NaN"),
    "dates": (X.astype("datetime64[D]"), r"needs a table of numbers, got dtype datetime64\[D\]"),
    "complex numbers": (X + 1j, "Complex data not supported"),
    "huge numbers": (1e300 * X, "X contains NaN, infinity or a value too large"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(case):
    table, message = TABLES[case]
    check_refused(digits().fit(X, Y), ValueError, message, table, Y)


def test_names_of_several_types_are_refused():
    frame = pd.DataFrame(X, columns=[*range(63), "last"])
    check_refused(digits().fit(X, Y), TypeError, "Feature names are only supported", frame, Y)


LABELS = {
    "nothing": (None, ValueError, "requires y to be passed, but the target y is None"),
    "a number": (3, TypeError, "y must hold a target for each row, got 3"),
    "text": ("labels", TypeError, "y must hold a target for each row, got 'labels'"),
    "a dict": ({"a": 1}, TypeError, "y must hold a target for each row, got {'a': 1}"),
    "an array of nothing": (np.array(3), TypeError, "y must hold a target for each row"),
    "too few": (Y[:-1], ValueError, "inconsistent numbers of samples"),
    "NaN": (where(Y, Y == 3, np.nan), ValueError, "Input y contains NaN"),
    "infinity": (where(Y, Y == 3, np.inf), ValueError, "Input y contains infinity"),
    "numbers": (X[:, 20], ValueError, "Unknown label type: continuous"),
    "one class": (np.zeros(N), ValueError, "y has one class only, 0.0"),
    "seven classes": (Y % 7, ValueError, "7 labels and the network 10 outputs; .*Linear\\(7\\)"),
    "two columns": (np.stack([Y, Y], axis=1), ValueError, "y must have 10 columns"),
    "no shares": (np.ones((N, 10)), ValueError, "y must hold shares .* sum to 1"),
    "sparse": (scipy.sparse.csr_array(np.eye(10)[Y]), ValueError, "y must be dense"),
    "three axes": (np.zeros((N, 1, 1)), ValueError, "dim 3"),
    "several types": (MIXED, ValueError, "y must be of one type, got int, str"),
    "None": (NONE_IN, ValueError, "y contains None in 150 of 300 rows"),
    "complex numbers": (Y + 1j, ValueError, "Complex data not supported"),
    "bytes": (Y.astype("S2"), TypeError, "labels represented as bytes is not supported"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels(case):
    y, error, message = LABELS[case]
    check_refused(digits().fit(X, Y), error, message, X, y)


NUMBERS = {
    "nothing": ("squared_error", 1, None, "requires y to be passed"),
    "words": ("squared_error", 1, np.full(N, "text"), "y must be numbers for this loss"),
    "NaN": ("squared_error", 1, where(Y, Y == 3, np.nan), "Input y contains NaN"),
    "None": ("squared_error", 1, NONE_IN, "Input y contains NaN"),
    "infinity": ("squared_error", 1, where(Y, Y == 3, np.inf), "Input y contains infinity"),
    "huge numbers": ("squared_error", 1, np.full(N, 1e300), "y has values too large for float32"),
    "two columns": ("squared_error", 1, np.stack([Y, Y], axis=1), "y must have 1 columns"),
    "a vector for two": ("squared_error", 2, Y, "y must have 2 columns"),
    "sparse": ("huber", 1, scipy.sparse.csr_array(Y.reshape(-1, 1)), "y must be dense"),
    "below zero": ("poisson", 1, -1.0 - Y, "y must be at least 0 for poisson"),
    "ten labels": ("logistic_cross_entropy", 1, Y, "one of two labels a row.*got 10 labels"),
    "two for one": ("logistic_cross_entropy", 2, Y > 4, r"2 outputs. End with Linear\(1\)"),
    "no zeros and ones": ("logistic_cross_entropy", 2, np.stack([Y, Y], axis=1), "from 0 to 1"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_targets_that_the_loss_does_not_take(case):
    loss, n_outputs, y, message = NUMBERS[case]
    good = X[:, :n_outputs] if n_outputs > 1 else X[:, 20] > 0.5
    check_refused(numbers(loss, n_outputs).fit(X, good), ValueError, message, X, y)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([1, 2, 3], r"classes must have all labels of y, got \[1, 2, 3\] without \[0, 4"),
        (3, r"classes must have labels in the shape \(n,\)"),
        ("abc", r"classes must have labels in the shape \(n,\)"),
        ([[1, 2]], r"classes must have labels in the shape \(n,\)"),
        ([np.nan] * 10, "Input classes contains NaN"),
        (range(11), r"y has 11 labels and the network 10 outputs"),
    ],
)
def test_classes(classes, message):
    check_refused(digits().fit(X, Y), ValueError, message, X, Y, classes=classes)


def test_classes_are_for_labels_only():
    fitted = numbers().fit(X, Y)
    check_refused(fitted, ValueError, "classes names the labels", X, 1.0 * Y, classes=range(10))


WEIGHTS = {
    "text": ("a", "could not convert string to float"),
    "words": (np.full(N, "a"), "could not convert string to float"),
    "too few": (np.ones(3), r"shape == \(3,\), expected \(300,\)"),
    "two columns": (np.ones((N, 2)), "must be 1D"),
    "negative": (-np.ones(N), "Negative values"),
    "NaN": (np.full(N, np.nan), "contains NaN"),
    "None": (np.full(N, None), "contains NaN"),
    "infinity": (np.full(N, np.inf), "contains infinity"),
    "zero": (np.zeros(N), "non-zero|above zero"),
}


@pytest.mark.parametrize("case", WEIGHTS)
@pytest.mark.parametrize("name", ["sample_weight", "sample_weight_val"])
def test_weights(case, name):
    weights, message = WEIGHTS[case]
    data = {"X_val": X, "y_val": Y, name: weights}
    with pytest.raises(ValueError, match=message) as raised:
        digits().fit(X, Y, **data)
    assert name in str(raised.value)
    check_refused(digits().fit(X, Y), ValueError, message, X, Y, **data)


def test_weights_of_any_size_are_divided_by_their_mean():
    plain = digits().fit(X, Y).parameters_.flat
    for weights in (np.full(N, 1e308), np.full(N, 1e-300), 3, np.ones(N, dtype=bool)):
        weighted = digits().fit(X, Y, sample_weight=weights)
        np.testing.assert_array_equal(weighted.parameters_.flat, plain)


@pytest.mark.parametrize("name", ["rows", "rows_val"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], VECTOR),
        (3, VECTOR),
        ("a", VECTOR),
        (slice(10), VECTOR),
        ([1.0, 2.0], VECTOR),
        ([None], VECTOR),
        ([[1, 2]], VECTOR),
        ([2**70], VECTOR),
        ([True, False], VECTOR),
        (np.zeros(N, dtype=bool), VECTOR),
        ([0, N], "must be from 0 to 299, got 0 to 300"),
        ([-1], "must be from 0 to 299, got -1 to -1"),
    ],
    ids=case_name,
)
def test_rows(name, rows, message):
    check_refused(digits().fit(X, Y), ValueError, f"{name} {message}", X, Y, **{name: rows})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rows": [1, 2], "rows_val": [2, 3]}, r"must not share any row, got \[2\] in both"),
        ({"rows_val": np.ones(N, dtype=bool)}, "rows_val holds out every row"),
        ({"X_val": X}, "X_val needs y_val"),
        ({"y_val": Y}, "y_val needs X_val"),
        ({"sample_weight_val": np.ones(N)}, "sample_weight_val needs X_val"),
        ({"X_val": X, "y_val": Y, "rows_val": [1]}, "either rows_val or X_val with y_val"),
        ({"X_val": X[:, :5], "y_val": Y}, "X_val has 5 features, but Network is expecting 64"),
        ({"X_val": where(X, X > 0.99, np.nan), "y_val": Y}, "Input X_val contains NaN"),
        ({"X_val": X[:0], "y_val": Y[:0]}, "X_val and y_val: .* 0 sample"),
        ({"X_val": X[0], "y_val": Y[:1]}, "X_val and y_val: Expected 2D array, got 1D array"),
        ({"X_val": np.full((N, 64), "a"), "y_val": Y}, "X_val holds text"),
        ({"X_val": X, "y_val": Y[:3]}, r"X_val and y_val: .*inconsistent .* \[300, 3\]"),
        ({"X_val": X, "y_val": Y + 1}, r"`y_val` has classes not in `self.classes_`: \[10\]"),
        ({"X_val": X, "y_val": np.full(N, "a")}, r"`y_val` has classes not in .*: \['a'\]"),
        ({"X_val": X, "y_val": where(Y, Y == 1, np.nan)}, "Input y_val contains NaN"),
        ({"X_val": X, "y_val": np.eye(10)[Y]}, "y_val must hold one label a row"),
    ],
    ids=named,
)
def test_rows_to_validate_on(data, message):
    check_refused(digits().fit(X, Y), ValueError, message, X, Y, **data)


def test_a_single_value_to_validate_on_is_refused():
    message = "y_val must hold a target for each row, got 3"
    check_refused(digits().fit(X, Y), TypeError, message, X, Y, X_val=X, y_val=3)


def test_one_row_is_a_class_but_enough_for_numbers():
    check_refused(digits().fit(X, Y), ValueError, "y has one class only, 0", X[:1], Y[:1])
    network = numbers(max_iter=200, learning_rate_init=0.1).fit(X[:1], [3.0])
    assert network.predict(X[:1]) == pytest.approx(3.0, abs=1e-3)


def test_constant_columns_and_targets_do_no_harm():
    constant = np.column_stack([X, np.ones(N), np.zeros(N)])
    assert np.isfinite(digits(max_iter=3).fit(constant, Y).loss_)
    network = numbers(max_iter=300, learning_rate_init=0.02).fit(X, np.ones(N))
    np.testing.assert_allclose(network.predict(X), 1.0, atol=0.02)


def test_numbers_close_to_the_largest_float32_are_told():
    network = numbers().fit(X, Y)
    check_refused(network, ValueError, "non-finite|too large", 1e30 * X, 1e30 * Y)
    with pytest.raises(ValueError, match=r"X has values as large as 9.38e\+299 .*overflow float32"):
        network.predict(1e300 * X)


# Parameters

SUM = lambda scores, targets, weights: scores.sum()  # noqa: E731

PARAMETERS = [
    ("layers", None, TypeError, "layers must be a list of layers"),
    ("layers", Linear(10), TypeError, "layers must be a list of layers"),
    ("layers", {"a": 1}, TypeError, "layers must be a list of layers"),
    ("layers", ["relu"], TypeError, "layers must hold layers such as"),
    ("layers", [Linear], TypeError, "layers must hold layers such as"),
    ("layers", [Linear(10), None], TypeError, "layers must hold layers such as"),
    ("layers", [], ValueError, r"10 labels and the network 64 outputs; end with Linear\(10\)"),
    ("layers", [Linear(7)], ValueError, r"the network 7 outputs; end with Linear\(10\)"),
    ("layers", [Columns([(3, Dropout(0.1))])], ValueError, "Columns take 3 columns"),
    ("loss", None, ValueError, "'loss' parameter of Network must be"),
    ("loss", 3, ValueError, "'loss' parameter of Network must be"),
    ("loss", "hinge", ValueError, "loss must be one of softmax_cross_entropy"),
    ("loss", Loss, TypeError, "loss must be a name in LOSSES"),
    ("loss", CustomLoss, TypeError, "loss must be a name in LOSSES"),
    ("loss", SUM, TypeError, "loss '<lambda>' must return a pair"),
    ("loss", "squared_error", ValueError, "y must have 10 columns"),
    ("optimizer", "adam", ValueError, "'optimizer' parameter of Network must be"),
    ("optimizer", 3, ValueError, "'optimizer' parameter of Network must be"),
    ("optimizer", Adam, TypeError, "optimizer must be an object such as"),
    *[
        ("learning_rate_init", value, ValueError, "'learning_rate_init' parameter of Network")
        for value in (0, -1.0, "a", None, np.nan, np.inf)
    ],
    *[
        (name, value, ValueError, f"'{name}' parameter of Network must be an int")
        for name in ("max_iter", "batch_size", "checkpoint_every")
        for value in (0, -1, 1.5, "a", None)
    ],
    *[
        (name, value, ValueError, f"'{name}' parameter of Network must be an int .* or None")
        for name in ("n_threads", "record", "statistics_every", "n_iter_no_change")
        for value in (0, -1, 1.5, "a")
    ],
    *[
        (name, value, ValueError, f"'{name}' parameter of Network must be a float")
        for name in ("alpha", "tol")
        for value in (-1, "a", None, np.nan)
    ],
    ("schedule", "zigzag", ValueError, "schedule must be one of constant"),
    ("schedule", 3, ValueError, "'schedule' parameter of Network must be"),
    ("schedule", OneCycle, TypeError, "schedule must be a name or an object"),
    ("schedule", {"learning_rate": "zigzag"}, ValueError, "schedule must be one of constant"),
    ("schedule", {"rate": "cosine"}, ValueError, "schedule must have the keys .* got 'rate'"),
    ("schedule", {"dropout": 3}, TypeError, "schedule must be a name or an object"),
    (
        "schedule", {"weight_decay": "cosine"}, ValueError,
        r'schedule\["weight_decay"\] needs an optimizer with weight decay',
    ),
    *[
        ("clipping", value, ValueError, "'clipping' parameter of Network must be")
        for value in (0, -1.0, "a", np.nan)
    ],
    ("clipping", ClipByNorm, TypeError, "clipping must be an object such as"),
    ("learning_rate_factors", 3, TypeError, "learning_rate_factors must be a mapping"),
    ("learning_rate_factors", None, TypeError, "learning_rate_factors must be a mapping"),
    ("learning_rate_factors", {"bais": 0.1}, ValueError, "learning_rate_factors names 'bais'"),
    ("learning_rate_factors", {"bias": "a"}, ValueError, "factor of 'bias' must be a number"),
    ("class_weight", "foo", ValueError, "'class_weight' parameter of Network must be"),
    ("class_weight", [1, 2], ValueError, "'class_weight' parameter of Network must be"),
    ("class_weight", {11: 1.0}, ValueError, "class_weight has a label that y has not, 11"),
    ("class_weight", {1: -1.0}, ValueError, "class_weight must hold numbers >= 0, got -1.0 for 1"),
    ("class_weight", {1: "x"}, ValueError, "class_weight must hold numbers >= 0, got 'x' for 1"),
    ("scoring", 3, ValueError, "'scoring' parameter of Network must be"),
    ("scoring", "accuracy", ValueError, "scoring='accuracy' needs rows to score"),
    ("shuffle", "no", ValueError, "'shuffle' parameter of Network must be"),
    ("warm_start", None, ValueError, "'warm_start' parameter of Network must be"),
    ("random_state", -1, ValueError, "random_state must be at least 0"),
    ("random_state", 2**64, ValueError, "random_state must be at least 0 and below 2"),
    ("random_state", "a", TypeError, "random_state must be an integer, got 'a'"),
    ("random_state", 1.5, TypeError, "random_state must be an integer, got 1.5"),
    ("dtype", "float16", ValueError, "dtype must be one of float32, float64, bfloat16"),
    ("dtype", None, ValueError, "dtype must be one of float32, float64, bfloat16"),
    ("dtype", np.int8, ValueError, "dtype must be one of float32, float64, bfloat16"),
    ("engine", "gpu", ValueError, "'engine' parameter of Network must be a str among"),
    ("callbacks", print, ValueError, "'callbacks' parameter of Network must be"),
    ("callbacks", [3], TypeError, "callbacks must hold functions of an EpochReport"),
    ("verbose", "yes", ValueError, "'verbose' parameter of Network must be"),
    ("checkpoint_path", 3, TypeError, "checkpoint_path must be the path of a folder, got 3"),
    ("checkpoint_path", "", TypeError, "checkpoint_path must be the path of a folder"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    PARAMETERS,
    ids=[f"{name}={case_name(repr(value)):.30}" for name, value, _, _ in PARAMETERS],
)
def test_parameters(name, value, error, message):
    network = digits().fit(X, Y).set_params(**{name: value})
    check_refused(network, error, message, X, Y)


def test_every_parameter_is_in_the_list():
    assert {name for name, *_ in PARAMETERS} == set(digits().get_params())


def test_balanced_needs_labels():
    network = numbers().fit(X, 1.0 * Y).set_params(class_weight="balanced")
    check_refused(network, ValueError, "class_weight='balanced' needs one label", X, 1.0 * Y)
    several = numbers("logistic_cross_entropy", 2, class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight='balanced' needs one label a row"):
        several.fit(X, np.stack([Y > 4, Y > 5], axis=1))


def test_labels_unknown_to_a_network_that_goes_on_are_named_before_their_weights():
    network = digits().fit(X, Y)
    for class_weight in ("balanced", {1: 2.0}):
        network.set_params(warm_start=True, class_weight=class_weight)
        for data in ({}, {"rows": np.arange(200)}, {"rows_val": np.arange(50)}):
            message = r"`y` has classes not in `self.classes_`: \[10\]"
            check_refused(network, ValueError, message, X, Y + 1, **data)
        message = r"`y_val` has classes not in `self.classes_`: \[10\]"
        check_refused(network, ValueError, message, X, Y, X_val=X, y_val=Y + 1)


def test_initialize_from_data_leaves_the_network_as_it_was():
    network = digits().fit(pd.DataFrame(X).add_prefix("column "), Y)
    before = vars(network).copy()
    for table in (X[:, :0], where(X, X > 0.99, np.nan), X[:, 0]):
        with pytest.raises(ValueError, match=r"0 feature|NaN|2D array"):
            network.initialize_from_data(table)
        assert vars(network) == before
    network.set_params(layers=[Columns([(64, Linear(10))])])
    before = vars(network).copy()
    with pytest.raises(ValueError, match="Columns take 64 columns"):
        network.initialize_from_data(X[:, :3])
    assert vars(network) == before


def test_a_learning_rate_beyond_all_bounds_is_told():
    network = digits().fit(X, Y).set_params(optimizer=SGD(1e300))
    check_refused(network, ValueError, "Lower the learning rate", X, Y)
