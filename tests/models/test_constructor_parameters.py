"""Parameters are found and checked as scikit-learn does it, only quicker."""

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import InvalidParameterError

from pellucid import (
    DeepEnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
)
from pellucid.nn import Linear

ESTIMATORS = [
    MLPClassifier(),
    MLPRegressor(),
    TabularClassifier(),
    TabularRegressor(),
    Network([Linear(1)], "squared_error"),
    DeepEnsembleClassifier(MLPClassifier()),
]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)


@each_estimator
def test_names_are_those_that_scikit_learn_finds(estimator):
    kind = type(estimator)

    class Wider(kind):
        def __init__(self, extra=None):
            self.extra = extra

    found = BaseEstimator._get_param_names.__func__
    assert kind._get_param_names() == found(kind)
    assert Wider._get_param_names() == found(Wider) == ["extra"]


@each_estimator
def test_defaults_need_no_check(estimator):
    BaseEstimator._validate_params(estimator)


@each_estimator
@pytest.mark.parametrize("parameters", [{"alpha": -1.0}, {"verbose": "yes"}, {"max_iter": 2.5}])
def test_errors_are_scikit_learns(estimator, parameters):
    if not parameters.keys() <= estimator.get_params(deep=False).keys():
        parameters = {"n_estimators": 0}
    estimator = clone(estimator).set_params(**parameters)
    with pytest.raises(InvalidParameterError) as theirs:
        BaseEstimator._validate_params(estimator)
    with pytest.raises(InvalidParameterError) as ours:
        estimator.fit([[0.0], [1.0]], [0, 1])
    assert str(ours.value) == str(theirs.value)
