"""scikit-learn's checks of every estimator: all of them, none expected to fail."""

from unittest import SkipTest

import pytest
from every_check import every_check
from sklearn.base import clone
from sklearn.utils import estimator_checks

from pellucid import MLPClassifier, MLPRegressor

NOT_THERE_TO_CHECK = {
    "check_decision_proba_consistency": "there is no decision_function, as in scikit-learn",
    "check_classifiers_multilabel_output_format_decision_function": "likewise",
}
WEIGHT_CHECK = "check_sample_weight_equivalence_on_dense_data"

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:The number of unique classes is greater than 50%:UserWarning",
    "ignore:A column-vector y was passed:sklearn.exceptions.DataConversionWarning",
    "ignore:Got `batch_size`:UserWarning",
)


def _name(check):
    return getattr(check, "func", check).__name__


@every_check([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_check(estimator, check):
    if _name(check) == WEIGHT_CHECK:
        # As scikit-learn does for its own: weight k equals k rows only where a step sees all rows.
        estimator = clone(estimator).set_params(**_where_weights_equal_repetitions(estimator))
    try:
        check(estimator)
    except SkipTest:
        assert _name(check) in NOT_THERE_TO_CHECK


def _where_weights_equal_repetitions(estimator):
    if isinstance(estimator, MLPClassifier):
        return {"solver": "lbfgs"}
    return {"solver": "sgd", "tol": 1e-2, "random_state": 42}


@pytest.mark.parametrize("data", ["dense", "sparse"])
@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(solver="lbfgs", max_iter=20),
        MLPRegressor(solver="lbfgs", max_iter=20, activation="tanh"),
        MLPRegressor(solver="sgd", max_iter=300),
    ],
)
def test_weight_k_is_k_rows(estimator, data):
    check = getattr(estimator_checks, f"check_sample_weight_equivalence_on_{data}_data")
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", [MLPClassifier(max_iter=5), MLPRegressor(max_iter=5)])
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_param_validation,
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_n_features_in_after_fitting,
    ],
    ids=_name,
)
def test_check_not_in_the_list(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize("estimator", [MLPClassifier(max_iter=5), MLPRegressor(max_iter=5)])
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_set_output_transform_polars,
        estimator_checks.check_global_output_transform_pandas,
        estimator_checks.check_global_set_output_transform_polars,
    ],
    ids=_name,
)
def test_check_of_transformers_not_in_the_list(estimator, check):
    check(type(estimator).__name__, estimator)
