"""Rows that training does not see are scored where they lie."""

import numpy as np
import pytest

from pellucid.models.perceptron.task import Rows
from pellucid.models.perceptron.validation_set import ValidationSet
from pellucid.nn import Chain, Linear

NETWORK = Chain([Linear(1)], "squared_error")


def test_predicts_the_rows_in_one_call():
    table, asked = np.arange(20.0).reshape(10, 2), []

    def predict(X, numbers):
        asked.append((X is table, numbers.tolist()))
        return X[numbers].sum(axis=1, keepdims=True)

    everything = Rows(table, np.arange(10), np.zeros((10, 1)), np.arange(10.0))
    rows = everything.part(np.array([9, 1, 4]))
    measured = ValidationSet(NETWORK, predict, rows, lambda scores, loss: scores[0, 0])()
    assert measured.score == table[9].sum()
    losses = table[[9, 1, 4]].sum(axis=1) ** 2
    assert measured.loss == pytest.approx(np.average(losses, weights=[9, 1, 4]))
    assert asked == [(True, [9, 1, 4])]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_nan(bad):
    rows = Rows(np.zeros((4, 1)), np.zeros(4), np.zeros((4, 1)), None)
    measured = ValidationSet(
        NETWORK,
        lambda X, numbers: np.full((len(X), 1), bad),
        rows,
        lambda scores, loss: pytest.fail("must not be scored"),
    )()
    assert np.isnan(measured.score)
    assert np.isnan(measured.loss)
