"""Any constructor parameters, together: a fit works, or an error names one of them."""

import pickle
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from pellucid import MLPClassifier, MLPRegressor, load
from pellucid.engine.errors import NonFiniteError
from pellucid.nn import (
    ACTIVATIONS,
    SCHEDULES,
    Activation,
    ClipByNorm,
    ClipByValue,
    CustomActivation,
    Loss,
    StepDecay,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
X_VAL = RNG.normal(size=(15, 3))
LABELS = {
    "two": np.arange(40) % 2,
    "three": np.array(["a", "b", "c"])[np.arange(40) % 3],
    "several": np.c_[np.arange(40) % 2, np.arange(40) % 3 > 0].astype(int),
}
NUMBERS = {"one": X[:, 0], "two": X[:, :2], "counts": np.arange(40.0) % 4}


def sine_and_cosine():
    return (np.sin, np.cos)


def log_cosh(scores, targets, weights):
    """Works for numbers, and for the codes of labels as well."""
    if targets.ndim == 1:
        targets = np.eye(scores.shape[1])[targets]
    weights = weights[:, None] / scores.size
    residual = scores - targets
    return np.sum(weights * np.log(np.cosh(residual))), weights * np.tanh(residual)


def wrong_shape(scores, targets, weights):
    return 0.0, np.zeros(3)


def wrong_gradient(scores, targets, weights):
    loss, gradient = log_cosh(scores, targets, weights)
    return loss, 2.0 * gradient


#: Values that work, alone or with some others, and values that never do.
GOOD = {
    "hidden_layer_sizes": [(), 4, (4,), (4, 4), (3, 5, 5), np.array([4, 4])],
    "activation": [
        *ACTIVATIONS,
        "relu",
        "tanh",
        Activation("elu", 0.3),
        CustomActivation(np.sin, np.cos),
        sine_and_cosine(),
        ("relu", "tanh"),
        ["silu", sine_and_cosine()],
        [],
    ],
    "solver": ["adam", "adam", "sgd", "lbfgs"],
    "alpha": [0, 1e-4, 1.0],
    "batch_size": ["auto", 1, 7, 20],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "max_iter": [1, 2, 3],
    "shuffle": [True, False],
    "random_state": [0, 2**31],
    "momentum": [0.0, 0.9],
    "early_stopping": [False, True],
    "validation_fraction": [0.1, 0.3],
    "n_iter_no_change": [1, np.inf],
    "dropout": [0.0, 0, 0.3, (0.1, 0.2), [0.5], np.array([0.0, 0.1]), ()],
    "normalization": [None, "batch", "layer", "rms"],
    "residual": [False, True],
    "weight_decay": [0.0, 0.01],
    "schedule": [None, *SCHEDULES, StepDecay()],
    "clipping": [None, 1.0, 1, ClipByNorm(0.5), ClipByValue(0.1)],
    "scoring": [None, "loss"],
    "n_threads": [None, 1, 2],
    "dtype": [None, "float32", "float64", np.float32, np.float64],
}
BAD = {
    "hidden_layer_sizes": [0, (4, 0), (2.5,), "ab", None, [[4], [4]], (True, None)],
    "activation": [
        "gelu2",
        None,
        3,
        ("relu",) * 9,
        (np.sin,),
        [None],
        (np.sin, np.sin),
        Activation,
    ],
    "alpha": [-1, "a", np.nan, None],
    "batch_size": [0, 1.5, "all"],
    "dropout": [1.0, -0.1, "a", None, (0.1,) * 7, [[0.1]], [None, 0.1], ["a", "b"], np.nan],
    "normalization": ["instance", True, 3],
    "residual": ["yes", None, 2],
    "weight_decay": [-0.1, "a", None, np.inf, np.nan],
    "schedule": ["zigzag", 3, StepDecay, np.sin],
    "clipping": [0, -1.0, "a", np.nan, ClipByNorm],
    "scoring": ["f1_of_nothing", 3],
    "n_threads": [0, -1, 1.5, "a"],
    "dtype": ["float16", np.int32, "f", 4],
    "callbacks": [3, "a", [3], [None]],
}
CLASSIFIER = {
    "loss": (["log_loss", log_cosh], ["squared_error", None, wrong_shape, wrong_gradient, Loss]),
    "label_smoothing": ([0.0, 0.1], [1.0, -0.1, "a", None, np.nan]),
    "class_weight": (
        [None, "balanced"],
        ["foo", 3, {7: 1.0}, {0: -1.0}, {0: "a"}, {"a": np.nan}, {(): 1}, [1, 2]],
    ),
}
REGRESSOR = {
    "loss": (
        ["squared_error", "absolute_error", "huber", "quantile", Loss("huber", 0.3), log_cosh],
        ["log_loss", None, 3, Loss("softmax_cross_entropy"), wrong_shape, wrong_gradient],
    ),
    "quantile": ([0.5, 0.9], [0.0, 1.0, -1, "a", None, np.nan]),
}


@st.composite
def constructor_parameters(draw, own):
    """Some parameters, each good for itself but for one at most."""
    good = {**GOOD, **{name: values for name, (values, _) in own.items()}}
    bad = {**BAD, **{name: values for name, (_, values) in own.items()}}
    names = draw(st.lists(st.sampled_from(sorted(good)), max_size=7, unique=True))
    params = {name: draw(st.sampled_from(good[name])) for name in names}
    is_bad = draw(st.integers(0, 2)) == 0
    if is_bad:
        name = draw(st.sampled_from(sorted(bad)))
        params[name] = draw(st.sampled_from(bad[name]))
    return {"max_iter": 2, "random_state": 0, "hidden_layer_sizes": (4, 4), **params}, is_bad


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The least populated class")
@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(st.data(), st.booleans(), st.booleans())
def test_a_fit_works_or_names_the_parameter(data, is_classifier, validates):
    own, targets = (CLASSIFIER, LABELS) if is_classifier else (REGRESSOR, NUMBERS)
    params, is_bad = data.draw(constructor_parameters(own))
    y = targets[data.draw(st.sampled_from(sorted(targets)))]
    model = (MLPClassifier if is_classifier else MLPRegressor)(**params)
    options = {"X_val": X_VAL, "y_val": y[:15]} if validates else {}
    before = dict(vars(model))
    error = None
    try:
        model.fit(X, y, **options)
    except (ValueError, TypeError) as raised:
        error = raised
    if error is not None:
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)
        named = [name for name in [*params, *options] if name in str(error)]
        assert named or isinstance(error, NonFiniteError), str(error)
        return
    assert not is_bad
    predictions = model.predict(X)
    assert predictions.shape == y.shape
    assert predictions.dtype.kind == y.dtype.kind
    if not is_classifier:
        assert np.isfinite(predictions).all()
        assert predictions.dtype == model.coefs_[0].dtype or predictions.dtype == np.float64
    elif y.ndim == 1:
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, atol=1e-6)
    _check_copies(model, y, options)


def _check_copies(model, y, options):
    again = clone(model).fit(X, y, **options)
    np.testing.assert_array_equal(again.parameters_.flat, model.parameters_.flat)
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.parameters_.flat, model.parameters_.flat)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*a model file cannot hold")
            with suppress(TypeError):  # of a function of the user's own
                model.save(path)
        if not path.exists():
            assert any(map(_has_code, (model.loss, model.activation)))
            return
        loaded = load(path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    loaded.fit(X, y, **options)
    np.testing.assert_array_equal(loaded.parameters_.flat, model.parameters_.flat)


def _has_code(value):
    if isinstance(value, tuple | list):
        return any(map(_has_code, value))
    return callable(value) or isinstance(value, CustomActivation)
