"""How many cells a second are read from CSV files, compared with pandas and polars?

    python benchmarks/reading_speed.py [--rows 200000] [--cases numbers mixed] [--runs 7]

Every library reads the same file into memory; the libraries alternate. "pellucid, no pyarrow" reads
with the csv module, from a tenth of the rows. Pellucid's text columns are Python strings, as its
encoders need them; those of the others are arrays of characters. Medians, the fastest and the
slowest run and the cells per second of processor time, which hardly depends on other load, are
printed and saved as JSON, with the share of cells that are equal to those of pandas.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from training_speed import describe_machine

from pellucid.tables import csv_file, read_table

N_COLUMNS = 10


def numbers(rng, n):
    return pd.DataFrame(rng.standard_normal((n, N_COLUMNS)).round(4)).add_prefix("x")


def text(rng, n):
    words = [f"category {j}" for j in range(50)]
    return pd.DataFrame({f"c{i}": rng.choice(words, n) for i in range(N_COLUMNS)})


def quoted(rng, n):
    words = [f'say "{j}",\ntwice' for j in range(50)]
    return pd.DataFrame({f"c{i}": rng.choice(words, n) for i in range(N_COLUMNS)})


def dates(rng, n):
    days = np.datetime64("2020-01-01") + rng.integers(0, 1000, (n, N_COLUMNS // 2))
    seconds = np.datetime64("2020-01-01T00:00:00") + rng.integers(0, 10**8, (n, N_COLUMNS // 2))
    return pd.DataFrame(
        {f"d{i}": days[:, i].astype(str) for i in range(N_COLUMNS // 2)}
        | {f"s{i}": seconds[:, i].astype(str) for i in range(N_COLUMNS // 2)}
    )


def mixed(rng, n):
    """Numbers with and without gaps, whole numbers, and categories, some of them quoted."""
    sizes = rng.standard_normal((n, 4)).round(3)
    sizes[:, 0][rng.random(n) < 0.1] = np.nan
    counts = rng.integers(0, 1000, (n, 3))
    words = ["red", "green", "blue", "black, or nearly"]
    return pd.DataFrame(
        {f"x{i}": sizes[:, i] for i in range(4)}
        | {f"n{i}": counts[:, i] for i in range(3)}
        | {f"c{i}": rng.choice(words, n) for i in range(3)}
    )


def decimal_commas(rng, n):
    return numbers(rng, n).map(lambda x: str(x).replace(".", ",")).assign(x0="Rome")


CASES = {
    "numbers": numbers,
    "text": text,
    "quoted": quoted,
    "dates": dates,
    "mixed": mixed,
    "decimal commas": decimal_commas,
}


def read_plainly(path):
    """Read with the csv module."""
    is_large, csv_file.is_large = csv_file.is_large, lambda data: False
    try:
        return read_table(path)
    finally:
        csv_file.is_large = is_large


def readers(case):
    if case == "decimal commas":
        return {
            "pellucid": read_table,
            "pellucid, no pyarrow": read_plainly,
            "pandas": lambda path: pd.read_csv(path, sep=";", decimal=","),
            "polars": lambda path: pl.read_csv(path, separator=";", decimal_comma=True),
        }
    return {
        "pellucid": read_table,
        "pellucid, no pyarrow": read_plainly,
        "pandas": pd.read_csv,
        "polars": pl.read_csv,
    }


def share_equal(ours, theirs):
    """Return the share of cells with the same value; missing equals missing."""
    equal = 0
    for column in ours:
        other = theirs[column.name]
        if column.storage == "number":
            same = np.isclose(column.as_float(), other.to_numpy(float), rtol=0, equal_nan=True)
        else:
            same = column.values == other.to_numpy(object)
        equal += int(np.sum(same))
    return equal / theirs.size


def measure(case, n_rows, runs, folder):
    frame = CASES[case](np.random.default_rng(0), n_rows)
    separator = ";" if case == "decimal commas" else ","
    files = {"": folder / "all.csv", "pellucid, no pyarrow": folder / "some.csv"}
    frame.to_csv(files[""], index=False, sep=separator)
    frame[: n_rows // 10].to_csv(files["pellucid, no pyarrow"], index=False, sep=separator)
    found = readers(case)
    seconds = {name: [] for name in found}
    processor = {name: [] for name in found}
    for run in range(runs + 1):
        for name, read in found.items():
            path = files.get(name, files[""])
            gc.collect()
            start, start_cpu = time.perf_counter(), time.process_time()
            table = read(path)
            if run:  # The first one warms up.
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - start_cpu)
            del table
    cells = {name: frame.size // (10 if name in files else 1) for name in found}
    equal = share_equal(read_table(files[""]), found["pandas"](files[""]))
    return {
        "cells": frame.size,
        "bytes": files[""].stat().st_size,
        "equal_to_pandas": equal,
        "readers": {
            name: {
                "cells_per_second": cells[name] / statistics.median(seconds[name]),
                "fastest": cells[name] / min(seconds[name]),
                "slowest": cells[name] / max(seconds[name]),
                "cells_per_processor_second": cells[name] / statistics.median(processor[name]),
            }
            for name in found
        },
    }


def show(case, result):
    print(f"\n{case}: {result['cells']:,} cells, {result['bytes'] / 1e6:.0f} MB, ", end="")
    print(f"{result['equal_to_pandas']:.2%} equal to pandas")
    print(f"{'million cells a second':26}{'median':>9}{'fastest':>9}{'slowest':>9}{'CPU':>9}")
    for name, row in result["readers"].items():
        print(f"  {name:24}" + "".join(f"{value / 1e6:9.2f}" for value in row.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--out", default="benchmarks/results/reading_speed.json")
    arguments = parser.parse_args()
    n_threads = len(os.sched_getaffinity(0))
    machine = describe_machine(n_threads, ("pandas", "polars", "pyarrow"))
    machine["load_average"] = os.getloadavg()[0]
    report = {"machine": machine, "runs": arguments.runs, "cases": {}}
    print(json.dumps(machine, indent=2))
    with tempfile.TemporaryDirectory() as folder:
        for case in arguments.cases:
            report["cases"][case] = measure(case, arguments.rows, arguments.runs, Path(folder))
            show(case, report["cases"][case])
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nsaved {path}")


if __name__ == "__main__":
    main()
