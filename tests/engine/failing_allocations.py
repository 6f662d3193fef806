"""Let each allocation of some calls of the engine fail, one after the other; print how many did.

Run by test_failing_allocations.py with the library of failing_allocations.cpp loaded first.
"""

import ctypes

import numpy as np
from scipy import sparse

from pellucid.engine.native import NativeTrainer, loss_and_gradient, predict_scores
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import (
    Activation,
    Adam,
    BatchNorm,
    Chain,
    Dropout,
    Linear,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Residual,
)

RNG = np.random.default_rng(0)
DENSE = RNG.standard_normal((600, 30)).astype(np.float32)
SPARSE = sparse.random(600, 30, 0.1, "csr", np.float32, rng=RNG)
FEW = SPARSE[:5]
LABELS = RNG.integers(0, 3, 600)
EDGES = [np.linspace(-2, 2, 6)] * 30
DEEP = [
    *(Linear(20), BatchNorm(), Activation("relu")),
    *(Residual([Linear(20), Activation("tanh")]), Dropout(0.2), Linear(3)),
]
PLAIN = [Linear(20), Activation("relu"), Dropout(0.2), Linear(3)]
LAYERS = {
    "deep": DEEP,
    "plain": PLAIN,
    "periodic": [PeriodicEmbedding(4, 3), *PLAIN],
    "piecewise linear": [PiecewiseLinearEmbedding(EDGES, 4), *PLAIN],
}


def train(X, layers, every=None):
    chain = Chain(LAYERS[layers], "softmax_cross_entropy")
    parameters = chain.initialize(X.shape[1], seed=0, dtype=np.float32)
    plan = TrainingPlan(Adam(), 100, n_threads=2, statistics_every=every)
    trainer = NativeTrainer(chain, parameters, TrainingData(X, LABELS), plan)
    return trainer.run_epoch().loss


def predict(X, layers):
    chain = Chain(LAYERS[layers], "softmax_cross_entropy")
    parameters = chain.initialize(X.shape[1], seed=0, dtype=np.float32)
    return predict_scores(chain, parameters, X)


def gradient(X, layers):
    chain = Chain(LAYERS[layers], "softmax_cross_entropy")
    parameters = chain.initialize(X.shape[1], seed=0, dtype=np.float32)
    return loss_and_gradient(chain, parameters, TrainingData(X, LABELS))[0]


CALLS = {
    "training": lambda: train(DENSE, "deep"),
    "training with statistics": lambda: train(DENSE, "deep", every=1),
    "training on sparse rows": lambda: train(SPARSE, "plain"),
    "training with embeddings of numbers": lambda: train(DENSE, "periodic"),
    "training with pieces": lambda: train(DENSE, "piecewise linear"),
    "gradient": lambda: gradient(DENSE, "deep"),
    "prediction": lambda: predict(DENSE, "deep"),
    "prediction of a few rows": lambda: predict(DENSE[:5], "deep"),
    "prediction of sparse rows": lambda: predict(SPARSE, "plain"),
    "prediction of a few sparse rows": lambda: predict(FEW, "plain"),
}


def failures(call, library):
    """Return how many allocations a call makes, each of which was made to fail."""
    expected = call()
    n = 0
    while True:
        library.fail_after(n)
        try:
            result = call()
            is_done = library.stop_failing()
        except MemoryError:
            library.stop_failing()
            is_done = False
        if is_done:
            np.testing.assert_array_equal(result, expected)
            return n
        n += 1


if __name__ == "__main__":
    library = ctypes.CDLL(None)
    library.fail_after.argtypes = [ctypes.c_long]
    library.stop_failing.restype = ctypes.c_bool
    for name, call in CALLS.items():
        print(f"{name}: {failures(call, library)}", flush=True)
