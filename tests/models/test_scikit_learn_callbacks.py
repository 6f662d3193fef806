"""scikit-learn's callbacks on our estimators: alone, in a pipeline, in a search."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid import MLPClassifier, MLPRegressor, Network, TabularClassifier, TabularRegressor
from pellucid.nn import Activation, Linear

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has none")

RNG = np.random.default_rng(0)
# So few rows that the tabular estimators hold out none.
TABLE = pd.DataFrame(RNG.normal(size=(90, 3)), columns=["a", "b", "c"])
LABELS = np.where(TABLE["a"] > 0, "yes", "no")
NUMBERS = (TABLE["a"] + TABLE["b"]).to_numpy()

OPTIONS = {
    **{"hidden_layer_sizes": (4,), "max_iter": 5, "n_iter_no_change": 9},
    **{"learning_rate_init": 0.1, "random_state": 0},
}
LAYERS = [Linear(4), Activation("relu"), Linear(2)]
ESTIMATORS = [
    *(kind(**OPTIONS) for kind in (MLPClassifier, MLPRegressor)),
    *(kind(**OPTIONS) for kind in (TabularClassifier, TabularRegressor)),
    Network(LAYERS, "softmax_cross_entropy", max_iter=5, learning_rate_init=0.1, random_state=0),
]
each_estimator = pytest.mark.parametrize(
    "estimator", ESTIMATORS, ids=[type(estimator).__name__ for estimator in ESTIMATORS]
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture(autouse=True)
def _scikit_learn_lets_go_of_callbacks():
    """It keeps every callback that it called, and with it the estimators that ours remember."""
    yield
    callback._callback_context._cached_signature.cache_clear()


def _y(estimator):
    return LABELS if hasattr(estimator, "predict_proba") else NUMBERS


class Recorder:
    """What each task was told with."""

    def __init__(self):
        self.begun, self.ended, self.others = [], [], []

    def setup(self, estimator, context):
        self.others.append("setup")

    def teardown(self, estimator, context):
        self.others.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.begun.append((context.task_name, X, y))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.ended.append((context.task_name, metadata, fitted_estimator))
        return False


@each_estimator
def test_a_fit_is_a_task_and_its_epochs_are_subtasks(estimator):
    recorder, y = Recorder(), _y(estimator)
    model = clone(estimator).set_callbacks(recorder).fit(TABLE, y)
    epochs = [f"epoch {i}" for i in range(1, 6)]
    assert [name for name, *_ in recorder.begun] == ["fit", *epochs]
    assert [name for name, *_ in recorder.ended] == [*epochs, "fit"]
    assert all(X is TABLE and given is y for _, X, given in recorder.begun)
    assert recorder.others == ["setup", "teardown"]
    assert "_callback_fit_ctx" not in vars(model)


@each_estimator
def test_fitted_estimators_predict_by_the_weights_of_their_epoch(estimator):
    recorder, y = Recorder(), _y(estimator)
    model = clone(estimator).set_callbacks(recorder).fit(TABLE, y)
    fitted = [estimator for _, _, estimator in recorder.ended]
    assert [each.n_iter_ for each in fitted] == [1, 2, 3, 4, 5, 5]
    for n, each in enumerate(fitted[:-1], start=1):
        assert each.loss_curve_ == model.loss_curve_[:n]
        alone = clone(estimator).set_params(max_iter=n).fit(TABLE, y)
        np.testing.assert_array_equal(each.predict(TABLE), alone.predict(TABLE))
    np.testing.assert_array_equal(fitted[-1].predict(TABLE), model.predict(TABLE))


@each_estimator
def test_callbacks_do_not_change_what_is_learned(estimator):
    y = _y(estimator)
    plain = clone(estimator).fit(TABLE, y)
    told = clone(estimator).set_callbacks(Recorder()).fit(TABLE, y)
    assert told.loss_curve_ == plain.loss_curve_
    np.testing.assert_array_equal(told.predict(TABLE), plain.predict(TABLE))


@each_estimator
def test_scoring_monitor(estimator):
    scoring = "accuracy" if hasattr(estimator, "predict_proba") else "r2"
    monitor, y = callback.ScoringMonitor(scoring=scoring), _y(estimator)
    model = clone(estimator).set_callbacks(monitor).fit(TABLE, y)
    rows = monitor.get_logs().data
    assert [row["task_name"] for row in rows] == ["fit", *(f"epoch {i}" for i in range(1, 6))]
    assert rows[0][scoring] == model.score(TABLE, y)
    assert len({row[scoring] for row in rows}) > 1


def test_weights_of_rows_are_handed_on():
    recorder, weight = Recorder(), np.arange(90.0)
    ESTIMATORS[0].__class__(max_iter=2).set_callbacks(recorder).fit(
        TABLE, LABELS, sample_weight=weight
    )
    assert all(metadata == {"sample_weight": weight} for _, metadata, _ in recorder.ended)


def test_iterations_of_lbfgs_are_subtasks():
    recorder = Recorder()
    model = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", random_state=0, max_iter=500)
    model.set_callbacks(recorder).fit(TABLE, NUMBERS)
    names = [f"epoch {i}" for i in range(1, model.n_iter_ + 1)]
    assert 5 < model.n_iter_ < 500, "it converges"
    assert [name for name, *_ in recorder.ended] == [*names, "fit"]
    assert [name for name, *_ in recorder.begun] == ["fit", *names]
    scores = [each.score(TABLE, NUMBERS) for _, _, each in recorder.ended]
    assert scores[0] < scores[3] < scores[-1] == scores[-2]


class StopsAfter(Recorder):
    def __init__(self, n):
        super().__init__()
        self.n = n

    def on_fit_task_end(self, estimator, context):
        return context.task_name == f"epoch {self.n}"


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_of_scikit_learn_ends_training(solver):
    model = MLPRegressor(hidden_layer_sizes=(4,), solver=solver, random_state=0)
    model.set_callbacks(StopsAfter(3)).fit(TABLE, NUMBERS)
    assert model.n_iter_ == 3


@each_estimator
def test_callbacks_are_torn_down_after_an_error(estimator):
    recorder = Recorder()
    model = clone(estimator).set_params(callbacks=[_fails]).set_callbacks(recorder)
    with pytest.raises(OSError, match="no space"):
        model.fit(TABLE, _y(model))
    assert recorder.others == ["setup", "teardown"]
    assert model._skl_callbacks == [recorder]
    with pytest.raises(ValueError, match="samples"):
        model.fit(TABLE, _y(model)[:-1])
    assert "_callback_fit_ctx" not in vars(model)


def _fails(report):
    raise OSError("no space")


def test_nothing_is_fitted_after_an_error_in_the_first_task():
    class Fails(Recorder):
        def on_fit_task_begin(self, estimator, context):
            raise OSError("no space")

    model = clone(ESTIMATORS[0]).set_callbacks(Fails())
    with pytest.raises(OSError, match="no space"):
        model.fit(TABLE, LABELS)
    with pytest.raises(NotFittedError):
        model.predict(TABLE)


def test_only_callbacks_of_scikit_learn_are_set():
    with pytest.raises(TypeError, match="FitCallback"):
        ESTIMATORS[0].set_callbacks(print)


@each_estimator
def test_progress_bar_alone_and_in_a_pipeline(estimator, monkeypatch):
    y = _y(estimator)
    model = clone(estimator).set_callbacks(callback.ProgressBar())
    assert f"{type(estimator).__name__} - fit" in _shown(monkeypatch, model, y)
    pipeline = make_pipeline(StandardScaler(), clone(estimator))
    shown = _shown(monkeypatch, pipeline.set_callbacks(callback.ProgressBar()), y)
    assert "Pipeline - fit" in shown
    assert f"{type(estimator).__name__} - fit" in shown
    assert "100%" in shown


@pytest.mark.parametrize("n_jobs", [1, 2])
@each_estimator
def test_progress_bar_and_scoring_monitor_in_a_search(estimator, n_jobs, monkeypatch):
    y = _y(estimator)
    scoring = "accuracy" if hasattr(estimator, "predict_proba") else "r2"
    monitor = callback.ScoringMonitor(scoring=scoring)
    search = GridSearchCV(
        clone(estimator).set_callbacks(monitor), {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=n_jobs
    )
    search.set_callbacks(callback.ProgressBar())
    # Workers are processes of their own, in which pytest's filters do not hold.
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    shown = _shown(monkeypatch, search, y)
    assert "GridSearchCV - fit" in shown
    assert f"{type(estimator).__name__} - fit" in shown
    log = monitor.get_logs()
    assert log.estimator_name == "GridSearchCV"
    # Two candidates on two folds, and the best again on all rows; five epochs each.
    epochs = [row for row in log.data if row["task_name"].startswith("epoch")]
    assert len(epochs) == 25
    assert all(np.isfinite(row[scoring]) for row in epochs)


def _shown(monkeypatch, model, y):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.StringIO())
        model.fit(TABLE, y)
        return sys.stdout.getvalue()
