"""Rows to validate on: scored after each epoch, with their weights, and never trained on."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, log_loss, make_scorer, r2_score
from sklearn.preprocessing import StandardScaler

from pellucid import MLPClassifier, MLPRegressor, nn
from pellucid.tables import ParquetStream

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[LABELS]
NUMBERS = X @ [1.0, -0.5, 0.25, 2.0] + 0.1 * np.random.default_rng(0).standard_normal(150)
HELD = np.arange(150) % 3 == 0
TRAIN, VAL = X[~HELD], X[HELD]
FEW = {"hidden_layer_sizes": (8,), "max_iter": 6, "random_state": 0, "learning_rate_init": 0.01}


def test_scores_and_losses_are_those_of_the_metrics():
    model = MLPClassifier(**FEW).fit(TRAIN, NAMES[~HELD], X_val=VAL, y_val=NAMES[HELD])
    best = int(np.argmax(model.validation_scores_))
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_ == 6
    assert model.score(VAL, NAMES[HELD]) == model.validation_scores_[best]
    loss = log_loss(NAMES[HELD], model.predict_proba(VAL))
    assert model.validation_loss_curve_[best] == pytest.approx(loss, rel=1e-12)
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_training_rows_are_the_same_with_and_without():
    options = {**FEW, "n_iter_no_change": np.inf}
    alone = MLPRegressor(**options).fit(TRAIN, NUMBERS[~HELD])
    seen = []
    model = MLPRegressor(**options)
    model.set_params(callbacks=[lambda report: seen.append(model.coefs_[0].copy())])
    model.fit(TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=NUMBERS[HELD])
    assert_array_equal(seen[-1], alone.coefs_[0])
    assert model.loss_curve_ == alone.loss_curve_


def test_training_stops_by_the_validation_score():
    y = np.random.default_rng(1).permutation(NAMES)  # nothing to learn but the rows by heart
    options = {**FEW, "max_iter": 500, "hidden_layer_sizes": (64,)}
    model = MLPClassifier(**options).fit(TRAIN, y[~HELD], X_val=VAL, y_val=y[HELD])
    assert model.n_iter_ < 200
    assert model.score(VAL, y[HELD]) == model.best_validation_score_


def worst_class(estimator, table, y, sample_weight=None):
    return min(np.mean(estimator.predict(table[y == name]) == name) for name in np.unique(y))


@pytest.mark.parametrize("how", ["X_val", "early_stopping"])
@pytest.mark.parametrize(
    "scoring",
    ["neg_log_loss", "balanced_accuracy", "roc_auc_ovr", make_scorer(accuracy_score), worst_class],
)
def test_scorers_of_scikit_learn(scoring, how):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = MLPClassifier(**FEW, scoring=scoring, early_stopping=how == "early_stopping")
    if how == "X_val":
        model.fit(frame[~HELD], NAMES[~HELD], X_val=frame[HELD], y_val=NAMES[HELD])
    else:
        model.fit(frame, NAMES, sample_weight=np.arange(150))
    assert len(model.validation_scores_) == model.n_iter_
    assert np.isfinite(model.validation_scores_).all()
    if scoring is worst_class and how == "X_val":
        assert worst_class(model, frame[HELD], NAMES[HELD]) == model.best_validation_score_


@pytest.mark.parametrize("score", ["high", None, [0.5, 0.5]])
def test_a_score_that_is_no_number_is_named(score):
    model = MLPRegressor(**FEW, scoring=lambda *_: score)
    with pytest.raises(TypeError, match=r"scoring=.* must return a number, got"):
        model.fit(TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=NUMBERS[HELD])


def test_loss_as_score():
    model = MLPRegressor(**FEW, scoring="loss")
    model.fit(TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=NUMBERS[HELD])
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]


def test_the_default_score_of_numbers_is_r2():
    model = MLPRegressor(**FEW).fit(TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=NUMBERS[HELD])
    assert r2_score(NUMBERS[HELD], model.predict(VAL)) == pytest.approx(
        model.best_validation_score_
    )


@pytest.mark.parametrize("loss", ["quantile", "absolute_error", "huber", nn.Loss("huber", 0.5)])
def test_the_default_score_of_other_losses_is_the_loss(loss):
    model = MLPRegressor(loss, **FEW)
    model.fit(TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=NUMBERS[HELD])
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_the_best_weights_are_kept_whatever_ends_training(end):
    scores = iter([0.1, 0.9, 0.2, 0.3])
    kept = []

    def callback(report):
        kept.append(model.coefs_[0].copy())
        if report.epoch == 4:
            raise end

    model = MLPRegressor(
        **FEW, scoring=lambda estimator, table, y: next(scores), callbacks=[callback]
    )
    try:
        model.fit(TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=NUMBERS[HELD])
    except RuntimeError:
        assert end is RuntimeError
    assert_array_equal(model.coefs_[0], kept[1])
    assert model.best_validation_score_ == 0.9


@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix, list])
def test_containers(container):
    table = VAL.tolist() if container is list else container(VAL)
    rows = (TRAIN, NAMES[~HELD])
    expected = MLPClassifier(**FEW).fit(*rows, X_val=VAL, y_val=NAMES[HELD])
    actual = MLPClassifier(**FEW).fit(*rows, X_val=table, y_val=NAMES[HELD])
    assert_allclose(actual.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-9)


def test_several_labels_and_several_targets():
    Y = np.eye(3, dtype=int)[LABELS]
    labels = MLPClassifier(**FEW).fit(TRAIN, Y[~HELD], X_val=VAL, y_val=Y[HELD])
    assert labels.best_validation_score_ == labels.score(VAL, Y[HELD])
    targets = np.column_stack([NUMBERS, -NUMBERS])
    numbers = MLPRegressor(**FEW).fit(TRAIN, targets[~HELD], X_val=VAL, y_val=targets[HELD])
    assert numbers.best_validation_score_ == pytest.approx(numbers.score(VAL, targets[HELD]))


BAD = {
    "other columns": ({"X_val": VAL[:, :3], "y_val": NAMES[HELD]}, "X_val has 3 features"),
    "NaN": ({"X_val": VAL * np.nan, "y_val": NAMES[HELD]}, "X_val contains NaN"),
    "text": ({"X_val": [["a"] * 4], "y_val": NAMES[:1]}, "X_val holds text"),
    "lengths": ({"X_val": VAL, "y_val": NAMES}, "X_val.*y_val.*inconsistent"),
    "unseen class": ({"X_val": VAL[:2], "y_val": ["rose", "setosa"]}, "y_val.*'rose'"),
    "missing label": ({"X_val": VAL[:2], "y_val": [None, "setosa"]}, "y_val"),
    "empty": ({"X_val": VAL[:0], "y_val": []}, "X_val"),
    "one dimension": ({"X_val": VAL[0], "y_val": NAMES[:1]}, "X_val|1D array"),
    "no y_val": ({"X_val": VAL}, "X_val needs y_val"),
    "no X_val": ({"y_val": NAMES[HELD]}, "y_val needs X_val"),
    "weights alone": ({"sample_weight_val": np.ones(50)}, "sample_weight_val needs X_val"),
    "weights": (
        {"X_val": VAL, "y_val": NAMES[HELD], "sample_weight_val": [1.0]},
        "sample_weight_val",
    ),
    "negative weights": (
        {"X_val": VAL, "y_val": NAMES[HELD], "sample_weight_val": -np.ones(50)},
        "sample_weight_val",
    ),
    "no weight": (
        {"X_val": VAL, "y_val": NAMES[HELD], "sample_weight_val": np.zeros(50)},
        "sample_weight_val.*at least one non-zero",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_validation_data_is_named(what):
    arguments, message = BAD[what]
    fresh, fitted = MLPClassifier(**FEW), MLPClassifier(**FEW).fit(TRAIN, NAMES[~HELD])
    before = dict(vars(fitted))
    for model in (fresh, fitted):
        with pytest.raises(ValueError, match=message):
            model.fit(TRAIN, NAMES[~HELD], **arguments)
    assert not hasattr(fresh, "coefs_")
    assert vars(fitted) == before


def test_lbfgs_has_no_epochs_to_validate_after():
    with pytest.raises(ValueError, match=r"X_val.*lbfgs"):
        MLPRegressor(solver="lbfgs").fit(TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=NUMBERS[HELD])


def test_numbers_of_targets_must_agree():
    with pytest.raises(ValueError, match=r"y_val must have 1 columns?, .* got shape \(50, 2\)"):
        MLPRegressor(**FEW).fit(
            TRAIN, NUMBERS[~HELD], X_val=VAL, y_val=np.column_stack([NUMBERS[HELD]] * 2)
        )


def test_weights_whose_sum_overflows_are_refused():
    huge = np.full(len(VAL), 1e307)
    model = MLPClassifier(**FEW)
    with pytest.raises(ValueError, match=r"sum of sample_weight_val .* divide all weights"):
        model.fit(TRAIN, NAMES[~HELD], X_val=VAL, y_val=NAMES[HELD], sample_weight_val=huge)
    with pytest.raises(ValueError, match=r"sum of sample_weight over .* divide all weights"):
        MLPClassifier(**FEW, early_stopping=True).fit(X, NAMES, np.full(len(X), 1.7e308))


def test_scores_can_be_seen_as_they_come():
    seen = []
    model = MLPClassifier(**FEW, early_stopping=True)
    model.set_params(callbacks=[lambda report: seen.append(list(model.validation_scores_))])
    model.fit(TRAIN, NAMES[~HELD])
    assert seen == [model.validation_scores_[:n] for n in range(1, 7)]


def test_unknown_labels_of_validation_rows_are_told_what_to_do():
    with pytest.raises(ValueError, match=r"y_val` has classes .*rows that fit trains on"):
        MLPClassifier(**FEW).fit(TRAIN, LABELS[~HELD], X_val=VAL, y_val=LABELS[HELD] + 1)


@pytest.mark.parametrize(
    ("scoring", "weight", "message"),
    [
        (lambda model, X, y: 1.0, np.ones(len(VAL)), "scoring=.* must take sample_weight"),
        (lambda model, X, y: None, None, "scoring=.* must return a number, got None"),
    ],
)
def test_scoring_that_does_not_fit_is_named(scoring, weight, message):
    model = MLPClassifier(**FEW, scoring=scoring)
    with pytest.raises(TypeError, match=message):
        model.fit(TRAIN, LABELS[~HELD], X_val=VAL, y_val=LABELS[HELD], sample_weight_val=weight)
    assert not hasattr(model, "coefs_")


def test_streams_are_not_validated_on():
    stream = ParquetStream("rows.parquet", target="label")
    with pytest.raises(ValueError, match="X_val must be rows in memory, got a ParquetStream"):
        MLPClassifier(**FEW).fit(TRAIN, LABELS[~HELD], X_val=stream)


@pytest.mark.parametrize("change", ["rows", "scoring"])
def test_warm_starts_do_not_compare_scores_of_other_rows_or_measures(change):
    model = MLPClassifier(**{**FEW, "max_iter": 40}, warm_start=True)
    model.fit(TRAIN, LABELS[~HELD], X_val=VAL, y_val=LABELS[HELD])
    before, best = model.coefs_[0].copy(), model.best_validation_score_
    assert best > 0.5
    y_val = LABELS[HELD]
    if change == "rows":
        y_val = (y_val + 1) % 3  # hard to get right
    else:
        model.set_params(scoring="neg_log_loss")
    model.fit(TRAIN, LABELS[~HELD], X_val=VAL, y_val=y_val)
    assert model.best_validation_score_ < best
    if change == "scoring":
        assert model.best_validation_score_ == max(model.validation_scores_[40:])
        assert (model.coefs_[0] != before).any()


def test_warm_starts_on_the_same_rows_keep_the_best_weights_of_all_calls():
    model = MLPClassifier(**{**FEW, "max_iter": 40}, warm_start=True)
    model.fit(TRAIN, LABELS[~HELD], X_val=VAL, y_val=LABELS[HELD])
    before, best = model.coefs_[0].copy(), model.best_validation_score_
    model.set_params(learning_rate_init=1e-9)
    model.fit(TRAIN, LABELS[~HELD], X_val=VAL, y_val=LABELS[HELD])
    assert model.best_validation_score_ == best
    assert_array_equal(model.coefs_[0], before)


def test_without_any_finite_score_the_last_weights_are_kept():
    model = MLPClassifier(**FEW, scoring=lambda model, X, y: np.nan)
    with pytest.warns(UserWarning, match="No validation score was a finite number"):
        model.fit(TRAIN, LABELS[~HELD], X_val=VAL, y_val=LABELS[HELD])
    plain = MLPClassifier(**FEW).fit(TRAIN, LABELS[~HELD])
    assert_array_equal(model.coefs_[0], plain.coefs_[0])
