"""A predictor is made once, called often, and never answers from old weights."""

import gc
import os
import sys
import threading
import tracemalloc

import numpy as np
import pytest
import scipy.sparse

from pellucid.engine.native_predictor import NativePredictor
from pellucid.engine.reference import ReferencePredictor
from pellucid.nn import (
    Activation,
    Add,
    Chain,
    Columns,
    Dropout,
    Embedding,
    InputScale,
    LayerNorm,
    Linear,
    ParametricActivation,
    RMSNorm,
)

NATIVE = "<" if sys.byteorder == "little" else ">"

CHAINS = {
    "linear": [Linear(3)],
    "no bias": [Linear(70, bias=False), Activation("tanh"), Linear(2)],
    "activations": [Linear(100), Activation("silu"), Activation("relu"), Linear(1)],
    "scaled": [InputScale(), Linear(33), ParametricActivation("relu"), Linear(5)],
    "normalized": [LayerNorm(), Linear(48), RMSNorm(), Activation("gelu"), Linear(7)],
    "residual": [Linear(40), Activation("relu"), Linear(40), Add(back=2), Linear(3)],
    "residual of the input": [Linear(11), Add(back=1), Linear(3)],
    "dropout": [Linear(64), Dropout(0.5), Linear(3)],
    "dropout, scaled in prediction": [Linear(64), Dropout(0.25, scale_at="prediction"), Linear(3)],
    "large": [Linear(700), Activation("relu"), Linear(640), Activation("relu"), Linear(10)],
}
FAN_IN = 11
ROWS = (0, 1, 7, 64, 65, 256, 257, 10_001)
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}


def make(name, dtype=np.float64, fan_in=FAN_IN):
    chain = Chain(CHAINS[name], "half_squared_error")
    parameters = chain.initialize(fan_in, seed=0, dtype=dtype)
    parameters.flat[:] += np.random.default_rng(1).uniform(-0.1, 0.1, parameters.flat.shape)
    return chain, parameters


def table(n, dtype=np.float64, fan_in=FAN_IN):
    return np.random.default_rng(2).standard_normal((n, fan_in)).astype(dtype)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CHAINS)
def test_scores_are_the_reference_and_do_not_depend_on_the_other_rows(name, dtype):
    chain, parameters = make(name, dtype)
    X = table(10_001 if name != "large" else 1_001, dtype)
    every = NativePredictor(chain, parameters, FAN_IN, n_threads=1)(X)
    expected = ReferencePredictor(chain, parameters, FAN_IN)(X)
    tolerance = TOLERANCE[dtype] * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(every, expected, rtol=TOLERANCE[dtype], atol=tolerance)
    for n_threads in (1, 2, 3):
        predict = NativePredictor(chain, parameters, FAN_IN, n_threads)
        for n in ROWS:
            np.testing.assert_array_equal(predict(X[:n]), every[:n])
        last = np.arange(len(X))[::-7]
        np.testing.assert_array_equal(predict(X, rows=last), every[last])
        for row in (0, len(X) - 1):
            np.testing.assert_array_equal(predict(X[row : row + 1]), every[row : row + 1])


@pytest.mark.arithmetic
@pytest.mark.parametrize("n", [1, 40, 700])
def test_a_large_network_is_shared_out_by_columns_and_by_rows(n):
    chain = Chain(
        [Linear(1030), RMSNorm(), Linear(1025), Activation("relu"), Linear(5)], "squared_error"
    )
    parameters = chain.initialize(300, seed=0, dtype=np.float32)
    X = table(n, np.float32, 300)
    alone = NativePredictor(chain, parameters, 300, 1)(X)
    for n_threads in (2, 3, 5):
        np.testing.assert_array_equal(NativePredictor(chain, parameters, 300, n_threads)(X), alone)


@pytest.mark.arithmetic
@pytest.mark.parametrize("fan_out", [1, 2, 15, 16, 17, 47, 64, 65, 100])
@pytest.mark.parametrize("fan_in", [1, 2, 20])
def test_no_number_beyond_the_parameters_is_read(fan_in, fan_out):
    chain = Chain([Linear(fan_out, bias=False)], "half_squared_error")
    room = np.full(fan_in * fan_out + 200, np.nan, np.float32)
    layout = chain.layout(fan_in)
    parameters = chain.initialize(fan_in, seed=0, dtype=np.float32)
    room[100 : 100 + layout.size] = parameters.flat
    inside = type(parameters)(room[100 : 100 + layout.size], layout)
    X = table(3, np.float32, fan_in)
    actual = NativePredictor(chain, inside, fan_in)(X)
    np.testing.assert_allclose(actual, X @ parameters["0.W"], rtol=1e-5, atol=1e-6)


@pytest.mark.arithmetic
@pytest.mark.parametrize("n", [1, 300])
def test_weights_that_change_between_calls_are_used(n):
    chain, parameters = make("no bias")
    predict, X = NativePredictor(chain, parameters, FAN_IN), table(n)
    for scale in (1.0, -2.0, 0.5):
        parameters.flat[:] *= scale
        expected = ReferencePredictor(chain, parameters, FAN_IN)(X)
        np.testing.assert_allclose(predict(X), expected, rtol=1e-11, atol=1e-12)
    parameters.flat[-1] += 1.0  # the last bias
    np.testing.assert_allclose(predict(X)[:, -1], expected[:, -1] + 1.0, rtol=1e-11, atol=1e-12)


CONTAINERS = {
    "Fortran order": np.asfortranarray,
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "one row repeated": lambda X: np.broadcast_to(X[:1], X.shape),
    "read-only": lambda X: np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape),
    "big-endian": lambda X: X.astype(">f8"),
    "byte order named": lambda X: X.astype(np.dtype("f8").newbyteorder(NATIVE)),
    "unaligned": lambda X: (
        np.frombuffer(b"x" + X.tobytes(), np.uint8)[1:].view(X.dtype).reshape(X.shape)
    ),
    "float32": lambda X: X.astype(np.float32),
    "long double": lambda X: X.astype(np.longdouble),
    "memory map": lambda X: X.view(np.memmap),
    "csr": scipy.sparse.csr_matrix,
    "csr array": scipy.sparse.csr_array,
}


@pytest.mark.arithmetic
@pytest.mark.parametrize("n", [1, 100, 300])
@pytest.mark.parametrize("container", CONTAINERS)
def test_tables_of_any_memory(container, n):
    chain, parameters = make("no bias")
    X = np.round(4 * table(n)) / 4  # exact in every format
    expected = X if container != "one row repeated" else np.repeat(X[:1], n, axis=0)
    predict = NativePredictor(chain, parameters, FAN_IN)
    np.testing.assert_array_equal(predict(CONTAINERS[container](X)), predict(expected))


@pytest.mark.parametrize("predictor", [NativePredictor, ReferencePredictor])
def test_scores_are_written_where_asked(predictor):
    chain, parameters = make("linear")
    predict, X = predictor(chain, parameters, FAN_IN), table(9)
    out = np.full((4, 3), np.nan)
    rows = np.array([8, 0, 8, 2])
    assert predict(X, rows, out) is out
    np.testing.assert_array_equal(out, predict(X)[rows])


def test_what_does_not_fit_is_refused():
    chain, parameters = make("linear")
    predict, X = NativePredictor(chain, parameters, FAN_IN), table(5)
    with pytest.raises(ValueError, match="X must have two dimensions and 11 columns"):
        predict(X[:, :-1])
    with pytest.raises(ValueError, match="names row 5, but X has 5 rows"):
        predict(X, rows=np.array([5]))
    for out in (np.empty((4, 3)), np.empty((5, 3), np.float32), np.empty((3, 5)).T):
        with pytest.raises(ValueError, match=r"out must be a contiguous array of shape \(5, 3\)"):
            predict(X, out=out)
    with pytest.raises(TypeError, match="real numbers"):
        predict(X.astype(complex))
    strided = type(parameters)(np.repeat(parameters.flat, 2)[::2], parameters.layout)
    with pytest.raises(ValueError, match="parameters must be a contiguous vector"):
        NativePredictor(chain, strided, FAN_IN)
    with pytest.raises(ValueError, match="does not fit"):
        NativePredictor(chain, parameters, FAN_IN + 1)


@pytest.mark.parametrize("name", ["no bias", "large"])
def test_several_threads_may_call_one_predictor(name):
    chain, parameters = make(name, np.float32)
    predict, X = NativePredictor(chain, parameters, FAN_IN, 2), table(400, np.float32)
    expected = predict(X)
    wrong = []

    def call(n):
        calls = range(200 if name == "no bias" else 20)
        wrong.extend(n for _ in calls if not np.array_equal(predict(X[:n]), expected[:n]))

    threads = [threading.Thread(target=call, args=(n,)) for n in (1, 1, 50, 400, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("n", [1, 400])
def test_a_child_process_goes_on_with_the_predictor(n):
    chain, parameters = make("large", np.float32)
    predict, X = NativePredictor(chain, parameters, FAN_IN, 2), table(n, np.float32)
    expected = predict(X)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(predict(X), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(predict(X), expected)


@pytest.mark.skipif("PELLUCID_SANITIZER" in os.environ, reason="sanitizers keep what is freed")
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
@pytest.mark.parametrize("n", [1, 300])
def test_calls_leave_no_memory_behind(n):
    chain, parameters = make("no bias", np.float32)
    predict, X = NativePredictor(chain, parameters, FAN_IN, 2), table(n, np.float32)
    out = predict(X)

    def resident_bytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    for _ in range(100):
        predict(X, out=out)
    gc.collect()
    tracemalloc.start()
    try:
        before, resident = tracemalloc.get_traced_memory()[0], resident_bytes()
        for _ in range(10_000):
            predict(X, out=out)
        traced, most = tracemalloc.get_traced_memory()
        grown = resident_bytes() - resident
    finally:
        tracemalloc.stop()
    assert traced - before < 4096
    assert most - before < 16_384
    assert grown < 2 * 2**20  # 10,000 leaks of a workspace would be 30 MiB and more


BLOCKS = {
    "embedding": [Embedding(11, 70), Linear(3)],
    "columns": [Columns([(1, Linear(70)), (1, Embedding(11, 70))]), Activation("tanh"), Linear(3)],
}


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("chain", BLOCKS)
def test_fewer_rows_after_more_find_their_columns(chain, n_threads, dtype):
    chain = Chain(BLOCKS[chain], "half_squared_error")
    parameters = chain.initialize(2, seed=0, dtype=dtype)
    X = np.random.default_rng(3).integers(11, size=(900, 2)).astype(dtype)
    predict = NativePredictor(chain, parameters, 2, n_threads)
    every = predict(X)
    expected = ReferencePredictor(chain, parameters, 2)(X)
    np.testing.assert_allclose(every, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    for n in (250, 17, 1, 900, 300, 100):
        np.testing.assert_array_equal(predict(X[:n]), every[:n])


@pytest.mark.arithmetic
@pytest.mark.parametrize("n", [1, 8, 16])
def test_threads_share_the_layers_around_blocks_of_columns(n):
    parts = Columns([(70, Linear(700)), (70, Activation("tanh"))])
    layers = [parts, Linear(2500), Activation("tanh"), Linear(1500), parts_of(1500), Linear(3)]
    chain = Chain(layers, "half_squared_error")
    parameters = chain.initialize(140, seed=0)
    X = table(n, fan_in=140)
    expected = ReferencePredictor(chain, parameters, 140)(X)
    for n_threads in (1, 2, 5):
        scores = NativePredictor(chain, parameters, 140, n_threads)(X)
        np.testing.assert_allclose(scores, expected, rtol=1e-11, atol=1e-11)


def parts_of(width):
    return Columns([(3, LayerNorm()), (width - 3, Linear(40))])
