import numpy as np
import pytest

from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import (
    Activation,
    BatchNorm,
    Chain,
    Columns,
    Context,
    Dropout,
    Embedding,
    InputScale,
    Linear,
    PeriodicEmbedding,
    Residual,
)

rng = np.random.default_rng(0)
PARTS = [(2, PeriodicEmbedding(3, 4)), (1, Activation("identity")), (2, Embedding(5, 2))]
NETWORK = Chain([Columns(PARTS), Linear(4), Activation("tanh"), Linear(1)], "half_squared_error")
X = np.column_stack([rng.normal(size=(6, 3)), rng.integers(5, size=(6, 2))])
Y = rng.normal(size=(6, 1))


def test_each_part_gets_its_columns_and_its_parameters():
    params = NETWORK.initialize(5, seed=0)
    names = ("0.0.frequencies", "0.0.phases", "0.0.W", "0.0.b", "0.2.table", "1.W", "1.b")
    assert params.names()[:7] == names
    assert NETWORK.widths(5) == (5, 11, 4, 4, 1)
    trace = NETWORK.forward(params, X)
    np.testing.assert_array_equal(trace.values[1][:, 6], X[:, 2])
    waves = {n: params[f"0.0.{n}"] for n in ("frequencies", "phases", "W", "b")}
    np.testing.assert_array_equal(trace.values[1][:, :6], PARTS[0][1].forward(waves, X[:, :2]))
    table = params["0.2.table"]
    np.testing.assert_array_equal(trace.values[1][:, 7:9], table[X[:, 3].astype(int)])


def test_m15_gradient_of_every_part():
    params = NETWORK.initialize(5, seed=0)
    check = check_gradient(NETWORK, params, X, Y, tolerance=1e-6)
    assert check.passed, check
    assert check.relative_error < 1e-7
    assert sorted(check.layers) == [0, 1, 3]


def test_each_table_names_its_rows_among_its_columns():
    twice = Columns([(1, Embedding(5, 2)), (1, Activation("identity")), (1, Embedding(5, 3))])
    active = twice.active_rows(np.array([[0, 9, 4], [2, 9, 4]]))
    assert {name: rows.tolist() for name, rows in active.items()} == {
        "0.table": [0, 2],
        "2.table": [4],
    }


def test_factors_reach_one_part():
    layout = NETWORK.layout(5)
    factors = layout.learning_rate_factors({"0.0": 0.1, "bias": 0.5})
    assert set(factors[layout["0.0.b"].span]) == {0.1}
    assert set(factors[layout["0.2.table"].span]) == {1.0}
    assert set(factors[layout["1.b"].span]) == {0.5}


def test_parts_have_masks_streams_and_statistics_of_their_own():
    twice = Columns([(8, Dropout(0.5)), (8, Dropout(0.5))])
    y = twice.forward({}, np.ones((4, 16)), Context(training=True))
    assert not np.array_equal(y[:, :8], y[:, 8:])
    chain = Chain([Columns([(3, Linear(2)), (3, Linear(2))])], "half_squared_error")
    params = chain.initialize(6, seed=0)
    assert not np.array_equal(params["0.0.W"], params["0.1.W"])
    chain = Chain([Columns([(1, InputScale()), (2, BatchNorm())])], "half_squared_error")
    params, training = chain.initialize(3, seed=0), Context(training=True, step=1)
    trace = chain.forward(params, X[:, :3], training)
    new = chain.updated_statistics(params, trace, training)
    assert list(new) == ["0.1.running_mean", "0.1.running_variance"]
    np.testing.assert_allclose(new["0.1.running_mean"], 0.1 * X[:, 1:3].mean(axis=0))


def test_parts_are_fitted_to_their_columns():
    chain = Chain([Columns([(2, Linear(3)), (1, Linear(2))])], "half_squared_error")
    scores = chain.forward(chain.initialize_from_data(X[:, :3], seed=0), X[:, :3]).scores
    np.testing.assert_allclose(scores.std(axis=0), 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Columns([]), ValueError, "takes 1 to 255 parts, got 0"),
        (lambda: Columns(3), TypeError, r"parts must be a list of pairs .* got 3"),
        (lambda: Columns([3]), TypeError, r"pairs of a number of columns and a layer .* got 3"),
        (
            lambda: Columns([(1, Linear)]),
            TypeError,
            r"a layer such as \(3, Linear\(8\)\), got \(1,",
        ),
        (lambda: Columns([(2.5, Linear(1))]), TypeError, "must be an integer, got 2.5"),
        (lambda: Columns([("a", Linear(1))]), TypeError, "must be an integer, got 'a'"),
        (lambda: Columns([(0, Linear(1))]), ValueError, "part 0 .* at least 1 column, got 0"),
        (lambda: Columns([(1, Columns(PARTS))]), TypeError, "part 0 of Columns is a Columns"),
        (lambda: Columns([(1, Residual([Linear(1)]))]), TypeError, "part 0 .* a Residual"),
        (
            lambda: NETWORK.layout(6),
            ValueError,
            "take 5 columns, but the input has 6; assign every column",
        ),
    ],
)
def test_errors_name_what_was_received(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
