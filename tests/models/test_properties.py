"""What holds for any table, whatever its shape, dtype, memory and container, and for any labels."""

import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.multiclass import unique_labels

from pellucid import MLPClassifier, MLPRegressor, Network, load
from pellucid.nn import Activation, BatchNorm, Linear

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Few rows and many classes are what some of these tables are about.
    pytest.mark.filterwarnings("ignore:The number of unique classes is greater than 50%"),
    pytest.mark.filterwarnings("ignore:The least populated class in y has only"),
]
some = settings(max_examples=40, deadline=None, derandomize=True, database=None)

DTYPES = ["?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", ">h", ">i", ">Q", ">f", ">d"]


def frame_of(library, table):
    columns = {f"c{j}": np.ascontiguousarray(column) for j, column in enumerate(table.T)}
    native = {
        name: column.astype(column.dtype.newbyteorder("=")) for name, column in columns.items()
    }
    return library(native)


def memory_mapped(table):
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, table.dtype, "w+", shape=table.shape)
        mapped[...] = table
        return np.memmap(file, table.dtype, "r", shape=table.shape)


def read_only(table):
    table = table.copy()
    table.flags.writeable = False
    return table


def spread_out(table):
    wide = np.zeros((2 * len(table), 3 * table.shape[1]), table.dtype)
    wide[::2, ::3] = table
    return wide[::2, ::3]


DENSE = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": spread_out,
    "negative strides": lambda table: table[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "native bytes": lambda table: table.astype(table.dtype.newbyteorder("=")),
    "other bytes": lambda table: table.astype(table.dtype.newbyteorder("S")),
    "pandas": lambda table: frame_of(pd.DataFrame, table),
    "polars": lambda table: frame_of(pl.DataFrame, table),
    "objects": lambda table: table.astype(object),
}
SPARSE = {
    f"{form}_{kind}": getattr(scipy.sparse, f"{form}_{kind}")
    for form in ("csr", "csc", "coo")
    for kind in ("array", "matrix")
}


@st.composite
def tables(draw, min_rows=1):
    """Tables (n, d) of any dtype the engine reads, with values that are no trouble to train on."""
    n, d = draw(st.integers(min_rows, 30)), draw(st.sampled_from([1, 2, 3, 7, 50]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if dtype.kind == "f":
        values = rng.normal(size=(n, d))
    else:
        values = rng.integers(
            0 if dtype.kind in "bu" else -3, 2 if dtype.kind == "b" else 6, (n, d)
        )
    values[rng.random((n, d)) < draw(st.sampled_from([0.0, 0.8]))] = 0
    return values.astype(dtype)


#: Labels by code, in an order that sorting keeps.
NAMES = {
    "text": np.array(["a", "bb", "c", "ddd"]),
    "objects": np.array(["a", "bb", "c", "ddd"], dtype=object),
    "negative": np.array([-7, -3, 0, 12]),
    "small": np.array([0, 1, 5, 250], dtype=np.uint8),
    "big-endian": np.array([-1, 0, 1, 2], dtype=">i4"),
    "whole floats": np.array([-2.0, 0.0, 1.0, 4.0], dtype=np.float32),
    "unsigned": np.array([1, 2, 3, 2**63 + 1], dtype=np.uint64),
}


@st.composite
def codes(draw, n, n_classes=None):
    """Codes 0 … K-1 of n rows, each there at least once where there are enough rows."""
    n_classes = n_classes or draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    one_member = draw(st.booleans())
    found = rng.integers(n_classes - one_member if n_classes > 2 else n_classes, size=n)
    found[:n_classes] = np.arange(n_classes)[:n]
    return found


def quiet_fit(model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return model.fit(*args, **kwargs)


def classifier(**params):
    return MLPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 3, **params})


def regressor(**params):
    return MLPRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 3, **params})


def network(n_classes, dtype="float64"):
    layers = [Linear(5), Activation("tanh"), BatchNorm(), Linear(n_classes)]
    return Network(layers, "softmax_cross_entropy", dtype=dtype, max_iter=2, random_state=3)


@some
@given(st.data(), tables(min_rows=4), st.sampled_from(list(DENSE)), st.sampled_from("crn"))
def test_predictions_do_not_depend_on_the_container(data, table, container, kind):
    y = data.draw(codes(len(table), 3))
    if container == "objects" and table.dtype.kind != "f":
        table = table.astype(np.float64)  # objects become float64
    expected_table = table.astype(np.float64) if container == "objects" else table
    if kind == "n":
        expected, model = network(3), network(3)
    else:
        expected, model = ((classifier if kind == "c" else regressor)() for _ in range(2))
    expected.fit(expected_table, y)
    quiet_fit(model, DENSE[container](table), y)
    method = "predict" if kind == "r" else "predict_proba"
    wanted = getattr(expected, method)(expected_table)
    got = getattr(model, method)(DENSE[container](table))
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


@some
@given(st.data(), tables(min_rows=4), st.sampled_from(list(SPARSE)), st.sampled_from("crn"))
def test_sparse_tables_are_the_dense_ones_up_to_rounding(data, table, form, kind):
    table = table.astype(table.dtype.newbyteorder("="))
    if table.dtype == np.float16:  # SciPy has no sparse matrices of it
        table = table.astype(np.float32)
    y = data.draw(codes(len(table), 3))
    make = {"c": classifier, "r": regressor, "n": lambda: network(3)}[kind]
    method = "predict" if kind == "r" else "predict_proba"
    dense, sparse = (make().fit(X, y) for X in (table, SPARSE[form](table)))
    wanted = getattr(dense, method)(table)
    # A few sums of at most 50 products in another order, and Adam's division by √v.
    tolerance = 1e-4 if wanted.dtype == np.float32 else 1e-9
    for model in (dense, sparse):
        got = getattr(model, method)(SPARSE[form](table))
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, atol=tolerance, rtol=tolerance)


@some
@given(tables(min_rows=4), st.sampled_from([list, pa.table]), st.sampled_from("cr"))
def test_lists_and_arrow_tables_are_arrays(table, container, kind):
    table = table.astype(table.dtype.newbyteorder("="))
    make = classifier if kind == "c" else regressor
    y = np.arange(len(table)) % 2
    given_table = table.tolist() if container is list else frame_of(pa.table, table)
    wanted = make().fit(np.asarray(table.tolist()) if container is list else table, y)
    got = quiet_fit(make(), given_table, y)
    np.testing.assert_array_equal(got.coefs_[0], wanted.coefs_[0])
    np.testing.assert_array_equal(got.predict(given_table), wanted.predict(table))


@some
@given(st.data(), tables(min_rows=4), st.sampled_from(list(NAMES)), st.booleans())
def test_labels_come_back_as_they_were(data, table, kind, early_stopping):
    names = NAMES[kind]
    y = data.draw(codes(len(table)))
    early_stopping &= len(table) >= 25 and np.bincount(y).min() > 1
    options = {"early_stopping": early_stopping, "validation_fraction": 0.3}
    model = classifier(**options).fit(table, names[y])
    by_code = classifier(**options).fit(table, y)
    present = names[: y.max() + 1]
    assert model.classes_.dtype == unique_labels(names[y]).dtype
    assert (model.classes_.dtype.kind == "U") == (names.dtype.kind in "UO")
    assert model.classes_.tolist() == present.tolist()
    predictions, probabilities = model.predict(table), model.predict_proba(table)
    assert predictions.dtype == model.classes_.dtype
    assert predictions.shape == (len(table),)
    assert set(predictions.tolist()) <= set(present.tolist())
    assert probabilities.shape == (len(table), len(present))
    assert (probabilities >= 0).all()
    epsilon = np.finfo(probabilities.dtype).eps
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=8 * epsilon)
    # What the classes are called has no influence.
    np.testing.assert_array_equal(probabilities, by_code.predict_proba(table))
    assert model.score(table, names[y]) == by_code.score(table, y)


@some
@given(st.data(), tables(min_rows=4), st.sampled_from(list(NAMES)))
def test_labels_come_back_from_a_network_too(data, table, kind):
    names, y = NAMES[kind], data.draw(codes(len(table)))
    K = y.max() + 1
    model, by_code = (network(K).fit(table, each) for each in (names[y], y))
    assert model.classes_.tolist() == names[:K].tolist()
    predictions = model.predict(table)
    assert predictions.dtype == model.classes_.dtype == names.dtype
    np.testing.assert_array_equal(model.predict_proba(table), by_code.predict_proba(table))
    np.testing.assert_allclose(model.predict_proba(table).sum(axis=1), 1.0, atol=1e-14)


@some
@given(st.data(), tables(), st.sampled_from([0, 1, 2]), st.sampled_from("fd?iB"))
def test_numbers_come_back_in_the_shape_they_had(data, table, n_targets, dtype):
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    shape = (len(table), n_targets) if n_targets > 1 else len(table)
    y = (3 * rng.normal(size=shape)).astype(np.int8).astype(dtype)
    model = regressor().fit(table, y)
    predictions = model.predict(table)
    assert predictions.shape == y.shape
    assert predictions.dtype == (np.float32 if table.dtype.newbyteorder("=") == "f" else np.float64)
    assert np.isfinite(predictions).all()
    assert all(W.dtype == predictions.dtype for W in model.coefs_)


@some
@given(st.data(), tables(min_rows=4), st.sampled_from("crn"), st.sampled_from(["adam", "lbfgs"]))
def test_copies_are_equal(data, table, kind, solver):
    """Files, pickles, clones, a second fit, and weights that are all one."""
    y = data.draw(codes(len(table), 3))
    if kind == "n":
        model = network(3, data.draw(st.sampled_from(["float32", "float64"])))
    else:
        model = (classifier if kind == "c" else regressor)(solver=solver)
    again = clone(model)
    model.fit(table, y)
    expected = model.predict(table) if kind == "r" else model.predict_proba(table)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "m")
        loaded = load(Path(folder) / "m")
    weighted = again.fit(table, y, sample_weight=np.ones(len(table)))
    others = [loaded, pickle.loads(pickle.dumps(model)), weighted]
    for other in others:
        got = other.predict(table) if kind == "r" else other.predict_proba(table)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    model.fit(table, y)
    got = model.predict(table) if kind == "r" else model.predict_proba(table)
    np.testing.assert_array_equal(got, expected)


@some
@given(
    st.data(), tables(min_rows=6), st.sampled_from("crn"), st.sampled_from(["adam", "sgd", "lbfgs"])
)
def test_any_weights_will_do_unless_all_are_zero(data, table, kind, solver):
    y = data.draw(codes(len(table), 2))
    of_rows = st.one_of(
        st.sampled_from([0.0, 1.0, 1e-300, 1e300]), st.floats(0, 1e3), st.integers(0, 9)
    )
    weight = data.draw(st.lists(of_rows, min_size=len(table), max_size=len(table)))
    if kind == "n":
        model = network(2)
    else:
        # The penalty is divided by the sum of the weights, and so would be huge for tiny ones.
        model = (classifier if kind == "c" else regressor)(solver=solver, alpha=0.0)
    if not any(weight):
        with pytest.raises(ValueError, match="sample_weight"):
            model.fit(table, y, sample_weight=weight)
        return
    model.fit(table, y, sample_weight=weight)
    assert np.isfinite(model.predict(table)).all()


SPOILT = {
    "NaN": lambda X, y: (_put(X, np.nan), y),
    "infinity": lambda X, y: (_put(X, -np.inf), y),
    "text": lambda X, y: (X.astype(str), y),
    "text in objects": lambda X, y: (_put(X.astype(object), "?"), y),
    "complex": lambda X, y: (X.astype(complex), y),
    "dates": lambda X, y: (X.astype("M8[s]"), y),
    "one dimension": lambda X, y: (X[:, 0], y),
    "three dimensions": lambda X, y: (X[None], y),
    "no rows": lambda X, y: (X[:0], y[:0]),
    "no columns": lambda X, y: (X[:, :0], y),
    "no table": lambda X, y: (None, y),
    "no targets": lambda X, y: (X, None),
    "too few targets": lambda X, y: (X, y[1:]),
    "too many targets": lambda X, y: (X, [*y, 0]),
    "NaN target": lambda X, y: (X, _put(y[:, None].astype(float), np.nan)[:, 0]),
    "None target": lambda X, y: (X, [None, *y[1:]]),
    "targets of lists": lambda X, y: (X, [[1], [2, 3], *y[2:]]),
    "targets of dicts": lambda X, y: (X, [{}, *y[1:]]),
    "targets in three dimensions": lambda X, y: (X, y[:, None, None]),
    "a table of targets": lambda X, y: (X, np.c_[y + 0.5, y, y + 7]),
}


def _put(array, value):
    array = array.astype(object if isinstance(value, str) else np.float64)
    array[len(array) // 2, -1] = value
    return array


@settings(some, max_examples=80)
@given(
    tables(min_rows=6),
    st.sampled_from(list(SPOILT)),
    st.sampled_from("crn"),
    st.booleans(),
    st.sampled_from(["adam", "lbfgs"]),
)
def test_spoilt_input_is_refused_and_leaves_everything_as_it_was(
    table, spoil, kind, is_fitted, solver
):
    table = table.astype(np.float64)
    y = np.arange(len(table)) % 3
    bad_table, bad_y = SPOILT[spoil](table, y)
    if kind == "r" and spoil in ("a table of targets",):
        return  # which are fine there
    model = network(3) if kind == "n" else (classifier if kind == "c" else regressor)(solver=solver)
    if is_fitted:
        model.fit(table, y)
    before = pickle.dumps(vars(model)) if kind == "n" else dict(vars(model))
    with pytest.raises((ValueError, TypeError)) as caught:
        model.fit(bad_table, bad_y)
    assert str(caught.value)
    if kind == "n":
        assert pickle.dumps(vars(model)) == before
    else:
        assert vars(model) == before
    if is_fitted and bad_table is not table:
        with pytest.raises((ValueError, TypeError)):
            model.predict(bad_table)
