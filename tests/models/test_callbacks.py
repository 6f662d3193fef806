"""The parameter `callbacks` of the estimators."""

import io
import pickle

import numpy as np
import pytest
from estimator_kinds import KINDS, predictions_of
from rich.console import Console
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from pellucid import MLPClassifier, MLPRegressor, ProgressBar, load
from pellucid.training import Outcome

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
LABELS = np.where(X[:, 0] > 0, "yes", "no")
NUMBERS = X[:, 0] + X[:, 1]
unfinished = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
one_of_each_family = pytest.mark.parametrize(
    "kind", {kind.family: kind for kind in KINDS.values()}.values(), ids=lambda kind: kind.family
)


class Reports:
    """Keeps every report; ends training after `last` epochs."""

    def __init__(self, last=4):
        self.last = last
        self.reports = []

    def on_start(self, start):
        self.start = start

    def on_epoch_end(self, report):
        self.reports.append(report)
        return report.epoch == self.last

    def on_end(self, outcome):
        self.outcome = outcome


@each_kind
def test_reports_and_the_end(kind):
    callback = Reports()
    # Training that a callback ended is neither interrupted nor unfinished: no warning.
    model = kind.make(callbacks=[callback]).fit(kind.X, kind.y)
    assert model.n_iter_ == 4
    assert [report.loss for report in callback.reports] == model.loss_curve_
    assert callback.outcome is model.outcome_ is Outcome.STOPPED
    assert callback.start.max_epochs == 8
    assert callback.start.chain is model.chain_
    np.testing.assert_array_equal(callback.start.parameters.flat, model.parameters_.flat)


@unfinished
@each_kind
def test_callbacks_do_not_change_what_is_learned(kind):
    model = kind.make(max_iter=30)
    plain = clone(model).fit(kind.X, kind.y)
    told = model.set_params(callbacks=[Reports(last=None)]).fit(kind.X, kind.y)
    assert plain.n_iter_ > 12, "without callbacks short epochs run several at once"
    assert told.loss_curve_ == plain.loss_curve_
    assert predictions_of(told, kind.X) == predictions_of(plain, kind.X)


@unfinished
@each_kind
def test_callbacks_may_look_at_the_estimator_in_training(kind):
    settings, arguments = kind.held_out
    seen = []

    def look(report):
        seen.append((model.loss_curve_.copy(), model.validation_scores_.copy()))
        seen[-1] += (model.chain_, predictions_of(model, kind.X))

    model = kind.make(dropout=0.0, scoring="loss", callbacks=[look], **settings)
    for _ in range(2):
        model.fit(kind.X, kind.y, **arguments)
        for n, (losses, scores, chain, _) in enumerate(seen, start=1):
            assert losses == model.loss_curve_[:n]
            assert scores == model.validation_scores_[:n]
            assert chain is model.chain_
        best = seen[int(np.argmax(model.validation_scores_))]
        assert best[-1] == predictions_of(model, kind.X)
        assert seen[0][-1] != best[-1]
        seen.clear()


@one_of_each_family
def test_a_look_at_the_estimator_leaves_nothing_where_no_epoch_ends(kind):
    class Fails:
        def on_start(self, start):
            assert model.n_iter_ == 0
            assert model.chain_ is start.chain
            raise OSError("no space")

    model = kind.make(callbacks=[Fails()])
    for _ in range(2):
        before = dict(vars(model))
        with pytest.raises(OSError, match="no space"):
            model.fit(kind.X, kind.y)
        assert vars(model) == before
        model = kind.make(max_iter=1, callbacks=[lambda report: True]).fit(kind.X, kind.y)
        model.callbacks = [Fails()]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (MLPClassifier(), None),
        (MLPClassifier(early_stopping=True), "accuracy"),
        (MLPRegressor(early_stopping=True), "R²"),
        (MLPRegressor(early_stopping=True, scoring="r2"), "r2"),
        (MLPRegressor(early_stopping=True, scoring="loss"), None),
        (MLPRegressor(early_stopping=True, scoring=lambda model, X, y: 0.0), "score"),
    ],
)
def test_the_name_of_the_score(model, name):
    callback = Reports(last=1)
    y = LABELS if isinstance(model, MLPClassifier) else NUMBERS
    model.set_params(callbacks=[callback]).fit(X, y)
    assert callback.start.score_name == name


def test_validation_in_reports():
    callback = Reports()
    model = MLPClassifier(random_state=0, callbacks=[callback])
    model.fit(X[:60], LABELS[:60], X_val=X[60:], y_val=LABELS[60:])
    assert [report.validation_score for report in callback.reports] == model.validation_scores_
    losses = [report.validation_loss for report in callback.reports]
    assert losses == model.validation_loss_curve_


def test_iterations_of_lbfgs():
    callback = Reports(last=5)
    model = MLPRegressor(solver="lbfgs", random_state=0, callbacks=[callback]).fit(X, NUMBERS)
    assert model.n_iter_ == 5
    assert [report.epoch for report in callback.reports] == [1, 2, 3, 4, 5]
    losses = [report.loss for report in callback.reports]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == model.loss_
    assert all(report.n_examples == 90 and report.seconds > 0 for report in callback.reports)
    assert callback.outcome is Outcome.STOPPED
    np.testing.assert_array_equal(callback.start.parameters.flat, model.parameters_.flat)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_error_keeps_the_last_finished_epoch(solver):
    def fails(report):
        if report.epoch == 3:
            raise OSError("no space")

    model = MLPRegressor(solver=solver, random_state=0, callbacks=[fails])
    with pytest.raises(OSError, match="no space"):
        model.fit(X, NUMBERS)
    stopped = clone(model).set_params(callbacks=[lambda report: report.epoch == 3])
    np.testing.assert_array_equal(model.predict(X), stopped.fit(X, NUMBERS).predict(X))
    assert model.n_iter_ == 3


def test_each_partial_fit_is_a_run_of_its_own():
    callback = Reports()
    model = MLPRegressor(random_state=0, callbacks=[callback])
    for _ in range(3):
        model.partial_fit(X, NUMBERS)
    assert [report.epoch for report in callback.reports] == [1, 1, 1]
    assert callback.start.max_epochs == 1


def test_copies_of_the_estimator_have_copies_of_the_callbacks():
    callback = Reports()
    model = MLPRegressor(callbacks=[callback, print])
    copied = clone(model).callbacks
    assert copied[0].last == 4
    assert copied[0] is not callback
    assert copied[1] is print
    assert pickle.loads(pickle.dumps(model)).callbacks[0].last == 4
    assert model.get_params()["callbacks"] == [callback, print]


@pytest.mark.parametrize("backend_n_jobs", [1, 2])
def test_in_a_search(backend_n_jobs):
    model = MLPRegressor(random_state=0, callbacks=[Reports(), ProgressBar(Console(quiet=True))])
    search = GridSearchCV(model, {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=backend_n_jobs)
    search.set_params(estimator__callbacks=[Reports(last=2)]).fit(X, NUMBERS)
    best = search.best_estimator_
    assert best.n_iter_ == 2
    assert [report.loss for report in best.callbacks[0].reports] == best.loss_curve_


@one_of_each_family
def test_callbacks_are_not_saved(kind, tmp_path):
    model = kind.make(callbacks=[Reports(), lambda report: None])
    model.fit(kind.X, kind.y).save(tmp_path / "model.pellucid")
    loaded = load(tmp_path / "model.pellucid")
    assert loaded.callbacks is None
    assert predictions_of(loaded, kind.X) == predictions_of(model, kind.X)


@one_of_each_family
@pytest.mark.parametrize("callbacks", [[ProgressBar], ["no"], ProgressBar(), 3])
def test_what_is_no_callback_is_refused(kind, callbacks):
    with pytest.raises((TypeError, ValueError), match="callbacks"):
        kind.make(callbacks=callbacks).fit(kind.X, kind.y)


@one_of_each_family
def test_progress_bar(kind):
    console = Console(file=io.StringIO(), width=100)
    model = kind.make(max_iter=200)
    model.set_params(callbacks=[ProgressBar(console), lambda report: report.epoch == 9])
    model.fit(kind.X, kind.y)
    first, *_, last = console.file.getvalue().splitlines()
    assert first.startswith("epoch   1/200  loss")
    assert last.startswith("epoch   9/200  loss")
