"""A process ends silently, whatever the engine is doing then and whoever holds what it made."""

import subprocess
import sys

import pytest

MODELS = """
import numpy as np
from pellucid import MLPClassifier, Network, nn

def half_squared_error(scores, targets, weights):
    half_squared_error.network = network
    gradient = weights[:, None] * (scores - targets) / scores.size
    return 0.5 * np.sum(gradient * (scores - targets)), gradient

class Recorder:
    def on_epoch_end(self, report):
        self.report, self.network = report, network

rng = np.random.default_rng(0)
X = rng.standard_normal((90, 4))
classifier = MLPClassifier(max_iter=20, tol=1.0, n_iter_no_change=1).fit(X, X[:, 0] > 0)
classifier.predict(X)
recorder = Recorder()
layers, loss = [nn.Linear(3), nn.Linear(1)], nn.CustomLoss(half_squared_error)
network = Network(layers, loss, max_iter=2, callbacks=[recorder])
network.fit(X, X[:, :1])
network.predict(X)

# Python does not clear an array that holds itself, nor what it holds.
kept = np.empty(4, dtype=object)
kept[:] = [classifier, network, recorder, kept]
"""

AT_WORK = """
import sys, threading
import numpy as np
from pellucid.engine.native import NativePredictor, NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import SGD, Chain, CustomLoss, Linear

def squared_error(scores, targets, weights):
    residual = scores - targets
    return float(np.mean(residual**2)), 2.0 * residual / residual.size

task, n_threads = sys.argv[1], int(sys.argv[2])
loss = CustomLoss(squared_error) if task == "own loss" else "squared_error"
chain = Chain([Linear(300), Linear(1)], loss)
parameters = chain.initialize(40, seed=0)
rng = np.random.default_rng(0)
data = TrainingData(rng.standard_normal((6000, 40)), rng.standard_normal((6000, 1)))
plan = TrainingPlan(SGD(1e-6), batch_size=64, n_threads=n_threads)
trainer = NativeTrainer(chain, parameters, data, plan)
predictor = NativePredictor(chain, parameters, 40, n_threads)
begun = threading.Event()

def work():
    while True:
        predictor(data.X) if task == "predict" else trainer.run_epoch()
        begun.set()

threading.Thread(target=work, daemon=True).start()
begun.wait()
"""


def run(script, *arguments):
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_with_models_that_are_still_held():
    done = run(MODELS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("task", ["train", "own loss", "predict"])
def test_with_a_daemon_thread_at_work(task, n_threads):
    done = run(AT_WORK, task, str(n_threads))
    assert (done.returncode, done.stderr) == (0, "")
