"""`pellucid.Network`: build, fit, predict, look inside."""

import copy

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, log_loss, r2_score

from pellucid import Network, nn
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import (
    SGD,
    Activation,
    Adam,
    AdamW,
    BatchNorm,
    ClipByGlobalNorm,
    Dropout,
    Layer,
    Linear,
    Loss,
    OneCycle,
    Residual,
    RMSNorm,
)
from pellucid.training import Outcome

X, Y = load_digits(return_X_y=True)
X = X / 16
LAYERS = [Linear(32), Activation("relu"), Linear(10)]
NUMBERS_X, NUMBERS = load_diabetes(return_X_y=True)
NUMBERS_X, NUMBERS = NUMBERS_X * 20, (NUMBERS - NUMBERS.mean()) / NUMBERS.std()


def digits(layers=LAYERS, **settings):
    return Network(layers, "softmax_cross_entropy", **{"random_state": 0, **settings})


def small(loss="squared_error", n_outputs=1, **settings):
    layers = [Linear(4), Activation("tanh"), Linear(n_outputs)]
    return Network(layers, loss, **{"random_state": 0, **settings})


class Doubling(Layer):
    """A layer that only the reference engine knows."""

    def forward(self, parameters, x, context):
        return 2.0 * x

    def backward(self, parameters, dy, x, y, context):
        return 2.0 * dy, {}


def test_learns_digits_and_gives_labels_back():
    names = np.array([f"digit {number}" for number in Y])
    network = digits(
        [Linear(64), RMSNorm(), Activation("relu"), Dropout(0.1), Linear(10)],
        optimizer=AdamW(1e-2),
        schedule=OneCycle(),
        clipping=ClipByGlobalNorm(1.0),
        max_iter=15,
        batch_size=32,
    )
    assert network.fit(X[:1400], names[:1400]) is network
    assert network.score(X[1400:], names[1400:]) > 0.9
    assert list(network.classes_) == sorted(set(names))
    assert set(network.predict(X[:50])) <= set(names)
    probabilities = network.predict_proba(X[:50])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert (network.classes_[probabilities.argmax(axis=1)] == network.predict(X[:50])).all()
    np.testing.assert_allclose(np.exp(network.predict_log_proba(X[:50])), probabilities, rtol=1e-5)
    assert len(network.loss_curve_) == network.n_iter_ == 15
    assert network.loss_ == network.loss_curve_[-1]
    assert network.outcome_ is Outcome.MAX_EPOCHS
    assert network.validation_loss_curve_ is network.validation_scores_ is None
    assert network.best_validation_score_ is None


def test_a_fit_is_the_engines_plan_and_nothing_else():
    settings = {"dtype": "float64", "random_state": 3, "n_threads": 1}
    network = digits(optimizer=SGD(0.1), max_iter=2, **settings).fit(X, Y)
    chain = network.chain_
    parameters = chain.initialize(64, seed=3)
    data = TrainingData(X, Y.astype(np.int64))
    plan = TrainingPlan(SGD(0.1), batch_size=128, seed=3, n_epochs=2)
    trainer = ReferenceTrainer(chain, parameters, data, plan)
    losses = [trainer.run_epoch().loss for _ in range(2)]
    np.testing.assert_allclose(network.parameters_.flat, parameters.flat, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(network.loss_curve_, losses, rtol=1e-10)


def test_the_same_random_state_gives_the_same_network_to_the_bit():
    first = digits(max_iter=2).fit(X, Y)
    flat = first.parameters_.flat.copy()
    assert (digits(max_iter=2).fit(X, Y).parameters_.flat == flat).all()
    assert (first.fit(X, Y).parameters_.flat == flat).all()  # it starts over
    assert (first.set_params(random_state=1).fit(X, Y).parameters_.flat != flat).any()


def test_a_generator_goes_on_and_none_draws_anew():
    def fits(random_state):
        network = digits(max_iter=1, random_state=random_state)
        return [network.fit(X[:200], Y[:200]).parameters_.flat.copy() for _ in range(2)]

    of_none, of_generator = fits(None), fits(np.random.RandomState(0))
    assert (of_none[0] != of_none[1]).any()
    assert (of_generator[0] != of_generator[1]).any()
    np.testing.assert_array_equal(of_generator, fits(np.random.RandomState(0)))


def test_two_labels_take_one_output():
    y = np.where(Y > 4, True, False)
    network = small("logistic_cross_entropy", max_iter=30, learning_rate_init=1e-2).fit(X, y)
    assert network.predict(X).dtype == np.bool_
    assert network.score(X, y) == pytest.approx(np.mean(network.predict(X) == y))
    assert network.predict_proba(X).shape == (len(X), 2)


def test_several_labels_a_row_take_an_output_each():
    y = np.stack([Y > 4, Y % 2 == 0], axis=1).astype(int)
    network = small("logistic_cross_entropy", 2, max_iter=30, learning_rate_init=1e-2).fit(X, y)
    assert network.predict(X).shape == network.predict_proba(X).shape == y.shape
    wanted = np.mean((network.predict(X) == y).all(axis=1))
    assert network.score(X, y) == network.evaluate(X, y)["accuracy"] == pytest.approx(wanted)
    np.testing.assert_array_equal(network.classes_, [0, 1])


def test_shares_of_classes_are_targets_too():
    one_hot = np.eye(10)[Y]
    shares = digits(dtype="float64", max_iter=2).fit(X, one_hot)
    labels = digits(dtype="float64", max_iter=2).fit(X, Y)
    np.testing.assert_allclose(shares.parameters_.flat, labels.parameters_.flat, atol=1e-10)
    assert shares.evaluate(X, one_hot) == pytest.approx(labels.evaluate(X, Y))
    np.testing.assert_array_equal(shares.predict(X), labels.predict(X))


def test_numbers_come_back_in_the_shape_of_y():
    X, y = NUMBERS_X, NUMBERS
    network = small(dtype="float64", max_iter=100, learning_rate_init=1e-2).fit(X, y)
    assert network.predict(X).shape == y.shape
    assert network.score(X, y) == pytest.approx(r2_score(y, network.predict(X)))
    assert network.score(X, y) > 0.4
    columns = np.stack([y, -y], axis=1)
    both = small(Loss("huber", 0.5), 2, max_iter=2).fit(X, columns)
    assert both.predict(X).shape == (len(y), 2)
    assert both.predict(X).dtype == np.float32
    one_column = small(max_iter=2).fit(X, y.reshape(-1, 1))
    assert one_column.predict(X).shape == (len(y), 1)


def test_only_a_classifier_has_probabilities():
    network = small(max_iter=1).fit(NUMBERS_X, NUMBERS)
    for method in ("predict_proba", "predict_log_proba"):
        assert hasattr(digits(), method)
        assert not hasattr(network, method)
    with pytest.raises(AttributeError) as raised:
        network.predict_proba(NUMBERS_X)
    assert "predict_proba needs a cross-entropy" in str(raised.value.__cause__)


SAMPLED = {
    "labels": ("softmax_cross_entropy", 3, np.array(["low", "mid", "high"])[Y[:60] % 3]),
    "shares": ("softmax_cross_entropy", 3, np.eye(3)[Y[:60] % 3]),
    "two labels": ("logistic_cross_entropy", 1, Y[:60] > 4),
    "several labels": ("logistic_cross_entropy", 2, np.stack([Y[:60] > 4, Y[:60] > 2], axis=1) * 1),
    "numbers": ("squared_error", 1, X[:60, 20]),
    "a column": ("squared_error", 1, X[:60, 20:21]),
    "two columns": ("squared_error", 2, X[:60, 20:22]),
}


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("case", SAMPLED)
def test_sampled_predictions_are_in_terms_of_y(case, engine):
    loss, n_outputs, y = SAMPLED[case]
    layers = [Linear(16), Activation("relu"), Dropout(0.3), Linear(n_outputs)]
    network = Network(layers, loss, dtype="float64", random_state=0, engine=engine, max_iter=3)
    table = X[:60]
    network.fit(table, y)
    settings = {"n_samples": 9, "random_state": 4}
    seed = np.random.RandomState(4).randint(2**31 - 1)
    scores = network.chain_.sample_scores(network.parameters_, table, 9, seed)
    samples = np.stack([network.chain_.loss.link(sample) for sample in scores])
    predicted, spread = network.predict(table, return_std=True, **settings)
    if hasattr(network, "predict_proba"):
        if case == "two labels":
            samples = np.dstack([1 - samples, samples])
        mean, std = network.predict_proba(table, return_std=True, **settings)
        np.testing.assert_allclose(mean, samples.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(std, samples.std(axis=0), rtol=1e-9)
        if case == "several labels":
            np.testing.assert_array_equal(predicted, mean > 0.5)
            np.testing.assert_array_equal(spread, std)
        else:
            best = mean.argmax(axis=1)
            np.testing.assert_array_equal(predicted, network.classes_[best])
            np.testing.assert_array_equal(spread, std[np.arange(60), best])
    else:
        samples = samples.reshape(9, *y.shape)
        assert predicted.shape == spread.shape == y.shape
        np.testing.assert_allclose(predicted, samples.mean(axis=0), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(spread, samples.std(axis=0), rtol=1e-9)


def test_any_table_of_numbers_will_do():
    network = digits(max_iter=1).fit(X, Y)
    expected = network.parameters_.flat.copy()
    for table in (np.asfortranarray(X), scipy.sparse.csr_array(X), X.tolist()):
        network.fit(table, Y.tolist())
        np.testing.assert_allclose(network.parameters_.flat, expected, atol=1e-6)


def test_a_layer_of_ones_own_takes_the_reference_engine():
    layers, settings = [Doubling(), *LAYERS], {"dtype": "float64", "max_iter": 1}
    with pytest.raises(TypeError, match=r'Doubling, which the native engine.*engine="reference"'):
        digits(layers).fit(X, Y)
    own = digits(layers, engine="reference", **settings).fit(X[:300], Y[:300])
    same, drawn = digits(**settings).initialize(64), digits(layers, **settings).initialize(64)
    same.parameters_["0.W"][:] = drawn.parameters_["1.W"]
    same.parameters_["2.W"][:] = drawn.parameters_["3.W"]
    same.fit(2 * X[:300], Y[:300])
    np.testing.assert_allclose(own.parameters_.flat, same.parameters_.flat, atol=1e-9)


def test_layers_that_the_reference_engine_knows_train_with_it():
    layers = [Linear(16), BatchNorm(), Activation("relu"), Residual([Linear(16)]), Linear(10)]
    network = digits(layers, engine="reference", max_iter=3, learning_rate_init=1e-2).fit(X, Y)
    assert network.score(X, Y) > 0.8
    assert network.parameters_["1.running_mean"].any()


# Parameters before fit


def test_fit_starts_from_what_initialize_drew_and_then_over():
    network = digits(max_iter=1, optimizer=SGD(1e-30)).initialize(64)
    network.parameters_["0.W"][:] = 0.0
    network.parameters_["2.W"][:] = 0.0
    network.fit(X, Y)
    assert not network.parameters_["0.W"].any()
    network.fit(X, Y)
    assert network.parameters_["0.W"].any()
    with pytest.raises(ValueError, match="initialized for 63"):
        digits().initialize(63).fit(X, Y)


def test_initialize_draws_what_fit_would_draw():
    network = digits(max_iter=1, optimizer=SGD(1e-32), random_state=5).initialize(64)
    drawn = network.parameters_.flat.copy()
    for _ in range(2):
        np.testing.assert_allclose(network.fit(X, Y).parameters_.flat, drawn, atol=1e-30)
    assert (digits(random_state=6).initialize(64).parameters_.flat != drawn).any()


def test_initialize_forgets_what_was_learned():
    network = digits(max_iter=1).fit(X, Y, rows_val=np.arange(100))
    network.initialize(30)
    learned = ("classes_", "loss_curve_", "validation_loss_curve_", "validation_scores_", "n_iter_")
    learned += ("loss_", "outcome_", "best_validation_score_", "statistics_")
    assert [name for name in learned if hasattr(network, name)] == []
    assert network.n_features_in_ == 30
    with pytest.raises(NotFittedError):
        network.predict(X[:, :30])


def test_initialize_from_data_gives_every_unit_the_spread_one():
    network = digits().initialize_from_data(X[:500])
    z = network.forward(X[:500]).z[0]
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=1e-4)


@pytest.mark.parametrize("fan_in", ["a", None, 2.5, True])
def test_fan_in_is_an_integer(fan_in):
    for initialize in (digits().initialize, nn.Chain(LAYERS, "squared_error").widths):
        with pytest.raises(TypeError, match=f"fan_in, .* must be an integer, got {fan_in!r}"):
            initialize(fan_in)


# Looking inside


def test_forward_shows_what_scores_are_made_of():
    network = digits().initialize(64)
    trace = network.forward(X[:7])
    assert str(trace) == "(7, 64) → (7, 32) → (7, 10)"
    np.testing.assert_allclose(trace.scores, network.scores(X[:7]), atol=1e-5)
    with pytest.raises(TypeError, match=r"context must be a Context such as nn.Context\(\), got 3"):
        network.forward(X, 3)


def test_scores_and_evaluate_are_those_of_scikit_learns_metrics():
    weights = np.random.default_rng(0).random(len(X))
    network = digits(dtype="float64", max_iter=3).fit(X, Y)
    known = network.evaluate(X, Y, sample_weight=weights)
    accuracy = accuracy_score(Y, network.predict(X), sample_weight=weights)
    loss = log_loss(Y, network.predict_proba(X), sample_weight=weights)
    assert known == pytest.approx({"loss": loss, "accuracy": accuracy})
    assert network.score(X, Y, sample_weight=weights) == pytest.approx(accuracy)
    weights = weights[: len(NUMBERS)]
    network = small(dtype="float64", max_iter=3).fit(NUMBERS_X, NUMBERS)
    known = network.evaluate(NUMBERS_X, NUMBERS, sample_weight=weights)
    predictions = network.predict(NUMBERS_X)
    r2 = r2_score(NUMBERS, predictions, sample_weight=weights)
    loss = np.average((predictions - NUMBERS) ** 2, weights=weights)
    assert known == pytest.approx({"loss": loss, "r2": r2})
    assert network.score(NUMBERS_X, NUMBERS, sample_weight=weights) == pytest.approx(r2)


def test_describe_layers_tells_shapes_parameters_memory_and_flops():
    network = digits()
    with pytest.raises(ValueError, match="describe_layers needs fan_in"):
        network.describe_layers()
    text = str(network.describe_layers(64))
    assert str(network.initialize(64).describe_layers()) == text
    description = network.describe_layers()
    assert description.n_parameters == network.parameters_.flat.size == 2410
    assert description.n_bytes == network.parameters_.flat.nbytes
    assert description.flops == 2 * (64 * 32 + 32 * 10) + 32 + 10
    for part in ("Linear(32)", "W (64, 32), b (32,)", "2,410", "9.6 kB", "4,778"):
        assert part in text


def test_describe_is_the_card_of_every_estimator():
    described = digits(max_iter=2).fit(X, Y).describe()
    expected = "loss='softmax_cross_entropy', max_iter=2, random_state=0"
    assert described.facts["parameters"] == expected
    assert described.facts["predicts"].startswith("one of 10 classes: 0, 1")
    assert str(described.network) == str(digits().describe_layers(64))


def test_a_notebook_shows_the_layers_or_how_they_are_written():
    network = digits()
    assert "Network(layers=[Linear(fan_out=32" in network._repr_html_()
    assert "W (64, 32)" in network.initialize(64)._repr_html_()
    bundle = network._repr_mimebundle_()  # what IPython asks for first
    assert bundle == {"text/plain": repr(network), "text/html": network._repr_html_()}


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("record", [1, 2])
def test_any_step_of_a_fit_can_be_replayed(engine, record):
    settings = {"engine": engine, "batch_size": 50, "max_iter": 3, "record": record}
    network = digits(**settings).fit(X[:200], Y[:200])
    last, first = network.replay(12), network.replay(1)
    np.testing.assert_array_equal(last.after.flat, network.parameters_.flat)
    assert (first.epoch, last.epoch) == (0, 2)
    np.testing.assert_array_equal(first.before.flat, digits().initialize(64).parameters_.flat)
    np.testing.assert_array_equal(network.replay(2).before.flat, first.after.flat)
    with pytest.raises(ValueError, match="step must be 1 to 12"):
        network.replay(13)


def test_a_replay_needs_a_recording():
    network = digits(max_iter=1, record=1).fit(X, Y)
    for other in (copy.deepcopy(network), digits(max_iter=1).fit(X, Y), digits()):
        with pytest.raises(ValueError, match=r"nothing to replay: train with .*record=1"):
            other.replay(1)
    with pytest.raises(ValueError, match="nothing to replay"):
        network.set_params(record=None).fit(X, Y).replay(1)


def test_a_recording_begins_where_training_went_on(tmp_path):
    settings = {"checkpoint_path": tmp_path, "batch_size": 50}
    digits(max_iter=2, **settings).fit(X[:200], Y[:200])
    network = digits(max_iter=4, record=1, **settings).resume(X[:200], Y[:200])
    np.testing.assert_array_equal(network.replay(16).after.flat, network.parameters_.flat)
    assert network.replay(9).epoch == 2
    with pytest.raises(ValueError, match="step must be 9 to 16"):
        network.replay(8)


def test_statistics_are_those_of_the_steps_asked_for():
    X, y = np.random.default_rng(0).standard_normal((2, 40, 3))
    layers = [Linear(5), Activation("relu"), Linear(3)]
    network = Network(layers, "half_squared_error", batch_size=10, max_iter=3, statistics_every=5)
    network.fit(X, y)
    assert [measured.step for measured in network.statistics_] == [5, 10]
    assert set(network.statistics_[0].gradient_norms) == {"0.W", "0.b", "2.W", "2.b"}
    assert network.set_params(statistics_every=None).fit(X, y).statistics_ == []


# Errors


def test_nothing_can_be_predicted_before_fit():
    network = digits()
    for call in (network.predict, network.predict_proba, network.scores, network.forward):
        with pytest.raises(NotFittedError, match=r"fit|initialize"):
            call(X)
    for name in ("chain_", "parameters_"):
        with pytest.raises(NotFittedError):
            getattr(network, name)
    for call in (network.describe, lambda: network.save("never.pellucid")):
        with pytest.raises(NotFittedError):
            call()


def test_an_initialized_network_knows_no_labels():
    network = digits().initialize(64)
    assert network.scores(X).shape == (len(X), 10)
    for call in (network.predict, network.predict_proba):
        with pytest.raises(NotFittedError, match="fit"):
            call(X)
    for call in (network.score, network.evaluate, network.check_gradient):
        with pytest.raises(NotFittedError, match="fit"):
            call(X, Y)
    for call in (network.describe, lambda: network.save("never.pellucid")):
        with pytest.raises(NotFittedError, match="fit"):
            call()


def test_other_columns_than_those_fitted_on_are_refused():
    network = digits(max_iter=1).fit(X, Y)
    with pytest.raises(ValueError, match="X has 5 features, but Network is expecting 64"):
        network.predict(X[:, :5])
    for call in (network.evaluate, network.score):
        with pytest.raises(ValueError, match="y has 3 rows and X 5"):
            call(X[:5], Y[:3])


def test_setting_up_raises_nothing_and_fit_names_what_is_wrong():
    for settings, message in (
        ({"dtype": "int8"}, "dtype must be one of float32, float64, bfloat16, got 'int8'"),
        ({"dtype": None}, "dtype must be one of float32, float64"),
        ({"dtype": np.int8}, "dtype must be one of float32, float64"),
        ({"engine": "gpu"}, "'engine' parameter of Network must be .* Got 'gpu' instead"),
        ({"loss": "hinge"}, "loss must be one of"),
        ({"loss": None}, "'loss' parameter of Network must be .* Got None instead"),
        ({"loss": 3}, "'loss' parameter of Network must be .* Got 3 instead"),
    ):
        network = Network(**{"layers": LAYERS, "loss": "softmax_cross_entropy", **settings})
        with pytest.raises(ValueError, match=message):
            network.fit(X, Y)
        with pytest.raises(ValueError, match=message):
            network.initialize(64)
    for layers in (None, Linear(10)):
        with pytest.raises(TypeError, match="layers must be a list of layers"):
            digits(layers).fit(X, Y)
    for layer in ("relu", Linear, None):
        with pytest.raises(TypeError, match=r"layers must hold layers such as Linear\(10\), got"):
            digits([Linear(5), Residual([layer])]).fit(X, Y)
    with pytest.raises(TypeError, match="loss must be a name in LOSSES"):
        Network(LAYERS, Loss).fit(X, Y)


def test_adam_is_what_no_optimizer_means():
    default = digits(max_iter=1, learning_rate_init=0.01).fit(X, Y)
    named = digits(max_iter=1, optimizer=Adam(0.01)).fit(X, Y)
    np.testing.assert_array_equal(default.parameters_.flat, named.parameters_.flat)
