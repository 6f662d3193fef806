"""scikit-learn's checks of estimators as test cases, on every version of scikit-learn."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks


def every_check(estimators):
    """Return the mark that runs all checks of `estimators`, none of them expected to fail."""
    mark = parametrize_with_checks(estimators)
    names, cases = mark.args
    # Before scikit-learn 1.9 the cases are a generator, which newer pytest does not take.
    return pytest.mark.parametrize(names, list(cases), **mark.kwargs)
