"""The weights of rows and classes count alike on all rows to validate on, of every estimator."""

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import KINDS, WEIGHTS, N
from numpy.testing import assert_allclose

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

VAL = np.arange(N) % 3 == 0
CLASS_WEIGHT = {"yes": 5.0, "no": 0.5}

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def part(table, rows):
    return table.iloc[rows] if isinstance(table, pd.DataFrame) else table[rows]


def fitted(kind, settings=None, rows=None, weight=None, weight_val=None):
    """Return a model fitted on two thirds of the rows, validated on some of the others."""
    training = np.flatnonzero(~VAL)
    rows = np.flatnonzero(VAL) if rows is None else rows
    return kind.make(dropout=0.0, **(settings or {})).fit(
        part(kind.X, training),
        kind.y[training],
        None if weight is None else weight[training],
        X_val=part(kind.X, rows),
        y_val=kind.y[rows],
        sample_weight_val=None if weight_val is None else weight_val[rows],
    )


def assert_same_validation(one, other):
    assert_allclose(one.validation_loss_curve_, other.validation_loss_curve_, rtol=1e-6)
    assert_allclose(one.validation_scores_, other.validation_scores_, rtol=1e-6)
    assert_allclose(one.parameters_.flat, other.parameters_.flat, rtol=1e-6)


@each_kind
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_weights_of_validation_rows_are_repetitions(kind, scoring):
    k = np.random.default_rng(0).integers(0, 4, N)
    settings = {} if scoring is None else {"scoring": scoring}
    weighted = fitted(kind, settings, weight_val=k.astype(float))
    repeated = fitted(kind, settings, np.flatnonzero(VAL).repeat(k[VAL]))
    assert_same_validation(weighted, repeated)
    assert not np.allclose(
        weighted.validation_loss_curve_, fitted(kind, settings).validation_loss_curve_
    )


@each_kind
@pytest.mark.parametrize("how", ["held out", "X_val"])
def test_weights_of_rows_and_classes_count_on_validation_rows(kind, how):
    told = []

    def scoring(estimator, table, y, sample_weight=None):
        told.append((table, np.asarray(y), sample_weight))
        return float(len(told))

    settings, arguments = ({}, {}) if how == "X_val" else kind.held_out
    settings = {**settings, "scoring": scoring}
    if kind.single_labels:
        settings["class_weight"] = CLASS_WEIGHT
    if how == "X_val":
        model = fitted(kind, settings, weight=WEIGHTS, weight_val=WEIGHTS)
    else:
        model = kind.make(dropout=0.0, **settings).fit(kind.X, kind.y, WEIGHTS, **arguments)
    assert len(told) == model.n_iter_
    table, y, weight = told[0]
    # The first column tells which rows they are.
    first = np.asarray(kind.X)[:, 0].astype(float)
    rows = [int(np.flatnonzero(first == value)[0]) for value in np.asarray(table)[:, 0]]
    assert 0 < len(rows) < N / 2
    np.testing.assert_array_equal(y, kind.y[rows])
    expected = WEIGHTS[rows]
    if kind.single_labels:
        expected = expected * [CLASS_WEIGHT.get(label, 1.0) for label in y]
    assert_allclose(weight, expected, rtol=1e-12)
