"""Do steps become slower when the moments of dead units decay towards zero?

    python benchmarks/denormals.py [--epochs 60]

Trains 54-200-7 with Adam and batches of 200. After the first epoch, half of the hidden units are
made dead, and half of the columns become zero, as rare categories do: their moments decay, after
some 800 steps below the smallest usual number in float32. A network without such units takes turns
with it. The ratio of their times, which is 1 where such numbers cost nothing, is printed for the
first and the last ten epochs and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from training_speed import describe_machine

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, Linear

N_ROWS, N_COLUMNS, N_HIDDEN, N_CLASSES, BATCH = 20_000, 54, 200, 7, 200
PLAN = TrainingPlan(Adam(), BATCH)


def make_trainer(dies):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, N_COLUMNS), dtype=np.float32)
    data = TrainingData(X, rng.integers(0, N_CLASSES, N_ROWS))
    layers = [Linear(N_HIDDEN), Activation("relu"), Linear(N_CLASSES)]
    chain = Chain(layers, "softmax_cross_entropy")
    parameters = chain.initialize(N_COLUMNS, seed=0, dtype=np.float32)
    trainer = NativeTrainer(chain, parameters, data, PLAN)
    trainer.run_epoch()
    if dies:
        trainer.pull()["0.b"][: N_HIDDEN // 2] = -1e3
        X[:, : N_COLUMNS // 2] = 0.0
        trainer = NativeTrainer(chain, parameters, data, PLAN, trainer.state)
    return trainer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    folder = Path(__file__).parent / "results"
    parser.add_argument("--out", type=Path, default=folder / "denormals.json")
    options = parser.parse_args()

    trainers = {"dying": make_trainer(True), "alive": make_trainer(False)}
    seconds = {name: [] for name in trainers}
    for _ in range(options.epochs):
        for name, trainer in trainers.items():
            start = time.perf_counter()
            trainer.run_epoch()
            seconds[name].append(time.perf_counter() - start)
    ratios = [dying / alive for dying, alive in zip(*seconds.values(), strict=True)]
    moments = trainers["dying"].optimizer_state.first
    below = np.count_nonzero((moments != 0) & (np.abs(moments) < np.finfo(np.float32).tiny))
    report = {
        "machine": describe_machine(None, peers=()),
        "epochs": options.epochs,
        "microseconds_per_step": {
            name: 1e6 * statistics.median(times) / (N_ROWS / BATCH)
            for name, times in seconds.items()
        },
        "first_epochs": statistics.median(ratios[1:11]),
        "last_epochs": statistics.median(ratios[-10:]),
        "moments_below_the_smallest_number": int(below),
    }
    for name in ("first_epochs", "last_epochs"):
        print(f"{name.replace('_', ' '):14s} {report[name]:.2f} x the time of a network alive")
    print(f"{below:,} moments below the smallest usual number")
    options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
