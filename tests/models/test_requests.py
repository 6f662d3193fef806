"""What users of scikit-learn and its neighbours have asked for, request by request.

Each test is named after a request and the threads that made it. Numbers without a project are
scikit-learn's.
"""

import ast
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import AdaBoostClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid import MLPClassifier, MLPRegressor, TabularClassifier, load

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[LABELS]
NUMBERS = X @ [1.0, -0.5, 0.25, 2.0]
FEW = {"hidden_layer_sizes": (8, 6), "max_iter": 20, "random_state": 0, "learning_rate_init": 0.01}


def test_request_1_hidden_activations():
    """8291, 9468, 9469, 8574: the values of hidden layers."""
    model = MLPClassifier(**FEW).fit(X, NAMES)
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    np.testing.assert_allclose(model.transform(X, layer=0), hidden, atol=1e-12)
    assert model.transform(X).shape == (150, 6)
    hidden = MLPClassifier(**{**FEW, "max_iter": 60})
    behind = make_pipeline(hidden, MLPClassifier((), solver="lbfgs"))
    assert behind.fit(X, NAMES).score(X, NAMES) > 0.9


def test_request_2_gradient_of_several_targets():
    """8349: the reported squared error is the function whose gradient is used."""
    targets = np.column_stack([NUMBERS, -NUMBERS, NUMBERS**2])
    model = MLPRegressor(activation="tanh", **FEW).fit(X, targets)
    assert model.check_gradient(X[::10], targets[::10]).passed


@pytest.mark.parametrize("dropout", [0.2, (0.1, 0.3)])
def test_request_3_dropout(dropout):
    """6175, 7407."""
    model = MLPClassifier(dropout=dropout, **{**FEW, "max_iter": 200}).fit(X, NAMES)
    assert model.score(X, NAMES) > 0.9
    probabilities, spread = model.predict_proba(X, return_std=True)
    assert (spread.max(axis=0) > 0.05).all(), "sub-networks differ"
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))
    assert not np.array_equal(model.predict_proba(X), probabilities)
    without = MLPClassifier(**{**FEW, "max_iter": 200}).fit(X, NAMES)
    assert model.loss_ > 1.5 * without.loss_, "training drops units too"


def test_request_4_class_weight():
    """9113, 11723, 25326; pytabkit 37; pytorch_tabular 595."""
    few = np.r_[0:50, 50:55]
    plain = MLPClassifier(**FEW).fit(X[few], LABELS[few])
    balanced = MLPClassifier(class_weight="balanced", **FEW).fit(X[few], LABELS[few])
    rare = X[50:55]
    assert balanced.predict_proba(rare)[:, 1].mean() > plain.predict_proba(rare)[:, 1].mean()


def test_request_5_sample_weight():
    """30155; skorch 203, 601; fastai 3860: in AdaBoost, and batches whose weights are all zero."""
    network = MLPClassifier(**{**FEW, "max_iter": 60})
    boosted = AdaBoostClassifier(network, n_estimators=3, random_state=0).fit(X, NAMES)
    assert boosted.score(X, NAMES) > 0.9
    weight = np.repeat([0.0, 1.0, 1.0], 50)
    model = MLPClassifier(batch_size=50, shuffle=False, **FEW).fit(X, NAMES, sample_weight=weight)
    assert np.isfinite(model.loss_curve_).all()


def test_request_6_losses():
    """14571: mean absolute error, and a loss of one's own."""

    def log_cosh(scores, targets, weights):
        residual = scores - targets
        loss = np.mean(weights[:, None] * np.log(np.cosh(residual)))
        return loss, weights[:, None] * np.tanh(residual) / residual.size

    for loss in ("absolute_error", log_cosh):
        assert (
            MLPRegressor(loss, **{**FEW, "max_iter": 100}).fit(X, NUMBERS).score(X, NUMBERS) > 0.9
        )


def test_request_7_activations():
    """10097, 10665, 26912, 30199: one for each layer, by name or as functions."""
    model = MLPClassifier(activation=["silu", (np.sin, np.cos)], **{**FEW, "max_iter": 60}).fit(
        X, NAMES
    )
    assert model.score(X, NAMES) > 0.9


def test_request_8_own_validation_set_metric_and_loss():
    """18748, 18507, 24411."""
    model = MLPClassifier(scoring="balanced_accuracy", **FEW)
    validation = np.r_[0:5, 60:80, 100:150:2]  # not as many of each class
    rest = np.setdiff1d(np.arange(150), validation)
    X_val, y_val = X[validation], NAMES[validation]
    model.fit(X[rest], NAMES[rest], X_val=X_val, y_val=y_val)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    best = int(np.argmax(model.validation_scores_))
    score = balanced_accuracy_score(y_val, model.predict(X_val))
    assert score != accuracy_score(y_val, model.predict(X_val))
    assert score == model.validation_scores_[best] == model.best_validation_score_
    loss = log_loss(y_val, model.predict_proba(X_val))
    assert loss == pytest.approx(model.validation_loss_curve_[best])


def test_request_9_early_stopping():
    """33760: labels of text; 29504: scores that are NaN; 25693: partial_fit says so."""
    model = MLPClassifier(early_stopping=True, **FEW).fit(X, NAMES)
    assert set(model.predict(X)) <= set(NAMES)
    model = MLPRegressor(
        early_stopping=True, scoring=lambda estimator, X, y: np.nan, n_iter_no_change=3, **FEW
    )
    with pytest.warns(UserWarning, match="No validation score was a finite number"):
        model.fit(X, NUMBERS)
    assert model.n_iter_ == 4
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        MLPClassifier(early_stopping=True).partial_fit(X, NAMES, classes=np.unique(NAMES))


def test_request_10_best_weights():
    """skorch 808; Lightning 1395; Keras 12511: whatever ends training."""
    scores = iter([0.2, 0.8, 0.5])
    model = MLPRegressor(
        early_stopping=True, scoring=lambda *_: next(scores), **{**FEW, "max_iter": 3}
    )
    seen = []
    model.set_params(callbacks=[lambda report: seen.append(model.coefs_[0].copy())])
    model.fit(X, NUMBERS)
    np.testing.assert_array_equal(model.coefs_[0], seen[1])


def test_request_11_little_overhead():
    """skorch 1100, 433; syne-tune 340: an epoch takes few calls of Python, a batch none."""

    def calls_an_epoch(kind, batch_size):
        counts = []
        for n_epochs in (20, 40):
            options = {**FEW, "max_iter": n_epochs, "n_iter_no_change": n_epochs, "tol": 0.0}
            model = kind(batch_size=batch_size, **options)
            n_calls = 0

            def count(frame, event, argument):
                nonlocal n_calls
                n_calls += event in ("call", "c_call")

            sys.setprofile(count)
            try:
                model.fit(X, LABELS)
            finally:
                sys.setprofile(None)
            counts.append(n_calls)
        return (counts[1] - counts[0]) / 20

    theirs = calls_an_epoch(sklearn.neural_network.MLPClassifier, 50)
    assert calls_an_epoch(MLPClassifier, 50) < theirs / 10
    assert calls_an_epoch(MLPClassifier, 5) < theirs / 10


def test_request_12_threads():
    """7280, 13567, 25822: as many as asked for, and the same result."""
    one, two = (MLPClassifier(n_threads=n, **FEW).fit(X, NAMES) for n in (1, 2))
    np.testing.assert_array_equal(one.parameters_.flat, two.parameters_.flat)


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", ">f8"])
def test_request_14_dtypes(dtype):
    """17700, 17759; skorch 518, 758: any number type goes in, float32 stays float32."""
    table = (X > 0).astype(dtype)
    model = MLPClassifier(**FEW).fit(table, NAMES)
    expected = MLPClassifier(**FEW).fit(table.astype("f4" if dtype == "f4" else "f8"), NAMES)
    assert model.coefs_[0].dtype == (np.float32 if dtype == "f4" else np.float64)
    np.testing.assert_array_equal(model.predict_proba(table), expected.predict_proba(table))


def test_request_15_several_labels_piece_by_piece():
    """12505; pytabkit 17; skorch 420."""
    table, labels = make_multilabel_classification(random_state=0)
    model = MLPClassifier(**FEW)
    for _ in range(50):
        for piece in (slice(None, 50), slice(50, None)):
            model.partial_fit(table[piece], labels[piece], classes=range(5))
    assert model.predict(table).shape == labels.shape
    share = labels.mean(axis=0)
    assert (model.predict(table) == labels).mean() > np.maximum(share, 1 - share).mean() + 0.1


def test_request_16_missing_values_and_unseen_categories():
    """fastai 2911; AutoGluon 5830."""
    table = pd.DataFrame({"number": [1.0, None, 3.0, 4.0] * 10, "text": ["a", "b", None, "a"] * 10})
    model = TabularClassifier(random_state=0, max_iter=5).fit(table, [0, 1, 1, 0] * 10)
    new = pd.DataFrame({"number": [None, 1e9], "text": ["never seen", None]})
    assert np.isfinite(model.predict_proba(new)).all()


def test_request_17_no_heavy_dependency():
    """mljar-supervised 183; causally 15: nothing beyond scikit-learn is imported."""
    script = (
        "import sys, numpy as np, sklearn.neural_network; before = set(sys.modules)\n"
        "from pellucid import MLPClassifier\n"
        "MLPClassifier((3,), max_iter=300).fit(np.eye(4), [0, 1, 1, 0])\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    new = set(ast.literal_eval(done.stdout)) - sys.stdlib_module_names
    assert new <= {"pellucid", "sklearn", "scipy", "numpy", "joblib", "threadpoolctl"}


def test_request_18_prediction_in_little_memory():
    """12675: the memory of a prediction does not grow with rows times hidden units."""
    table = np.zeros((20_000, 4), dtype=np.float32)
    model = MLPRegressor(hidden_layer_sizes=(1000,), max_iter=1).fit(table[:10], np.arange(10.0))
    model.predict(table[:10])
    tracemalloc.start()
    model.predict(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20 < 20_000 * 1000 * 4 / 10


def test_request_19_regularization_that_does_not_hang_on_the_batch_size():
    """6780, 10477: weight_decay beside alpha."""

    def norm(batch_size, **penalty):
        model = MLPRegressor(
            hidden_layer_sizes=(8,),
            batch_size=batch_size,
            max_iter=8 * batch_size,  # 1200 steps, whatever their size
            n_iter_no_change=np.inf,
            random_state=0,
            **penalty,
        )
        return np.linalg.norm(model.fit(X, np.zeros(150)).coefs_[0])

    def shrinkage(batch_size, **penalty):
        return norm(batch_size, **penalty) / norm(batch_size, alpha=0.0)

    decayed = [shrinkage(size, alpha=0.0, weight_decay=0.5) for size in (15, 150)]
    assert decayed[0] == pytest.approx(decayed[1], rel=0.1)


def test_request_20_saving(tmp_path):
    """pytabkit 19; pytorch_tabular 312; AutoGluon 2954: one small file, without the data."""
    model = MLPClassifier(**FEW).fit(np.repeat(X, 100, axis=0), np.repeat(NAMES, 100))
    model.save(tmp_path / "m.pellucid")
    assert (tmp_path / "m.pellucid").stat().st_size < 8 * model.parameters_.flat.size + 8192
    np.testing.assert_array_equal(load(tmp_path / "m.pellucid").predict(X), model.predict(X))


def test_request_21_reproducibility():
    """Keras 22620, 22621; AutoGluon 3376: the global generator is not touched."""
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.RandomState(5).random_sample(4)
    first, second = (MLPClassifier(dropout=0.2, **FEW).fit(X, NAMES) for _ in range(2))
    np.testing.assert_array_equal(first.parameters_.flat, second.parameters_.flat)
    np.testing.assert_array_equal(np.random.random_sample(4), expected)  # noqa: NPY002


def test_request_22_parity():
    """tensorflow 56599: what scikit-learn has learned, here, and back."""
    theirs = sklearn.neural_network.MLPClassifier(**FEW).fit(X, NAMES)
    ours = MLPClassifier.from_sklearn(theirs)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-12)
    np.testing.assert_allclose(
        ours.to_sklearn().predict_proba(X), theirs.predict_proba(X), rtol=1e-12
    )
