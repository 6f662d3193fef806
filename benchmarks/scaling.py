"""How much faster are two threads, and does the cost per example depend on the number of rows?

    python benchmarks/scaling.py [--runs 7] [--most-rows 10000000]

Threads: the two larger networks of training_speed.py; epochs with one and with two threads
alternate. Rows: a 54-100-7 network on tables of 10 thousand to 10 million rows, visited in random
order, with the memory that training adds to the process. Medians are printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from memory import resident_bytes
from training_speed import SHAPES, make_table

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, Linear


def make_trainer(fan_in, hidden, n_classes, batch_size, X, y, n_threads=None):
    layers = [layer for width in hidden for layer in (Linear(width), Activation("relu"))]
    chain = Chain([*layers, Linear(n_classes)], "softmax_cross_entropy")
    parameters = chain.initialize(fan_in, seed=0, dtype=np.float32)
    plan = TrainingPlan(Adam(), batch_size, n_threads=n_threads)
    return NativeTrainer(chain, parameters, TrainingData(X, y), plan)


def measure_threads(name, runs):
    shape = SHAPES[name]
    X, y = make_table(shape)
    trainers = {
        n: make_trainer(shape.fan_in, shape.hidden, shape.n_classes, shape.batch_size, X, y, n)
        for n in (1, 2)
    }
    seconds = {n: [] for n in trainers}
    for run in range(runs + 1):
        for n, trainer in trainers.items():
            start = time.perf_counter()
            trainer.run_epoch()
            if run > 0:
                seconds[n].append(time.perf_counter() - start)
    one, two = (statistics.median(seconds[n]) / shape.n_steps * 1e6 for n in (1, 2))
    return {"shape": str(shape), "one_thread_us": one, "two_threads_us": two, "ratio": one / two}


def measure_rows(n_rows):
    rng = np.random.default_rng(0)
    X = np.empty((n_rows, 54), dtype=np.float32)
    for start in range(0, n_rows, 100_000):
        X[start : start + 100_000] = rng.standard_normal(X[start : start + 100_000].shape)
    y = rng.integers(0, 7, n_rows)
    before = resident_bytes()
    trainer = make_trainer(54, (100,), 7, 200, X, y)
    seconds = []
    for _ in range(max(3, 200_000 // n_rows)):
        start = time.perf_counter()
        trainer.run_epoch()
        seconds.append(time.perf_counter() - start)
    return {
        "nanoseconds_per_example": statistics.median(seconds) / n_rows * 1e9,
        "memory_added_mib": (resident_bytes() - before) / 2**20,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--most-rows", type=int, default=10_000_000)
    parser.add_argument("--out", default="benchmarks/results/scaling.json")
    arguments = parser.parse_args()
    report = {"threads": [], "rows": {}}
    for name in ("3", "4"):
        row = measure_threads(name, arguments.runs)
        report["threads"].append(row)
        print(
            f"{row['shape']:28} one thread {row['one_thread_us']:9.0f} µs/step, two "
            f"{row['two_threads_us']:9.0f}: {row['ratio']:.2f}x"
        )
    n_rows = 10_000
    while n_rows <= arguments.most_rows:
        row = report["rows"][n_rows] = measure_rows(n_rows)
        print(
            f"{n_rows:12,} rows {row['nanoseconds_per_example']:8.0f} ns an example, memory "
            f"{row['memory_added_mib']:+7.1f} MiB"
        )
        n_rows *= 10
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
