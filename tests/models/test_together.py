"""Estimators of different kinds fitted at the same time."""

import numpy as np
import pandas as pd
import pytest
from estimator_kinds import KINDS, LABELS, NUMBERS, WEIGHTS, X, learned_by
from sklearn.base import clone

from pellucid import DeepEnsembleClassifier, MLPRegressor, TabularRegressor, fit_together
from pellucid.training import Outcome

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TABLE = pd.DataFrame(X, columns=list("abcd"))
NAMES = {
    "labels": ["MLPClassifier, three labels", "Network, labels", "TabularClassifier"],
    "numbers": ["MLPRegressor", "Network, numbers", "TabularRegressor"],
}


@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_each_becomes_what_its_own_fit_makes_it(what, n_threads):
    y = LABELS if what == "labels" else NUMBERS
    estimators = [KINDS[name].make() for name in NAMES[what]]
    given = {"X_val": TABLE[90:], "y_val": y[90:], "sample_weight_val": WEIGHTS[90:]}
    options = [{}, {"sample_weight": WEIGHTS[:90]}, {}]
    results = fit_together(estimators, TABLE[:90], y[:90], options, n_threads=n_threads, **given)
    assert [result.outcome for result in results] == [Outcome.MAX_EPOCHS] * 3
    for estimator, own in zip(estimators, options, strict=True):
        alone = clone(estimator).fit(TABLE[:90], y[:90], **own, **given)
        assert learned_by(estimator) == learned_by(alone)


def test_one_that_cannot_begin_leaves_all_as_they_were():
    fitted = TabularRegressor((4,), max_iter=2, warm_start=True, random_state=0)
    fitted.fit(TABLE, NUMBERS)
    before, new = dict(vars(fitted)), MLPRegressor(max_iter=2)
    for wrong in (MLPRegressor(alpha=-1), MLPRegressor(loss="gamma")):
        with pytest.raises(ValueError, match=r"alpha|loss"):
            fit_together([fitted, new, wrong], TABLE, NUMBERS)
        assert all(vars(fitted)[name] is value for name, value in before.items())
        assert set(vars(new)) == set(new.get_params())
    with pytest.raises(ValueError, match="sample_weight"):
        fit_together([new, fitted], TABLE, NUMBERS, [{}, {"sample_weight": np.ones(3)}])
    with pytest.raises(TypeError, match=r"'rows' is no parameter of TabularRegressor\.fit"):
        fit_together([fitted], TABLE, NUMBERS, [{"rows": [1, 2]}])


def test_ensembles_are_no_members_of_a_fit_together():
    with pytest.raises(TypeError, match="networks must be estimators of pellucid"):
        fit_together([DeepEnsembleClassifier()], TABLE, LABELS)
