"""How much memory does a fit on a stream need, and how long does reading take?

    python benchmarks/stream_memory.py [--megabytes 400]

Writes a Parquet file of float32 columns, sorted by class. Each fit of one epoch runs in a separate
process, and the increase of its peak resident memory is measured. The fits use the stream with
several buffer sizes, a stream of a quarter of the rows, and the same table in memory. "reading" is
the time to read the blocks of the fit.

The second part measures the effect of the buffer on a file that is sorted by class: the accuracy on
separate test rows after three epochs, with buffers of different sizes and row groups of two sizes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

COLUMNS = 50
GROUP_ROWS = 20_000
SMALL_GROUP_ROWS = 2_000
CLASSES = 10


def rows_of_class(label, n, seed):
    """Return rows whose class determines their mean."""
    import numpy as np

    center = np.random.default_rng(label).standard_normal(COLUMNS) / 4
    noise = np.random.default_rng([label, seed]).standard_normal((n, COLUMNS))
    return (center + noise).astype(np.float32)


def write(path, n_rows, group_rows=GROUP_ROWS):
    """Write a file whose rows are sorted by class, without holding all of them in memory."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"x{j}" for j in range(COLUMNS)]
    schema = pa.schema([*((name, pa.float32()) for name in names), ("y", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, n_rows, GROUP_ROWS):
            label = first * CLASSES // n_rows
            X = rows_of_class(label, GROUP_ROWS, seed=first)
            columns = [*(X[:, j] for j in range(COLUMNS)), np.full(GROUP_ROWS, label)]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=group_rows)


def resident_bytes():
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def make_model(max_iter=1):
    from pellucid import MLPClassifier

    return MLPClassifier((64,), max_iter=max_iter, batch_size=256, random_state=0)


def measure(path, buffer_rows):
    """Print the memory of a fit of one epoch on a stream, or in memory if the buffer is 0."""
    import pandas as pd
    import pyarrow as pa

    from pellucid import ParquetStream

    warnings.simplefilter("ignore")
    small = ParquetStream(path, "y", classes=range(CLASSES), buffer_rows=1)
    block = next(small.open().blocks(1000))
    make_model().fit(pd.DataFrame(block.X), block.y)  # load everything that is loaded only once
    del block
    before, peak, done = resident_bytes(), [0], threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], resident_bytes())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    if buffer_rows:
        model = make_model().fit(ParquetStream(path, "y", buffer_rows=buffer_rows))
    else:
        table = pd.read_parquet(path)
        model = make_model().fit(table.drop(columns="y"), table["y"])
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    start = time.perf_counter()
    if buffer_rows:
        for _ in ParquetStream(path, "y", buffer_rows=buffer_rows).open().blocks(buffer_rows):
            pass
    reading = time.perf_counter() - start if buffer_rows else None
    report = {"rise_mib": (peak[0] - before) / 2**20, "seconds": seconds, "reading": reading}
    pool = pa.default_memory_pool().backend_name
    print(json.dumps({**report, "rows": model.t_, "arrow_pool": pool}))


def accuracy(path, buffer_rows, n_epochs):
    """Return the accuracy on separate test rows after some epochs."""
    import numpy as np

    from pellucid import ParquetStream

    warnings.simplefilter("ignore")
    model = make_model(n_epochs).fit(ParquetStream(path, "y", buffer_rows=buffer_rows))
    X = np.concatenate([rows_of_class(label, 2000, seed=10**9) for label in range(CLASSES)])
    model_input = dict(zip(model.feature_names_in_, X.T, strict=True))
    import pandas as pd

    return model.score(pd.DataFrame(model_input), np.repeat(np.arange(CLASSES), 2000))


def report_memory(path, quarter):
    results = []
    cases = [(quarter, 100_000), (path, 50_000), (path, 100_000), (path, 200_000), (path, 0)]
    for file, buffer_rows in cases:
        command = [sys.executable, __file__, "--measure", str(file), str(buffer_rows)]
        result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        # float32 columns and int64 targets; pyarrow holds one row group.
        bound = (buffer_rows + GROUP_ROWS) * (4 * COLUMNS + 8) / 2**20 if buffer_rows else None
        results.append({"buffer_rows": buffer_rows, "buffer_and_group_mib": bound, **result})
        name = f"buffer of {buffer_rows:,}" if buffer_rows else "table in memory"
        expected = f"(buffer and row group {bound:6.1f})" if bound else ""
        reading = f"(reading {result['reading']:.2f} s)" if bound else ""
        print(
            f"{result['rows']:10,} rows, {name:18}{result['rise_mib']:9.1f} MiB {expected:32}"
            f"{result['seconds']:7.2f} s {reading}"
        )
    return results


def report_order(paths, n_rows):
    results = []
    for share in (0.01, 0.02, 0.05, 0.1, 0.5, 1.0):
        buffer_rows = int(share * n_rows)
        scores = {rows: accuracy(path, buffer_rows, 3) for rows, path in paths.items()}
        results.append({"buffer_rows": buffer_rows, "share": share, "scores": scores})
        told = ", ".join(f"{score:.3f} (row groups of {rows:,})" for rows, score in scores.items())
        print(f"buffer of {share:4.0%} of the rows: accuracy {told}")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--out", default="benchmarks/results/stream_memory.json")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], int(arguments.measure[1]))
        return
    whole_groups = CLASSES * GROUP_ROWS
    n_rows = max(1, arguments.megabytes * 2**20 // (4 * COLUMNS) // whole_groups) * whole_groups
    with tempfile.TemporaryDirectory() as folder:
        path, quarter = Path(folder) / "sorted.parquet", Path(folder) / "quarter.parquet"
        small_groups = Path(folder) / "small_groups.parquet"
        write(path, n_rows)
        write(quarter, n_rows // 4)
        write(small_groups, n_rows, SMALL_GROUP_ROWS)
        megabytes = path.stat().st_size / 2**20
        print(f"{n_rows:,} rows of {COLUMNS} columns, {megabytes:.0f} MiB, sorted by class")
        report = {
            "rows": n_rows,
            "columns": COLUMNS,
            "row_group_rows": GROUP_ROWS,
            "file_mib": megabytes,
            "fits": report_memory(path, quarter),
            "sorted_file": report_order({GROUP_ROWS: path, SMALL_GROUP_ROWS: small_groups}, n_rows),
        }
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
