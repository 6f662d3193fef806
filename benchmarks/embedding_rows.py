"""Does the cost of a step depend on the number of rows of an embedding table?

    python benchmarks/embedding_rows.py [--sizes 1000 100000 10000000] [--rounds 7]

Two columns of ids share one table of 16 float32 numbers a row, under a small network trained by
Adam in batches of 512. Ids are drawn in two ways: all from the same 1,000 rows whatever the table,
so that a step does the same work on memory that is as near; and uniformly from the whole table, so
that large tables show what the way to memory costs (a row and its two moments are three places,
each too far away to be in a cache). Tables take turns, round after round.

What an epoch does once, whatever its length (bringing the table into the engine and back), is
subtracted: a step costs (seconds of a long epoch - seconds of a short one) / (difference in steps).
Medians over the rounds are printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from pathlib import Path

import numpy as np

from pellucid.engine.native import NativeTrainer, instruction_set
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Embedding, Linear, Network, Parameters

DIM, BATCH, ID_COLUMNS, HOT_ROWS = 16, 512, 2, 1000
SHORT_STEPS, LONG_STEPS = 200, 4200


def make_trainer(n_rows, drawn_from, n_threads):
    """Return a trainer whose ids are drawn from the first `drawn_from` rows of a table."""
    rng = np.random.default_rng(0)
    layers = [Embedding(n_rows, DIM), Linear(64), Activation("relu"), Linear(1)]
    network = Network(layers, "logistic_cross_entropy")
    parameters = Parameters.zeros(network.layout(ID_COLUMNS), np.float32)
    parameters.flat[:] = rng.standard_normal(parameters.flat.size, dtype=np.float32)
    parameters.flat *= np.float32(0.1)
    ids = rng.integers(drawn_from, size=(LONG_STEPS * BATCH, ID_COLUMNS))
    targets = rng.integers(2, size=(len(ids), 1)).astype(np.float32)
    data = TrainingData(ids.astype(np.int32), targets)
    plan = TrainingPlan(Adam(1e-3), BATCH, shuffle=False, n_threads=n_threads)
    return NativeTrainer(network, parameters, data, plan)


def microseconds_per_step(trainer):
    """Return (µs a step, seconds an epoch has beside its steps)."""
    seconds = [
        trainer.run_epoch(order=np.arange(n_steps * BATCH)).seconds
        for n_steps in (SHORT_STEPS, LONG_STEPS)
    ]
    step = (seconds[1] - seconds[0]) / (LONG_STEPS - SHORT_STEPS)
    return 1e6 * step, seconds[0] - SHORT_STEPS * step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default="benchmarks/results/embedding_rows.json")
    arguments = parser.parse_args()
    trainers = {}
    for n_rows in arguments.sizes:
        trainers[n_rows, "same 1,000"] = make_trainer(n_rows, HOT_ROWS, arguments.threads)
        if n_rows > HOT_ROWS:
            trainers[n_rows, "all"] = make_trainer(n_rows, n_rows, arguments.threads)
    measured = {case: [] for case in trainers}
    for trainer in trainers.values():
        microseconds_per_step(trainer)
    for _ in range(arguments.rounds):
        for case, trainer in trainers.items():
            measured[case].append(microseconds_per_step(trainer))
    report = {
        "machine": platform.processor() or platform.machine(),
        "instruction_set": instruction_set(),
        "threads": arguments.threads,
        "cases": [],
    }
    print(f"{'rows':>12}{'ids drawn from':>18}{'µs a step':>12}{'once an epoch, s':>18}")
    for (n_rows, drawn), runs in measured.items():
        step, once = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"{n_rows:12,}{drawn:>18}{step:12.1f}{once:18.3f}")
        report["cases"].append(
            {"rows": n_rows, "ids_drawn_from": drawn, "us_per_step": step, "once_seconds": once}
            | {"us_per_step_of_each_round": [run[0] for run in runs]}
        )
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
