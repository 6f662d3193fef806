"""How long does importing Pellucid take, compared with `import sklearn.neural_network`?

    python benchmarks/import_time.py [--runs 15]

Measures whole processes, which alternate. Medians and their ratio are printed and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

STATEMENTS = {
    "pellucid": "import pellucid",
    "pellucid.MLPClassifier": "from pellucid import MLPClassifier",
    "scikit-learn": "import sklearn.neural_network",
    "numpy": "import numpy",
}


def run(statement):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", default="benchmarks/results/import_time.json")
    arguments = parser.parse_args()
    for statement in STATEMENTS.values():
        run(statement)
    seconds = {name: [] for name in STATEMENTS}
    for _ in range(arguments.runs):
        for name, statement in STATEMENTS.items():
            seconds[name].append(run(statement))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {name: median / medians["scikit-learn"] for name, median in medians.items()}
    for name, median in medians.items():
        print(f"{name:26}{median * 1e3:8.0f} ms{ratios[name]:8.3f} x scikit-learn")
    path = Path(arguments.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"median_seconds": medians, "ratios": ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main()
