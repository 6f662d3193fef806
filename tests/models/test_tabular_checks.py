"""scikit-learn's own checks of the estimators that take raw tables."""

import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from pellucid import TabularClassifier, TabularRegressor
from pellucid.tables import TableEncoder

NOT_EQUIVALENT = {
    "check_sample_weight_equivalence_on_dense_data": "Mini-batches hold other rows when rows are "
    "repeated, and columns are recognized and standardized by rows, not by weights."
}


@parametrize_with_checks(
    [
        TabularClassifier(max_iter=60, learning_rate_init=0.01, random_state=0),
        TabularRegressor(max_iter=60, learning_rate_init=0.01, random_state=0),
        TableEncoder(),
    ],
    expected_failed_checks=lambda estimator: (
        {} if isinstance(estimator, TableEncoder) else NOT_EQUIVALENT
    ),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)
