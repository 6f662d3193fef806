"""Which score should tell when to stop training a table: accuracy or log loss?

    python benchmarks/table_stopping.py [--tables adult letter] [--seeds 5]

Of each table only the training part of `table_accuracy.py` is used (80%, seed 0). For each seed it
is split into 70% to fit on (at most 10,000 rows) and 30% to measure on. One training with long
patience is followed on both, and every rule is applied to its curve afterwards, so that the rules
differ in nothing but when they stop and which epoch they keep. Printed are the mean error, log loss
and epochs trained, by table and rule, and saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split
from small_tables import CLASSIFICATION, read
from training_speed import describe_machine

from pellucid import TabularClassifier
from pellucid.training.stopping import NoImprovement

PATIENCE = 10
LONGEST = 40
MOST_ROWS, MOST_MEASURED = 10_000, 5_000
TOLERANCE = 1e-4


def curves_of(X, y, X_out, y_out, seed):
    """Return validation accuracy and loss, and error and log loss on other rows, by epoch."""
    model = TabularClassifier(
        random_state=seed, n_threads=1, n_iter_no_change=LONGEST, scoring="accuracy"
    )
    error, log_loss = [], []
    codes = []

    def follow(_):
        if not codes:
            model._knows(X_out, model.encoder_.transform(X_out))
            codes.append(np.searchsorted(model.classes_, y_out))
        P = model.predict_proba(X_out)
        right = P[np.arange(len(P)), codes[0]]
        error.append(float(np.mean(P.argmax(axis=1) != codes[0])))
        log_loss.append(float(-np.log(np.clip(right, 1e-15, 1)).mean()))

    model.set_params(callbacks=[follow]).fit(X, y)
    return {
        "accuracy": model.validation_scores_,
        "loss": model.validation_loss_curve_,
        "error": error,
        "log_loss": log_loss,
    }


def kept_by(curves, name, patience=PATIENCE):
    """Return the epoch that is kept, from 0, and how many are trained."""
    sign = 1 if name == "accuracy" else -1
    rule, best = NoImprovement(tol=TOLERANCE, patience=patience, sign=sign), 0
    for epoch, value in enumerate(curves[name]):
        if rule.update(value):
            best = epoch
        if rule.exhausted:
            return best, epoch + 1
    return best, len(curves[name])


RULES = {
    "accuracy": lambda curves: kept_by(curves, "accuracy"),
    "log loss": lambda curves: kept_by(curves, "loss"),
    "log loss, patience 5": lambda curves: kept_by(curves, "loss", 5),
    "log loss, patience 20": lambda curves: kept_by(curves, "loss", 20),
}


def measure(name, seeds):
    """Return error, log loss and epochs of each rule and seed."""
    X, y = read(name)
    X, _, y, _ = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    found = {rule: {"error": [], "log_loss": [], "epochs": []} for rule in RULES}
    for seed in range(seeds):
        fit, out = train_test_split(np.arange(len(y)), test_size=0.3, random_state=seed, stratify=y)
        fit, out = fit[:MOST_ROWS], out[:MOST_MEASURED]
        out = out[np.isin(y[out], y[fit])]
        curves = curves_of(X.iloc[fit], y[fit], X.iloc[out], y[out], seed)
        for rule, apply in RULES.items():
            kept, trained = apply(curves)
            found[rule]["error"].append(curves["error"][kept])
            found[rule]["log_loss"].append(curves["log_loss"][kept])
            found[rule]["epochs"].append(trained)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=CLASSIFICATION, choices=CLASSIFICATION)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "table_stopping.json"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    report = {"machine": describe_machine(1, ("pandas",)), "tables": {}}
    print("| table | " + " | ".join(RULES) + " |")
    print("|---" * (len(RULES) + 1) + "|")
    for name in arguments.tables:
        found = report["tables"][name] = measure(name, arguments.seeds)
        cells = [
            f"{statistics.mean(one['error']):.2%}, {statistics.mean(one['log_loss']):.4f}, "
            f"{statistics.mean(one['epochs']):.0f} epochs"
            for one in found.values()
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
