"""Sparse tables: what the dense table gives, at the cost of the entries."""

import numpy as np
import pytest
import scipy.sparse
from engine.test_engines_agree import PLAN, RELATIVE, assert_engines_agree, train
from pairs import product_with
from peak_memory import peak_raised_by

from pellucid.engine import native, reference
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import (
    SGD,
    Activation,
    Adam,
    AdamW,
    Chain,
    ClipByGlobalNorm,
    ClipByValue,
    Dropout,
    InputScale,
    LayerNorm,
    Linear,
    Residual,
    RMSProp,
)

N, FAN_IN = 60, 130
EPSILON = 1e-4  # with less, adaptive steps turn the rounding of a gradient of nearly 0 into a sign
HIDDEN = [Linear(41), Activation("silu"), Linear(3)]


def make_rows(n=N, fan_in=FAN_IN, seed=0, dtype=np.float64):
    """Return CSR rows of which one is full, some are empty and one stores zeros."""
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, fan_in)) < 0.08, np.round(rng.standard_normal((n, fan_in)), 2), 0.0)
    X[n // 2] = np.arange(1, fan_in + 1) / fan_in
    X[::7] = 0.0
    rows = scipy.sparse.csr_array(X.astype(dtype))
    rows.data[:3] = 0
    return rows


def scrambled(X):
    """Return the same matrix with every number in two halves and each row's entries in disorder."""
    rng = np.random.default_rng(0)
    parts = [np.arange(a, b) for a, b in zip(X.indptr, X.indptr[1:], strict=False)]
    places = np.concatenate([rng.permutation(np.repeat(part, 2)) for part in parts])
    return scipy.sparse.csr_array((X.data[places] / 2, X.indices[places], 2 * X.indptr), X.shape)


def wide(X):
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def make_problem(layers, dtype=np.float64, X=None, seed=0):
    X = make_rows() if X is None else X
    chain = Chain(layers, "softmax_cross_entropy")
    parameters = chain.initialize(X.shape[1], seed=seed, dtype=dtype)
    labels = np.random.default_rng(seed).integers(0, chain.fan_out(X.shape[1]), X.shape[0])
    return chain, parameters, TrainingData(X, labels, weight_scale=1.5)


def assert_scores_agree(chain, parameters, X):
    tolerance = RELATIVE[parameters.flat.dtype.type]
    expected = reference.predict_scores(chain, parameters, X)
    actual = native.predict_scores(chain, parameters, X)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    return actual


CHAINS = {
    "one layer": [Linear(3)],
    "no bias": [Linear(17, bias=False), Activation("relu"), Linear(3)],
    "activation that needs z": HIDDEN,
    "several panels": [Linear(200), Activation("tanh"), Linear(3)],
    "layers after it": [Linear(41), LayerNorm(), Residual([Linear(41)]), Dropout(0.2), Linear(3)],
}
DENSE_CHAINS = {
    "dropout of the input": [Dropout(0.2), Linear(3)],
    "scaled input": [InputScale(), Linear(3)],
    "activation first": [Activation("tanh"), Linear(3)],
    "residual around the input": [Residual([Linear(FAN_IN), Activation("tanh")]), Linear(3)],
}


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*CHAINS, *DENSE_CHAINS])
def test_every_chain(name, dtype):
    chain, parameters, data = make_problem({**CHAINS, **DENSE_CHAINS}[name], dtype)
    fast, _ = assert_engines_agree(chain, parameters, data, PLAN)
    assert native._takes_sparse(fast._program, data.X) == (name in CHAINS)
    assert_scores_agree(chain, parameters, data.X)
    expected, expected_gradient = reference.loss_and_gradient(chain, parameters, data, 0.1)
    actual, gradient = native.loss_and_gradient(chain, parameters, data, 0.1)
    tolerance = RELATIVE[dtype]
    assert actual == pytest.approx(expected, rel=tolerance)
    scale = np.abs(expected_gradient.flat).max()
    np.testing.assert_allclose(
        gradient.flat, expected_gradient.flat, rtol=tolerance, atol=tolerance * scale
    )


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("penalty", [0.0, 0.5])
@pytest.mark.parametrize("clipping", [None, ClipByGlobalNorm(0.1), ClipByValue(0.01)], ids=str)
@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.05),
        SGD(0.02, momentum=0.9, nesterov=True),
        Adam(0.01, epsilon=EPSILON),
        AdamW(0.01, weight_decay=0.1, epsilon=EPSILON),
        RMSProp(0.01, epsilon=EPSILON),
    ],
    ids=str,
)
def test_rows_of_weights_without_entries_move_as_the_rule_says(optimizer, clipping, penalty, dtype):
    plan = TrainingPlan(optimizer, 13, l2_penalty=penalty, seed=3, clipping=clipping)
    assert_engines_agree(*make_problem(HIDDEN, dtype), plan)


@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", [scrambled, wide, lambda X: wide(scrambled(X))])
def test_entries_in_any_order_and_repeated(form, dtype):
    chain, parameters, data = make_problem(HIDDEN, dtype, form(make_rows()))
    np.testing.assert_allclose(data.X.toarray(), make_rows().toarray(), rtol=1e-15)
    assert_engines_agree(chain, parameters, data, PLAN)
    assert_scores_agree(chain, parameters, data.X)


@pytest.mark.arithmetic
@pytest.mark.parametrize("compute", [np.float32, np.float64])
@pytest.mark.parametrize(
    "dtype", ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "g"]
)
@pytest.mark.parametrize("form", [lambda X: X, wide])
def test_sorted_rows_give_the_bits_of_the_dense_table(form, dtype, compute):
    X = make_rows()
    X.data = np.abs(np.round(3 * X.data)).astype(dtype)
    if np.dtype(dtype).kind in "if":
        X.data = -X.data
    chain, parameters, held = make_problem(HIDDEN, compute, form(X))
    plain = TrainingData(held.X.toarray().astype(np.float64), held.targets, weight_scale=1.5)
    expected, _, _ = train(native.NativeTrainer, chain, parameters, plain, PLAN, 2)
    actual, _, _ = train(native.NativeTrainer, chain, parameters, held, PLAN, 2)
    np.testing.assert_array_equal(actual.flat, expected.flat)
    np.testing.assert_array_equal(
        native.predict_scores(chain, actual, held.X),
        native.predict_scores(chain, actual, plain.X),
    )


@pytest.mark.arithmetic
def test_half_precision_entries_are_read():
    X = make_rows()
    halves = X.data.astype(np.float16)
    table = (halves, X.indices, X.indptr)
    chain, parameters, _ = make_problem(HIDDEN)
    scores = np.empty((N, 3))
    program = native.make_program(chain, parameters, FAN_IN)
    native.core.Predictor64(program, parameters.flat, 1).run(table, None, scores)
    X.data = halves.astype(np.float64)
    np.testing.assert_array_equal(scores, native.predict_scores(chain, parameters, X))


@pytest.mark.arithmetic
@pytest.mark.parametrize(
    ("clipping", "form", "batch_size", "dtype"),
    product_with(
        [None, ClipByGlobalNorm(0.1)],
        [lambda X: X, scrambled],
        [1, 13, 200],
        [np.float64, np.float32],
    ),
)
def test_same_bits_for_any_number_of_threads(clipping, form, batch_size, dtype):
    layers = [Linear(100), Activation("silu"), Linear(3)]
    n = 203 if batch_size > 1 else 40  # seven threads on fewer cores take long to meet
    chain, parameters, data = make_problem(layers, dtype, form(make_rows(n)))
    results = []
    for n_threads in (1, 2, 3, 7):
        plan = TrainingPlan(
            Adam(0.01), batch_size, 0.1, seed=3, n_threads=n_threads, clipping=clipping
        )
        trained, losses, _ = train(native.NativeTrainer, chain, parameters, data, plan, 2)
        objective, gradient = native.loss_and_gradient(chain, trained, data, 0.1, n_threads)
        scores = native.predict_scores(chain, trained, data.X, n_threads)
        results.append([trained.flat, losses, objective, gradient.flat, scores])
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


# Rows of W are read beyond their ends where that is inside W, so its last ones matter.
@pytest.mark.arithmetic
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fan_out", [1, 2, 15, 16, 17, 65, 100])
@pytest.mark.parametrize("fan_in", [5, 16, 130])
def test_scores_of_every_width(fan_in, fan_out, dtype):
    X = scipy.sparse.csr_array(np.roll(np.eye(fan_in), 1, axis=1)[np.arange(300) % fan_in])
    chain, parameters, _ = make_problem([Linear(fan_out)], dtype, X)
    every = assert_scores_agree(chain, parameters, X)
    for rows in (np.array([fan_in - 1]), np.arange(0, 300, 7)):
        some = native.predict_scores(chain, parameters, X, rows=rows)
        np.testing.assert_array_equal(some, every[rows])
        np.testing.assert_array_equal(native.predict_scores(chain, parameters, X[rows]), some)


def test_prediction_checks_the_rows_asked_for():
    X = make_rows()
    chain, parameters, _ = make_problem(HIDDEN)
    expected = native.predict_scores(chain, parameters, X, rows=np.array([2, 5]))
    X.indices[X.indptr[3]] = FAN_IN
    actual = native.predict_scores(chain, parameters, X, rows=np.array([2, 5]))
    np.testing.assert_array_equal(actual, expected)
    with pytest.raises(ValueError, match="outside the matrix"):
        native.predict_scores(chain, parameters, X, rows=np.array([2, 3]))
    X.indices[X.indptr[3]] = -1
    with pytest.raises(ValueError, match="outside the matrix"):
        native.predict_scores(chain, parameters, X)
    X.indptr[4] = X.indptr[3] - 1
    with pytest.raises(ValueError, match="indptr does not describe"):
        native.predict_scores(chain, parameters, X, rows=np.array([3]))


def test_training_checks_every_row_first():
    chain, parameters, data = make_problem(HIDDEN)
    data.X.indices[-1] = FAN_IN
    trainer = native.NativeTrainer(chain, parameters, data, PLAN)
    before = parameters.flat.copy()
    with pytest.raises(ValueError, match="outside the matrix"):
        trainer.run_epoch()
    np.testing.assert_array_equal(parameters.flat, before)


@pytest.mark.arithmetic
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_entries_that_are_not_finite_are_named(bad):
    chain, parameters, data = make_problem([Linear(3)])
    data.X.data[5] = bad
    with pytest.raises(NonFiniteError, match="X contains NaN, infinity"):
        native.NativeTrainer(chain, parameters, data, PLAN).run_epoch()


def test_a_trainer_of_sparse_rows_takes_no_dense_table():
    chain, parameters, data = make_problem(HIDDEN)
    trainer = native.NativeTrainer(chain, parameters, data, PLAN)
    trainer._table = data.X.toarray()
    with pytest.raises(ValueError, match="no dense table"):
        trainer.run_epoch()
    program = native.make_program(*make_problem(DENSE_CHAINS["scaled input"])[:2], FAN_IN)
    with pytest.raises(ValueError, match="no sparse rows"):
        native.core.Trainer64(program, 10, 1, sparse=True)


@pytest.mark.arithmetic
def test_nearly_full_rows_are_taken_as_dense_ones():
    X = scipy.sparse.csr_array(make_rows().toarray() + 1.0)
    chain, parameters, data = make_problem(HIDDEN, X=X)
    fast, _ = assert_engines_agree(chain, parameters, data, PLAN)
    assert not native._takes_sparse(fast._program, X)


def test_no_batch_of_a_wide_table_is_ever_dense():
    setup = """
        import numpy as np, scipy.sparse
        from pellucid.engine.native import NativeTrainer, loss_and_gradient, predict_scores
        from pellucid.engine.plan import TrainingData, TrainingPlan
        from pellucid.nn import SGD, Linear, Chain
        columns = np.sort(np.random.default_rng(0).integers(300_000, size=(600, 30)))
        entries = (np.ones(columns.size), columns.ravel(), 30 * np.arange(601))
        X = scipy.sparse.csr_array(entries, shape=(600, 300_000))
        chain = Chain([Linear(1)], "logistic_cross_entropy")
        parameters = chain.initialize(300_000, seed=0)
        data = TrainingData(X, np.zeros((600, 1)))
    """
    code = """
        NativeTrainer(chain, parameters, data, TrainingPlan(SGD(), 200)).run_epoch()
        loss_and_gradient(chain, parameters, data)
        predict_scores(chain, parameters, X)
    """
    # Weights and moments in panels of at most 8 float64 take 58 MB, twice; 200 dense rows 480 MB.
    assert peak_raised_by(code, setup) < 250 * 2**20
