"""How much faster is training with bfloat16 products, and what does it cost in accuracy?

    python benchmarks/bfloat16.py [--shapes 3 4] [--runs 15] [--seeds 3] [--epochs 15]

Measures three things for float32 and bfloat16 in one process:

- the rate of the instruction: a register-blocked product of operands in the first-level cache;
- the time of a training step for the shapes of `training_speed.py`, with one thread and with all.
  Epochs of both types alternate, and each is compared with the next one;
- the accuracy on MNIST's test images after the same training: 784-256-128-10, ReLU, Adam with a
  learning rate of 0.001 and a cosine schedule, batches of 128.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
from training_speed import LEARNING_RATE, SHAPES, describe_machine, make_table, make_weights

from pellucid.engine.instruction_set import core
from pellucid.engine.native import NativeTrainer, predict_scores
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, Linear
from pellucid.nn.schedules import Cosine

DTYPES = ("float32", "bfloat16")
HIDDEN = (256, 128)


def make_network(hidden, n_classes):
    layers = [layer for width in hidden for layer in (Linear(width), Activation("relu"))]
    return Chain([*layers, Linear(n_classes)], "softmax_cross_entropy")


def instruction_rates(n_threads, rounds):
    """Return GFLOP/s of both instructions, the best of all rounds."""
    measured = [
        (core.product_rate(n_threads, 1), core.bfloat16_product_rate(n_threads, 1))
        for _ in range(rounds)
    ]
    float32, bfloat16 = (max(rates) / 1e9 for rates in zip(*measured, strict=True))
    return {"float32": float32, "bfloat16": bfloat16, "ratio": bfloat16 / float32}


def make_trainer(shape, data, dtype, n_threads):
    chain = make_network(shape.hidden, shape.n_classes)
    parameters = chain.initialize(shape.fan_in, seed=0, dtype=np.float32)
    for i, W in enumerate(make_weights(shape)):
        parameters[f"{2 * i}.W"][...] = W
    plan = TrainingPlan(Adam(LEARNING_RATE), shape.batch_size, n_threads=n_threads, dtype=dtype)
    return NativeTrainer(chain, parameters, data, plan)


def step_times(shape, n_threads, runs):
    """Return µs per step: medians and minima of wall-clock time and of this thread's CPU time."""
    data = TrainingData(*make_table(shape))
    trainers = {dtype: make_trainer(shape, data, dtype, n_threads) for dtype in DTYPES}
    clock, own = ({dtype: [] for dtype in DTYPES} for _ in range(2))
    for run in range(runs + 1):
        for dtype, trainer in trainers.items():
            started, used = time.perf_counter(), time.thread_time()
            for _ in range(shape.epochs_per_run):
                loss = trainer.run_epoch().loss
            if run == 0:
                continue  # a warm-up
            n_steps = shape.epochs_per_run * shape.n_steps
            clock[dtype].append((time.perf_counter() - started) / n_steps * 1e6)
            own[dtype].append((time.thread_time() - used) / n_steps * 1e6)
            trainer.loss = loss
    return {
        **{
            dtype: {
                "median": statistics.median(clock[dtype]),
                "fastest": min(clock[dtype]),
                "own_time": statistics.median(own[dtype]),
                "loss": trainers[dtype].loss,
            }
            for dtype in DTYPES
        },
        "gain": median_ratio(clock),
        "gain_in_own_time": median_ratio(own),
    }


def median_ratio(times):
    pairs = zip(times["float32"], times["bfloat16"], strict=True)
    return statistics.median(a / b for a, b in pairs)


def read_mnist(folder, part):
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return images.astype(np.float32) / 255, labels.astype(np.int64)


def mnist_accuracy(folder, n_seeds, n_epochs):
    """Return the test accuracy in % by precision and seed."""
    data, (X_test, y_test) = TrainingData(*read_mnist(folder, "train")), read_mnist(folder, "t10k")
    chain = make_network(HIDDEN, 10)
    accuracy = {dtype: [] for dtype in DTYPES}
    for seed in range(n_seeds):
        for dtype in DTYPES:
            parameters = chain.initialize(784, seed=seed, dtype=np.float32)
            plan = TrainingPlan(
                Adam(1e-3),
                batch_size=128,
                seed=seed,
                n_epochs=n_epochs,
                schedule=Cosine(),
                dtype=dtype,
            )
            trainer = NativeTrainer(chain, parameters, data, plan)
            for _ in range(n_epochs):
                trainer.run_epoch()
            right = predict_scores(chain, parameters, X_test).argmax(axis=1) == y_test
            accuracy[dtype].append(100 * float(right.mean()))
    means = {dtype: statistics.mean(accuracy[dtype]) for dtype in DTYPES}
    return {"by_seed": accuracy, "mean": means, "gain": means["bfloat16"] - means["float32"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--data", default=os.environ.get("PELLUCID_DATA", "../shared/data"))
    parser.add_argument("--out", default="benchmarks/results/bfloat16.json")
    arguments = parser.parse_args()
    if not core.has_bfloat16:
        parser.error("this processor, or PELLUCID_ISA, has no bfloat16 products")
    all_threads = len(os.sched_getaffinity(0))
    machine = {**describe_machine(all_threads), "load_average": os.getloadavg()[0]}
    report = {"machine": machine, "instruction": {}, "shapes": {}}
    for n_threads in sorted({1, all_threads}):
        rates = instruction_rates(n_threads, rounds=60)
        report["instruction"][n_threads] = rates
        print(
            f"{n_threads} threads: {rates['float32']:.0f} GFLOP/s in float32, "
            f"{rates['bfloat16']:.0f} in bfloat16, {rates['ratio']:.2f}x"
        )
    for name in arguments.shapes:
        shape = SHAPES[name]
        for n_threads in sorted({1, all_threads}):
            times = step_times(shape, n_threads, arguments.runs)
            report["shapes"][f"{shape}, {n_threads} threads"] = times
            float32, bfloat16 = (times[dtype]["median"] for dtype in DTYPES)
            print(
                f"{shape!s:28} {n_threads} threads: {float32:9.1f} µs a step in float32, "
                f"{bfloat16:9.1f} in bfloat16: {times['gain']:.2f}x by the clock, "
                f"{times['gain_in_own_time']:.2f}x in own time"
            )
    report["mnist"] = mnist_accuracy(
        Path(arguments.data) / "mnist", arguments.seeds, arguments.epochs
    )
    print("MNIST, % of test images recognized:", json.dumps(report["mnist"], indent=2))
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"saved {path}")


if __name__ == "__main__":
    main()
