"""Arrays that somebody writes to while the engine reads them end in an error, never in a crash."""

import itertools
import threading
import time

import numpy as np
import pytest
from scipy import sparse

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, CustomLoss, Linear

N = 64


def table_of(density, n_columns=40):
    return sparse.random(N, n_columns, density, "csr", np.float32, rng=np.random.default_rng(0))


def trainer_of(X, loss, targets, n_threads=2):
    chain = Chain([Linear(5), Activation("relu"), Linear(3)], loss)
    parameters = chain.initialize(X.shape[1], seed=0, dtype=np.float32)
    data = TrainingData(X, targets)
    return NativeTrainer(
        chain, parameters, data, TrainingPlan(Adam(), batch_size=8, n_threads=n_threads)
    )


def far_columns(X):
    X.indices[:] = 2**31 - 1


def negative_columns(X):
    X.indices[:] = -5


def long_rows(X):
    X.indptr[:] = np.where(np.arange(len(X.indptr)) % 2, len(X.indices), 0)


def rows_beyond_the_end(X):
    X.indptr[:] = 2**31 - 1


def negative_rows(X):
    X.indptr[:] = -(2**31)


CHANGES = [far_columns, negative_columns, rows_beyond_the_end, negative_rows]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(
    ("density", "change"),
    [(0.1, long_rows), *itertools.product([0.1, 0.9], CHANGES)],
    ids={0.1: "as entries", 0.9: "as dense rows"}.get,
)
def test_a_sparse_table_that_a_loss_writes_to(change, density, n_threads):
    X, targets = table_of(density), np.ones((N, 3))

    def loss(scores, targets, weights):
        change(X)
        return float(np.sum(scores**2)), 2 * scores

    trainer = trainer_of(X, CustomLoss(loss), targets, n_threads)
    with pytest.raises(ValueError, match="changed while the engine read it"):
        trainer.run_epoch()
    with pytest.raises(RuntimeError, match="make a new one"):
        trainer.run_epoch()


def test_dense_rows_of_a_sparse_table_may_become_longer():
    X = table_of(0.9)

    def loss(scores, targets, weights):
        long_rows(X)
        return float(np.sum(scores**2)), 2 * scores

    assert trainer_of(X, CustomLoss(loss), np.ones((N, 3))).run_epoch().n_steps == 8


def run_epochs(trainer, n):
    for _ in range(n):
        trainer.run_epoch()


@pytest.mark.parametrize("value", [2**40, -1, 3])
def test_labels_that_another_thread_writes_to(value):
    n = 400_000
    labels = np.arange(n, dtype=np.int64) % 3
    trainer = trainer_of(np.ones((n, 2), np.float32), "softmax_cross_entropy", labels)

    def write_later():
        time.sleep(0.05)
        labels[:] = value

    writer = threading.Thread(target=write_later)
    writer.start()
    with pytest.raises(ValueError, match=r"y changed while|labels must be at least 0 and below 3"):
        run_epochs(trainer, 100)
    writer.join()
