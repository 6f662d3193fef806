"""How long does a prediction take, compared with scikit-learn, PyTorch and ONNX Runtime?

    python benchmarks/prediction_speed.py [--shapes 1 3] [--batches 1 10000] [--runs 9]

Every library computes the scores of the same network on the same rows. The estimators (Pellucid's
and scikit-learn's) check their input and return probabilities. Each library runs in a separate
process, which is set up and warmed up first. The libraries then alternate, one run of many calls
each, so that changes in the load of the machine affect all of them. Medians and the maximum
difference from NumPy's float64 scores are printed, and everything is saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from training_speed import SHAPES, Worker, describe_machine, make_weights

BATCHES = (1, 100, 10_000)
SECONDS_PER_RUN = 0.05


class Engine:
    """Calls of the predictor itself."""

    def __init__(self, shape, n_threads, dtype):
        from pellucid.engine.native_predictor import NativePredictor
        from pellucid.nn import Activation, Chain, Linear

        layers = [layer for w in shape.hidden for layer in (Linear(w), Activation("relu"))]
        chain = Chain([*layers, Linear(shape.n_classes)], "softmax_cross_entropy")
        parameters = chain.initialize(shape.fan_in, seed=0, dtype=dtype)
        for i, W in enumerate(make_weights(shape)):
            parameters[f"{2 * i}.W"][...] = W
        self.scores = NativePredictor(chain, parameters, shape.fan_in, n_threads)


class Estimator:
    """Pellucid's `predict_proba`, which checks its input."""

    def __init__(self, shape, n_threads, dtype):
        model = self.make()(shape.hidden, max_iter=1, random_state=0)
        X = np.zeros((100, shape.fan_in), dtype)
        # Two classes have a single output.
        model.partial_fit(X, np.arange(100) % shape.n_classes, classes=np.arange(shape.n_classes))
        for mine, W in zip(model.coefs_, make_weights(shape), strict=True):
            mine[...] = W[:, : mine.shape[1]]
        for b in model.intercepts_:
            b[...] = 0
        self.scores = model.predict_proba

    @staticmethod
    def make():
        from pellucid import MLPClassifier

        return MLPClassifier


class ScikitLearn(Estimator):
    @staticmethod
    def make():
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier


class PyTorch:
    def __init__(self, shape, n_threads, dtype):
        import torch

        torch.set_num_threads(n_threads)
        layers = []
        for W in make_weights(shape):
            linear = torch.nn.Linear(*W.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.zero_()
            layers += [linear, torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1]).eval()

        def scores(X):
            with torch.inference_mode():
                return model(torch.from_numpy(X)).numpy()

        self.scores = scores


class OnnxRuntime:
    def __init__(self, shape, n_threads, dtype):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        session = onnxruntime.InferenceSession(
            self.model(shape), options, providers=["CPUExecutionProvider"]
        )
        self.scores = lambda X: session.run(None, {"x": X})[0]

    @staticmethod
    def model(shape):
        from onnx import TensorProto, helper, numpy_helper

        nodes, weights, before = [], [], "x"
        for i, W in enumerate(make_weights(shape)):
            weights += [
                numpy_helper.from_array(W, f"W{i}"),
                numpy_helper.from_array(np.zeros(W.shape[1], np.float32), f"b{i}"),
            ]
            nodes.append(helper.make_node("Gemm", [before, f"W{i}", f"b{i}"], [f"z{i}"]))
            if i < len(shape.hidden):
                nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"]))
            before = f"a{i}"
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
            for name, width in (("x", shape.fan_in), (f"z{len(shape.hidden)}", shape.n_classes))
        ]
        graph = helper.make_graph(nodes, "perceptron", ends[:1], ends[1:], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        return model.SerializeToString()


LIBRARIES = {
    "pellucid, engine": Engine,
    "pellucid, estimator": Estimator,
    "scikit-learn": ScikitLearn,
    "PyTorch": PyTorch,
    "ONNX Runtime": OnnxRuntime,
}
IN_FLOAT64 = ("pellucid, engine", "pellucid, estimator", "scikit-learn")


def make_rows(shape, n, dtype):
    return np.random.default_rng(0).standard_normal((n, shape.fan_in)).astype(dtype)


def expected_scores(shape, X):
    """Return NumPy's scores in float64."""
    *hidden, last = [W.astype(np.float64) for W in make_weights(shape)]
    for W in hidden:
        X = np.maximum(X @ W, 0.0)
    return X @ last


def difference(shape, X, actual):
    """Return the maximum difference from NumPy's float64 scores, or from their probabilities."""
    scores = expected_scores(shape, X[:100])
    if abs(actual[:100].sum(axis=1) - 1).max() > 1e-3:  # scores, not probabilities
        return float(abs(actual[:100] - scores).max())
    scores = (
        scores if shape.n_classes > 2 else np.hstack([np.zeros((len(scores), 1)), scores[:, :1]])
    )
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return float(abs(actual[:100] - exponentials / exponentials.sum(axis=1, keepdims=True)).max())


def work(name, shape, n_threads):
    """Predict in this process: one run of calls for each input line "rows dtype"."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keep output of libraries out of the answers
    warnings.simplefilter("ignore")
    dtypes = ("float32", "float64") if name in IN_FLOAT64 else ("float32",)
    libraries = {dtype: LIBRARIES[name](shape, n_threads, dtype) for dtype in dtypes}
    calls = {}
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        n, dtype = line.split()
        X, scores = make_rows(shape, int(n), dtype), libraries[dtype].scores
        actual = np.asarray(scores(X))
        if line not in calls:
            start = time.perf_counter()
            scores(X)
            calls[line] = max(1, int(SECONDS_PER_RUN / (time.perf_counter() - start)))
        start = time.perf_counter()
        for _ in range(calls[line]):
            scores(X)
        seconds = (time.perf_counter() - start) / calls[line]
        answer = {"seconds": seconds, "difference": difference(shape, X, actual)}
        print(json.dumps(answer), file=answers, flush=True)


def measure(shape_name, libraries, batches, runs, n_threads):
    """Return the measurements of one shape; the libraries alternate."""
    from pellucid.engine.instruction_set import core

    shape = SHAPES[shape_name]
    workers = {name: Worker(name, shape_name, n_threads, __file__) for name in libraries}
    peak, cases = 0.0, {}
    for n in batches:
        for dtype in ("float32", "float64"):
            names = [name for name in libraries if dtype == "float32" or name in IN_FLOAT64]
            answers = {name: [] for name in names if workers[name].ready}
            for _ in range(runs):
                peak = max(peak, core.product_rate(n_threads, 3))
                for name, so_far in answers.items():
                    time.sleep(0.05)  # threads of the previous library may spin for a while
                    so_far.append(workers[name].run(f"{n} {dtype}"))
            cases[f"{n} rows, {dtype}"] = {
                name: summary(shape, n, so_far) for name, so_far in answers.items()
            }
    failed = {name: worker.stop() for name, worker in workers.items() if not worker.ready}
    for name, worker in workers.items():
        if name not in failed:
            worker.stop()
    widths = "-".join(map(str, shape.widths))
    return {"shape": widths, "peak_gflops": peak / 1e9, "failed": failed, "cases": cases}


def summary(shape, n, answers):
    seconds = [answer["seconds"] for answer in answers]
    median = statistics.median(seconds)
    weights = sum(a * b for a, b in zip(shape.widths, shape.widths[1:], strict=False))
    return {
        "microseconds": median * 1e6,
        "fastest": min(seconds) * 1e6,
        "slowest": max(seconds) * 1e6,
        "gflops": 2 * weights * n / median / 1e9,
        "difference": answers[-1]["difference"],
    }


def show(result):
    print(f"\n{result['shape']}   (peak float32 product {result['peak_gflops']:.0f} GFLOP/s)")
    for name, complaint in result["failed"].items():
        print(f"{name}  did not run: {complaint}")
    for case, table in result["cases"].items():
        ours = table.get("pellucid, engine", {}).get("microseconds")
        print(f"{case:28}{'µs/call':>11}{'min':>11}{'max':>11}", end="")
        print(f"{'GFLOP/s':>9}{'off by':>9}{'engine':>9}")
        for name, row in table.items():
            ratio = f"{row['microseconds'] / ours:8.2f}x" if ours else ""
            print(
                f"  {name:26}{row['microseconds']:11.1f}{row['fastest']:11.1f}"
                f"{row['slowest']:11.1f}{row['gflops']:9.1f}{row['difference']:9.0e}{ratio}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--libraries", nargs="+", default=list(LIBRARIES), choices=list(LIBRARIES))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", default="benchmarks/results/prediction_speed.json")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, shape_name, n_threads = arguments.work
        work(name, SHAPES[shape_name], int(n_threads))
        return
    machine = describe_machine(arguments.threads, ("torch", "onnxruntime"))
    report = {"machine": machine, "runs": arguments.runs, "shapes": {}}
    print(json.dumps(machine, indent=2))
    for shape_name in arguments.shapes:
        result = measure(
            shape_name, arguments.libraries, arguments.batches, arguments.runs, arguments.threads
        )
        report["shapes"][shape_name] = result
        show(result)
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
