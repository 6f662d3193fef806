import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import Chain, Linear, PiecewiseLinearEmbedding
from pellucid.nn.piecewise_linear_embedding import piecewise_linear, quantile_edges

EDGES = (0.0, 1.0, 3.0, 4.0)


def test_components_fill_one_after_the_other_and_the_ends_go_on():
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.5, 6.0])
    expected = [
        [-1.0, 0, 0],
        [0.0, 0, 0],
        [0.5, 0, 0],
        [1.0, 0, 0],
        [1.0, 0.5, 0],
        [1.0, 1, 0.5],
        [1.0, 1, 3.0],
    ]
    np.testing.assert_array_equal(piecewise_linear(x, EDGES), expected)


@given(x=st.floats(-10, 10), n=st.integers(1, 6), seed=st.integers(0, 999))
def test_bins_weighted_by_their_widths_give_back_the_number(x, n, seed):
    edges = np.cumsum(np.random.default_rng(seed).uniform(0.1, 1.0, n + 1)).tolist()
    code = piecewise_linear(np.array([x]), edges)[0]
    assert edges[0] + code @ np.diff(edges) == pytest.approx(x, abs=1e-12)


def test_a_vector_for_each_column_is_its_code_times_its_own_matrix():
    edges = [EDGES, (-1.0, 1.0), (0.0, 2.0, 5.0)]
    layer = PiecewiseLinearEmbedding(edges, dim=2)
    params = Chain([layer], "half_squared_error").initialize(3, seed=0)
    X = np.random.default_rng(0).normal(size=(5, 3))
    W, b = params["0.W"], np.random.default_rng(1).normal(size=(3, 2))
    y = layer.forward({"W": W, "b": b}, X)
    for j, rows in enumerate((slice(0, 3), slice(3, 4), slice(4, 6))):
        code = piecewise_linear(X[:, j], edges[j])
        np.testing.assert_allclose(y[:, 2 * j : 2 * j + 2], code @ W[rows] + b[j], rtol=1e-13)
        assert np.abs(W[rows]).max() <= 1 / np.sqrt(rows.stop - rows.start)


def test_kinks_are_reported_below_the_layer():
    chain = Chain([Linear(1), PiecewiseLinearEmbedding([EDGES])], "squared_error")
    params = chain.initialize(1, seed=0)
    params.flat[:] = [1.0, 0.0]
    check = check_gradient(chain, params, np.array([[1.0]]), np.ones((1, 3)))
    assert check.n_kinks == 2


def test_quantile_edges_share_the_rows_out():
    X = np.column_stack([np.arange(100.0), np.repeat([0.0, 1.0], [90, 10]), np.full(100, 7.0)])
    edges = quantile_edges(X, 4)
    np.testing.assert_allclose(edges[0], [0, 24.75, 49.5, 74.25, 99])
    assert edges[1:] == ((0.0, 1.0), (7.0, 8.0))
    PiecewiseLinearEmbedding(edges, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PiecewiseLinearEmbedding([]), "at least one column, got none"),
        (lambda: PiecewiseLinearEmbedding([(1.0,)]), r"column 0 must be at least two .*\(1\.0,\)"),
        (lambda: PiecewiseLinearEmbedding([EDGES, (1, 0)]), "column 1 must be .* increasing"),
        (lambda: PiecewiseLinearEmbedding([EDGES], 0), "dim must be a positive integer or None"),
        (lambda: quantile_edges(np.ones((3, 1)), 0), "n_bins must be at least 1, got 0"),
        (
            lambda: PiecewiseLinearEmbedding([EDGES]).output_width(2),
            "edges for 1 columns, but the input has 2; give edges for every column, or use Columns",
        ),
    ],
)
def test_errors_name_what_was_received(make, message):
    with pytest.raises(ValueError, match=message):
        make()
