"""`return_std=True` of every kind: mean and spread of sampled sub-networks, in the terms of y."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from estimator_kinds import ENSEMBLES, KINDS, LABELS, NUMBERS, TABLE, N, X
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils import check_random_state

from pellucid import MLPClassifier, Network
from pellucid.nn import Dropout, Linear

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SAMPLES = {"n_samples": 7, "random_state": 3}


def fitted(kind, **settings):
    """Return a model that computes in float64."""
    dtype = {} if kind.family == "MLP" else {"dtype": "float64"}
    return kind.make(**dtype, **settings).fit(kind.X, kind.y)


def samples_of(model, rows, n_samples, random_state):
    """Return what sub-networks say (n_samples, n, n_outputs), by the formulas of `nn`."""
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    table = model.encoder_.transform(rows) if hasattr(model, "encoder_") else rows
    scores = model.chain_.sample_scores(model.parameters_, table, n_samples, seed)
    return np.stack([model.chain_.loss.link(sample) for sample in scores])


@each_kind
def test_mean_and_spread_are_those_of_the_samples(kind):
    model = fitted(kind)
    samples = samples_of(model, kind.X, **SAMPLES)
    if not kind.classifies:
        samples = samples * getattr(model, "target_scale_", 1.0)
        samples = samples + getattr(model, "target_mean_", 0.0)
        mean, std = model.predict(kind.X, return_std=True, **SAMPLES)
        samples = samples.reshape(7, *kind.y.shape)
    else:
        if kind.single_labels and samples.shape[2] == 1:
            samples = np.concatenate([1 - samples, samples], axis=2)
        mean, std = model.predict_proba(kind.X, return_std=True, **SAMPLES)
    np.testing.assert_allclose(mean, samples.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(std, samples.std(axis=0), rtol=1e-9, atol=1e-12)
    assert (std > 0).mean() > 0.5


@pytest.mark.parametrize("kind", [k for k in KINDS.values() if k.classifies])
def test_labels_come_with_the_spread_of_their_probability(kind):
    model = fitted(kind)
    mean, std = model.predict_proba(kind.X, return_std=True, **SAMPLES)
    labels, spread = model.predict(kind.X, return_std=True, **SAMPLES)
    if not kind.single_labels:
        np.testing.assert_array_equal(labels, mean > 0.5)
        np.testing.assert_array_equal(spread, std)
        return
    chosen = mean.argmax(axis=1)
    assert labels.tolist() == model.classes_[chosen].tolist()
    np.testing.assert_array_equal(spread, std[np.arange(N), chosen])


@each_kind
def test_the_seed_decides(kind):
    model = fitted(kind)
    method = model.predict_proba if kind.classifies else model.predict

    def sampled(**settings):
        return method(kind.X, return_std=True, n_samples=5, **settings)[1]

    first = sampled()
    np.testing.assert_array_equal(sampled(random_state=0), first)
    np.testing.assert_array_equal(sampled(random_state=np.random.RandomState(0)), first)
    assert (sampled(random_state=1) != first).any()
    model.set_params(n_threads=1)
    np.testing.assert_array_equal(sampled(), first)


@each_kind
def test_without_return_std_nothing_is_sampled(kind):
    model = fitted(kind)
    single = model.predict(kind.X)
    assert not isinstance(single, tuple)
    np.testing.assert_array_equal(model.predict(kind.X, n_samples=3, random_state=9), single)


@pytest.mark.parametrize(
    "name", ["MLPClassifier, three labels", "Network, labels", "TabularClassifier"]
)
def test_many_rows_are_sampled_in_parts(name):
    """Which bounds the memory; the draws of a row are its own, wherever the parts end."""
    kind = KINDS[name]
    model, n_samples = fitted(kind), 130
    table = pd.concat([pd.DataFrame(kind.X)] * 46, ignore_index=True)
    rows = table if kind.family == "Tabular" else table.to_numpy()
    samples = samples_of(model, rows, n_samples, 0)
    assert samples[0].size * n_samples > 2**21
    mean, std = model.predict_proba(rows, return_std=True, n_samples=n_samples)
    np.testing.assert_allclose(mean, samples.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(std, samples.std(axis=0), rtol=1e-8, atol=1e-12)


@each_kind
def test_without_dropout_there_is_nothing_to_sample(kind):
    model = fitted(kind, dropout=0.0)
    methods = [model.predict, *([model.predict_proba] if kind.classifies else [])]
    for method in methods:
        with pytest.raises(ValueError, match=r"return_std=True .* drops nothing.* with dropout"):
            method(kind.X, return_std=True)
        assert len(method(kind.X)) == N


@each_kind
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1, got 0"),
        ({"n_samples": 1.5}, TypeError, "n_samples must be a positive integer, got 1.5"),
        ({"random_state": "a"}, ValueError, "'a' cannot be used to seed"),
    ],
)
def test_wrong_arguments_are_named(kind, settings, error, message):
    model = fitted(kind)
    with pytest.raises(error, match=message):
        model.predict(kind.X, return_std=True, **settings)
    with pytest.raises(NotFittedError):
        kind.make().predict(kind.X, return_std=True)


@each_kind
def test_weights_that_are_not_finite_are_told(kind):
    model = fitted(kind)
    model.parameters_.flat[:] = np.nan
    with pytest.raises(ValueError, match="the weights hold NaN"):
        model.predict(kind.X, return_std=True)


@pytest.mark.parametrize("return_std", [False, True])
def test_a_nan_that_signals_is_told_without_a_warning(return_std):
    """Which NumPy warns of where it makes float64 of float32."""
    model = KINDS["MLPRegressor"].make(dtype="float32").fit(X, NUMBERS)
    model.parameters_.flat.view(np.uint32)[:] = 0x7F800001
    for _ in range(2):
        with pytest.raises(ValueError, match="the weights hold NaN"):
            model.predict(X, return_std=return_std)


@pytest.mark.parametrize("settings", [{"dropout": [0.1, 0.5]}, {"normalization": "batch"}])
def test_several_layers_and_normalizations(settings):
    settings = {"hidden_layer_sizes": (16, 8), **settings}
    model = KINDS["MLPRegressor"].make(**settings).fit(X, NUMBERS)
    mean, std = model.predict(X, return_std=True, **SAMPLES)
    samples = samples_of(model, X, **SAMPLES)[..., 0]
    np.testing.assert_allclose(mean, samples.mean(axis=0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(std, samples.std(axis=0), rtol=1e-9)


def test_the_reference_engine_samples_the_same():
    kind = KINDS["Network, labels"]
    one, other = fitted(kind), fitted(kind, engine="reference")
    other.parameters_.flat[:] = one.parameters_.flat
    for ours, theirs in zip(
        one.predict_proba(X, return_std=True), other.predict_proba(X, return_std=True), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("form", [pd.DataFrame, scipy.sparse.csr_array, np.asfortranarray])
@pytest.mark.parametrize("name", ["MLPRegressor", "Network, numbers"])
def test_tables_of_all_forms_are_sampled_alike(name, form):
    model = fitted(KINDS[name])
    for one, other in zip(
        model.predict(form(X), return_std=True), model.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_float32_weights_meet_float64_rows_in_float64():
    model = KINDS["MLPRegressor"].make(dtype="float32").fit(X, NUMBERS)
    mean, _ = model.predict(X, return_std=True, n_samples=5)
    in_float32, _ = model.predict(X.astype(np.float32), return_std=True, n_samples=5)
    np.testing.assert_allclose(in_float32, mean, rtol=1e-4, atol=1e-5)
    assert (in_float32 != mean).any()


def test_a_column_of_numbers_keeps_its_form():
    for make in (KINDS["Network, numbers"].make, KINDS["TabularRegressor"].make):
        rows = TABLE if "Tabular" in repr(make()) else X
        mean, std = make().fit(rows, NUMBERS[:, None]).predict(rows, return_std=True, n_samples=2)
        assert mean.shape == std.shape == (N, 1)


def test_a_single_class_is_sure():
    model = MLPClassifier((4,), dropout=0.5, max_iter=2, random_state=0).fit(X, np.ones(N))
    for method in (model.predict, model.predict_proba):
        mean, std = method(X, return_std=True, n_samples=3)
        assert (mean == 1.0).all()
        assert (std == 0.0).all()


def test_what_calls_predict_by_itself_still_gets_labels():
    model = MLPClassifier((16,), dropout=0.1, max_iter=5, random_state=0)
    assert cross_val_score(model, X, LABELS, cv=3).min() > 0


def test_more_samples_come_closer_to_the_spread_of_all_sub_networks():
    """Dropout of 1/2 on two units: four sub-networks, equally likely, whose spread is known."""
    network = Network([Dropout(0.5), Linear(1, bias=False)], "half_squared_error", dtype="float64")
    network.initialize(2)
    network.set_params(max_iter=1, random_state=0, warm_start=True).fit(X[:, :2], NUMBERS)
    network.parameters_.flat[:] = [1.0, 3.0]
    rows = np.ones((200, 2))
    mean, std = network.predict(rows, return_std=True, n_samples=400)
    # 0, 2, 6 and 8: mean 4, variance 10. The standard error of 80,000 draws is 0.011.
    assert mean.mean() == pytest.approx(4.0, abs=5 * np.sqrt(10 / 80_000))
    assert np.sqrt((std**2).mean()) == pytest.approx(np.sqrt(10), rel=0.02)


@pytest.mark.parametrize("kind", ENSEMBLES.values(), ids=ENSEMBLES)
def test_ensembles_spread_over_their_members_and_sample_nothing(kind):
    model = kind.make(dropout=0.0).fit(kind.X, kind.y)
    method = "predict_proba" if kind.classifies else "predict"
    said = np.stack([getattr(member, method)(kind.X) for member in model.estimators_])
    mean, std = getattr(model, method)(kind.X, return_std=True, n_samples=3, random_state=9)
    np.testing.assert_allclose(mean, said.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, said.std(axis=0), rtol=1e-4, atol=1e-6)
