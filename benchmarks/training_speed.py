"""How long does a training step take, compared with scikit-learn, PyTorch and JAX?

    make bench            or     python benchmarks/training_speed.py [--shapes 1 3] [--runs 7]

Every library trains the same network on the same random table: float32, Adam, ReLU, softmax
cross-entropy, rows in a new random order each epoch. Each library runs in a separate process, which
is set up and warmed up first. The libraries then alternate, one run (one or more whole epochs) at a
time, so that changes in the load of the machine affect all of them. Medians and the loss of the
last epoch are printed, and everything is saved as JSON.

PyTorch runs in three variants: eager with its default Adam, eager with its fused Adam, and with
compiled forward and backward passes. JAX runs in its fastest form: a whole epoch as one jitted scan
with donated buffers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Shape:
    """One table and network."""

    fan_in: int
    hidden: tuple[int, ...]
    n_classes: int
    batch_size: int
    n_examples: int
    epochs_per_run: int

    @property
    def widths(self):
        return (self.fan_in, *self.hidden, self.n_classes)

    @property
    def n_steps(self):
        return -(-self.n_examples // self.batch_size)

    @property
    def operations_per_epoch(self):
        """Floating-point operations: 6 per weight and example, 4 for weights of the first layer."""
        weights = [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        return (6 * sum(weights) - 2 * weights[0]) * self.n_examples

    def __str__(self):
        return f"{'-'.join(map(str, self.widths))}, {self.batch_size}"


SHAPES = {
    "1": Shape(8, (64, 64), 2, 32, 20_000, 4),
    "2": Shape(54, (100,), 7, 200, 50_000, 4),
    "3": Shape(784, (256, 128), 10, 128, 12_800, 2),
    "4": Shape(784, (2048, 2048), 10, 512, 5_120, 1),
}


def make_table(shape):
    """Return random rows, and labels from a random linear map."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((shape.n_examples, shape.fan_in), dtype=np.float32)
    y = (X @ rng.standard_normal((shape.fan_in, shape.n_classes), dtype=np.float32)).argmax(axis=1)
    return X, y


def make_weights(shape):
    """Return the initial weights of all libraries except scikit-learn (He normal)."""
    rng = np.random.default_rng(1)
    return [
        (rng.standard_normal((a, b)) * np.sqrt(2 / a)).astype(np.float32)
        for a, b in zip(shape.widths, shape.widths[1:], strict=False)
    ]


class Pellucid:
    def __init__(self, shape, n_threads):
        from pellucid.engine.native import NativeTrainer
        from pellucid.engine.plan import TrainingData, TrainingPlan
        from pellucid.nn import Activation, Adam, Chain, Linear

        layers = [layer for w in shape.hidden for layer in (Linear(w), Activation("relu"))]
        chain = Chain([*layers, Linear(shape.n_classes)], "softmax_cross_entropy")
        parameters = chain.initialize(shape.fan_in, seed=0, dtype=np.float32)
        for i, W in enumerate(make_weights(shape)):
            parameters[f"{2 * i}.W"][...] = W
        # The worker's environment sets the number of threads; the engine may use fewer.
        plan = TrainingPlan(Adam(LEARNING_RATE), shape.batch_size)
        self.trainer = NativeTrainer(chain, parameters, TrainingData(*make_table(shape)), plan)

    def epoch(self):
        return self.trainer.run_epoch().loss


class ScikitLearn:
    def __init__(self, shape, n_threads):
        from sklearn.neural_network import MLPClassifier

        self.X, self.y = make_table(shape)
        self.model = MLPClassifier(
            shape.hidden,
            batch_size=shape.batch_size,
            alpha=0.0,
            learning_rate_init=LEARNING_RATE,
            random_state=0,
        )
        self.classes = np.arange(shape.n_classes)

    def epoch(self):
        self.model.partial_fit(self.X, self.y, classes=self.classes)
        return self.model.loss_


class PyTorch:
    fused = False
    compiled = False

    def __init__(self, shape, n_threads):
        import torch

        torch.set_num_threads(n_threads)
        self.torch = torch
        X, y = make_table(shape)
        self.X, self.y, self.batch_size = torch.from_numpy(X), torch.from_numpy(y), shape.batch_size
        layers = []
        for W in make_weights(shape):
            linear = torch.nn.Linear(*W.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.zero_()
            layers += [linear, torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*layers[:-1])
        loss = torch.nn.CrossEntropyLoss()
        self.objective = lambda X, y: loss(self.model(X), y)
        if self.compiled:
            self.objective = torch.compile(self.objective)
        fused = {"fused": True} if self.fused else {}
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, **fused)

    def epoch(self):
        total, n = self.torch.zeros(()), len(self.X)
        for rows in self.torch.randperm(n).split(self.batch_size):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.objective(self.X[rows], self.y[rows])
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(rows)
        return float(total) / n


class PyTorchFused(PyTorch):
    fused = True


class PyTorchCompiled(PyTorch):
    fused = True
    compiled = True


class Jax:
    def __init__(self, shape, n_threads):
        import jax
        import jax.numpy as jnp

        X, y = make_table(shape)
        self.X, self.y = jnp.asarray(X), jnp.asarray(y)
        weights = [(jnp.asarray(W), jnp.zeros(W.shape[1])) for W in make_weights(shape)]
        zeros = jax.tree.map(jnp.zeros_like, weights)
        self.state = (weights, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros(()))
        self.key = jax.random.key(0)
        self.jax, self.n_whole = jax, shape.n_examples // shape.batch_size

        def objective(weights, X, y):
            *hidden, (W, b) = weights
            for W_l, b_l in hidden:
                X = jax.nn.relu(X @ W_l + b_l)
            scores = X @ W + b
            picked = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
            return jnp.mean(jax.nn.logsumexp(scores, axis=1) - picked)

        def step(state, rows):
            weights, first, second, t = state
            loss, gradient = jax.value_and_grad(objective)(weights, self.X[rows], self.y[rows])
            t = t + 1
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
            rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            weights = jax.tree.map(
                lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-8), weights, first, second
            )
            return (weights, first, second, t), loss

        def epoch(state, key):
            order = jax.random.permutation(key, shape.n_examples)
            batches = order[: self.n_whole * shape.batch_size].reshape(self.n_whole, -1)
            state, losses = jax.lax.scan(step, state, batches)
            if shape.n_examples % shape.batch_size:
                state, _ = step(state, order[self.n_whole * shape.batch_size :])
            return state, losses.mean()

        self.run = jax.jit(epoch, donate_argnums=0)

    def epoch(self):
        self.key, key = self.jax.random.split(self.key)
        self.state, loss = self.run(self.state, key)
        return float(loss.block_until_ready())


LIBRARIES = {
    "pellucid": Pellucid,
    "scikit-learn": ScikitLearn,
    "PyTorch eager": PyTorch,
    "PyTorch eager, fused Adam": PyTorchFused,
    "PyTorch compiled": PyTorchCompiled,
    "JAX, epoch jitted": Jax,
}


def work(name, shape, n_threads):
    """Train in this process: one run for each input line; answer with seconds and loss."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keep output of libraries out of the answers
    library = LIBRARIES[name](shape, n_threads)
    library.epoch()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(shape.epochs_per_run):
            loss = library.epoch()
        seconds = (time.perf_counter() - start) / shape.epochs_per_run
        print(json.dumps({"seconds": seconds, "loss": loss}), file=answers, flush=True)


class Worker:
    """A library that runs in a separate process."""

    def __init__(self, name, shape_name, n_threads, script=__file__):
        limits = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n_threads)
        )
        command = [sys.executable, script, "--work", name, shape_name, str(n_threads)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **limits},
            text=True,
        )
        self.ready = self.process.stdout.readline().strip() == "ready"

    def run(self, what="run"):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        """End the process; return the last line of its error output."""
        self.process.stdin.close()
        complaints = self.process.stderr.read().strip().splitlines()
        self.process.wait()
        return complaints[-1] if complaints else f"exit status {self.process.returncode}"


def measure(shape_name, libraries, runs, n_threads):
    """Return the measurements of one shape; the libraries alternate."""
    from pellucid.engine.instruction_set import core

    shape = SHAPES[shape_name]
    workers = {name: Worker(name, shape_name, n_threads) for name in libraries}
    results = {name: [] for name in libraries}
    peaks = []
    for _ in range(runs):
        peaks.append(core.product_rate(n_threads, 3))
        for name, worker in workers.items():
            if worker.ready:
                time.sleep(0.1)  # threads of the previous library may spin for a while
                results[name].append(worker.run())
    peak = max(peaks)
    table = {}
    for name, worker in workers.items():
        complaint = worker.stop()
        if not results[name]:
            table[name] = {"failed": complaint}
            continue
        seconds = [result["seconds"] for result in results[name]]
        median = statistics.median(seconds)
        table[name] = {
            "microseconds_per_step": median / shape.n_steps * 1e6,
            "fastest": min(seconds) / shape.n_steps * 1e6,
            "slowest": max(seconds) / shape.n_steps * 1e6,
            "seconds_per_epoch": median,
            "share_of_peak": shape.operations_per_epoch / median / peak,
            "loss": results[name][-1]["loss"],
        }
    return {"shape": str(shape), "peak_gflops": peak / 1e9, "libraries": table}


def show(result):
    ours = result["libraries"].get("pellucid", {}).get("microseconds_per_step")
    print(f"\n{result['shape']}   (peak product {result['peak_gflops']:.0f} GFLOP/s)")
    print(f"{'':28}{'µs/step':>10}{'min':>10}{'max':>10}{'of peak':>9}{'loss':>9}{'ours is':>10}")
    for name, row in result["libraries"].items():
        if "failed" in row:
            print(f"{name:28}  did not run: {row['failed']}")
            continue
        ratio = f"{row['microseconds_per_step'] / ours:9.2f}x" if ours else ""
        print(
            f"{name:28}{row['microseconds_per_step']:10.1f}{row['fastest']:10.1f}"
            f"{row['slowest']:10.1f}{row['share_of_peak']:9.1%}{row['loss']:9.4f}{ratio}"
        )


def describe_machine(n_threads, peers=("torch", "jax")):
    from importlib.metadata import version

    from pellucid.engine.native import instruction_set

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line.split(":") for line in cpuinfo.read_text().splitlines() if ":" in line]
        facts = {key.strip(): value.strip() for key, value in lines}
        processor = " ".join(
            f"{label}{facts[key]}"
            for key, label in [("model name", ""), ("cpu family", "family "), ("model", "model ")]
            if key in facts
        )
    packages = ["pellucid", "numpy", "scikit-learn", *peers]
    return {
        "processor": processor,
        "threads": n_threads,
        "instruction_set": instruction_set(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--libraries", nargs="+", default=list(LIBRARIES), choices=list(LIBRARIES))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", default="benchmarks/results/training_speed.json")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, shape_name, n_threads = arguments.work
        work(name, SHAPES[shape_name], int(n_threads))
        return
    report = {"machine": describe_machine(arguments.threads), "runs": arguments.runs, "shapes": {}}
    print(json.dumps(report["machine"], indent=2))
    for shape_name in arguments.shapes:
        result = measure(shape_name, arguments.libraries, arguments.runs, arguments.threads)
        report["shapes"][shape_name] = result
        show(result)
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
