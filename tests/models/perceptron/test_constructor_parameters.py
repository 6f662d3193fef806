"""Parameters are found and checked as scikit-learn does it, only quicker."""

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import InvalidParameterError

from pellucid import MLPClassifier, MLPRegressor

ESTIMATORS = [MLPClassifier, MLPRegressor]


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_names_are_those_that_scikit_learn_finds(estimator_class):
    class Wider(estimator_class):
        def __init__(self, extra=None):
            self.extra = extra

    found = BaseEstimator._get_param_names.__func__
    assert estimator_class._get_param_names() == found(estimator_class)
    assert Wider._get_param_names() == found(Wider) == ["extra"]


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_defaults_need_no_check(estimator_class):
    BaseEstimator._validate_params(estimator_class())


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
@pytest.mark.parametrize("parameters", [{"alpha": -1.0}, {"shuffle": "yes"}, {"max_iter": 2.5}])
def test_errors_are_scikit_learns(estimator_class, parameters):
    estimator = clone(estimator_class(**parameters))
    with pytest.raises(InvalidParameterError) as theirs:
        BaseEstimator._validate_params(estimator)
    with pytest.raises(InvalidParameterError) as ours:
        estimator.fit([[0.0], [1.0]], [0, 1])
    assert str(ours.value) == str(theirs.value)
