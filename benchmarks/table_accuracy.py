"""How accurate are the tabular estimators on real tables, compared with LightGBM and scikit-learn?

    python benchmarks/table_accuracy.py [--tables adult letter] [--runs 5]

Six tables, each split once into 80% to train and 20% to test (seed 0, stratified by class). Every
library keeps its defaults, has the same columns and two threads, and fits in turn with the others.
The random seed of the estimators differs from run to run, the split does not. The error is
1 - accuracy, or the RMSE over the standard deviation of the test targets. Mean errors and the
seconds of the fastest `fit` are printed as Markdown and saved as JSON, with the median: other
programs on the machine only ever make a fit slower, and those whose threads wait for each other
most of all.

What a library needs before it can fit is given to it: LightGBM and scikit-learn's gradient boosting
get text columns as pandas categories (converted before the clock starts). scikit-learn's MLP stands
behind imputation, one-hot encoding and standardization, with early stopping and a standardized
target; this is part of its `fit`. Pellucid encodes the table in `fit`, too. Nothing is tuned; the
test rows serve for the printed numbers only.

The data sets lie in $PELLUCID_DATA, or in ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits
from training_speed import describe_machine

from pellucid import TabularClassifier, TabularRegressor

ACCURACY, NRMSE = "1 - accuracy", "RMSE / standard deviation"
FOLDER = Path(os.environ.get("PELLUCID_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Table:
    """A table to learn from: where it lies, what to predict, what is left out for all."""

    path: str
    target: str
    left_out: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    """Columns whose text is numbers with blanks between them."""
    is_classification: bool = True

    def read(self):
        if self.path.startswith("adult"):
            table = read_adult()
        else:
            table = pd.read_csv(FOLDER / self.path, sep="\t" if ".tsv" in self.path else ",")
        for name in self.numbers:
            table[name] = pd.to_numeric(table[name], errors="coerce")
        return table.drop(columns=[self.target, *self.left_out]), table[self.target]


def read_adult():
    """Return both files of the census table as one; they have no header."""
    parts = [
        pd.read_csv(FOLDER / f"adult/adult-{part}.csv.gz", header=None, skipinitialspace=True)
        for part in ("train", "test")
    ]
    table = pd.concat(parts, ignore_index=True)
    table.columns = [f"column {i}" for i in range(14)] + ["income"]
    table["income"] = table["income"].str.rstrip(".")
    return table.replace("?", None)


TABLES = {
    "adult": Table("adult/adult-train.csv.gz", "income"),
    "telco": Table(
        "telco_churn/Telco-Customer-Churn.csv.gz", "Churn", ("customerID",), ("TotalCharges",)
    ),
    "letter": Table("pmlb/letter.tsv.gz", "target"),
    "california": Table(
        "california_housing/housing.csv.gz", "median_house_value", is_classification=False
    ),
    "diamonds": Table("diamonds/diamonds.csv.gz", "price", is_classification=False),
    "bike": Table(
        "bike_sharing/hour.csv.gz",
        "cnt",
        ("instant", "dteday", "casual", "registered"),
        is_classification=False,
    ),
}


def of_pellucid(is_classification, seed, threads):
    make = TabularClassifier if is_classification else TabularRegressor
    return make(random_state=seed, n_threads=threads)


def of_lightgbm(is_classification, seed, threads):
    make = lightgbm.LGBMClassifier if is_classification else lightgbm.LGBMRegressor
    return make(random_state=seed, n_jobs=threads, verbose=-1)


def of_boosting(is_classification, seed, threads):
    make = HistGradientBoostingClassifier if is_classification else HistGradientBoostingRegressor
    return make(random_state=seed)


def of_mlp(is_classification, seed, threads):
    encode = make_column_transformer(
        (
            make_pipeline(SimpleImputer(), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    options = {"early_stopping": True, "random_state": seed}
    if is_classification:
        return make_pipeline(encode, MLPClassifier(**options))
    network = make_pipeline(encode, MLPRegressor(**options))
    return TransformedTargetRegressor(network, transformer=StandardScaler())


LIBRARIES = {
    "Pellucid": of_pellucid,
    "LightGBM": of_lightgbm,
    "scikit-learn, gradient boosting": of_boosting,
    "scikit-learn, MLP": of_mlp,
}
TAKES_CATEGORIES = {"LightGBM", "scikit-learn, gradient boosting"}


def with_categories(X):
    text = X.select_dtypes(exclude="number").columns
    return X.astype(dict.fromkeys(text, "category"))


def error_of(model, X, y, is_classification):
    predictions = model.predict(X)
    if is_classification:
        return float(np.mean(predictions != y))
    return float(np.sqrt(np.mean((predictions - y) ** 2)) / np.std(y))


def measure(table, runs, threads):
    """Return errors and seconds by library; their fits alternate."""
    X, y = table.read()
    split = train_test_split(
        np.arange(len(X)),
        test_size=0.2,
        random_state=0,
        stratify=y if table.is_classification else None,
    )
    forms = {False: X, True: with_categories(X)}
    found = {name: {"errors": [], "seconds": []} for name in LIBRARIES}
    for run in range(-1, runs):
        for name, make in LIBRARIES.items():
            train, test = (forms[name in TAKES_CATEGORIES].iloc[rows] for rows in split)
            y_train, y_test = (y.iloc[rows] for rows in split)
            model = make(table.is_classification, max(run, 0), threads)
            start = time.perf_counter()
            model.fit(train, y_train)
            seconds = time.perf_counter() - start
            if run >= 0:  # the first round is a warm-up
                found[name]["seconds"].append(seconds)
                error = error_of(model, test, y_test.to_numpy(), table.is_classification)
                found[name]["errors"].append(error)
    for numbers in found.values():
        numbers["mean_error"] = statistics.mean(numbers["errors"])
        numbers["fastest_seconds"] = min(numbers["seconds"])
        numbers["median_seconds"] = statistics.median(numbers["seconds"])
    return {
        "rows": len(X),
        "columns": X.shape[1],
        "measured": ACCURACY if table.is_classification else NRMSE,
        "stratified": table.is_classification,
        "libraries": found,
    }


def row_of(name, result):
    """Return a line of the Markdown table; the best errors, as printed, are in bold."""
    form = "{:.2%}" if result["measured"] == ACCURACY else "{:.4f}"
    libraries = result["libraries"].values()
    errors = [form.format(numbers["mean_error"]) for numbers in libraries]
    best = form.format(min(numbers["mean_error"] for numbers in libraries))
    cells = [
        f"{f'**{error}**' if error == best else error} ({numbers['fastest_seconds']:.1f} s)"
        for error, numbers in zip(errors, libraries, strict=True)
    ]
    return f"| {name}, {result['rows']:,} rows | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "table_accuracy.json"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    report = {
        "machine": describe_machine(arguments.threads, ("lightgbm", "pandas")),
        "runs": arguments.runs,
        "tables": {},
    }
    print("| table | " + " | ".join(LIBRARIES) + " |")
    print("|---" * (len(LIBRARIES) + 1) + "|")
    with threadpool_limits(arguments.threads):
        for name in arguments.tables:
            result = measure(TABLES[name], arguments.runs, arguments.threads)
            report["tables"][name] = result
            print(row_of(name, result), flush=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nsaved {arguments.out}")


if __name__ == "__main__":
    main()
