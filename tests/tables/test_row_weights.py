"""Weight k counts as k rows, weight 0 as none, in everything learned about a table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.tables import TableEncoder
from pellucid.tables.categorical import CategoricalEncoding
from pellucid.tables.numeric import MOST_VALUES_SORTED
from pellucid.tables.row_weights import (
    as_repetitions,
    counts_of,
    deviation,
    mean,
    quantiles,
    sample,
)

numbers_and_repeats = st.lists(
    st.tuples(st.floats(-1e6, 1e6), st.integers(1, 5)), min_size=1, max_size=30
).map(lambda pairs: (np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])))


@given(numbers_and_repeats, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_statistics_are_those_of_repeated_values(numbers, levels):
    values, repeats = numbers
    weights, repeated = repeats.astype(np.float64), values.repeat(repeats)
    # Both are a difference of two of the values times a number in [0, 1]: a few roundings each.
    close = {"rtol": 1e-14, "atol": 1e-14 * float(np.abs(values).max())}
    expected = np.quantile(repeated, levels)
    np.testing.assert_allclose(quantiles(values, levels, weights), expected, **close)
    np.testing.assert_allclose(mean(values, weights), repeated.mean(), **close)
    # A sum of n ≤ 150 terms: n roundings, and the root of the variance's error where it is 0.
    tolerance = 150 * np.finfo(float).eps * float(np.abs(values).max())
    assert deviation(values, weights) == pytest.approx(repeated.std(), rel=1e-9, abs=tolerance)


def mixed_table():
    rng = np.random.default_rng(3)
    n = 60
    return pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "hole": np.where(np.arange(n) % 7 == 0, np.nan, rng.exponential(size=n)),
            "stray": ["unknown", *rng.random(n - 1).round(2).astype(str)],
            "city": rng.choice(["Rome", "Oslo", "Bern", "Nuuk"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 5000, n), "h"),
            "key": np.arange(n),
            "name": [f"person {i}" for i in range(n)],
            "flag": rng.random(n) < 0.5,
        }
    )


def assert_same(one, other):
    """Compare what two encoders learned: texts exactly, numbers up to the rounding of sums."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == (pytest.approx(other, rel=1e-12, abs=1e-12) if type(one) is float else other)


def fitted(table, **options):
    return TableEncoder(n_pieces=8).fit(table, **options)._to_state()


@pytest.mark.parametrize("largest", [1, 2, 9])
def test_encoder_learns_from_weights_what_it_learns_from_repeated_rows(largest):
    table = mixed_table()
    weights = np.random.default_rng(largest).integers(0, largest + 1, size=len(table))
    repeated = table.loc[table.index.repeat(weights)]
    assert_same(fitted(table, sample_weight=weights), fitted(repeated))


def test_rows_of_weight_zero_are_encoded_and_not_learned_from():
    table = mixed_table()
    weights = np.ones(len(table))
    weights[:5] = 0
    table.loc[0, "city"] = "Atlantis"
    encoder = TableEncoder()
    encoded = encoder.fit_transform(table, sample_weight=weights)
    without = TableEncoder().fit(table[5:])
    assert encoder._to_state() == without._to_state()
    np.testing.assert_array_equal(encoded, without.transform(table))


def test_only_the_ratios_of_other_weights_matter():
    table = mixed_table()
    weights = np.random.default_rng(0).exponential(size=len(table))
    assert_same(fitted(table, sample_weight=weights), fitted(table, sample_weight=1e-30 * weights))
    assert_same(fitted(table, sample_weight=np.full(60, 1e300)), fitted(table))


def test_scaled_weights_have_mean_one():
    np.testing.assert_allclose(as_repetitions(np.array([0.5, 1.0])), [2 / 3, 4 / 3])
    whole = np.array([2.0, 4.0])
    assert as_repetitions(whole) is whole
    assert as_repetitions(None) is None


def test_counts():
    texts = np.array(["a", "b", "a", None], dtype=object)
    assert counts_of(texts, np.array([1.0, 2.0, 3.0, 0.5])) == ({"a": 4.0, "b": 2.0}, 0.5)
    assert counts_of(texts, None) == ({"a": 2, "b": 1}, 1)


def test_rarity_is_not_blurred_by_rounding():
    texts = np.array(["a"] * 10 + ["b"] * 40, dtype=object)
    weights = np.array([0.1] * 10 + [49 / 40] * 40)
    assert sum([0.1] * 10) < 1.0
    encoding = CategoricalEncoding.fit(texts, min_count=1, max_categories=5, weights=weights)
    assert encoding.categories == ("a", "b")


def test_a_missing_text_of_little_weight_is_missing():
    table = pd.DataFrame({"x": ["1", "2", None, "3"]})
    encoder = TableEncoder(n_pieces=0).fit(table, sample_weight=[1.0, 0.5, 1e-12, 1.5])
    assert list(encoder.get_feature_names_out()) == ["x", "x_missing"]


def test_a_sample_of_weighted_values_is_that_of_repeated_ones():
    values = np.random.default_rng(1).normal(size=MOST_VALUES_SORTED // 2)
    weights = np.full(len(values), 3.0)
    drawn, left = sample(values, weights, MOST_VALUES_SORTED)
    expected, _ = sample(values.repeat(3), None, MOST_VALUES_SORTED)
    assert left is None
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(60), "at least one non-zero number"),
        (-np.ones(60), "[Nn]egative"),
        (np.ones(59), "59"),
        (np.full(60, np.nan), "NaN"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder().fit(mixed_table(), sample_weight=weights)
