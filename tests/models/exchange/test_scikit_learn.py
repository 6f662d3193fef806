"""scikit-learn's perceptrons to ours and back: the same predictions, the same further training."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from pellucid import MLPClassifier, MLPRegressor
from pellucid.nn import Loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
Y = {
    "three classes": 2 * CODES - 3,
    "two classes": CODES > 0,
    "labels": np.stack([CODES > 0, CODES > 1], axis=1).astype(int),
    "number": X @ [1.0, 2.0, 0.0, -1.0],
    "numbers": X @ RNG.normal(size=(4, 3)),
}
PAIRS = {
    "three classes": (MLPClassifier, theirs.MLPClassifier),
    "two classes": (MLPClassifier, theirs.MLPClassifier),
    "labels": (MLPClassifier, theirs.MLPClassifier),
    "number": (MLPRegressor, theirs.MLPRegressor),
    "numbers": (MLPRegressor, theirs.MLPRegressor),
}
SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "invscaling", "activation": "tanh"},
    "lbfgs": {"solver": "lbfgs", "activation": "logistic"},
    "early stopping": {"early_stopping": True, "activation": "identity"},
}


def fitted(kind, y, **parameters):
    model = kind(hidden_layer_sizes=(7, 5), max_iter=8, random_state=0, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def outputs_of(model, table=X):
    return model.predict_proba(table) if hasattr(model, "predict_proba") else model.predict(table)


NUMBERS = ("n_iter_", "t_", "n_outputs_", "n_layers_", "n_features_in_")
LOSSES = ("loss_", "loss_curve_", "best_loss_")
SCORES = ("validation_scores_", "best_validation_score_")


def assert_same_model(a, b, rtol=1e-12):
    np.testing.assert_allclose(outputs_of(a), outputs_of(b), rtol=rtol, atol=1e-14)
    for mine, other in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=1e-14)
        assert mine.dtype == other.dtype
        assert not np.shares_memory(mine, other)
    assert [getattr(a, name) for name in NUMBERS] == [getattr(b, name) for name in NUMBERS]
    assert a.out_activation_ == b.out_activation_
    assert hasattr(a, "classes_") == hasattr(b, "classes_")
    if hasattr(a, "classes_"):
        np.testing.assert_array_equal(a.classes_, b.classes_)
        np.testing.assert_array_equal(a.predict(X), b.predict(X))
        assert a.classes_.dtype == b.classes_.dtype


def assert_same_history(a, b, rtol=1e-12):
    # For several numbers a row scikit-learn reports the mean over outputs of what is summed here.
    is_mean = a.n_outputs_ > 1 and not hasattr(a, "classes_")
    for name in SCORES if is_mean else (*LOSSES, *SCORES):
        assert hasattr(a, name) == hasattr(b, name), name
        if getattr(b, name, None) is not None:
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("target", Y)
def test_there_and_back(target, setting):
    ours, peer = PAIRS[target]
    original = fitted(peer, Y[target], **SETTINGS[setting])
    here = ours.from_sklearn(original)
    assert type(here) is ours
    assert_same_model(here, original)
    assert_same_history(here, original)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = here.to_sklearn()
    assert type(back) is peer
    assert back.get_params() == original.get_params()
    assert_same_model(back, original)
    assert_same_history(back, original)
    for array, other in zip(back.coefs_, original.coefs_, strict=True):
        np.testing.assert_array_equal(array, other)
    known = back.get_params()
    assert {name: here.get_params()[name] for name in known} == known


@pytest.mark.parametrize(
    ("target", "setting"),
    # For several numbers a row the losses of scikit-learn are no integrals of its gradients, and
    # L-BFGS, which needs both, goes elsewhere.
    [(t, s) for t in Y for s in SETTINGS if (t, s) != ("numbers", "lbfgs")],
)
def test_a_new_fit_of_what_came_over_is_the_same(target, setting):
    ours, peer = PAIRS[target]
    original = fitted(peer, Y[target], **SETTINGS[setting])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again = clone(ours.from_sklearn(original)).fit(X, Y[target])
        once_more = clone(again.to_sklearn()).fit(X, Y[target])
    # Eight epochs, or eight steps of L-BFGS, which multiply what differs in the last digits.
    assert_same_model(again, original, rtol=1e-6)
    assert_same_history(again, original, rtol=1e-6)
    assert_same_model(once_more, original, rtol=0)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("target", Y)
def test_partial_fit_goes_on_with_the_moments(target, solver):
    ours, peer = PAIRS[target]
    options = {} if ours is MLPRegressor else {"classes": np.unique(Y[target])}
    original = peer(hidden_layer_sizes=(6,), solver=solver, shuffle=False, random_state=0)
    for _ in range(3):
        original.partial_fit(X, Y[target], **options)
    here = ours.from_sklearn(original)
    there = here.to_sklearn()
    for model in (original, here, there):
        for _ in range(3):
            model.partial_fit(X, Y[target])
    assert_same_model(here, original, rtol=1e-9)
    assert_same_history(here, original, rtol=1e-9)
    assert_same_model(there, original, rtol=0)
    # Fresh moments lead elsewhere, so that the comparison above says something.
    forgetful = ours.from_sklearn(original)
    forgetful._optimizer = None
    for model in (original, forgetful):
        model.partial_fit(X, Y[target])
    assert np.abs(forgetful.coefs_[0] - original.coefs_[0]).max() > 1e-6


def test_several_numbers_a_row_are_trained_on_after_coming_over():
    parameters = {"warm_start": True, "n_iter_no_change": 2}
    here = MLPRegressor.from_sklearn(fitted(theirs.MLPRegressor, Y["numbers"], **parameters))
    with pytest.warns(ConvergenceWarning):  # not stopped by losses that are sums, not means
        here.fit(X, Y["numbers"])
    assert here.n_iter_ == 8


def test_validation_goes_on():
    parameters = {"warm_start": True, "early_stopping": True, "n_iter_no_change": 99}
    original = fitted(theirs.MLPRegressor, Y["number"], **parameters)
    here = MLPRegressor.from_sklearn(original)
    for model in (original, here):
        with pytest.warns(ConvergenceWarning):
            model.fit(X, Y["number"])
    # The weights in the end are not compared: a second fit of scikit-learn trains the arrays in
    # which it keeps the best ones, and so loses these.
    assert_same_history(here, original, rtol=1e-6)
    assert np.isnan(here.validation_loss_curve_).tolist() == [True] * 8 + [False] * 8


def test_the_learning_rate_goes_on():
    original = theirs.MLPRegressor((), solver="sgd", learning_rate="adaptive", shuffle=False)
    original.set_params(hidden_layer_sizes=(3,), loss="squared_error", tol=1e9, n_iter_no_change=1)
    for _ in range(6):
        original.partial_fit(X, Y["number"])
    assert original._optimizer.learning_rate < original.learning_rate_init
    here = MLPRegressor.from_sklearn(original)
    there = here.to_sklearn()
    assert there._optimizer.learning_rate == original._optimizer.learning_rate
    for model in (original, here):
        model.partial_fit(X, Y["number"])
    assert_same_model(here, original, rtol=1e-9)


@pytest.mark.parametrize("dtype", [str, object])
def test_text_for_labels_comes_over(dtype):
    y = np.array(["no", "yes", "maybe"], dtype=dtype)[CODES]
    original = fitted(theirs.MLPClassifier, y)
    here = MLPClassifier.from_sklearn(original)
    assert_same_model(here, original)
    assert_same_model(here.to_sklearn(), original)


def test_names_of_columns_and_precision_come_over():
    table = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    original = theirs.MLPRegressor(hidden_layer_sizes=(3,)).partial_fit(table, Y["number"])
    here = MLPRegressor.from_sklearn(original)
    assert here.feature_names_in_.tolist() == list("abcd")
    assert here.coefs_[0].dtype == here.predict(table).dtype == np.float32
    there = here.to_sklearn()
    np.testing.assert_array_equal(there.predict(table), original.predict(table))
    with pytest.raises(ValueError, match="feature names"):
        here.predict(table.rename(columns={"a": "z"}))


def test_generators_are_not_shared():
    original = theirs.MLPRegressor(hidden_layer_sizes=(3,), random_state=np.random.RandomState(0))
    original.partial_fit(X, Y["number"])
    here = MLPRegressor.from_sklearn(original)
    original.partial_fit(X, Y["number"])
    here.partial_fit(X, Y["number"])
    assert_same_model(here, original, rtol=1e-9)


def test_what_came_over_is_an_estimator_like_any_other(tmp_path):
    here = MLPClassifier.from_sklearn(fitted(theirs.MLPClassifier, Y["three classes"]))
    here.save(tmp_path / "m.pellucid")
    copy = pickle.loads(pickle.dumps(here))
    np.testing.assert_array_equal(copy.predict_proba(X), here.predict_proba(X))
    assert pickle.loads(pickle.dumps(here.to_sklearn())).predict(X).tolist()


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (theirs.MLPRegressor(), "takes a fitted sklearn.neural_network.MLPClassifier"),
        (MLPClassifier(), "got MLPClassifier"),
        ("model.pkl", "got str"),
    ],
)
def test_a_model_of_another_class_is_refused(wrong, match):
    with pytest.raises(TypeError, match=match):
        MLPClassifier.from_sklearn(wrong)


def test_what_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        MLPClassifier.from_sklearn(theirs.MLPClassifier())
    with pytest.raises(NotFittedError):
        MLPRegressor().to_sklearn()


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"activation": "gelu"}, "activation='gelu'"),
        ({"activation": ["relu", "tanh"]}, r"activation=\['relu', 'tanh'\]"),
        ({"normalization": "layer"}, "normalization='layer'"),
        ({"residual": True, "hidden_layer_sizes": (5, 5)}, "residual=True"),
        ({"loss": "huber"}, "loss='huber'"),
        ({"loss": Loss("huber", 0.5)}, "loss=Loss"),
    ],
)
def test_what_scikit_learn_lacks_is_named(parameters, match):
    model = MLPRegressor(**{"hidden_layer_sizes": (5, 4), **parameters})
    model.partial_fit(X, Y["number"])
    with pytest.raises(ValueError, match=f"scikit-learn has no {match}"):
        model.to_sklearn()


def test_what_shapes_training_alone_is_left_out_with_a_warning():
    model = MLPClassifier((5,), dropout=0.2, class_weight="balanced", n_threads=1, dtype="float64")
    model.partial_fit(X, Y["two classes"], classes=[False, True])
    with pytest.warns(UserWarning, match="has no class_weight='balanced', dropout=0.2: the model"):
        there = model.to_sklearn()
    assert_same_model(there, model)


@pytest.mark.parametrize("target", ["three classes", "two classes", "number"])
def test_skl2onnx_takes_the_model(target):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not there: pip install skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    ours = PAIRS[target][0]
    model = fitted(ours, Y[target])
    converted = skl2onnx.to_onnx(
        model.to_sklearn(), X[:1], options={"zipmap": False} if ours is MLPClassifier else None
    )
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    own = onnxruntime.InferenceSession(
        model.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"]
    )
    # Our own export has the outputs, the names and the shapes of theirs.
    assert names == [output.name for output in own.get_outputs()]
    for a, b in zip(session.run(None, {"X": X}), own.run(None, {"X": X}), strict=True):
        assert a.shape == b.shape
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
        else:
            np.testing.assert_array_equal(a, b)
