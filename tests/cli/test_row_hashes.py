"""Rows that were trained on are recognized by their hashes."""

import base64
import json

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
    assert len(facts["set"]) < n_known
    assert row_hashes.share_trained_on(hashes(np.arange(200)), facts) == 1
    assert row_hashes.share_trained_on(hashes(np.arange(4000, 6000)), facts) == 0
    half = row_hashes.share_trained_on(hashes(np.r_[:1000, 4000:5000]), facts)
    # Of 1,000 other rows, 40 % match by chance: 5 standard errors of the share are 0.06.
    assert half == pytest.approx(0.5, abs=0.06)
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
    values = rng.integers(0, 2**63, 1500).astype(np.uint64)
    few = rng.choice(values, 1000)  # About half of them are there twice.
    facts = row_hashes.facts_of(few)
    assert 400 < facts["repeated"] < 600
    assert row_hashes.share_trained_on(few, facts) == pytest.approx(1.0)
    others = rng.choice(values, 1000)
    assert row_hashes.share_trained_on(others, facts) == 0
    # The standard error of the share is 0.03.
    both = np.concatenate([few, others])
    assert row_hashes.share_trained_on(both, facts) == pytest.approx(0.5, abs=0.15)
    always = row_hashes.facts_of(np.repeat(few, 2))
    assert row_hashes.share_trained_on(few, always) is None


def test_a_sample_of_many_rows_is_kept():
    rng = np.random.default_rng(0)
    known, others = rng.integers(0, 2**63, (2, 100_000)).astype(np.uint64)
    facts = row_hashes.facts_of(known)
    assert len(json.dumps(facts)) < 12_000
    assert row_hashes.share_trained_on(known[:1000], facts) == 1
    assert row_hashes.share_trained_on(others, facts) == 0
    # A quarter of the rows is in the sample; 5 standard errors.
    both = np.concatenate([known[:10_000], others[:10_000]])
    assert row_hashes.share_trained_on(both, facts) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("n_known", [20, 500, 100_000])
def test_no_single_row_can_be_recovered(n_known):
    """Who tries all values of a cell finds many that match."""
    rng = np.random.default_rng(0)
    known, others = rng.integers(0, 2**63, (2, n_known)).astype(np.uint64)
    facts = row_hashes.facts_of(known)
    n_bits = 6 * len(facts["set"])
    assert n_bits <= 2 * min(n_known, row_hashes.MOST_ROWS) + 24
    bits = np.unpackbits(np.frombuffer(base64.b64decode(facts["set"]), np.uint8))
    assert 0.3 < bits[: facts["slots"]].mean() < 0.5
    for row in (*known[:20], *others[:20]):
        assert row_hashes.share_trained_on(np.array([row]), facts) is None


@pytest.mark.parametrize("n_values", [300, 2000, 10**6])
def test_other_rows_of_small_tables_are_no_sign(n_values):
    """A few rows equal rows of the training by chance."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, n_values).astype(np.uint64)
    alarms = 0
    for _ in range(1000):
        facts = row_hashes.facts_of(rng.choice(hashes, 100))
        alarms += bool(row_hashes.share_trained_on(rng.choice(hashes, 50), facts))
    assert alarms <= 10, "beyond 3 standard errors are 0.13 % of a normal distribution"


KNOWN = row_hashes.facts_of(np.arange(100, dtype=np.uint64))


@pytest.mark.parametrize(
    "facts",
    [
        *(None, {}, {"set": 3}, "text"),
        *({**KNOWN, name: value} for name in KNOWN for value in ("!", -1, 1e400, None)),
        *({**KNOWN, name: 2**64} for name in ("one_of", "slots", "repeated")),
    ],
)
def test_facts_that_do_not_tell(facts):
    assert row_hashes.share_trained_on(np.arange(50, dtype=np.uint64), KNOWN) == 1
    assert row_hashes.share_trained_on(np.arange(50, dtype=np.uint64), facts) is None
