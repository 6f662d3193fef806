"""scikit-learn's checks of the estimators that take raw tables: all in its list pass.

Outside of the list, `check_dataframe_column_names_consistency` is expected to fail: it wants
columns in another order to be refused, and these estimators find columns by name.
"""

import numpy as np
import pytest
from every_check import every_check
from sklearn.base import clone
from sklearn.utils import estimator_checks

from pellucid import TabularClassifier, TabularRegressor
from pellucid.models.tabular.tabular import FEWEST_ROWS_TO_HOLD_OUT
from pellucid.tables import TableEncoder

WEIGHT_CHECK = "check_sample_weight_equivalence_on_dense_data"
ESTIMATORS = [
    TabularClassifier(max_iter=60, learning_rate_init=0.01, random_state=0),
    TabularRegressor(max_iter=60, learning_rate_init=0.01, random_state=0),
    TableEncoder(),
]
# Weight k equals k rows where a step sees all rows, and to the precision that the check asks for.
ALL_ROWS_A_STEP = {"batch_size": 1000, "dtype": "float64"}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _name(check):
    return getattr(check, "func", check).__name__


def _class(estimator):
    return type(estimator).__name__


@every_check(ESTIMATORS)
def test_check(estimator, check):
    if _name(check) == WEIGHT_CHECK and not isinstance(estimator, TableEncoder):
        # As scikit-learn does for its own perceptrons.
        estimator = clone(estimator).set_params(**ALL_ROWS_A_STEP)
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=_class)
def test_check_not_in_the_list(estimator):
    estimator_checks.check_n_features_in_after_fitting(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=_class)
def test_names_in_another_order_are_not_refused(estimator):
    check = estimator_checks.check_dataframe_column_names_consistency
    with pytest.raises(AssertionError, match=r"^(predict|transform) did not raise"):
        check(type(estimator).__name__, estimator)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_set_output_transform_polars,
        estimator_checks.check_global_output_transform_pandas,
        estimator_checks.check_global_set_output_transform_polars,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
    ],
    ids=_name,
)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=_class)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
def test_check_of_transformers_not_in_the_list(estimator, check):
    check(_class(estimator), clone(estimator))


@pytest.mark.parametrize("estimator", ESTIMATORS[:2], ids=_class)
def test_rows_of_weight_zero_change_nothing(estimator):
    """Also where rows are held out, batches are small and a category and a class are not left."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(180, 2)), rng.integers(0, 4, 180)])
    y = rng.integers(0, 3, 180)
    weights = rng.integers(1, 4, 180).astype(float)
    weights[y == 2] = 0
    kept = weights > 0
    given_all = clone(estimator).set_params(max_iter=4).fit(X, y, sample_weight=weights)
    given_kept = (
        clone(estimator).set_params(max_iter=4).fit(X[kept], y[kept], sample_weight=weights[kept])
    )
    assert kept.sum() >= FEWEST_ROWS_TO_HOLD_OUT
    assert given_all.validation_scores_ == given_kept.validation_scores_
    np.testing.assert_array_equal(given_all.predict(X), given_kept.predict(X))
