"""The same seed gives the same weights as scikit-learn, in float64, to 1e-6."""

import inspect

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression

import pellucid as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RTOL, ATOL = 1e-6, 1e-9
N_ROWS = 110  # not a multiple of the batch size

SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.05,
        "tol": 0.05,
        "n_iter_no_change": 1,
    },
    "lbfgs": {"solver": "lbfgs"},
}


def _classes(n_classes):
    return make_classification(
        N_ROWS, 8, n_informative=5, n_classes=n_classes, random_state=0, shift=0.3
    )


def _multilabel():
    X, Y = make_multilabel_classification(N_ROWS, 8, n_classes=4, random_state=0)
    return X / X.std(axis=0), Y


def _regression(n_targets=1):
    X, y = make_regression(N_ROWS, 6, n_targets=n_targets, noise=5.0, random_state=0)
    return X, y / y.std()


def _counts():
    X, y = _regression()
    return X, np.random.default_rng(0).poisson(np.exp(0.5 * y))


TARGETS = {
    "binary": ("MLPClassifier", lambda: _classes(2), {}),
    "three classes": ("MLPClassifier", lambda: _classes(3), {}),
    "multilabel": ("MLPClassifier", _multilabel, {}),
    "regression": ("MLPRegressor", _regression, {}),
    "counts": ("MLPRegressor", _counts, {"loss": "poisson"}),
}


def _pair(name, **params):
    params = {"hidden_layer_sizes": (7, 5), "random_state": 3, "batch_size": 25, **params}
    return getattr(ours, name)(**params), getattr(theirs, name)(**params)


def _assert_agree(mine, reference, X):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(mine, name), getattr(reference, name), strict=True):
            assert_allclose(a, b, rtol=RTOL, atol=ATOL)
    for name in (
        "loss_",
        "loss_curve_",
        "best_loss_",
        "validation_scores_",
        "best_validation_score_",
    ):
        a, b = getattr(mine, name, "absent"), getattr(reference, name, "absent")
        if b is None or isinstance(b, str):
            assert a == b
        else:
            assert_allclose(a, b, rtol=RTOL)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(mine, name) == getattr(reference, name)
    if hasattr(reference, "classes_"):
        assert_array_equal(mine.classes_, reference.classes_)
        assert_array_equal(mine.predict(X), reference.predict(X))
        assert_allclose(mine.predict_proba(X), reference.predict_proba(X), rtol=1e-5, atol=1e-8)
    else:
        assert_allclose(mine.predict(X), reference.predict(X), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_weights(activation, solver, targets):
    name, data, options = TARGETS[targets]
    X, y = data()
    max_iter = 12 if solver == "adaptive" else 6
    params = {**SOLVERS[solver], **options, "activation": activation, "max_iter": max_iter}
    if options and solver != "lbfgs":
        params["learning_rate_init"] = 0.01  # exp(score) diverges at larger rates
    mine, reference = _pair(name, **params)
    _assert_agree(mine.fit(X, y), reference.fit(X, y), X)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("solver", ["adam", "nesterov", "adaptive"])
def test_early_stopping(solver, targets):
    name, data, options = TARGETS[targets]
    X, y = data()
    params = {**SOLVERS[solver], **options, "learning_rate_init": 0.01, "max_iter": 30}
    mine, reference = _pair(name, early_stopping=True, validation_fraction=0.2, **params)
    _assert_agree(mine.fit(X, y), reference.fit(X, y), X)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize(
    "params",
    [
        {"shuffle": False},
        {"batch_size": 1},
        {"batch_size": "auto"},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 4, "alpha": 1.0},
        {"hidden_layer_sizes": [3, 4, 5], "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-4},
        {"max_iter": 200, "tol": 0.02, "n_iter_no_change": 3, "learning_rate_init": 0.02},
        {"random_state": 2**32 - 1},
    ],
    ids=str,
)
def test_options(params, targets):
    name, data, options = TARGETS[targets]
    X, y = data()
    mine, reference = _pair(name, **{"max_iter": 5, **params, **options})
    _assert_agree(mine.fit(X, y), reference.fit(X, y), X)


def test_stops_in_the_same_epoch():
    X, y = _classes(3)
    mine, reference = _pair("MLPClassifier", max_iter=1000, tol=1e-3, learning_rate_init=0.02)
    mine.fit(X, y)
    reference.fit(X, y)
    assert mine.n_iter_ == reference.n_iter_ < 1000


@pytest.mark.parametrize("solver", ["adam", "invscaling", "lbfgs"])
def test_warm_start(solver):
    X, y = _classes(3)
    mine, reference = _pair(
        "MLPClassifier",
        warm_start=True,
        max_iter=4,
        **SOLVERS[solver],
    )
    for _ in range(3):
        _assert_agree(mine.fit(X, y), reference.fit(X, y), X)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("solver", ["adam", "nesterov", "invscaling"])
def test_partial_fit(solver, targets):
    name, data, options = TARGETS[targets]
    X, y = data()
    params = {**SOLVERS[solver], **options, "learning_rate_init": 0.01}
    mine, reference = _pair(name, **params)
    # With an integer scikit-learn repeats one order; see test_partial_fit.py.
    mine.random_state, reference.random_state = (np.random.RandomState(3) for _ in range(2))
    first = {} if name == "MLPRegressor" else {"classes": np.unique(y)}
    if targets == "multilabel":
        first = {"classes": np.arange(4)}
    for part in (slice(0, 60), slice(60, 110), slice(10, 40)):
        mine.partial_fit(X[part], y[part], **first)
        reference.partial_fit(X[part], y[part], **first)
        _assert_agree(mine, reference, X)


def test_partial_fit_draws_on_from_a_random_state_instance():
    X, y = _classes(2)
    mine, _ = _pair("MLPClassifier", random_state=np.random.RandomState(5))
    _, reference = _pair("MLPClassifier", random_state=np.random.RandomState(5))
    for _ in range(3):
        mine.partial_fit(X, y, classes=[0, 1])
        reference.partial_fit(X, y, classes=[0, 1])
    _assert_agree(mine, reference, X)


@pytest.mark.parametrize("labels", [["no", "yes", "why"], [0.0, 1.0, 5.0], [True, False]])
def test_labels(labels):
    X, y = _classes(len(labels))
    y = np.array(labels)[y]
    mine, reference = _pair("MLPClassifier", max_iter=5)
    _assert_agree(mine.fit(X, y), reference.fit(X, y), X)
    assert mine.predict(X).dtype == reference.predict(X).dtype


def test_one_class():
    X, _ = _classes(2)
    y = np.full(N_ROWS, "only")
    mine, reference = _pair("MLPClassifier", max_iter=3)
    mine.fit(X, y)
    reference.fit(X, y)
    for a, b in zip(mine.coefs_, reference.coefs_, strict=True):
        assert_allclose(a, b, rtol=RTOL)
    assert_array_equal(mine.predict(X), y)
    assert_array_equal(mine.predict_proba(X), np.ones((N_ROWS, 1)))


@pytest.mark.parametrize(
    "container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array]
)
def test_sparse_table(container):
    X, y = _classes(3)
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    mine, reference = _pair("MLPClassifier", max_iter=5)
    _assert_agree(mine.fit(container(X), y), reference.fit(container(X), y), container(X))


def test_sparse_multilabel_targets():
    X, Y = _multilabel()
    mine, reference = _pair("MLPClassifier", max_iter=5)
    mine.fit(X, scipy.sparse.csr_matrix(Y))
    reference.fit(X, scipy.sparse.csr_matrix(Y))
    assert_array_equal(mine.predict(X).toarray(), reference.predict(X).toarray())


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("targets", TARGETS)
def test_sample_weight_where_a_step_sees_all_rows(targets, solver):
    # In a smaller batch scikit-learn divides by that batch's weights, we by the mean of them all.
    name, data, options = TARGETS[targets]
    X, y = data()
    weight = np.random.default_rng(0).uniform(0.1, 3.0, N_ROWS)
    mine, reference = _pair(name, batch_size=N_ROWS, max_iter=8, solver=solver, **options)
    mine.fit(X, y, sample_weight=weight)
    reference.fit(X, y, sample_weight=weight)
    _assert_agree(mine, reference, X)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_multi_output_steps_are_the_same_and_the_loss_is_summed(solver):
    X, y = _regression(n_targets=3)
    mine, reference = _pair("MLPRegressor", max_iter=5, alpha=0.0, solver=solver)
    mine.fit(X, y)
    reference.fit(X, y)
    for a, b in zip(mine.coefs_, reference.coefs_, strict=True):
        assert_allclose(a, b, rtol=RTOL, atol=ATOL)
    assert_allclose(mine.loss_curve_, 3 * np.array(reference.loss_curve_), rtol=RTOL)


def test_float32_stays_close():
    X, y = _classes(3)
    mine, reference = _pair("MLPClassifier", max_iter=5)
    mine.fit(X.astype(np.float32), y)
    reference.fit(X.astype(np.float32), y)
    for a, b in zip(mine.coefs_, reference.coefs_, strict=True):
        assert a.dtype == b.dtype == np.float32
        assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert mine.predict_proba(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "adaptive"])
def test_verbose_prints_the_same(solver, early_stopping, capsys):
    X, y = _classes(2)
    params = {**SOLVERS[solver], "tol": 0.01, "n_iter_no_change": 2, "max_iter": 60}
    mine, reference = _pair("MLPClassifier", verbose=True, early_stopping=early_stopping, **params)
    mine.fit(X, y)
    printed = capsys.readouterr().out
    reference.fit(X, y)
    assert printed == capsys.readouterr().out


def _default(parameter, method):
    """The default, but for y of fit, which only a stream, which names its column, does without."""
    if (method, parameter.name) == ("fit", "y") and parameter.default is None:
        return parameter.empty
    return parameter.default


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_signatures(name):
    mine, reference = getattr(ours, name), getattr(theirs, name)
    for method in ("__init__", "fit", "partial_fit", "predict", "score"):
        a = inspect.signature(getattr(mine, method)).parameters.values()
        b = inspect.signature(getattr(reference, method)).parameters.values()
        theirs_first = [(p.name, p.kind, _default(p, method)) for p in a][: len(b)]
        assert theirs_first == [(p.name, p.kind, p.default) for p in b]
        assert all(p.default is not p.empty for p in list(a)[len(b) :])
    public = {attribute for attribute in dir(reference) if not attribute.startswith("_")}
    assert public <= set(dir(mine))
