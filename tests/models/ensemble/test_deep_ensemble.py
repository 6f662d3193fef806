"""Deep ensembles: members fitted together, the mean and the spread of what they predict."""

import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import pellucid
from pellucid import (
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    MLPRegressor,
    fit_together,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
CLASSES = np.array(["red", "green", "blue"])[np.digitize(X[:, 0], [-0.5, 0.5])]
NUMBERS = np.c_[X[:, 0] ** 2, X[:, 1]]
SEVERAL = (X[:, :3] > 0).astype(int)
FEW = {"hidden_layer_sizes": (8,), "max_iter": 6, "learning_rate_init": 0.02}
CLASSIFIER = DeepEnsembleClassifier(MLPClassifier(**FEW), 3, random_state=0)
REGRESSOR = DeepEnsembleRegressor(MLPRegressor(**FEW), 3, random_state=0)
CASES = pytest.mark.parametrize(
    ("ensemble", "y"), [(CLASSIFIER, CLASSES), (REGRESSOR, NUMBERS)], ids=["classes", "numbers"]
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.filterwarnings(
    "ignore:The number of unique classes is greater than 50%:UserWarning",
    "ignore:A column-vector y was passed:sklearn.exceptions.DataConversionWarning",
)
@parametrize_with_checks(
    [
        DeepEnsembleClassifier(MLPClassifier((10,), learning_rate_init=0.02, max_iter=40), 2),
        DeepEnsembleRegressor(
            MLPRegressor(hidden_layer_sizes=(10,), learning_rate_init=0.02, max_iter=40), 2
        ),
    ],
    expected_failed_checks=lambda estimator: {},
)
def test_check(estimator, check):
    if "decision_function" in getattr(check, "func", check).__name__:
        assert not hasattr(estimator, "decision_function")
        return
    check(estimator)


@CASES
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_members_are_to_the_bit_what_each_would_be_alone(ensemble, y, n_threads):
    weight, options = np.linspace(0.5, 2.0, 100), {"X_val": X[100:], "y_val": y[100:]}
    model = clone(ensemble).set_params(n_threads=n_threads, estimator__dropout=0.1)
    model.fit(X[:100], y[:100], weight, **options)
    seeds = [member.random_state for member in model.estimators_]
    assert len({*seeds}) == 3
    for member in model.estimators_:
        alone = clone(member).fit(X[:100], y[:100], weight, **options)
        np.testing.assert_array_equal(member.parameters_.flat, alone.parameters_.flat)
        assert member.loss_curve_ == alone.loss_curve_
        assert member.validation_loss_curve_ == alone.validation_loss_curve_
        assert (member.n_iter_, member.t_, member.loss_) == (alone.n_iter_, alone.t_, alone.loss_)


@CASES
def test_predictions_are_mean_and_standard_deviation_of_the_members(ensemble, y):
    model = clone(ensemble).fit(X, y)
    method = "predict" if model is None or y is NUMBERS else "predict_proba"
    each = np.stack([getattr(member, method)(X) for member in model.estimators_])
    mean, std = getattr(model, method)(X, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, each.std(axis=0), rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(mean, getattr(model, method)(X))
    assert std.min() >= 0.0
    assert std.max() > 0.01
    if method == "predict_proba":
        np.testing.assert_array_equal(model.predict(X), model.classes_[mean.argmax(axis=1)])
        np.testing.assert_allclose(model.predict_log_proba(X), np.log(mean))


def test_one_target():
    mean, std = clone(REGRESSOR).fit(X, NUMBERS[:, 0]).predict(X, return_std=True)
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
    if y is NUMBERS:
        each = [((member.predict(X) - y) ** 2).mean() for member in model.estimators_]
        assert ((model.predict(X) - y) ** 2).mean() < np.mean(each)
    else:
        places = np.arange(120), np.searchsorted(model.classes_, y)
        each = [-np.log(m.predict_proba(X)[places]).mean() for m in model.estimators_]
        assert -np.log(model.predict_proba(X)[places]).mean() < np.mean(each)


@CASES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saved_and_loaded(tmp_path, ensemble, y, dtype):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = clone(ensemble).set_params(estimator__dtype=dtype, estimator__normalization="batch")
    model.fit(frame, y).save(tmp_path / "model.pellucid")
    loaded = pellucid.load(tmp_path / "model.pellucid")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert loaded.feature_names_in_.tolist() == list("abcd")
    assert loaded.n_features_in_ == 4
    assert repr(loaded.get_params(deep=True)) == repr(model.get_params(deep=True))
    again = [clone(each).fit(frame, y) for each in (loaded, model)]
    np.testing.assert_array_equal(again[0].predict(frame), again[1].predict(frame))


def test_an_ensemble_of_default_networks_is_saved(tmp_path):
    model = DeepEnsembleClassifier(n_estimators=1, random_state=0).fit(X[:20], CLASSES[:20])
    model.save(tmp_path / "model.pellucid")
    loaded = pellucid.load(tmp_path / "model.pellucid")
    assert loaded.estimator is None
    assert loaded.estimators_[0].get_params() == model.estimators_[0].get_params()


def test_files_whose_members_do_not_fit_are_refused(tmp_path):
    model = clone(CLASSIFIER).fit(X, CLASSES)
    model.estimators_[1] = clone(CLASSIFIER).fit(X, CLASSES == "red").estimators_[0]
    model.save(tmp_path / "model.pellucid")
    with pytest.raises(pellucid.persistence.ModelFileError, match="different classes"):
        pellucid.load(tmp_path / "model.pellucid")


def test_members_of_another_kind_are_not_saved(tmp_path):
    class Own(MLPClassifier):
        pass

    model = DeepEnsembleClassifier(Own(**FEW), 2, random_state=0).fit(X, CLASSES)
    with pytest.raises(TypeError, match="Own"):
        model.save(tmp_path / "model.pellucid")
    assert not (tmp_path / "model.pellucid").exists()


@CASES
def test_lbfgs_members_are_fitted_one_after_the_other(ensemble, y):
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
    if y is NUMBERS:
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
    model = clone(REGRESSOR).fit(X, NUMBERS)
    before = model.predict(X)
    model.set_params(estimator__learning_rate_init=1e200, estimator__solver="sgd")
    with pytest.raises(ValueError, match=r"non-finite|not finite") as caught:
        model.fit(X[:, :3], NUMBERS)
    assert "It happened to member 0 of 3." in caught.value.__notes__
    np.testing.assert_array_equal(model.predict(X), before)
    new = clone(model)
    with pytest.raises(ValueError, match=r"non-finite|not finite"):
        new.fit(X, NUMBERS)
    with pytest.raises(NotFittedError):
        new.predict(X)
    assert not hasattr(new, "n_features_in_")


def test_members_that_diverge_but_were_validated_are_kept_and_told():
    model = clone(REGRESSOR).set_params(
        estimator__learning_rate_init=1e3, estimator__solver="sgd", estimator__max_iter=50
    )
    with pytest.warns(ConvergenceWarning, match="of 3 members diverged"):
        model.fit(X, NUMBERS, X_val=X, y_val=NUMBERS)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"estimator": MLPRegressor()},
            TypeError,
            "must be an MLPClassifier of pellucid",
        ),
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


def test_perceptrons_in_fit_together_become_what_their_fit_makes_them():
    estimators = [
        MLPClassifier((6,), max_iter=5, random_state=0),
        MLPClassifier((9, 4), solver="sgd", max_iter=9, random_state=1, early_stopping=True),
        MLPClassifier((5,), max_iter=7, random_state=2, dropout=0.2, normalization="batch"),
    ]
    weight = np.linspace(0.0, 1.0, 120)
    options = [{}, {"sample_weight": weight}, {}]
    pairs = zip(estimators, options, strict=True)
    alone = [clone(each).fit(X, CLASSES, **own) for each, own in pairs]
    results = fit_together(estimators, X, CLASSES, options, n_threads=2)
    assert [result.outcome.name for result in results] == ["MAX_EPOCHS"] * 3
    for together, single in zip(estimators, alone, strict=True):
        np.testing.assert_array_equal(together.parameters_.flat, single.parameters_.flat)
        np.testing.assert_array_equal(together.predict_proba(X), single.predict_proba(X))
        assert together.n_iter_ == single.n_iter_


def test_fit_together_changes_no_perceptron_when_one_cannot_begin():
    fitted = MLPClassifier(**FEW, random_state=0, warm_start=True).fit(X, CLASSES)
    before, n_iter = fitted.coefs_[0].copy(), fitted.n_iter_
    new = MLPClassifier(**FEW)
    for wrong in (
        MLPClassifier(alpha=-1),
        MLPClassifier(solver="lbfgs"),
        MLPRegressor(loss="gamma"),
    ):
        with pytest.raises(ValueError, match=r"alpha|solver must be|loss"):
            fit_together([fitted, new, wrong], X, CLASSES)
        np.testing.assert_array_equal(fitted.coefs_[0], before)
        assert fitted.n_iter_ == n_iter
        assert not hasattr(new, "coefs_")
    with pytest.raises(TypeError, match=r"'seed' is no parameter of MLPClassifier\.fit"):
        fit_together([fitted, new], X, CLASSES, seed=3)


def test_fit_together_reports_the_perceptron_that_fails():
    good = MLPRegressor(**FEW, random_state=0)
    bad = MLPRegressor(**{**FEW, "learning_rate_init": 1e200}, solver="sgd", random_state=0)
    with pytest.warns(UserWarning, match="the fit of network 1 failed"):
        results = fit_together([good, bad], X, NUMBERS)
    assert results[1].outcome is None
    assert isinstance(results[1].error, ValueError)
    alone = [clone(good).fit(X, NUMBERS), clone(bad)]
    with pytest.raises(type(results[1].error)):
        alone[1].fit(X, NUMBERS)
    for together, single in zip((good, bad), alone, strict=True):
        np.testing.assert_array_equal(together.coefs_[0], single.coefs_[0])
        assert together.n_iter_ == single.n_iter_


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process there")
@pytest.mark.parametrize("n_estimators", [2, 5])
def test_ctrl_c_keeps_the_members_that_have_learned(n_estimators):
    program = f"""
    import os, signal, sys, warnings
    import numpy as np
    from pellucid import DeepEnsembleClassifier, MLPClassifier

    sent = []

    def stop(report):
        if report.epoch == 3 and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    X = np.random.default_rng(0).standard_normal((400, 5))
    network = MLPClassifier((8,), max_iter=10**6, n_iter_no_change=np.inf, callbacks=[stop])
    model = DeepEnsembleClassifier(network, {n_estimators}, random_state=0, n_threads=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, X[:, 0] > 0)
    print(len(model.estimators_), np.isfinite(model.predict_proba(X)).all())
    print([str(each.message) for each in caught])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first, told = done.stdout.splitlines()
    n_kept = int(first.split()[0])
    assert first.endswith("True")
    assert 1 <= n_kept <= 2
    assert "Training interrupted by user." in told
    if n_kept < n_estimators:
        assert f"The ensemble has the {n_kept} of {n_estimators} members trained." in told


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
def test_ctrl_c_ends_the_members_that_are_fitted_in_turn():
    begun = []

    def stop(report):
        begun.extend([None] * (report.epoch == 1))
        if len(begun) == 2 and report.epoch == 3:
            raise KeyboardInterrupt

    network = MLPRegressor(**FEW, solver="lbfgs", callbacks=[stop])
    ensemble = DeepEnsembleRegressor(network, 4, random_state=0)
    with pytest.warns(UserWarning, match="has the 2 of 4 members trained"):
        ensemble.fit(X, NUMBERS)
    assert len(begun) == len(ensemble.estimators_) == 2
    assert [member.n_iter_ for member in ensemble.estimators_] == [6, 3]
    assert [member.callbacks for member in ensemble.estimators_] == [[stop], [stop]]
