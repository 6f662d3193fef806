"""Deep ensembles: members fitted together, the mean and the spread of what they predict."""

import os
import signal
import sys
import threading
import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from estimator_kinds import ENSEMBLES, WEIGHTS, N, learned_by
from every_check import every_check
from sklearn import linear_model, pipeline, preprocessing
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks, get_tags

import pellucid
from pellucid import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    Network,
    TabularClassifier,
    TabularRegressor,
)
from pellucid.engine.engines import ENGINES
from pellucid.nn import Linear
from pellucid.training import Outcome

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
CLASSES = np.array(["red", "green", "blue"])[np.digitize(X[:, 0], [-0.5, 0.5])]
SQUARES = np.c_[X[:, 0] ** 2, X[:, 1]]
SEVERAL = (X[:, :3] > 0).astype(int)
FEW = {"hidden_layer_sizes": (8,), "max_iter": 6, "learning_rate_init": 0.02}
CLASSIFIER = DeepEnsembleClassifier(MLPClassifier(**FEW), 3, random_state=0)
REGRESSOR = DeepEnsembleRegressor(MLPRegressor(**FEW), 3, random_state=0)
CASES = pytest.mark.parametrize(
    ("ensemble", "y"), [(CLASSIFIER, CLASSES), (REGRESSOR, SQUARES)], ids=["classes", "numbers"]
)
each_kind = pytest.mark.parametrize("kind", ENSEMBLES.values(), ids=ENSEMBLES)
with_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="a signal cannot be sent to one process there"
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _ensemble_to_check(cls, member):
    member.set_params(hidden_layer_sizes=(10,), learning_rate_init=0.02, max_iter=40)
    return cls(member, 2, random_state=0)


TO_CHECK = [
    _ensemble_to_check(DeepEnsembleClassifier, MLPClassifier()),
    _ensemble_to_check(DeepEnsembleRegressor, MLPRegressor()),
    _ensemble_to_check(DeepEnsembleClassifier, TabularClassifier()),
    _ensemble_to_check(DeepEnsembleRegressor, TabularRegressor()),
]
"""No `Network`s: their last layer has as many outputs as one table needs."""


@pytest.mark.filterwarnings(
    "ignore:The number of unique classes is greater than 50%:UserWarning",
    "ignore:A column-vector y was passed:sklearn.exceptions.DataConversionWarning",
)
@every_check(TO_CHECK)
def test_check(estimator, check):
    name = getattr(check, "func", check).__name__
    if "decision_function" in name or name == "check_decision_proba_consistency":
        assert not hasattr(estimator, "decision_function")
        return
    if name.startswith("check_sample_weight_equivalence") and _is_tabular(estimator):
        # Weight k equals k rows where a step sees all rows.
        estimator = clone(estimator).set_params(
            estimator__batch_size=1000, estimator__dtype="float64"
        )
    check(estimator)


def _is_tabular(ensemble):
    return isinstance(ensemble.estimator, TabularClassifier | TabularRegressor)


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize("estimator", TO_CHECK, ids=lambda e: type(e.estimator).__name__)
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_n_features_in_after_fitting,
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_global_output_transform_pandas,
        estimator_checks.check_set_output_transform_polars,
        estimator_checks.check_global_set_output_transform_polars,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
    ],
    ids=lambda check: check.__name__,
)
def test_check_not_in_the_list(estimator, check):
    wants_order = check is estimator_checks.check_dataframe_column_names_consistency
    if wants_order and _is_tabular(estimator):
        # Tabular members find columns by name, in any order.
        with pytest.raises(AssertionError, match=r"^predict did not raise"):
            check(type(estimator).__name__, clone(estimator))
    else:
        check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("kind", ["TabularClassifier", "TabularRegressor"])
def test_tabular_members_find_columns_by_name(kind):
    kind = next(ENSEMBLES[name] for name in ENSEMBLES if name.endswith(f" {kind}"))
    table = kind.X.assign(constant=1.0)
    model = kind.make(dropout=0).fit(table, kind.y)
    other = kind.X.assign(extra="x")[["extra", *reversed(kind.X.columns)]]
    np.testing.assert_array_equal(model.predict(other), model.predict(table))
    np.testing.assert_array_equal(model.transform(other), model.transform(table))
    with pytest.raises(ValueError, match="no column 'a'"):
        model.predict(other.drop(columns="a"))
    with pytest.warns(UserWarning, match="valid feature names, but DeepEnsemble") as caught:
        model.predict(table.to_numpy())
    assert len(caught) == 1
    assert not hasattr(model.fit(table.to_numpy(), kind.y), "feature_names_in_")


def part(table, rows):
    return table.iloc[rows] if isinstance(table, pd.DataFrame) else table[rows]


@each_kind
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_members_are_to_the_bit_what_each_would_be_alone(kind, n_threads):
    train, rest = np.arange(90), np.arange(90, N)
    given = {"X_val": part(kind.X, rest), "y_val": kind.y[rest], "sample_weight_val": WEIGHTS[rest]}
    model = kind.make().set_params(n_threads=n_threads, n_estimators=3)
    model.fit(part(kind.X, train), kind.y[train], WEIGHTS[train], **given)
    assert len({member.random_state for member in model.estimators_}) == 3
    for member in model.estimators_:
        alone = clone(member).fit(part(kind.X, train), kind.y[train], WEIGHTS[train], **given)
        names = {"feature_names_in_", "n_features_in_"}
        one, other = learned_by(member), learned_by(alone)
        assert {k: one[k] for k in one if k not in names} == {
            k: other[k] for k in other if k not in names
        }


@each_kind
def test_predictions_are_mean_and_standard_deviation_of_the_members(kind):
    model = kind.make().fit(kind.X, kind.y)
    method = "predict_proba" if kind.classifies else "predict"
    each = np.stack([getattr(member, method)(kind.X) for member in model.estimators_])
    mean, std = getattr(model, method)(kind.X, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(std, each.std(axis=0), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(mean, getattr(model, method)(kind.X))
    assert std.min() >= 0.0
    assert std.max() > 0.001
    if kind.classifies:
        labels, of_labels = model.predict(kind.X, return_std=True)
        np.testing.assert_array_equal(labels, model.classes_[mean.argmax(axis=1)])
        np.testing.assert_array_equal(labels, model.predict(kind.X))
        np.testing.assert_array_equal(of_labels, std[np.arange(N), mean.argmax(axis=1)])
        np.testing.assert_allclose(model.predict_log_proba(kind.X), np.log(mean))
        assert model.score(kind.X, kind.y) == np.mean(labels == kind.y)


@each_kind
def test_it_can_do_what_its_members_can(kind):
    table = kind.X
    if not isinstance(table, pd.DataFrame):
        table = pd.DataFrame(table, columns=list("abcd"))
    model = kind.make().fit(table, kind.y)
    assert model.feature_names_in_.tolist() == list(table.columns)
    assert all(check.passed for check in model.check_gradient(table[:10], kind.y[:10]))
    description = model.describe()
    assert description.estimator == type(model).__name__
    assert description.facts["members"].startswith("2 like this one")
    assert description.network.n_parameters == model.estimators_[0].parameters_.flat.size
    if not hasattr(model.estimators_[0], "transform"):
        assert not hasattr(model, "transform")
        assert not hasattr(model, "get_feature_names_out")
        assert get_tags(model).transformer_tags is None
        return
    hidden = model.transform(table)
    assert hidden.shape == (N, 2 * 6)
    names = model.get_feature_names_out()
    member = type(model.estimators_[0]).__name__.lower()
    assert names.tolist() == [f"member{i}_{member}{j}" for i in range(2) for j in range(6)]
    frame = model.set_output(transform="pandas").transform(table, layer=0)
    assert frame.index.equals(table.index)
    np.testing.assert_array_equal(frame, hidden)
    with pytest.raises(ValueError, match="layer must be from -1 to 0"):
        model.transform(table, layer=1)


def test_one_target():
    mean, std = clone(REGRESSOR).fit(X, SQUARES[:, 0]).predict(X, return_std=True)
    assert mean.shape == std.shape == (120,)


def test_two_classes_and_several_labels_a_row():
    model = clone(CLASSIFIER).fit(X, CLASSES == "red")
    mean, std = model.predict_proba(X, return_std=True)
    np.testing.assert_allclose(mean.sum(axis=1), 1.0)
    np.testing.assert_array_equal(std[:, 0], std[:, 1])
    np.testing.assert_array_equal(model.predict(X), mean[:, 1] > 0.5)
    several = clone(CLASSIFIER).fit(X, SEVERAL)
    mean, std = several.predict_proba(X, return_std=True)
    assert mean.shape == std.shape == (120, 3)
    np.testing.assert_array_equal(several.predict(X), (mean > 0.5).astype(int))


def test_labels_are_those_of_a_member_whatever_their_kind():
    for labels in ([-3, 7], [True, False], ["b", "a"], [2.0, 1.0]):
        y = np.array(labels)[(X[:, 0] > 0).astype(int)]
        model = clone(CLASSIFIER).fit(X, y)
        assert model.predict(X).dtype == model.estimators_[0].predict(X).dtype == y.dtype
        assert model.score(X, y) > 0.6


@CASES
def test_an_integer_makes_it_repeatable_and_members_differ(ensemble, y):
    first, again = (clone(ensemble).fit(X, y) for _ in range(2))
    other = clone(ensemble).set_params(random_state=1).fit(X, y)
    for a, b in zip(first.estimators_, again.estimators_, strict=True):
        np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])
    weights = [m.coefs_[0] for m in (*first.estimators_, *other.estimators_)]
    for i, each in enumerate(weights):
        assert not any(np.array_equal(each, before) for before in weights[:i])


@CASES
def test_the_ensemble_is_better_than_its_members_on_average(ensemble, y):
    """By convexity of the losses, for any members: Jensen's inequality."""
    model = clone(ensemble).fit(X, y)
    if y is SQUARES:
        each = [((member.predict(X) - y) ** 2).mean() for member in model.estimators_]
        assert ((model.predict(X) - y) ** 2).mean() < np.mean(each)
    else:
        places = np.arange(120), np.searchsorted(model.classes_, y)
        each = [-np.log(m.predict_proba(X)[places]).mean() for m in model.estimators_]
        assert -np.log(model.predict_proba(X)[places]).mean() < np.mean(each)


def test_members_of_another_kind_are_not_saved(tmp_path):
    class Own(MLPClassifier):
        pass

    model = DeepEnsembleClassifier(Own(**FEW), 2, random_state=0).fit(X, CLASSES)
    with pytest.raises(TypeError, match="Own"):
        model.save(tmp_path / "model.pellucid")
    assert not (tmp_path / "model.pellucid").exists()


@CASES
def test_members_of_lbfgs_are_what_each_would_be_alone(ensemble, y):
    model = clone(ensemble).set_params(estimator__solver="lbfgs").fit(X, y)
    for member in model.estimators_:
        alone = clone(member).fit(X, y)
        np.testing.assert_array_equal(member.parameters_.flat, alone.parameters_.flat)


@CASES
@pytest.mark.parametrize("container", [scipy.sparse.csr_array, np.asfortranarray, pd.DataFrame])
def test_containers(ensemble, y, container):
    table = np.where(X > 0, X, 0.0)
    plain = clone(ensemble).fit(table, y).predict(table)
    if container is pd.DataFrame:
        frame = pd.DataFrame(table, columns=list("abcd"))
        model = clone(ensemble).fit(frame, y, X_val=frame[:9], y_val=y[:9])
        assert model.feature_names_in_.tolist() == list("abcd")
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame.rename(columns={"a": "z"}))
        with pytest.raises(ValueError, match="feature names should match"):
            model.fit(frame, y, X_val=frame.rename(columns={"a": "z"}), y_val=y)
        model, given = clone(ensemble).fit(frame, y), frame
    else:
        given = container(table)
        model = clone(ensemble).fit(given, y)
    result = model.predict(given)
    if y is SQUARES:
        np.testing.assert_allclose(result, plain, rtol=1e-9, atol=1e-12)
    else:
        np.testing.assert_array_equal(result, plain)


def test_the_table_is_not_copied_for_each_member(monkeypatch):
    seen = []
    make = pellucid.engine.native.NativeTrainer.__init__

    def remember(self, network, parameters, data, *rest, **options):
        seen.append(data.X)
        make(self, network, parameters, data, *rest, **options)

    monkeypatch.setattr(pellucid.engine.native.NativeTrainer, "__init__", remember)
    frame = pd.DataFrame(
        {name: X[:, i].astype(f"f{4 + 4 * (i % 2)}") for i, name in enumerate("abcd")}
    )
    clone(CLASSIFIER).fit(frame, CLASSES)
    assert len(seen) == 3
    assert all(np.shares_memory(table, seen[0]) for table in seen)


def test_one_warning_for_all_members():
    with pytest.warns(ConvergenceWarning) as caught:
        clone(CLASSIFIER).fit(X, CLASSES)
    assert [str(each.message) for each in caught] == [
        "3 of 3 members reached max_iter before their training converged."
    ]
    assert caught[0].filename == __file__


def test_a_member_that_diverges_fails_the_whole_and_leaves_it_as_it_was():
    model = clone(REGRESSOR).fit(X, SQUARES)
    before = model.predict(X)
    model.set_params(estimator__learning_rate_init=1e200, estimator__solver="sgd")
    with pytest.raises(ValueError, match=r"non-finite|not finite") as caught:
        model.fit(X[:, :3], SQUARES)
    assert "It happened to member 0 of 3." in caught.value.__notes__
    np.testing.assert_array_equal(model.predict(X), before)
    new = clone(model)
    with pytest.raises(ValueError, match=r"non-finite|not finite"):
        new.fit(X, SQUARES)
    with pytest.raises(NotFittedError):
        new.predict(X)
    assert not hasattr(new, "n_features_in_")


def test_members_that_diverge_but_were_validated_are_kept_and_told():
    model = clone(REGRESSOR).set_params(
        estimator__learning_rate_init=1e3, estimator__solver="sgd", estimator__max_iter=50
    )
    with pytest.warns(ConvergenceWarning, match="of 3 members diverged"):
        model.fit(X, SQUARES, X_val=X, y_val=SQUARES)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_estimators": 0}, ValueError, "'n_estimators' parameter"),
        ({"n_threads": 0}, ValueError, "'n_threads' parameter"),
        ({"estimator": "network"}, ValueError, "'estimator' parameter"),
        ({"estimator": MLPClassifier(alpha=-1)}, ValueError, "'alpha' parameter of MLPClassifier"),
    ],
)
def test_wrong_parameters_are_named(params, error, message):
    with pytest.raises(error, match=message):
        clone(CLASSIFIER).set_params(**params).fit(X, CLASSES)


def test_a_stream_is_refused(tmp_path):
    pd.DataFrame(X, columns=list("abcd")).assign(y=CLASSES).to_parquet(tmp_path / "rows.parquet")
    stream = pellucid.ParquetStream(tmp_path / "rows.parquet", "y")
    with pytest.raises(TypeError, match="DeepEnsembleClassifier needs a table in memory"):
        clone(CLASSIFIER).fit(stream, None)


def test_folders_of_checkpoints_are_refused(tmp_path):
    model = clone(CLASSIFIER).set_params(estimator__checkpoint_path=tmp_path / "folder")
    with pytest.raises(ValueError, match="checkpoint_path=None"):
        model.fit(X, CLASSES)


def test_in_a_search_and_calibrated():
    search = GridSearchCV(clone(CLASSIFIER), {"estimator__alpha": [1e-4, 1e-2]}, cv=2)
    search.fit(X, CLASSES)
    frozen = FrozenEstimator(search.best_estimator_)
    calibrated = CalibratedClassifierCV(frozen, method="sigmoid").fit(X, CLASSES)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)


def a_regression(loss="squared_error"):
    return Network([Linear(1)], loss, max_iter=2)


WRONG_MEMBERS = {
    DeepEnsembleClassifier: [
        MLPRegressor(),
        TabularRegressor(),
        a_regression(),
        linear_model.LogisticRegression(),
        pipeline.make_pipeline(preprocessing.StandardScaler(), MLPClassifier()),
        DeepEnsembleClassifier(),
    ],
    DeepEnsembleRegressor: [
        MLPClassifier(),
        TabularClassifier(),
        Network([Linear(3)], "softmax_cross_entropy"),
        linear_model.LinearRegression(),
        DeepEnsembleRegressor(),
    ],
}


@pytest.mark.parametrize(
    ("cls", "member"),
    [(cls, member) for cls, members in WRONG_MEMBERS.items() for member in members],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
def test_members_of_another_kind_are_refused(cls, member):
    what = "classes" if cls is DeepEnsembleClassifier else "numbers"
    message = f"estimator must be an estimator of pellucid that predicts {what}, such as MLP"
    with pytest.raises(TypeError, match=message):
        cls(member).fit(X, CLASSES if what == "classes" else SQUARES)


SEARCHES = {
    "DeepEnsembleClassifier of MLPClassifier, three labels": {"estimator__alpha": [1e-4, 10.0]},
    "DeepEnsembleClassifier of Network, labels": {"estimator__learning_rate_init": [1e-3, 1e-2]},
    "DeepEnsembleRegressor of TabularRegressor": {"estimator__dropout": [0.1, 0.3]},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_members_are_searched_over(name):
    kind, grid = ENSEMBLES[name], SEARCHES[name]
    search = GridSearchCV(kind.make(), grid, cv=2).fit(kind.X, kind.y)
    [(parameter, values)] = grid.items()
    assert search.best_params_[parameter] in values
    best = search.best_estimator_
    own = parameter.removeprefix("estimator__")
    assert {member.get_params()[own] for member in best.estimators_} == {
        search.best_params_[parameter]
    }
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1], "the parameter has reached the members"


def test_the_parameter_is_not_fitted_and_clones_are_new():
    model = clone(CLASSIFIER).fit(X, CLASSES)
    assert not hasattr(model.estimator, "coefs_")
    assert model.estimator.random_state is None
    again = clone(model)
    assert not hasattr(again, "estimators_")
    np.testing.assert_array_equal(again.fit(X, CLASSES).predict_proba(X), model.predict_proba(X))


@each_kind
def test_a_warm_start_goes_on_with_the_members_and_adds_new_ones(kind):
    model = kind.make(warm_start=False).set_params(warm_start=True)
    model.set_params(estimator__max_iter=3).fit(kind.X, kind.y)
    curves = [list(member.loss_curve_) for member in model.estimators_]
    seeds = [member.random_state for member in model.estimators_]
    model.set_params(n_estimators=3, estimator__max_iter=5).fit(kind.X, kind.y)
    assert [len(member.loss_curve_) for member in model.estimators_] == [8, 8, 5]
    assert [member.random_state for member in model.estimators_][:2] == seeds
    assert [member.loss_curve_[:3] for member in model.estimators_][:2] == curves
    assert all(member.loss_curve_[3] < member.loss_curve_[0] for member in model.estimators_[:2])
    model.set_params(n_estimators=1).fit(kind.X, kind.y)
    assert [len(member.loss_curve_) for member in model.estimators_] == [13]


def test_a_warm_start_that_fails_changes_nothing():
    model = clone(REGRESSOR).set_params(warm_start=True).fit(X, SQUARES)
    before = model.predict(X)
    with pytest.raises(ValueError, match="estimator must stay a MLPRegressor to go on"):
        model.set_params(estimator=a_regression()).fit(X, SQUARES)
    model.set_params(estimator=MLPRegressor(**FEW, solver="sgd"))
    with pytest.raises(ValueError, match=r"non-finite|not finite"):
        model.set_params(estimator__learning_rate_init=1e200).fit(X, SQUARES)
    np.testing.assert_array_equal(model.predict(X), before)


def test_validation_takes_the_share_of_the_threads_that_training_has():
    seen, both = [], threading.Barrier(2, timeout=60)

    class Watched(ENGINES["native"].trainer):
        def measure(self, rows):
            both.wait()  # Nothing becomes free before the end.
            seen.append(self.n_threads)
            return super().measure(rows)

    class Classifier(MLPClassifier):
        def _engine_of(self, chain):
            return replace(super()._engine_of(chain), trainer=Watched)

    settings = {**FEW, "max_iter": 3, "early_stopping": True}
    DeepEnsembleClassifier(Classifier(**settings), 2, random_state=0, n_threads=2).fit(X, CLASSES)
    assert seen == [1] * 6


# Ctrl-C comes from a member's own thread, to the thread that waits for them.


def interrupting(at=3):
    """Return a callback that sends Ctrl-C once, and what makes L-BFGS slow enough for it."""
    sent = []

    def stop(report):
        if report.epoch == at and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGINT)
        if sent:
            time.sleep(0.01)

    return stop


ENDLESS = {
    "adam": {"max_iter": 10**6, "n_iter_no_change": np.inf},
    "lbfgs": {"solver": "lbfgs", "max_iter": 10**6, "max_fun": 10**9, "tol": 0.0},
}


@pytest.mark.alone
@with_signals
@pytest.mark.parametrize("n_estimators", [2, 5])
@pytest.mark.parametrize("solver", ENDLESS)
def test_ctrl_c_keeps_the_members_that_have_learned(solver, n_estimators):
    member = MLPClassifier((8,), callbacks=[interrupting()], **ENDLESS[solver])
    model = DeepEnsembleClassifier(member, n_estimators, random_state=0, n_threads=2)
    y = RNG.integers(0, 2, 120)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\.") as caught:
        model.fit(X, y)
    n_kept = len(model.estimators_)
    assert 1 <= n_kept <= 2
    assert len(caught) == 1
    if n_kept < n_estimators:
        left_out = f"The ensemble has the {n_kept} of {n_estimators} members trained."
        assert left_out in str(caught[0].message)
    assert model.outcome_ is Outcome.INTERRUPTED
    assert np.isfinite(model.predict_proba(X)).all()
    assert all(member.n_iter_ > 0 for member in model.estimators_)


@pytest.mark.alone
@with_signals
def test_ctrl_c_before_any_epoch_leaves_the_ensemble_as_it_was():
    class Interrupt:
        def on_start(self, start):
            os.kill(os.getpid(), signal.SIGINT)
            raise KeyboardInterrupt

    model = clone(CLASSIFIER).set_params(estimator__callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, CLASSES)
    assert not hasattr(model, "estimators_")


@with_signals
def test_ctrl_c_keeps_all_members_of_a_warm_start():
    model = DeepEnsembleClassifier(MLPClassifier(**FEW), 5, random_state=0, n_threads=2)
    model.set_params(warm_start=True).fit(X, CLASSES)
    model.set_params(estimator__callbacks=[interrupting(7)], estimator__max_iter=10**6)
    model.set_params(estimator__n_iter_no_change=np.inf)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\.$"):
        model.fit(X, CLASSES)
    assert len(model.estimators_) == 5
    assert all(len(member.loss_curve_) >= 6 for member in model.estimators_)


@each_kind
def test_errors_name_the_ensemble_and_not_its_members(kind):
    model = kind.make()
    name, member = type(model).__name__, type(model.estimator).__name__
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) got an unexpected .*'members'"):
        type(model)(members=3)
    narrow = part(kind.X, np.arange(N))
    narrow = narrow.iloc[:, :2].to_numpy() if isinstance(narrow, pd.DataFrame) else narrow[:, :2]
    fitted = kind.make().set_params(warm_start=True).fit(kind.X, kind.y)
    calls = {
        "requires y": lambda: model.fit(kind.X),
        "dim 3": lambda: model.fit(kind.X, np.zeros((N, 2, 2))),
        "is expecting": lambda: fitted.predict(narrow),
        "is  expecting": lambda: fitted.fit(narrow, kind.y),
        "not fitted": lambda: model.predict(kind.X),
    }
    for said, call in calls.items():
        with pytest.raises(ValueError) as error, warnings.catch_warnings(action="ignore"):
            call()
        assert member not in str(error.value), said
    with pytest.raises(ValueError, match=rf"'max_iter' parameter of {member}"):
        kind.make(max_iter=-1).fit(kind.X, kind.y)
