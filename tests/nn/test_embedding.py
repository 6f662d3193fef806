import numpy as np
import pytest

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import SGD, Activation, AdamW, Chain, Embedding, Linear
from pellucid.nn.embedding import embed, embed_backward, embed_backward_active, lazy_step
from pellucid.nn.linear import affine, affine_backward

RNG = np.random.default_rng(0)
N_ROWS, DIM, M, K = 7, 3, 5, 2
TABLE = RNG.normal(size=(N_ROWS, DIM))
IDS = np.array([[0, 3], [3, 3], [6, 1], [0, 1], [3, 0]])
DY = RNG.normal(size=(M, K * DIM))
NETWORK = Chain([Embedding(N_ROWS, DIM), Linear(4), Activation("tanh"), Linear(3)], "squared_error")


def test_m33_a_row_of_the_table_is_a_one_hot_product():
    one_hot = np.eye(N_ROWS)[IDS[:, 0]]
    np.testing.assert_array_equal(embed(IDS[:, :1], TABLE), affine(one_hot, TABLE, None))
    _, dW, _ = affine_backward(DY[:, :DIM], one_hot, TABLE)
    np.testing.assert_allclose(embed_backward(DY[:, :DIM], IDS[:, :1], N_ROWS), dW, rtol=1e-15)


def test_m33_columns_of_ids_stand_side_by_side():
    y = embed(IDS, TABLE)
    assert y.shape == (M, K * DIM)
    for i, k in np.ndindex(M, K):
        np.testing.assert_array_equal(y[i, k * DIM : (k + 1) * DIM], TABLE[IDS[i, k]])


def test_m33_the_gradient_touches_active_rows_only():
    dtable = embed_backward(DY, IDS, N_ROWS)
    assert not dtable[[2, 4, 5]].any()
    rows, drows = embed_backward_active(DY, IDS)
    assert rows.tolist() == [0, 1, 3, 6]
    np.testing.assert_array_equal(drows, dtable[rows])
    np.testing.assert_allclose(
        dtable[3], DY[0, DIM:] + DY[1, :DIM] + DY[1, DIM:] + DY[4, :DIM], rtol=1e-14
    )


def test_m33_a_row_sparse_step_is_the_dense_step():
    dense = TABLE - 0.1 * embed_backward(DY, IDS, N_ROWS)
    sparse, (rows, drows) = TABLE.copy(), embed_backward_active(DY, IDS)
    sparse[rows] -= 0.1 * drows
    np.testing.assert_array_equal(sparse, dense)


@pytest.mark.parametrize("m", [1, 3, 8])
@pytest.mark.parametrize("loss", ["squared_error", "softmax_cross_entropy", "huber"])
def test_m15_gradient_by_the_table(loss, m, rng):
    chain = Chain(NETWORK.layers, loss)
    params, ids = chain.initialize(K, seed=m), rng.integers(N_ROWS, size=(m, K))
    Y = rng.dirichlet(np.ones(3), size=m)
    check = check_gradient(chain, params, ids, Y, tolerance=1e-6)
    assert check.passed, check
    assert check.relative_error < 1e-7


def test_training_leaves_the_other_rows_alone_even_with_decay_and_penalty(rng):
    params = NETWORK.initialize(K, seed=0)
    before = params["0.table"].copy()
    data = TrainingData(IDS, rng.normal(size=(M, 3)))
    plan = TrainingPlan(AdamW(0.01, weight_decay=0.5), batch_size=2, l2_penalty=0.1)
    ReferenceTrainer(NETWORK, params, data, plan).run_epoch()
    np.testing.assert_array_equal(params["0.table"][[2, 4, 5]], before[[2, 4, 5]])
    assert (params["0.table"][[0, 1, 3, 6]] != before[[0, 1, 3, 6]]).all()


def test_a_lazy_step_keeps_the_other_rows():
    stepped = lazy_step(TABLE, TABLE + 1.0, np.array([1, 6]))
    np.testing.assert_array_equal(stepped[[1, 6]], TABLE[[1, 6]] + 1.0)
    np.testing.assert_array_equal(stepped[[0, 2, 3, 4, 5]], TABLE[[0, 2, 3, 4, 5]])


def test_a_network_names_the_rows_that_a_batch_has():
    active = NETWORK.active_rows(NETWORK.forward(NETWORK.initialize(K, seed=0), IDS))
    assert list(active) == ["0.table"]
    np.testing.assert_array_equal(active["0.table"], [0, 1, 3, 6])


def test_a_network_learns_a_table_of_ids(rng):
    ids = np.arange(N_ROWS)[:, None]
    targets = rng.normal(size=(N_ROWS, 1))
    chain = Chain([Embedding(N_ROWS, 4), Linear(1)], "half_squared_error")
    params = chain.initialize(1, seed=0)
    trainer = ReferenceTrainer(chain, params, TrainingData(ids, targets), TrainingPlan(SGD(0.1), 1))
    for _ in range(300):
        trainer.run_epoch()
    np.testing.assert_allclose(chain.forward(params, ids).scores, targets, atol=1e-3)


def test_ids_have_no_gradient_and_the_table_starts_normal():
    params = NETWORK.initialize(K, seed=0)
    gradients = NETWORK.backward(params, NETWORK.forward(params, IDS), np.ones((M, 3)))
    assert not gradients.deltas[0].any()
    chain = Chain([Embedding(500, 20, standard_deviation=0.5)], "half_squared_error")
    table = chain.initialize(1, seed=0)["0.table"]
    assert abs(table.std() / 0.5 - 1) < 5 / np.sqrt(2 * table.size)


def test_the_embedding_runs_under_jit():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        layer = Embedding(N_ROWS, DIM)
        x = IDS.astype(float)
        traced = jax.jit(lambda table, x: layer.forward({"table": table}, x))(TABLE, x)
        np.testing.assert_array_equal(traced, embed(IDS, TABLE))
        backward = jax.jit(lambda dy, x: layer.backward({"table": TABLE}, dy, x, None)[1]["table"])
        np.testing.assert_allclose(backward(DY, x), embed_backward(DY, IDS, N_ROWS), rtol=1e-14)


@pytest.mark.parametrize("wrong", [-1, N_ROWS, 0.5, np.nan])
def test_values_that_are_no_ids_are_named(wrong):
    params, X = NETWORK.initialize(K, seed=0), IDS.astype(float)
    X[1, 1] = wrong
    with pytest.raises(ValueError, match=f"whole numbers from 0 to 6, got .*{float(wrong)}"):
        NETWORK.forward(params, X)


def test_other_errors_name_what_was_received():
    with pytest.raises(ValueError, match="n_rows must be a positive integer, got 0"):
        Embedding(0, 3)
    with pytest.raises(ValueError, match=r"dim must be a positive integer, got 1\.5"):
        Embedding(3, 1.5)
    with pytest.raises(ValueError, match="standard_deviation must be at least 0, got -1"):
        Embedding(3, 3, -1)
    big = Embedding(2**24 + 1, 1)
    with pytest.raises(ValueError, match=r"float32 cannot .* 16777217 rows .* use float64"):
        big.forward({"table": TABLE}, np.ones((1, 1), dtype=np.float32))
