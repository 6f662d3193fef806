"""scikit-learn's own checks of the estimators that take raw tables."""

import warnings

import pytest
from every_check import every_check
from sklearn.exceptions import ConvergenceWarning

from pellucid import TabularClassifier, TabularRegressor
from pellucid.tables import TableEncoder


@every_check(
    [
        TabularClassifier(max_iter=60, learning_rate_init=0.01, random_state=0),
        TabularRegressor(max_iter=60, learning_rate_init=0.01, random_state=0),
        TableEncoder(),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)
