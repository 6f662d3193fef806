"""Rows that were trained on are recognized by their hashes."""

import numpy as np
import pandas as pd
import pytest

from pellucid import TabularClassifier, TabularRegressor
from pellucid.cli import row_hashes
from pellucid.cli.data import Examples
from pellucid.tables import as_table

N = 6000


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=N), "b": rng.choice(list("xyz"), N)})


def fitted(table, y):
    make = TabularClassifier if y.dtype.kind == "U" else TabularRegressor
    return make((4,), max_iter=1, random_state=0).fit(table[:4000], y[:4000])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["labels", "numbers"])
@pytest.mark.parametrize("n_known", [1000, 4000])
def test_the_share_of_training_rows(table, kind, n_known):
    y = table["a"].to_numpy() if kind == "numbers" else table["b"].to_numpy().astype(str)
    model = fitted(table, y)

    def hashes(rows):
        return row_hashes.row_hashes(model, Examples(as_table(table.iloc[rows]), y[rows]))

    facts = row_hashes.facts_of(hashes(np.arange(n_known)))
    assert len(facts["hashes"]) < 22_000
    assert row_hashes.share_trained_on(hashes(np.arange(200)), facts) == 1
    assert row_hashes.share_trained_on(hashes(np.arange(4000, 6000)), facts) == 0
    half = row_hashes.share_trained_on(hashes(np.r_[:1000, 4000:5000]), facts)
    # About 1,000 of the rows are in the sample of 2,048 of 4,000: 5 standard errors.
    assert half == pytest.approx(0.5, abs=0.08)
    order = np.random.default_rng(0).permutation(1000)
    assert row_hashes.share_trained_on(hashes(order), facts) == 1


def test_hashes_depend_on_every_cell_and_its_place():
    table = np.random.default_rng(0).normal(size=(1, 5))
    first = row_hashes._hashes_of(table)
    for column in range(5):
        other = table.copy()
        other[0, column] = np.nextafter(other[0, column], 9)
        assert row_hashes._hashes_of(other) != first
    assert row_hashes._hashes_of(table[:, ::-1]) != first
    assert row_hashes._hashes_of(table[:, :2], table[:, 2:]) == first
    assert row_hashes._hashes_of(np.array([[-0.0]])) == row_hashes._hashes_of(np.array([[0.0]]))


def test_rows_that_repeat_in_training_are_no_sign():
    rng = np.random.default_rng(0)
    few = rng.integers(0, 1500, 1000).astype(np.uint64)  # About half of them are there twice.
    facts = row_hashes.facts_of(few)
    assert 0.4 < facts["repeated"] < 0.6
    assert row_hashes.share_trained_on(few, facts) == pytest.approx(1.0)
    others = rng.integers(0, 1500, 1000).astype(np.uint64)
    assert row_hashes.share_trained_on(others, facts) == 0
    # The standard error of the share is 0.02.
    both = np.concatenate([few, others])
    assert row_hashes.share_trained_on(both, facts) == pytest.approx(0.5, abs=0.1)
    always = row_hashes.facts_of(np.repeat(few, 2))
    assert row_hashes.share_trained_on(few, always) is None


@pytest.mark.parametrize(
    "facts", [None, {}, {"hashes": "!", "all": True, "repeated": 0}, {"hashes": 3}, "text"]
)
def test_facts_that_do_not_tell(facts):
    assert row_hashes.share_trained_on(np.arange(10, dtype=np.uint64), facts) is None
