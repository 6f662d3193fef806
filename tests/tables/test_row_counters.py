import numpy as np
import pytest

from pellucid.tables.row_counters import is_id_name, is_in_order, may_be_id_name, order_tells_of

N = 200
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("y", "tells"),
    [
        (np.arange(N), True),
        (-np.arange(20.0), True),
        (np.arange(N) > 100, True),
        ((np.arange(N) - 100.0) ** 2, True),
        (np.repeat(["a", "b", "c"], [50, 100, 50]), True),
        (np.column_stack([RNG.normal(size=N), np.arange(N)]), True),
        (RNG.normal(size=N), False),
        (RNG.choice(["a", "b", "c"], N), False),
        (RNG.choice([0, 1], N, p=[0.98, 0.02]), False),
        (np.zeros(N), False),
        (np.array([None, "a"] * 100, dtype=object), False),
    ],
)
def test_order_tells_of(y, tells):
    assert order_tells_of(y) == tells


def test_chance_seldom_looks_like_information():
    found = [order_tells_of(np.random.default_rng(i).normal(size=100)) for i in range(300)]
    # 300 tests at 1 %: more than 10 has a probability below 0.1 %.
    assert sum(found) <= 10


@pytest.mark.parametrize(
    ("name", "is_id"),
    [
        *[(name, True) for name in ("", "id", "ID", "Unnamed: 0", "user_id", "customerId")],
        *[(name, True) for name in ("rownames", "rowid", "row", "uuid", "session GUID")],
        *[(name, None) for name in ("atomic_number", "price_index", "house number", "code", "No.")],
        *[(name, None) for name in ("index", "order_no", "zipCode", "foreign_key", "instant")],
        *[(name, False) for name in ("grid", "idea", "narrow", "width", "observed", "casino")],
    ],
)
def test_names(name, is_id):
    assert is_id_name(name) == (is_id is True)
    assert may_be_id_name(name) == (is_id is None)


def test_order():
    assert is_in_order(np.array([1.0, 3.0, 4.0]))
    assert is_in_order(np.array([3.0, 2.0]))
    assert not is_in_order(np.array([1.0, 1.0, 2.0]))
