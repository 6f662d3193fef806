import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from pellucid.nn import Activation, AdamW, Dropout, Linear, OneCycle
from pellucid.training import fingerprint
from pellucid.training.fingerprint import contents, described, differences

TABLE = np.random.default_rng(0).normal(size=(50, 4))


class Own:
    """A layer of the user's own, with Python's own repr."""

    def __init__(self, rate, inner=None):
        self.rate, self.inner = rate, inner


def a_function():
    """Return nothing."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Linear(3), Linear(4)),
        (Linear(3, weights="zeros"), Linear(3)),
        (Dropout(0.1), Dropout(0.1 + 1e-16)),
        (AdamW(1e-3), AdamW(1e-3, weight_decay=0.5)),
        (OneCycle(), OneCycle(0.5)),
        (Own(1), Own(2)),
        (Own(1, Own(2)), Own(1, Own(3))),
        ({0: 1.0, 1: 2.0}, {0: 2.0, 1: 1.0}),
        ("1", 1),
        (a_function, print),
        (TABLE, TABLE[::-1]),
    ],
)
def test_settings_that_differ_are_described_differently(one, other):
    assert described(one) != described(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Activation("relu"), Activation("relu")),
        (Own(1, Own(2)), Own(1, Own(2))),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ((8, 4), [8, 4]),
        (np.float64(0.5), 0.5),
        (TABLE, TABLE.copy()),
    ],
)
def test_settings_that_are_equal_are_described_alike(one, other):
    assert described(one) == described(other)


def test_what_holds_itself_is_described():
    own = Own(1)
    own.inner = own
    assert described(own).startswith("Own(inner=Own(")


def test_every_process_describes_alike():
    code = (
        "from pellucid.training.fingerprint import described; from pellucid.nn import *; "
        "print(described([Linear(3), AdamW(), OneCycle(), {'b': 1, 'a': Dropout(0.1)}]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = described([Linear(3), AdamW(), OneCycle(), {"b": 1, "a": Dropout(0.1)}])
    assert run.stdout.strip() == expected


CHANGES = {
    "a number": lambda X: X + (np.arange(X.size) == 7).reshape(X.shape),
    "the order of rows": lambda X: X[::-1],
    "the order of columns": lambda X: X[:, ::-1],
    "the type": lambda X: X.astype(np.float32),
    "the shape": lambda X: X.reshape(-1, 2),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array, list])
def test_a_change_of_the_data_shows(change, make):
    assert contents(make(TABLE)) != contents(make(CHANGES[change](TABLE)))


def test_the_layout_in_memory_does_not_show():
    assert contents(np.asfortranarray(TABLE)) == contents(TABLE)
    assert contents(np.repeat(TABLE, 2, axis=0)[::2]) == contents(TABLE)
    assert contents(scipy.sparse.csc_array(TABLE)) == contents(scipy.sparse.csr_array(TABLE))


@pytest.mark.parametrize("dtype", [object, str])
def test_text_is_looked_at(dtype):
    labels = np.array(["yes", "no"] * 5, dtype=dtype)
    assert contents(labels) == contents(labels.copy())
    assert contents(labels) != contents(labels[::-1])
    assert contents(None) == "None"


def test_of_a_large_table_the_first_and_last_rows_are_looked_at_and_some_are_not(monkeypatch):
    monkeypatch.setattr(fingerprint, "BYTES_LOOKED_AT", 1600)
    large = np.zeros((100, 4))
    before = contents(large)
    for row, shows in ((0, True), (-1, True), (1, False)):
        large[row] = 1.0
        assert (contents(large) != before) is shows
        large[row] = 0.0
    sparse = scipy.sparse.csr_array(np.ones((1000, 4)))
    assert contents(sparse) != contents(sparse * 2)


def test_only_what_differs_is_named():
    was = dict.fromkeys("abcdefg", "1")
    assert differences(was, dict(was)) == ""
    assert differences(was, {**was, "b": "2"}) == "b was 1 and is 2"
    assert (
        differences(was, {k: v for k, v in was.items() if k != "c"}) == "c was 1 and is not there"
    )
    assert differences(was, dict.fromkeys("abcdefg", "2")).endswith("d was 1 and is 2; 3 more")
