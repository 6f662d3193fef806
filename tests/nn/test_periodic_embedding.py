import math

import numpy as np
import pytest

from pellucid.nn import Chain, PeriodicEmbedding
from pellucid.nn.periodic_embedding import periodic_embedding

RNG = np.random.default_rng(0)
M, D, N, E = 4, 3, 5, 2
X = RNG.normal(size=(M, D))


def test_each_column_has_its_own_waves(rng):
    f, p = rng.normal(size=(D, N)), rng.normal(size=(D, N))
    W, b = rng.normal(size=(D, N, E)), rng.normal(size=(D, E))
    y = periodic_embedding(X, f, p, W, b).reshape(M, D, 1 + E)
    for i, j in np.ndindex(M, D):
        assert y[i, j, 0] == X[i, j]
        waves = np.cos(2 * np.pi * f[j] * X[i, j] + p[j])
        np.testing.assert_allclose(y[i, j, 1:], waves @ W[j] + b[j], rtol=1e-13)


def test_it_starts_as_the_recipe_says():
    chain = Chain([PeriodicEmbedding(4, 16, 0.1)], "half_squared_error")
    params = chain.initialize(500, seed=0)
    n = params["0.frequencies"].size
    assert params["0.frequencies"].shape == params["0.phases"].shape == (500, 16)
    assert abs(params["0.frequencies"].std() / 0.1 - 1) < 5 / math.sqrt(2 * n)
    for name, bound in (("phases", math.pi), ("W", 0.25), ("b", 0.25)):
        values = params[f"0.{name}"].ravel()
        assert np.abs(values).max() <= bound
        assert abs((values**2).mean() / bound**2 - 1 / 3) < 5 * math.sqrt(4 / 45 / values.size)
    assert params["0.W"].shape == (500, 16, 3)
    # Arrays of one layer do not share their random numbers.
    u = (params["0.phases"].ravel() / math.pi, params["0.W"].ravel()[:n] / 0.25)
    assert abs(np.corrcoef(*u)[0, 1]) < 5 / math.sqrt(n)
    assert chain.widths(500) == (500, 2000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PeriodicEmbedding(1), "dim must be an integer of at least 2, got 1"),
        (lambda: PeriodicEmbedding(4, 0), "n_frequencies must be an integer of at least 1, got 0"),
        (lambda: PeriodicEmbedding(4, 4, 0.0), "standard_deviation must be above 0, got 0.0"),
    ],
)
def test_errors_name_what_was_received(make, message):
    with pytest.raises(ValueError, match=message):
        make()
