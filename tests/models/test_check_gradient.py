"""M15 on fitted estimators: the gradient is checked where training left the weights."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from estimator_kinds import KINDS
from sklearn.exceptions import NotFittedError

from pellucid import MLPClassifier, MLPRegressor
from pellucid.engine.engines import ENGINES

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 5))
TARGETS = {
    "two classes": (MLPClassifier, np.where(X[:, 0] > 0, "yes", "no")),
    "three classes": (MLPClassifier, np.digitize(X[:, 0], [-0.5, 0.5])),
    "labels": (MLPClassifier, (X[:, :3] > 0).astype(int)),
    "one number": (MLPRegressor, X[:, 0]),
    "two numbers": (MLPRegressor, X[:, :2]),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", TARGETS)
def test_m15_any_fitted_estimator_can_check_its_gradient(task, activation, dtype):
    kind, y = TARGETS[task]
    model = kind(
        hidden_layer_sizes=(6, 4), activation=activation, solver="lbfgs", max_iter=5, max_fun=5
    )
    with pytest.warns(match="lbfgs failed to converge|STOP"):
        model.set_params(random_state=0).fit(X.astype(dtype), y)
    report = model.check_gradient(X[:10].astype(dtype), y[:10])
    assert report.passed
    assert report.relative_error < 1e-7
    assert set(report.layers) == {0, 2, 4}
    assert {check.name for check in report.parameters} == {"0.W", "0.b", "2.W", "2.b", "4.W", "4.b"}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_m15_every_kind_of_estimator_takes_the_rows_that_fit_takes(kind):
    model = kind.make(activation="tanh") if kind.family != "Network" else kind.make()
    model.fit(kind.X, kind.y)
    report = model.check_gradient(kind.X[:9], kind.y[:9])
    assert report.passed
    names = {check.name for check in report.parameters}
    assert names == set(model.parameters_.names())


def test_sparse_rows_are_checked_too():
    y = (X[:, 0] > 0).astype(int)
    model = MLPClassifier((4,), max_iter=400, random_state=0, early_stopping=True).fit(X, y)
    rows = np.where(np.abs(X) > 1, X, 0.0)
    dense, sparse = (
        model.check_gradient(table, y) for table in (rows, scipy.sparse.csr_array(rows))
    )
    np.testing.assert_array_equal(dense.whole.gradient, sparse.whole.gradient)


def test_unknown_classes_and_missing_fits_are_refused():
    with pytest.raises(NotFittedError):
        MLPClassifier().check_gradient(X, np.zeros(40))
    y = (X[:, 0] > 0).astype(int)
    model = MLPClassifier((4,), max_iter=400, random_state=0, early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match="2"):
        model.check_gradient(X, y + 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_m15_a_wrong_gradient_of_the_engine_is_reported(dtype):
    class WrongObjective(ENGINES["native"].objective):
        def __call__(self, flat):
            loss, gradient = super().__call__(flat)
            gradient["2.W"][1, 0] *= 1.01
            return loss, gradient

    class WithWrongObjective(MLPClassifier):
        def _engine_of(self, chain):
            return replace(super()._engine_of(chain), objective=WrongObjective)

    y = (X[:, 0] > 0).astype(int)
    reports = []
    for kind in (MLPClassifier, WithWrongObjective):
        model = kind((4,), max_iter=400, random_state=0, early_stopping=True)
        reports.append(model.fit(X.astype(dtype), y).check_gradient(X, y))
    right, wrong = reports
    assert right.passed
    assert [check.name for check in wrong.parameters if not check.passed] == ["2.W"]
    assert "WRONG" in str(wrong)
