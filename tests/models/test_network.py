"""`pellucid.Network`: build, fit, predict, look inside."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import pellucid
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.instruction_set import core
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

X, Y = load_digits(return_X_y=True)
X = X / 16
LAYERS = [Linear(32), Activation("relu"), Linear(10)]


def digits(layers=LAYERS, **options):
    return pellucid.Network(layers, "softmax_cross_entropy", **options)


def small(loss="squared_error", n_outputs=1, **options):
    return pellucid.Network([Linear(4), Activation("tanh"), Linear(n_outputs)], loss, **options)


class Doubling(Layer):
    """A layer that only the reference engine knows."""

    def forward(self, parameters, x, context):
        return 2.0 * x

    def backward(self, parameters, dy, x, y, context):
        return 2.0 * dy, {}


def test_learns_digits_and_gives_labels_back():
    names = np.array([f"digit {number}" for number in Y])
    network = digits([Linear(64), RMSNorm(), Activation("relu"), Dropout(0.1), Linear(10)])
    returned = network.fit(
        X[:1400],
        names[:1400],
        optimizer=AdamW(1e-2),
        schedule=OneCycle(),
        clipping=ClipByGlobalNorm(1.0),
        epochs=15,
        batch_size=32,
    )
    assert returned is network
    assert network.evaluate(X[1400:], names[1400:])["accuracy"] > 0.9
    assert list(network.classes_) == sorted(set(names))
    assert set(network.predict(X[:50])) <= set(names)
    probabilities = network.predict_proba(X[:50])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert (network.classes_[probabilities.argmax(axis=1)] == network.predict(X[:50])).all()
    assert len(network.history["loss"]) == len(network.history["seconds"]) == 15


def test_a_fit_is_the_engines_plan_and_nothing_else():
    network = digits(dtype="float64").fit(X, Y, optimizer=SGD(0.1), epochs=2, seed=3, n_threads=1)
    chain = network.chain
    parameters = chain.initialize(64, seed=3)
    data = TrainingData(X, Y.astype(np.int64))
    plan = TrainingPlan(SGD(0.1), batch_size=128, seed=3, n_epochs=2)
    trainer = ReferenceTrainer(chain, parameters, data, plan)
    losses = [trainer.run_epoch().loss for _ in range(2)]
    np.testing.assert_allclose(network.parameters.flat, parameters.flat, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(network.history["loss"], losses, rtol=1e-10)


def test_the_same_call_gives_the_same_network_to_the_bit():
    first = digits().fit(X, Y, epochs=2)
    flat = first.parameters.flat.copy()
    assert (digits().fit(X, Y, epochs=2).parameters.flat == flat).all()
    assert (first.fit(X, Y, epochs=2).parameters.flat == flat).all()  # it starts over
    assert (first.fit(X, Y, epochs=2, seed=1).parameters.flat != flat).any()


def test_warm_start_goes_on_from_the_parameters_there_are():
    network = digits().fit(X, Y, epochs=2)
    reached, loss = network.parameters.flat.copy(), network.history["loss"][-1]
    network.fit(X, Y, epochs=1, optimizer=SGD(1e-30), warm_start=True)
    np.testing.assert_array_equal(network.parameters.flat, reached)
    assert len(network.history["loss"]) == 3
    assert network.history["loss"][-1] < loss
    with pytest.raises(ValueError, match="X has 3 columns, but the network was fitted on 64"):
        network.fit(X[:, :3], Y, warm_start=True)
    with pytest.raises(ValueError, match="labels that the network does not know"):
        network.fit(X, Y + 1, warm_start=True)


def test_fit_starts_from_what_initialize_drew_and_then_over():
    network = digits().initialize(64, seed=5)
    network.parameters["0.W"][:] = 0.0
    network.parameters["2.W"][:] = 0.0
    network.fit(X, Y, epochs=1, optimizer=SGD(1e-30))
    assert not network.parameters["0.W"].any()
    network.fit(X, Y, epochs=1, optimizer=SGD(1e-30))
    assert network.parameters["0.W"].any()
    with pytest.raises(ValueError, match="initialized for 63"):
        digits().initialize(63).fit(X, Y)


def test_initialize_from_data_gives_every_unit_the_spread_one():
    network = digits().initialize_from_data(X[:500])
    z = network.forward(X[:500]).z[0]
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=1e-4)


def test_forward_shows_what_scores_are_made_of():
    network = digits().initialize(64)
    trace = network.forward(X[:7])
    assert str(trace) == "(7, 64) → (7, 32) → (7, 10)"
    np.testing.assert_allclose(trace.scores, network.scores(X[:7]), atol=1e-5)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_the_lowest_validation_loss_is_what_remains(engine):
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(X))
    train, held_out = rows[:100], rows[100:600]
    network = digits(engine=engine).fit(
        X[train],
        rng.permutation(Y[train]),  # nothing to learn, so that more epochs only do harm
        optimizer=Adam(1e-2),
        epochs=15,
        X_val=X[held_out],
        y_val=Y[held_out],
    )
    losses = network.history["validation_loss"]
    assert np.argmin(losses) < 14
    assert network.evaluate(X[held_out], Y[held_out])["loss"] == pytest.approx(min(losses))


def test_patience_stops_after_so_many_epochs_without_a_lower_loss():
    rng = np.random.default_rng(0)
    network = digits().fit(
        X[:100], rng.permutation(Y[:100]), optimizer=Adam(1e-2), epochs=100, patience=4,
        X_val=X[100:], y_val=Y[100:],
    )  # fmt: skip
    losses = network.history["validation_loss"]
    assert len(losses) == int(np.argmin(losses)) + 5 < 100


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_rows_are_those_of_a_table_of_their_own(engine):
    rows = np.arange(0, 1000, 3)
    options = {"epochs": 2, "batch_size": 50, "schedule": "cosine"}
    chosen = digits(engine=engine).fit(X, Y, rows=rows, **options)
    alone = digits(engine=engine).fit(X[rows], Y[rows], **options)
    np.testing.assert_array_equal(chosen.parameters.flat, alone.parameters.flat)


def test_bfloat16_is_that_of_the_plan_with_float32_parameters():
    network = digits(dtype="bfloat16", engine="reference").fit(X[:256], Y[:256], epochs=2)
    assert network.dtype == network.parameters.flat.dtype == np.float32
    parameters = network.chain.initialize(64, seed=0, dtype=np.float32)
    data = TrainingData(X[:256], Y[:256].astype(np.int64))
    plan = TrainingPlan(Adam(), batch_size=128, n_epochs=2, dtype="bfloat16")
    trainer = ReferenceTrainer(network.chain, parameters, data, plan)
    trainer.run_epoch()
    trainer.run_epoch()
    np.testing.assert_array_equal(network.parameters.flat, parameters.flat)
    unrounded = digits(engine="reference").fit(X[:256], Y[:256], epochs=2)
    assert (unrounded.parameters.flat != parameters.flat).any()


@pytest.mark.skipif(not core.has_bfloat16, reason="no bfloat16 products")
def test_bfloat16_learns_what_float32_does():
    options = {"optimizer": Adam(1e-2), "epochs": 10, "record": 1}
    network = digits(dtype="bfloat16").fit(X[:1400], Y[:1400], **options)
    unrounded = digits().fit(X[:1400], Y[:1400], **options)
    assert (network.parameters.flat != unrounded.parameters.flat).any()
    loss = network.evaluate(X[1400:], Y[1400:])["loss"]
    assert loss == pytest.approx(unrounded.evaluate(X[1400:], Y[1400:])["loss"], rel=0.02)
    np.testing.assert_array_equal(network.replay(110).after.flat, network.parameters.flat)


@pytest.mark.skipif(core.has_bfloat16, reason="bfloat16 products")
def test_bfloat16_says_what_it_needs():
    network = digits(dtype="bfloat16")
    with pytest.raises(ValueError, match=r'needs a processor with AVX-512 BF16.*dtype="float32"'):
        network.fit(X, Y)


def test_rows_held_out_are_not_trained_on():
    held_out = np.zeros(len(X), dtype=bool)
    held_out[::4] = True
    poisoned = Y.copy()
    poisoned[held_out] = (Y[held_out] + 1) % 10
    options = {"epochs": 3, "rows_val": held_out, "patience": None}
    network = digits().fit(X, poisoned, **options)
    other = digits().fit(
        X[~held_out], Y[~held_out], epochs=3, X_val=X[held_out], y_val=poisoned[held_out]
    )
    np.testing.assert_array_equal(network.parameters.flat, other.parameters.flat)
    assert network.history["validation_loss"] == other.history["validation_loss"]


def test_a_weight_of_two_is_two_rows():
    rows = np.arange(200)
    weights = np.ones(200)
    weights[:50] = 2.0
    repeated = np.concatenate([rows, rows[:50]])
    options = {"epochs": 5, "shuffle": False, "optimizer": SGD(0.5)}
    weighted = digits(dtype="float64").fit(
        X[rows], Y[rows], sample_weight=weights, batch_size=200, **options
    )
    twice = digits(dtype="float64").fit(X[repeated], Y[repeated], batch_size=250, **options)
    np.testing.assert_allclose(weighted.parameters.flat, twice.parameters.flat, atol=1e-12)


def test_weights_are_divided_by_their_mean_over_all_rows_not_by_batch():
    weights = np.ones(256)
    weights[:128] = 3.0  # the whole first batch
    options = {"epochs": 1, "shuffle": False, "optimizer": SGD(0.1)}
    network = digits(dtype="float64").fit(X[:256], Y[:256], sample_weight=weights, **options)
    chain = network.chain
    parameters = chain.initialize(64, seed=0)
    for rows, weight in ((slice(0, 128), 1.5), (slice(128, 256), 0.5)):
        trace = chain.forward(parameters, X[rows])
        gradients = chain.backward(parameters, trace, Y[rows])
        parameters.flat -= 0.1 * weight * gradients.parameters.flat
    np.testing.assert_allclose(network.parameters.flat, parameters.flat, atol=1e-12)


def test_balanced_classes_count_the_same_together():
    y = np.where(Y == 0, "rare", "frequent")
    counts = {label: np.mean(y == label) for label in ("rare", "frequent")}
    options = {"epochs": 3, "optimizer": SGD(0.1)}
    balanced = small("logistic_cross_entropy").fit(X, y, class_weight="balanced", **options)
    by_hand = small("logistic_cross_entropy").fit(
        X, y, class_weight={label: 1 / share for label, share in counts.items()}, **options
    )
    np.testing.assert_allclose(balanced.parameters.flat, by_hand.parameters.flat, atol=1e-6)
    plain = small("logistic_cross_entropy").fit(X, y, **options)
    assert abs(plain.parameters.flat - balanced.parameters.flat).max() > 1e-3
    with pytest.raises(ValueError, match="class_weight needs a y of labels"):
        small().fit(X, Y.astype(float), class_weight="balanced")


def test_balanced_means_balanced_over_the_rows_trained_on():
    held_out = np.flatnonzero((Y == 3) & (np.arange(len(Y)) > 200))
    rest = np.setdiff1d(np.arange(len(Y)), held_out)
    options = {"epochs": 1, "class_weight": "balanced", "shuffle": False}
    chosen = digits(dtype="float64").fit(X, Y, rows=rest, **options)
    alone = digits(dtype="float64").fit(X[rest], Y[rest], **options)
    np.testing.assert_array_equal(chosen.parameters.flat, alone.parameters.flat)


def test_two_labels_take_one_output():
    y = np.where(Y > 4, True, False)
    network = small("logistic_cross_entropy").fit(X, y, epochs=30, optimizer=Adam(1e-2))
    assert network.predict(X).dtype == np.bool_
    assert network.evaluate(X, y)["accuracy"] == pytest.approx(np.mean(network.predict(X) == y))
    assert network.predict_proba(X).shape == (len(X), 2)


def test_several_labels_a_row_take_an_output_each():
    y = np.stack([Y > 4, Y % 2 == 0], axis=1).astype(int)
    network = small("logistic_cross_entropy", 2).fit(X, y, epochs=30, optimizer=Adam(1e-2))
    assert network.predict(X).shape == y.shape
    wanted = np.mean((network.predict(X) == y).all(axis=1))
    assert network.evaluate(X, y)["accuracy"] == pytest.approx(wanted)
    assert network.classes_ is None


def test_shares_of_classes_are_targets_too():
    one_hot = np.eye(10)[Y]
    shares = digits(dtype="float64").fit(X, one_hot, epochs=2)
    labels = digits(dtype="float64").fit(X, Y, epochs=2)
    np.testing.assert_allclose(shares.parameters.flat, labels.parameters.flat, atol=1e-10)
    assert shares.evaluate(X, one_hot) == pytest.approx(labels.evaluate(X, Y))


def test_numbers_come_back_in_the_shape_of_y():
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    network = small(dtype="float64").fit(X * 20, y, epochs=100, optimizer=Adam(1e-2))
    assert network.predict(X * 20).shape == y.shape
    assert network.evaluate(X * 20, y)["r2"] > 0.4
    both = small(Loss("huber", 0.5), 2).fit(X, np.stack([y, -y], axis=1), epochs=2)
    assert both.predict(X).shape == (len(y), 2)
    with pytest.raises(AttributeError, match="predict_proba needs a cross-entropy"):
        both.predict_proba(X)


def test_any_table_of_numbers_will_do():
    network = digits().fit(X, Y, epochs=1)
    expected = network.parameters.flat.copy()
    for table in (np.asfortranarray(X), scipy.sparse.csr_array(X), X.tolist()):
        network.fit(table, Y.tolist(), epochs=1)
        np.testing.assert_allclose(network.parameters.flat, expected, atol=1e-6)


def test_a_layer_of_ones_own_takes_the_reference_engine():
    layers = [Doubling(), *LAYERS]
    with pytest.raises(TypeError, match=r'Doubling, which the native engine.*engine="reference"'):
        digits(layers).fit(X, Y)
    own = digits(layers, engine="reference", dtype="float64").fit(X[:300], Y[:300], epochs=1)
    same = digits(dtype="float64").initialize(64)
    same.parameters["0.W"][:] = digits(layers, dtype="float64").initialize(64).parameters["1.W"]
    same.parameters["2.W"][:] = digits(layers, dtype="float64").initialize(64).parameters["3.W"]
    same.fit(2 * X[:300], Y[:300], epochs=1)
    np.testing.assert_allclose(own.parameters.flat, same.parameters.flat, atol=1e-9)


def test_layers_that_the_reference_engine_knows_train_with_it():
    layers = [Linear(16), BatchNorm(), Activation("relu"), Residual([Linear(16)]), Linear(10)]
    network = digits(layers, engine="reference").fit(X, Y, epochs=3, optimizer=Adam(1e-2))
    assert network.evaluate(X, Y)["accuracy"] > 0.8
    assert network.parameters["1.running_mean"].any()


def test_describe_tells_shapes_parameters_memory_and_flops():
    network = digits()
    with pytest.raises(ValueError, match="describe needs fan_in"):
        network.describe()
    text = str(network.describe(64))
    assert str(network.initialize(64).describe()) == text
    description = network.describe()
    assert description.n_parameters == network.parameters.flat.size == 64 * 32 + 32 + 32 * 10 + 10
    assert description.n_bytes == network.parameters.flat.nbytes
    assert description.flops == 2 * (64 * 32 + 32 * 10) + 32 + 10
    for part in ("Linear(32)", "W (64, 32), b (32,)", "2,410", "9.6 kB", "4,778"):
        assert part in text


def test_nothing_can_be_predicted_before_fit():
    network = digits()
    for call in (network.predict, network.predict_proba, network.scores, network.forward):
        with pytest.raises(NotFittedError, match=r"fit|initialize"):
            call(X)
    with pytest.raises(NotFittedError):
        network.save("never.pellucid")
    with pytest.raises(NotFittedError):
        network.initialize(64).predict(X)  # it does not know the labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.where(X > 0.99, np.nan, X)}, "NaN"),
        ({"X": X[:, 0]}, "2D array"),
        ({"X": X[:0], "y": Y[:0]}, "0 sample"),
        ({"y": Y[:-1]}, "inconsistent numbers of samples"),
        ({"y": np.zeros(len(Y))}, "one label only"),
        ({"y": Y % 7}, "7 labels and the network 10 outputs"),
        ({"y": X[:, 1]}, "continuous"),
        ({"y": np.where(Y == 3, np.nan, Y)}, "y contains NaN"),
        ({"y": np.stack([Y, Y], axis=1)}, "must have 10 columns"),
        ({"y": np.ones((len(Y), 10))}, "sum to 1"),
        ({"classes": [1, 2, 3]}, "classes must have all labels"),
        ({"epochs": 0}, "epochs must be a positive integer, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a positive integer, got 1.5"),
        ({"schedule": "zigzag"}, "schedule must be one of"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"sample_weight": -np.ones(len(Y))}, "sample_weight"),
        ({"rows": [0, len(Y)]}, f"rows must be from 0 to {len(Y) - 1}"),
        ({"rows": []}, "rows must be a vector"),
        ({"rows": [1, 2], "rows_val": [2, 3]}, "must not share any row"),
        ({"rows_val": np.ones(len(Y), bool)}, "holds out every row"),
        ({"X_val": X}, "X_val needs y_val"),
        ({"y_val": Y}, "need X_val"),
        ({"X_val": X, "y_val": Y, "rows_val": [1]}, "not both"),
        ({"X_val": X[:, :5], "y_val": Y}, "X_val has 5 columns"),
        ({"X_val": X, "y_val": Y + 1}, "y_val has labels that the network does not know"),
        ({"patience": 3}, "patience counts epochs"),
        ({"record": 0}, "positive integer"),
        ({"y": None}, "y is None, .* pass one for each row of X"),
        ({"X_val": X, "y_val": Y[:3]}, f"y_val has 3 rows and X {len(Y)}"),
        ({"class_weight": "foo"}, r'class_weight must be "balanced" or a dict .* got \'foo\''),
        ({"class_weight": 3}, "class_weight must be .* got 3; .* sample_weight"),
        ({"class_weight": {11: 1.0}}, "class_weight has a label that y has not, 11"),
        ({"class_weight": {1: -1.0}}, "class_weight must hold numbers >= 0, got -1.0 for 1"),
        ({"class_weight": {1: "x"}}, "class_weight must hold numbers >= 0, got 'x' for 1"),
        ({"sample_weight": "a"}, "sample_weight: could not convert"),
        ({"learning_rate_factors": {"0.W": "a"}}, "factor of '0.W' must be a number .* got 'a'"),
        ({"warm_start": True, "classes": range(11)}, "classes must be those of the earlier fit"),
        ({"warm_start": True, "y": Y + 1, "class_weight": {1: 2.0}}, "does not know"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input_is_named_and_changes_nothing(change, message):
    network = digits().fit(X, Y, epochs=1)
    flat, history = network.parameters.flat.copy(), dict(network.history)
    with pytest.raises(ValueError, match=message):
        network.fit(**{"X": X, "y": Y, "epochs": 1, **change})
    np.testing.assert_array_equal(network.parameters.flat, flat)
    assert network.history == history


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": 3}, "y must hold a target for each row, got 3"),
        ({"y": "text"}, "y must hold a target for each row, got 'text'"),
        ({"shuffle": "no"}, "shuffle must be True or False, got 'no'"),
        ({"warm_start": None}, "warm_start must be True or False, got None"),
        ({"optimizer": "adam"}, "optimizer must be an object such as"),
        ({"learning_rate_factors": 3}, "must be a mapping"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_types_are_named_and_change_nothing(change, message):
    network = digits().fit(X[:200], Y[:200], epochs=1)
    flat = network.parameters.flat.copy()
    with pytest.raises(TypeError, match=message):
        network.fit(**{"X": X, "y": Y, "epochs": 1, **change})
    np.testing.assert_array_equal(network.parameters.flat, flat)


def test_a_class_that_class_weight_leaves_out_weighs_one():
    one = small("softmax_cross_entropy", 10).fit(X, Y, epochs=1, class_weight={3: 2.0})
    weight = np.where(Y == 3, 2.0, 1.0)
    two = small("softmax_cross_entropy", 10).fit(X, Y, epochs=1, sample_weight=weight)
    np.testing.assert_array_equal(one.parameters.flat, two.parameters.flat)


def test_going_on_takes_the_classes_that_are_known():
    network = digits().fit(X[:200], Y[:200], epochs=1)
    network.fit(X, Y, epochs=1, warm_start=True, classes=np.arange(10))
    assert len(network.history["loss"]) == 2


@pytest.mark.parametrize("fan_in", ["a", None, 2.5, True])
def test_fan_in_is_an_integer(fan_in):
    for initialize in (digits().initialize, digits().chain.widths):
        with pytest.raises(TypeError, match=f"fan_in, .* must be an integer, got {fan_in!r}"):
            initialize(fan_in)
    with pytest.raises(TypeError, match=r"context must be a Context such as nn.Context\(\), got 3"):
        digits().initialize(64).forward(X, 3)


@pytest.mark.parametrize(
    ("loss", "n_outputs", "y", "message"),
    [
        ("logistic_cross_entropy", 1, Y, "one of two labels"),
        ("logistic_cross_entropy", 2, np.stack([Y, Y], axis=1), "from 0 to 1"),
        ("poisson", 1, -1.0 - Y, "at least 0 for poisson"),
        ("squared_error", 1, np.stack([Y, Y], axis=1), "must have 1 columns"),
        ("squared_error", 1, np.full(len(Y), np.inf), "infinity"),
        ("squared_error", 1, np.full(len(Y), 1e300), "too large for float32"),
        ("squared_error", 1, np.full(len(Y), "text"), "must be numbers"),
    ],
)
def test_targets_that_the_loss_does_not_take_are_named(loss, n_outputs, y, message):
    with pytest.raises(ValueError, match=message):
        small(loss, n_outputs).fit(X, y, epochs=1)


def test_other_columns_than_those_fitted_on_are_refused():
    network = digits().fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match="X has 5 columns, but the network takes 64"):
        network.predict(X[:, :5])
    with pytest.raises(ValueError, match="y has 3 rows and X 5"):
        network.evaluate(X[:5], Y[:3])


def test_the_constructor_names_what_is_wrong():
    with pytest.raises(
        ValueError, match="dtype must be one of float32, float64, bfloat16, got 'int8'"
    ):
        digits(dtype="int8")
    with pytest.raises(ValueError, match="engine must be one of native, reference, got 'gpu'"):
        digits(engine="gpu")
    for dtype in ("float16", "double precision", None, np.int8):
        with pytest.raises(ValueError, match="dtype must be one of float32, float64"):
            digits(dtype=dtype)
    with pytest.raises(ValueError, match="loss must be one of"):
        pellucid.Network(LAYERS, "hinge")
    for loss in (None, 3, Loss):
        with pytest.raises(TypeError, match="loss must be a name in LOSSES"):
            pellucid.Network(LAYERS, loss)
    for layers in (None, Linear(10)):
        with pytest.raises(TypeError, match="layers must be a list of layers"):
            digits(layers)
    for layer in ("relu", Linear, None):
        with pytest.raises(TypeError, match=r"layers must hold layers such as Linear\(10\), got"):
            digits([Linear(5), Residual([layer])])


def test_a_loss_that_becomes_infinite_leaves_the_last_good_epoch():
    y = Y.astype(float)
    fresh = small()
    with pytest.raises(NonFiniteError, match="Lower the learning rate"):
        fresh.fit(X, y, optimizer=SGD(1e30), epochs=3)
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    with pytest.warns(ConvergenceWarning, match="lowest validation loss are kept"):
        network = small().fit(
            X, y, optimizer=SGD(30.0), epochs=50, batch_size=900, X_val=X, y_val=y
        )
    assert network.evaluate(X, y)["loss"] == pytest.approx(min(network.history["validation_loss"]))


def test_labels_that_y_lacks_can_be_named():
    network = digits().fit(X[Y < 7], Y[Y < 7], epochs=1, classes=np.arange(10))
    assert list(network.classes_) == list(range(10))


def test_verbose_prints_a_line_an_epoch(capsys):
    digits().fit(X, Y, epochs=2, rows_val=np.arange(100), verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss ")
    assert "validation loss" in lines[1]


def test_statistics_are_those_of_the_steps_asked_for():
    X, y = np.random.default_rng(0).standard_normal((2, 40, 3))
    network = pellucid.Network([Linear(5), Activation("relu"), Linear(3)], "half_squared_error")
    network.fit(X, y, epochs=3, batch_size=10, statistics_every=5)
    assert [measured.step for measured in network.statistics] == [5, 10]
    assert set(network.statistics[0].gradient_norms) == {"0.W", "0.b", "2.W", "2.b"}
    assert network.fit(X, y, epochs=1).statistics == []
