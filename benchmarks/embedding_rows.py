"""Does the cost of a step depend on the number of rows of an embedding table?

    python benchmarks/embedding_rows.py [--sizes 1000 100000 10000000] [--rounds 5] [--threads 1]

Two columns of ids share one table of 16 float32 numbers per row in a small network trained with
Adam in batches of 512. Ids are drawn in two ways. Drawn from the same 1,000 rows of each table, a
step does the same work on memory that stays in the cache. Drawn uniformly from the whole table, a
step of a large table shows the cost of cache misses: a row and its two moments are three places in
memory. Tables alternate, round after round.

The fixed cost of an epoch (copying the table into the engine and back) is subtracted. A step costs
(time of a long epoch - time of a short one) / (difference in steps), with the fastest rounds.
Wall-clock and CPU time are printed and saved as JSON. On one thread, both are equal unless other
programs use the processor.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from pellucid.engine.native import NativeTrainer, instruction_set
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.nn import Activation, Adam, Chain, Embedding, Linear, Parameters

DIM, BATCH, ID_COLUMNS, HOT_ROWS = 16, 512, 2, 1000
SHORT_STEPS, LONG_STEPS = 200, 4200


def make_trainer(n_rows, drawn_from, n_threads):
    """Return a trainer whose ids are drawn from the first `drawn_from` rows of a table."""
    rng = np.random.default_rng(0)
    layers = [Embedding(n_rows, DIM), Linear(64), Activation("relu"), Linear(1)]
    chain = Chain(layers, "logistic_cross_entropy")
    parameters = Parameters.zeros(chain.layout(ID_COLUMNS), np.float32)
    parameters.flat[:] = rng.standard_normal(parameters.flat.size, dtype=np.float32)
    parameters.flat *= np.float32(0.1)
    ids = rng.integers(drawn_from, size=(LONG_STEPS * BATCH, ID_COLUMNS))
    targets = rng.integers(2, size=(len(ids), 1)).astype(np.float32)
    data = TrainingData(ids.astype(np.int32), targets)
    plan = TrainingPlan(Adam(1e-3), BATCH, shuffle=False, n_threads=n_threads)
    return NativeTrainer(chain, parameters, data, plan)


def time_epoch(trainer, n_steps):
    """Return (wall-clock seconds, CPU seconds) of an epoch of `n_steps`."""
    passed, processor = time.perf_counter(), time.process_time()
    trainer.run_epoch(order=np.arange(n_steps * BATCH))
    return time.perf_counter() - passed, time.process_time() - processor


def per_step(short, long):
    """Return (µs per step, fixed seconds per epoch) from the times of short and long epochs."""
    step = (min(long) - min(short)) / (LONG_STEPS - SHORT_STEPS)
    return 1e6 * step, min(short) - SHORT_STEPS * step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/results/embedding_rows.json")
    arguments = parser.parse_args()
    trainers = {}
    for n_rows in arguments.sizes:
        trainers[n_rows, "the same 1,000"] = make_trainer(n_rows, HOT_ROWS, arguments.threads)
        if n_rows > HOT_ROWS:
            trainers[n_rows, "all rows"] = make_trainer(n_rows, n_rows, arguments.threads)
    times = {case: {SHORT_STEPS: [], LONG_STEPS: []} for case in trainers}
    for trainer in trainers.values():
        time_epoch(trainer, SHORT_STEPS)
    for _ in range(arguments.rounds):
        for case, trainer in trainers.items():
            for n_steps, measured in times[case].items():
                measured.append(time_epoch(trainer, n_steps))
    report = {
        "machine": platform.processor() or platform.machine(),
        "instruction_set": instruction_set(),
        "threads": arguments.threads,
        "cases": [],
    }
    print(f"{'rows':>12}{'ids drawn from':>18}{'µs a step':>12}{'of processor':>14}{'once, s':>10}")
    for (n_rows, drawn), measured in times.items():
        short, long = (list(zip(*runs, strict=True)) for runs in measured.values())
        (step, once), (processor, _) = (per_step(short[i], long[i]) for i in (0, 1))
        print(f"{n_rows:12,}{drawn:>18}{step:12.1f}{processor:14.1f}{once:10.3f}")
        report["cases"].append(
            {"rows": n_rows, "ids_drawn_from": drawn, "us_per_step": step}
            | {"processor_us_per_step": processor, "once_an_epoch_seconds": once}
            | {"seconds_of_each_epoch": measured}
        )
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
