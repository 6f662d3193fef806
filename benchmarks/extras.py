"""How much do additional layers and step statistics add to the time of a training step?

    python benchmarks/extras.py [--runs 15]

Trains the networks 784-256-128-10 (batch 128) and 8-64-64-2 (batch 32) of training_speed.py, plain
and with additions. Epochs alternate. The median ratio to the plain epoch of the same round is
printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from training_speed import SHAPES, make_table

from pellucid.engine.native import NativeTrainer
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, BatchNorm, Chain, Dropout, Linear, Residual, RMSNorm


def layers_of(kind, shape):
    layers = []
    for width in shape.hidden:
        layers += [Linear(width), Activation("relu")]
        if kind == "dropout, RMSNorm, residual":
            layers += [Residual([RMSNorm(), Dropout(0.1)])]
        elif kind == "BatchNorm":
            layers.insert(-1, BatchNorm())
    return [*layers, Linear(shape.n_classes)]


KINDS = ["plain", "dropout, RMSNorm, residual", "BatchNorm", "statistics every 10 steps"]


def make_trainer(kind, shape):
    chain = Chain(layers_of(kind, shape), "softmax_cross_entropy")
    parameters = chain.initialize(shape.fan_in, seed=0, dtype=np.float32)
    every = 10 if kind.startswith("statistics") else None
    plan = TrainingPlan(Adam(), shape.batch_size, statistics_every=every)
    return NativeTrainer(chain, parameters, TrainingData(*make_table(shape)), plan)


def measure(shape, runs):
    """Return the microseconds per step and the median ratio to the plain network, by kind."""
    trainers = {kind: make_trainer(kind, shape) for kind in KINDS}
    seconds = {kind: [] for kind in KINDS}
    for run in range(runs + 1):
        for kind, trainer in trainers.items():
            start = time.perf_counter()
            trainer.run_epoch()
            if run > 0:
                seconds[kind].append(time.perf_counter() - start)
    plain = seconds["plain"]
    return {
        kind: {
            "microseconds_per_step": statistics.median(taken) / shape.n_steps * 1e6,
            "ratio": statistics.median(t / p for t, p in zip(taken, plain, strict=True)),
        }
        for kind, taken in seconds.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", default="benchmarks/results/extras.json")
    arguments = parser.parse_args()
    report = {}
    for name in ("3", "1"):
        shape = SHAPES[name]
        report[str(shape)] = measure(shape, arguments.runs)
        print(f"\n{shape}")
        for kind, row in report[str(shape)].items():
            print(f"{kind:28}{row['microseconds_per_step']:9.1f} µs/step{row['ratio']:8.3f}x")
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
