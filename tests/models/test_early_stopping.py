"""Held-out rows, best weights, interruption and divergence."""

import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score

from pellucid import MLPClassifier, MLPRegressor
from pellucid.engine.native import NativeTrainer
from pellucid.training import hold_out

X, Y = load_iris(return_X_y=True)
SCALED = X / X.std(axis=0)

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _held_out_rows(estimator, seed):
    """Draw what the estimator drew: its first weights, then the split."""
    random_state = np.random.RandomState(seed)
    for W in estimator.coefs_:
        random_state.uniform(size=W.size + W.shape[1])
    return hold_out(len(X), 0.1, random_state)


@quiet
def test_the_best_weights_are_put_back():
    estimator = MLPClassifier(
        early_stopping=True, random_state=0, max_iter=60, learning_rate_init=0.02
    ).fit(X, Y)
    _, held_out = _held_out_rows(estimator, 0)
    score = accuracy_score(Y[held_out], estimator.predict(X[held_out]))
    assert score == estimator.best_validation_score_ == max(estimator.validation_scores_)
    assert len(estimator.validation_scores_) == len(estimator.loss_curve_) == estimator.n_iter_
    assert estimator.best_loss_ is None


@quiet
@pytest.mark.parametrize("estimator_class", [MLPClassifier, MLPRegressor])
def test_held_out_rows_count_by_their_weights(estimator_class):
    weight = np.random.default_rng(0).uniform(0.0, 5.0, len(X))
    estimator = estimator_class(early_stopping=True, random_state=0, max_iter=5)
    estimator.fit(X, Y, sample_weight=weight)
    _, held_out = _held_out_rows(estimator, 0)
    score = accuracy_score if estimator_class is MLPClassifier else r2_score
    expected = score(Y[held_out], estimator.predict(X[held_out]), sample_weight=weight[held_out])
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-12)


@quiet
def test_held_out_rows_are_not_trained_on():
    spoiled = X.copy()
    estimator = MLPClassifier(early_stopping=True, random_state=0, max_iter=5).fit(X, Y)
    _, held_out = _held_out_rows(estimator, 0)
    spoiled[held_out] = 1e6
    other = MLPClassifier(early_stopping=True, random_state=0, max_iter=5).fit(spoiled, Y)
    assert other.loss_curve_ == estimator.loss_curve_


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
def test_string_labels(n_classes):
    """scikit-learn issue 33760."""
    table, codes = make_classification(200, 10, n_informative=5, n_classes=n_classes)
    labels = np.array(["class_a", "class_b", "class_c"], dtype=object)[codes]
    estimator = MLPClassifier(early_stopping=True, max_iter=10).fit(table, labels)
    assert np.isfinite(estimator.validation_scores_).all()
    assert set(estimator.predict(table)) <= set(labels)


def test_divergence_keeps_the_best_weights():
    """scikit-learn issue 29504."""
    estimator = MLPRegressor(
        activation="identity",
        solver="sgd",
        learning_rate_init=0.3,
        max_iter=500,
        n_iter_no_change=500,
        early_stopping=True,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="diverged in iteration"):
        estimator.fit(SCALED, Y)
    assert np.isnan(estimator.validation_scores_[-1])
    assert len(estimator.validation_scores_) == len(estimator.loss_curve_) == estimator.n_iter_
    assert estimator.best_validation_score_ == np.nanmax(estimator.validation_scores_)
    _, held_out = _held_out_rows(estimator, 0)
    score = r2_score(Y[held_out], estimator.predict(SCALED[held_out]))
    assert score == pytest.approx(estimator.best_validation_score_)


@quiet
def test_partial_fit_after_early_stopping_is_refused_then_works():
    """scikit-learn issue 25693."""
    estimator = MLPClassifier(early_stopping=True, random_state=0, max_iter=5).fit(X, Y)
    weights = estimator.coefs_[0].copy()
    with pytest.raises(ValueError, match="early_stopping=False"):
        estimator.partial_fit(X, Y)
    np.testing.assert_array_equal(estimator.coefs_[0], weights)
    estimator.set_params(early_stopping=False).partial_fit(X, Y)
    assert not np.array_equal(estimator.coefs_[0], weights)


@quiet
def test_warm_start_goes_on_from_the_best_weights():
    estimator = MLPClassifier(
        early_stopping=True, warm_start=True, random_state=0, max_iter=10, learning_rate_init=0.01
    ).fit(X, Y)
    best = estimator.best_validation_score_
    for _ in range(3):
        estimator.fit(X, Y)
        assert estimator.best_validation_score_ >= best
        best = estimator.best_validation_score_
    assert len(estimator.validation_scores_) == len(estimator.loss_curve_)


@quiet
@pytest.mark.parametrize("solvers", [("lbfgs", "adam"), ("adam", "lbfgs"), ("sgd", "adam")])
def test_warm_start_may_change_the_solver(solvers):
    estimator = MLPClassifier(solver=solvers[0], warm_start=True, max_iter=5, random_state=0)
    estimator.fit(X, Y).set_params(solver=solvers[1]).fit(X, Y)
    assert estimator.n_iter_ == 5


@quiet
@pytest.mark.parametrize("solvers", [("adam", "sgd"), ("sgd", "adam")])
def test_partial_fit_may_change_the_solver(solvers):
    estimator = MLPClassifier(solver=solvers[0], random_state=0).fit(X, Y)
    fresh = MLPClassifier(solver=solvers[1], random_state=0).fit(X, Y)
    for one in (*estimator.coefs_, *estimator.intercepts_):
        one[...] *= 0.5
    fresh.coefs_ = [W.copy() for W in estimator.coefs_]
    fresh.intercepts_ = [b.copy() for b in estimator.intercepts_]
    fresh._optimizer = None
    estimator.set_params(solver=solvers[1]).partial_fit(X, Y)
    np.testing.assert_array_equal(estimator.coefs_[0], fresh.partial_fit(X, Y).coefs_[0])


def _raise_keyboard_interrupt_in(n_epochs):
    def on_epoch(report):
        if report.epoch == n_epochs:
            raise KeyboardInterrupt

    return on_epoch


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupt_between_epochs_keeps_the_model(early_stopping):
    estimator = MLPClassifier(early_stopping=early_stopping, random_state=0)
    estimator.callbacks = [_raise_keyboard_interrupt_in(3)]
    with pytest.warns(UserWarning, match="interrupted by user"):
        estimator.fit(X, Y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 3
    assert estimator.predict(X).shape == Y.shape


def _with_trainer(estimator_class, trainer):
    """Return the class of estimators that train with this trainer."""

    class Estimator(estimator_class):
        def _engine_of(self, chain):
            return replace(super()._engine_of(chain), trainer=trainer)

    return Estimator


@pytest.mark.alone
@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_control_c_in_the_middle_of_an_epoch_keeps_the_model():
    table = np.random.default_rng(0).standard_normal((20_000, 20))
    main = threading.main_thread().ident
    timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT))

    class Interrupted(NativeTrainer):
        def run_epochs(self, orders, learning_rate=None):
            if not timer.ident:
                timer.start()
            return super().run_epochs(orders, learning_rate)

    kind = _with_trainer(MLPRegressor, Interrupted)
    estimator = kind(batch_size=1, max_iter=10_000, tol=0.0, n_iter_no_change=np.inf)
    with pytest.warns(UserWarning, match="interrupted by user"):
        estimator.fit(table, table[:, 0])
    timer.join()
    assert estimator.n_iter_ < 10_000
    assert np.isfinite(estimator.predict(table)).all()


@quiet
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_held_out_rows_are_measured_where_they_lie(container):
    table = np.random.default_rng(0).standard_normal((60, 300)).astype(np.float32)
    table = container(np.where(np.abs(table) > 2, table, 0))
    measured = []

    class Watched(NativeTrainer):
        def measure(self, rows):
            measured.append(rows)
            return super().measure(rows)

    kind = _with_trainer(MLPClassifier, Watched)
    model = kind((3,), early_stopping=True, validation_fraction=0.5, max_iter=2)
    model.fit(table, np.arange(60) % 2)
    assert [len(rows.rows) for rows in measured] == [30, 30]
    numbers = table if container is np.asarray else table.data
    for rows in measured:
        assert np.shares_memory(rows.X if container is np.asarray else rows.X.data, numbers)


class _SomeError(Exception):
    pass


class _FailingTrainer(NativeTrainer):
    """Fails in the middle of an epoch of more rows than there were in the first fit."""

    def run_epochs(self, orders, learning_rate=None):
        if orders.shape[1] == 100:
            yield from super().run_epochs(orders, learning_rate)
            return
        list(super().run_epochs(orders[:1, :200], learning_rate))
        raise _SomeError


@quiet
@pytest.mark.parametrize(
    ("how", "early_stopping"), [("partial_fit", False), ("fit", False), ("fit", True)]
)
def test_an_exception_in_the_first_epoch_takes_the_weights_back(how, early_stopping):
    table = np.random.default_rng(0).standard_normal((1000, 20))
    y = table[:, 0]
    kind = _with_trainer(MLPRegressor, _FailingTrainer)
    estimator = kind(batch_size=4, max_iter=1, warm_start=True)
    estimator.fit(table[:100], y[:100])
    estimator.early_stopping = early_stopping
    before, weights = dict(vars(estimator)), estimator.parameters_.flat.copy()
    curve = list(estimator.loss_curve_)
    with pytest.raises(_SomeError):
        getattr(estimator, how)(table, y)
    assert vars(estimator) == before
    assert estimator.loss_curve_ == curve
    np.testing.assert_array_equal(estimator.parameters_.flat, weights)
    np.testing.assert_array_equal(estimator.coefs_[0].ravel(), weights[: 20 * 100])


@quiet
def test_reports_of_each_epoch():
    reports = []
    estimator = MLPClassifier(early_stopping=True, random_state=0, max_iter=4)
    estimator.callbacks = [reports.append]
    estimator.fit(X, Y)
    assert [report.epoch for report in reports] == [1, 2, 3, 4]
    assert [report.loss for report in reports] == estimator.loss_curve_
    assert [report.validation_score for report in reports] == estimator.validation_scores_
    assert {report.n_examples for report in reports} == {135}


def test_single_member_class_is_named():
    labels = np.array(["common"] * 19 + ["rare"])
    with pytest.raises(ValueError, match=r"only 1 member.*'rare'"):
        MLPClassifier(early_stopping=True).fit(X[:20], labels)
