"""How should few rows be trained on, so that the model beats its own baseline?

    python benchmarks/small_tables.py [--seeds 10] [--rows 100 200 400]

Random subsamples of the training parts of real tables (80%, seed 0), with several settings of the
tabular estimators. Of each subsample the model is measured on up to 2,000 other rows of the
training part: log loss over that of the class shares, or squared error over that of the mean. A
number above 1 is worse than the baseline. Printed are the geometric means over the tables, and how
many fits were worse than the baseline; saved as JSON.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from training_speed import describe_machine

from pellucid import TabularClassifier, TabularRegressor

FOLDER = Path(os.environ.get("PELLUCID_DATA", Path(__file__).parents[2] / "shared" / "data"))
MOST_MEASURED = 2_000

#: Path, separator, whether the file has a header, target, columns that are left out.
TABLES = {
    "adult": ("adult/adult-train.csv.gz", ",", False, 14, ()),
    "telco": ("telco_churn/Telco-Customer-Churn.csv.gz", ",", True, "Churn", ("customerID",)),
    "german_credit": ("german_credit/credit.g.arff.gz", ",", False, 20, ()),
    "spambase": ("pmlb/spambase.tsv.gz", "\t", True, "target", ()),
    "optdigits": ("pmlb/optdigits.tsv.gz", "\t", True, "target", ()),
    "letter": ("pmlb/letter.tsv.gz", "\t", True, "target", ()),
    "sleep": ("pmlb/sleep.tsv.gz", "\t", True, "target", ()),
    "connect-4": ("pmlb/connect-4.tsv.gz", "\t", True, "target", ()),
    "mushrooms": ("mushrooms/mushrooms.csv.gz", ",", True, "type", ()),
    "wine": ("wine_quality/winequality-white.csv.gz", ",", False, 11, ()),
    "california": (
        "california_housing/housing.csv.gz", ",", True, "median_house_value", (),
    ),
    "diamonds": ("diamonds/diamonds.csv.gz", ",", True, "price", ()),
    "bike": (
        "bike_sharing/hour.csv.gz", ",", True, "cnt", ("instant", "dteday", "casual", "registered"),
    ),
    "abalone": ("abalone/abalone.csv.gz", ",", False, 8, ()),
    "mpg": ("mpg/mpg.csv.gz", ",", True, "mpg", ("name",)),
    "pol": ("pmlb/201_pol.tsv.gz", "\t", True, "target", ()),
}  # fmt: skip
CLASSIFICATION = [
    "adult",
    "telco",
    "german_credit",
    "spambase",
    "optdigits",
    "letter",
    "sleep",
    "connect-4",
    "mushrooms",
    "wine",
]


def read(name):
    """Return the columns as a DataFrame and the target as an array."""
    path, separator, has_header, target, left_out = TABLES[name]
    header, source = (0 if has_header else None), FOLDER / path
    if ".arff" in path:  # Lines of its header begin with @ or %.
        with gzip.open(source, "rt") as file:
            source = io.StringIO("".join(line for line in file if line[0] not in "@%"))
    quote = "'" if ".arff" in path else '"'
    table = pd.read_csv(
        source, sep=separator, header=header, skipinitialspace=True, quotechar=quote
    )
    table = table.replace("?", None)
    y = table[target].to_numpy()
    if y.dtype.kind not in "iuf":
        y = y.astype(str)
    table = table.drop(columns=[target, *left_out])
    table.columns = [str(column) for column in table.columns]
    return table, y


def subsamples(name, n, seeds):
    """Yield n rows to fit on and others to measure on, of the training part of a table."""
    X, y = read(name)
    labels = y if name in CLASSIFICATION else None
    X, _, y, _ = train_test_split(X, y, test_size=0.2, random_state=0, stratify=labels)
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(y))
        fit, out = order[:n], order[n : n + MOST_MEASURED]
        if labels is not None:
            out = out[np.isin(y[out], y[fit])]
        if len(out):
            yield seed, X.iloc[fit], y[fit], X.iloc[out], y[out]


def compared_with_baseline(model, X, y, y_fit):
    """Return log loss over that of the class shares, or squared error over that of the mean."""
    if not hasattr(model, "predict_proba"):
        return float(np.mean((model.predict(X) - y) ** 2) / np.mean((y_fit.mean() - y) ** 2))
    codes = np.searchsorted(model.classes_, y)
    P = np.clip(model.predict_proba(X)[np.arange(len(y)), codes], 1e-15, 1)
    return float(np.log(P).mean() / np.log(model.class_shares_[codes]).mean())


def error_compared(model, X, y, y_fit):
    """Return the error over that of the most frequent class or the mean."""
    if not hasattr(model, "predict_proba"):
        return float(np.abs(model.predict(X) - y).mean() / np.abs(y_fit.mean() - y).mean())
    constant = model.classes_[model.class_shares_.argmax()]
    return float(np.mean(model.predict(X) != y) / np.mean(constant != y))


#: Constructor parameters of each setting.
SETTINGS = {
    "alpha 0.1, the default": {},
    "alpha 0.0001": {"alpha": 1e-4},
    "alpha 0.01": {"alpha": 0.01},
    "alpha 1": {"alpha": 1.0},
    "decay 1": {"alpha": 1e-4, "weight_decay": 1.0},
    "validation 0.2": {"validation_fraction": 0.2},
    "stop on accuracy": {"scoring": "accuracy"},
    "stop on accuracy, alpha 0.0001": {"scoring": "accuracy", "alpha": 1e-4},
}


MEASURED = ("loss", "error")


def geometric_mean(ratios_by_table):
    """Return the geometric mean over the tables, of that over their seeds; no ratio is 0."""
    return np.exp(np.mean([np.mean(np.log(np.maximum(one, 1e-3))) for one in ratios_by_table]))


def measure(name, n, seeds, settings):
    """Return for each setting what is compared with the baseline, for each seed."""
    make = TabularClassifier if name in CLASSIFICATION else TabularRegressor
    found = {setting: {"loss": [], "error": []} for setting in settings}
    for seed, X, y, X_out, y_out in subsamples(name, n, seeds):
        for setting in settings:
            parameters = dict(SETTINGS[setting])
            if make is TabularRegressor:
                parameters.pop("scoring", None)
            model = make(random_state=seed, n_threads=1, **parameters).fit(X, y)
            found[setting]["loss"].append(compared_with_baseline(model, X_out, y_out, y))
            found[setting]["error"].append(error_compared(model, X_out, y_out, y))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--rows", nargs="+", type=int, default=[100, 200, 400])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "small_tables.json"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    report = {"machine": describe_machine(1, ("pandas",)), "tables": {}}
    for n in arguments.rows:
        for name in arguments.tables:
            found = measure(name, n, arguments.seeds, arguments.settings)
            report["tables"][f"{name}, {n} rows"] = found
        every = [found for key, found in report["tables"].items() if key.endswith(f" {n} rows")]
        every = [found for found in every if found[arguments.settings[0]]["loss"]]
        print(f"\n| {n} rows | loss / baseline | error / baseline | worse than the baseline |")
        print("|---|---|---|---|")
        for setting in arguments.settings:
            means = [geometric_mean([one[setting][what] for one in every]) for what in MEASURED]
            worse = np.mean([value > 1 for one in every for value in one[setting]["loss"]])
            print(f"| {setting} | {means[0]:.3f} | {means[1]:.3f} | {worse:.0%} |", flush=True)
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
