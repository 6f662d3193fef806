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
from option_values import BAD, CLASSIFIER, GOOD, REGRESSOR
from sklearn.base import clone

from pellucid import MLPClassifier, MLPRegressor, load
from pellucid.engine.errors import NonFiniteError
from pellucid.nn import CustomActivation

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
X_VAL = RNG.normal(size=(15, 3))
LABELS = {
    "two": np.arange(40) % 2,
    "three": np.array(["a", "b", "c"])[np.arange(40) % 3],
    "several": np.c_[np.arange(40) % 2, np.arange(40) % 3 > 0].astype(int),
}
NUMBERS = {"one": X[:, 0], "two": X[:, :2], "counts": np.arange(40.0) % 4}


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
        # That of NumPy's X @ coefs_[0], and X is of float64.
        assert predictions.dtype == np.float64
        assert model.predict(X.astype("f4")).dtype == model.coefs_[0].dtype
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
