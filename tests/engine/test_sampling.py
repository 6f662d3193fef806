"""Monte-Carlo dropout: both engines spread as the samples of `nn.Chain.sample_scores` do."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from layer_examples import LAYERS

from pellucid.engine import sampling
from pellucid.engine.native_predictor import NativePredictor
from pellucid.engine.reference import ReferencePredictor
from pellucid.nn import Activation, BatchNorm, Chain, Columns, Dropout, Layer, Linear, Residual

CHAINS = {
    **{name: [*layers, Linear(3)] for name, layers in LAYERS.items()},
    "of the input": [Dropout(0.3), Linear(20), Activation("tanh"), Linear(2)],
    "last": [Linear(5), Dropout(0.5)],
    "twice": [
        Linear(70),
        BatchNorm(),
        Activation("softplus"),
        Dropout(0.1, "prediction"),
        Residual([Linear(70), Activation("relu"), Dropout(0.5)]),
        Linear(1),
    ],
}
CHAINS = {name: layers for name, layers in CHAINS.items() if Chain(layers, "huber").drops}
TOLERANCE = {np.float64: 1e-10, np.float32: 1e-4}
FAN_IN = 4


def make(chain, dtype=np.float64, n=700):
    chain = Chain(CHAINS[chain], "half_squared_error")
    parameters = chain.initialize(FAN_IN, seed=0, dtype=dtype)
    for entry in parameters.layout.entries:
        if entry.role == "bias":
            parameters.flat[entry.span] = 0.1
    return chain, parameters, np.random.default_rng(1).standard_normal((n, FAN_IN)).astype(dtype)


def expected(chain, parameters, X, n_samples, seed, link=np.asarray):
    samples = chain.sample_scores(parameters, X, n_samples, seed).astype(np.float64)
    samples = np.stack([link(sample) for sample in samples])
    return samples.mean(axis=0), samples.std(axis=0)


def test_every_layer_that_drops_is_among_the_chains():
    assert len(CHAINS) == 7


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chain", CHAINS)
def test_both_engines_spread_as_the_samples_do_for_any_number_of_threads(chain, dtype):
    chain, parameters, X = make(chain, dtype)
    mean, std = expected(chain, parameters, X, 6, seed=2**33 + 1)
    assert (std.max(axis=0) > 0.01).all()
    reference = ReferencePredictor(chain, parameters, FAN_IN)
    results = [reference.sample(X, 6, 2**33 + 1)]
    for n_threads in (1, 2, 3):
        predict = NativePredictor(chain, parameters, FAN_IN, n_threads)
        results.append(predict.sample(X, 6, 2**33 + 1))
        np.testing.assert_array_equal(results[-1], results[1])
    for result in results[:2]:
        np.testing.assert_allclose(result.mean, mean, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        np.testing.assert_allclose(result.std, std, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.arithmetic
@pytest.mark.parametrize("n_rows", [1, 3, 16, 40, 300])
def test_threads_that_share_columns_or_rows_of_a_large_network_draw_the_same(n_rows):
    layers = [Linear(1030), Activation("relu"), Dropout(0.5), Linear(1025), Dropout(0.1), Linear(3)]
    chain = Chain(layers, "squared_error")
    parameters = chain.initialize(30, seed=0)
    X = np.random.default_rng(0).standard_normal((n_rows, 30))
    mean, std = expected(chain, parameters, X, 5, seed=0)
    alone = NativePredictor(chain, parameters, 30, 1).sample(X, 5)
    np.testing.assert_allclose(alone.mean, mean, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(alone.std, std, rtol=1e-10, atol=1e-10)
    for n_threads in (2, 3):
        several = NativePredictor(chain, parameters, 30, n_threads).sample(X, 5)
        np.testing.assert_array_equal(several, alone)


@pytest.mark.arithmetic
@pytest.mark.parametrize("predictor", [NativePredictor, ReferencePredictor])
@pytest.mark.parametrize("at_once", [(1, 1), (50, 3), (10**6, 2)])
def test_blocks_give_what_all_samples_at_once_give(predictor, at_once, monkeypatch):
    monkeypatch.setattr(sampling, "_NUMBERS_AT_ONCE", at_once[0])
    monkeypatch.setattr(sampling, "_SAMPLES_AT_ONCE", at_once[1])
    chain, parameters, X = make("twice", n=11)
    mean, std = expected(chain, parameters, X, 7, seed=3)
    spread = predictor(chain, parameters, FAN_IN).sample(X, 7, seed=3)
    np.testing.assert_allclose(spread.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(spread.std, std, rtol=1e-12)


@pytest.mark.arithmetic
@pytest.mark.parametrize("predictor", [NativePredictor, ReferencePredictor])
def test_rows_containers_and_links(predictor):
    chain, parameters, X = make("columns", n=20)
    sample = predictor(chain, parameters, FAN_IN).sample
    rows = np.array([7, 0, 7])

    def link(scores):
        return 1 / (1 + np.exp(-scores))

    mean, std = expected(chain, parameters, X[rows], 4, 0, link)
    for table in (X, np.asfortranarray(X), X[::-1].copy()[::-1], scipy.sparse.csr_array(X)):
        spread = sample(table, 4, rows=rows, link=link)
        np.testing.assert_allclose(spread.mean, mean, rtol=1e-10)
        np.testing.assert_allclose(spread.std, std, rtol=1e-10)
    assert (spread.std[0] != spread.std[2]).any()  # the same row, other places
    assert sample(X[:0], 4).mean.shape == (0, 3)


@pytest.mark.parametrize("predictor", [NativePredictor, ReferencePredictor])
def test_one_sample_has_no_spread_and_ordinary_scores_stay_as_they_are(predictor):
    chain, parameters, X = make("twice", n=300)
    predict = predictor(chain, parameters, FAN_IN)
    before = predict(X)
    spread = predict.sample(X, 1, seed=5)
    only = chain.sample_scores(parameters, X, 1, 5)[0]
    np.testing.assert_allclose(spread.mean, only, rtol=1e-10, atol=1e-12)
    assert not spread.std.any()
    np.testing.assert_array_equal(predict(X), before)


@pytest.mark.parametrize("predictor", [NativePredictor, ReferencePredictor])
def test_the_samples_are_never_all_in_memory(predictor, monkeypatch):
    monkeypatch.setattr(sampling, "_NUMBERS_AT_ONCE", 2**14)
    chain, parameters, X = make("last", n=2000)
    sample = predictor(chain, parameters, FAN_IN).sample
    sample(X[:1], 32)
    tracemalloc.start()
    try:
        sample(X, 32)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2**20  # all of them together: 2000·5·32 numbers, 2.4 MiB


@pytest.mark.parametrize("predictor", [NativePredictor, ReferencePredictor])
def test_what_cannot_be_sampled_is_refused(predictor):
    chain, parameters, X = make("twice", n=3)
    sample = predictor(chain, parameters, FAN_IN).sample
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        sample(X, 0)
    with pytest.raises(TypeError, match=r"n_samples must be a positive integer, got 2\.5"):
        sample(X, 2.5)
    with pytest.raises(ValueError, match="seed must be at least 0"):
        sample(X, 2, seed=-1)
    with pytest.raises(ValueError, match="X"):
        sample(X[:, 1:], 2)
    plain = Chain([Linear(2), Dropout(0.0)], "squared_error")
    predict = predictor(plain, plain.initialize(FAN_IN, seed=0), FAN_IN)
    with pytest.raises(ValueError, match="drops nothing: every sample"):
        predict.sample(X, 5)


def test_which_layers_drop():
    assert Dropout(0.1).drops
    assert not Dropout(0.0).drops
    assert Columns([(1, Linear(1)), (1, Dropout(0.5))]).drops
    assert not Columns([(1, Linear(1))]).drops

    class Noise(Layer):
        drops = True

    assert Chain([Noise(), Linear(1)], "huber").drops
    assert not Chain([Linear(1)], "huber").drops
