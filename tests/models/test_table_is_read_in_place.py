"""Any dtype, memory order and container gives the same model, and none is copied."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from pellucid import MLPClassifier, MLPRegressor
from pellucid.models.inputs import checked_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
TABLE = RNG.integers(0, 2, (90, 6))
LABELS = (TABLE[:, 0] + TABLE[:, 1] + TABLE[:, 2] > 1).astype(int)


def _memmap(table, path):
    np.save(path / "table.npy", table)
    return np.load(path / "table.npy", mmap_mode="r")


def _read_only(table):
    table = table.copy()
    table.flags.writeable = False
    return table


LAYOUTS = {
    "C": lambda table, _: np.ascontiguousarray(table),
    "Fortran": lambda table, _: np.asfortranarray(table),
    "strided": lambda table, _: np.repeat(np.repeat(table, 2, axis=0), 3, axis=1)[::2, ::3],
    "backwards": lambda table, _: table[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda table, _: _read_only(table),
    "memory map": _memmap,
    "CSR": lambda table, _: scipy.sparse.csr_array(table),
}
DTYPES = ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f8", ">i4"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_same_model_and_no_copy(dtype, layout, tmp_path):
    if layout == "CSR" and (dtype == "f2" or ">" in dtype):
        table = TABLE.astype(dtype)  # SciPy has no sparse matrices of these
    else:
        table = LAYOUTS[layout](TABLE.astype(dtype), tmp_path)
    estimator = MLPClassifier((5,), max_iter=3, random_state=0).fit(table, LABELS)
    precision = np.float32 if np.dtype(dtype) == np.float32 else np.float64
    same = MLPClassifier((5,), max_iter=3, random_state=0).fit(TABLE.astype(precision), LABELS)
    assert estimator.coefs_[0].dtype == precision
    np.testing.assert_array_equal(estimator.coefs_[0], same.coefs_[0])
    np.testing.assert_array_equal(
        estimator.predict_proba(table), same.predict_proba(TABLE.astype(precision))
    )
    taken = checked_table(estimator, table, reset=False)
    assert taken.dtype == table.dtype
    if layout == "CSR" and not isinstance(table, np.ndarray):
        taken, table = taken.data, table.data
    assert np.shares_memory(taken, table)


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame, np.ndarray.tolist])
def test_other_containers(container):
    table = TABLE.astype(np.float64)
    with_names = container is not np.ndarray.tolist
    taken = container(table, [*"abcdef"]) if container is pl.DataFrame else container(table)
    if container is pd.DataFrame:
        taken.columns = [*"abcdef"]
    estimator = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0).fit(taken, LABELS)
    same = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0).fit(table, LABELS)
    np.testing.assert_array_equal(estimator.predict(taken), same.predict(table))
    assert hasattr(estimator, "feature_names_in_") == with_names


def test_long_double_is_rounded():
    table = TABLE.astype(np.longdouble)
    assert (
        MLPRegressor(hidden_layer_sizes=(5,), max_iter=2).fit(table, LABELS).coefs_[0].dtype
        == np.float64
    )


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_no_array_of_the_size_of_the_table_is_made(order, early_stopping):
    """NumPy's arrays only: tracemalloc does not see what the C++ core allocates.

    test_a_million_rows_raise_the_peak_by_less_than_64_mebibytes guards both, by the peak of the
    resident memory.
    """
    table = np.asarray(RNG.standard_normal((60_000, 40)), order=order)  # 19.2 MB
    labels = (table[:, 0] > 0).astype(int)
    estimator = MLPClassifier((4,), max_iter=1, batch_size=500, early_stopping=early_stopping)
    estimator.fit(table[:1000], labels[:1000])
    tracemalloc.start()
    try:
        estimator.fit(table, labels)
        fitting = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        estimator.predict(table)
        predicting = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fitting < 8e6
    assert predicting < 8e6


_MILLION_ROWS = """
import sys, warnings
import numpy as np
import pellucid
warnings.simplefilter("ignore")
name, early_stopping = sys.argv[1], sys.argv[2] == "True"
rng = np.random.default_rng(0)
X = np.empty((1_000_000, 100))
for chunk in np.split(X, 100):
    chunk[:] = rng.standard_normal(chunk.shape)
y = X[:, 0] > 0 if name == "MLPClassifier" else X[:, 0].copy()
estimator = getattr(pellucid, name)(max_iter=1, early_stopping=early_stopping)
estimator.set_params(hidden_layer_sizes=(16,), batch_size=500).fit(X[:2000], y[:2000])

def mebibytes(field):
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith(field)).split()[1]) / 1024

with open("/proc/self/clear_refs", "w") as clear:
    clear.write("5")
before = mebibytes("VmRSS")
estimator.fit(X, y)
print(mebibytes("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's /proc")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_a_million_rows_raise_the_peak_by_less_than_64_mebibytes(name, early_stopping):
    command = [sys.executable, "-c", _MILLION_ROWS, name, str(early_stopping)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert float(printed) < 64
