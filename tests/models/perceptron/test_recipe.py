"""What the perceptrons have beyond scikit-learn's: each parameter does what it says."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from pellucid import MLPClassifier, MLPRegressor, load, nn
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[LABELS]
NUMBERS = X @ [1.0, -0.5, 0.25, 2.0] + 0.1 * np.random.default_rng(0).standard_normal(150)
FEW = {"hidden_layer_sizes": (6, 6), "max_iter": 3, "random_state": 0, "batch_size": 32}

OPTIONS = {
    "an activation for each layer": {"activation": ["tanh", "gelu"]},
    "an activation with a parameter": {"activation": nn.Activation("leaky_relu", 0.2)},
    "a pair of functions": {"activation": (np.sin, np.cos)},
    "dropout": {"dropout": 0.3},
    "dropout for each layer": {"dropout": (0.0, 0.5)},
    "batch normalization": {"normalization": "batch"},
    "layer normalization": {"normalization": "layer"},
    "RMS normalization": {"normalization": "rms"},
    "residual": {"residual": True},
    "all layers": {"normalization": "rms", "dropout": 0.1, "residual": True},
    "weight decay": {"weight_decay": 0.1},
    "schedule": {"schedule": "one_cycle"},
    "schedule object": {"schedule": nn.Cosine()},
    "schedules": {"schedule": {"learning_rate": "cosine", "dropout": "cosine"}, "dropout": 0.3},
    "schedule of weight decay": {"schedule": {"weight_decay": "one_cycle"}, "weight_decay": 0.1},
    "clipping": {"clipping": 0.5},
    "clipping object": {"clipping": nn.ClipByValue(0.01)},
    "float32": {"dtype": "float32"},
    "NumPy's float32": {"dtype": np.float32},
    "one thread": {"n_threads": 1},
}
NOT_SAVED = ("a pair of functions",)


def layers_of(**options):
    model = MLPClassifier(**{**FEW, **options}).fit(X, NAMES)
    return [type(layer).__name__ for layer in model.chain_.layers]


def test_layers_of_the_network():
    plain = ["Linear", "Activation", "Linear", "Activation", "Linear"]
    assert layers_of() == plain
    assert layers_of(dropout=(0.0, 0.5)) == [*plain[:4], "Dropout", "Linear"]
    assert layers_of(normalization="batch")[:3] == ["Linear", "BatchNorm", "Activation"]
    assert layers_of(residual=True) == [*plain[:4], "Add", "Linear"]
    whole = layers_of(normalization="rms", dropout=0.1, residual=True)
    assert whole[4:9] == ["Linear", "RMSNorm", "Activation", "Dropout", "Add"]
    assert layers_of(hidden_layer_sizes=(), dropout=0.5) == ["Linear"]


@pytest.mark.parametrize("option", OPTIONS)
def test_the_formulas_predict_what_the_model_predicts(option):
    model = MLPClassifier(**FEW, **OPTIONS[option]).fit(X, NAMES)
    trace = model.chain_.forward(model.parameters_, X)
    probabilities = model.chain_.loss.link(trace.scores)
    tolerance = 1e-5 if model.parameters_.flat.dtype == np.float32 else 1e-12
    assert_allclose(model.predict_proba(X), probabilities, atol=tolerance)


@pytest.mark.parametrize("option", OPTIONS)
def test_copies_predict_the_same_bits(option, tmp_path):
    for estimator, y in ((MLPClassifier, NAMES), (MLPRegressor, NUMBERS)):
        model = estimator(**FEW, **OPTIONS[option]).fit(X, y)
        expected = model.predict(X)
        again = clone(model).fit(X, y)
        assert_array_equal(again.parameters_.flat, model.parameters_.flat)
        assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)
        if option not in NOT_SAVED:
            model.save(tmp_path / "model.pellucid")
            loaded = load(tmp_path / "model.pellucid")
            assert_array_equal(loaded.predict(X), expected)
            assert loaded.get_params().keys() == model.get_params().keys()
            assert_array_equal(clone(loaded).fit(X, y).predict(X), expected)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o not in ("one thread", *NOT_SAVED)])
def test_every_option_changes_what_is_learned(option):
    model = MLPClassifier(**FEW, **OPTIONS[option]).fit(X, NAMES)
    plain = MLPClassifier(**FEW).fit(X, NAMES)
    assert not np.allclose(model.predict_proba(X), plain.predict_proba(X), rtol=1e-9, atol=0)


@pytest.mark.parametrize("option", ["dropout", "RMS normalization", "residual", "clipping"])
def test_training_is_that_of_the_formulas(option):
    options = {**FEW, **OPTIONS[option], "shuffle": False, "max_iter": 1}
    model = MLPRegressor(**options).fit(X, NUMBERS)
    start = MLPRegressor(**options, learning_rate_init=1e-300).fit(X, NUMBERS)
    # The seed of dropout is what the generator draws behind the first weights.
    generator = np.random.RandomState(0)
    n_linear = sum(W.size + b.size for W, b in zip(model.coefs_, model.intercepts_, strict=True))
    generator.uniform(size=n_linear)
    plan = TrainingPlan(
        nn.Adam(form="scikit-learn"),
        batch_size=32,
        l2_penalty=1e-4,
        seed=int(generator.randint(2**31 - 1)),
        clipping=nn.ClipByGlobalNorm(0.5) if option == "clipping" else None,
    )
    parameters = start.parameters_.copy()
    data = TrainingData(X, NUMBERS.reshape(-1, 1))
    trainer = ReferenceTrainer(model.chain_, parameters, data, plan)
    loss = trainer.run_epoch(np.arange(150)).loss
    assert model.loss_ == pytest.approx(loss, rel=1e-10)
    assert_allclose(model.parameters_.flat, parameters.flat, rtol=1e-9, atol=1e-12)


def test_weight_decay_shrinks_weights_and_not_biases():
    options = {**FEW, "shuffle": False, "alpha": 0.0, "max_iter": 1, "batch_size": 150}
    decayed = MLPRegressor(**options, weight_decay=0.5).fit(X, NUMBERS)
    kept = MLPRegressor(**options, weight_decay=1e-300).fit(X, NUMBERS)
    start = MLPRegressor(**options, learning_rate_init=1e-300).fit(X, NUMBERS)
    for W, without, before in zip(decayed.coefs_, kept.coefs_, start.coefs_, strict=True):
        assert_allclose(W, without - 1e-3 * 0.5 * before, rtol=1e-12, atol=1e-15)
    for b, without in zip(decayed.intercepts_, kept.intercepts_, strict=True):
        assert_array_equal(b, without)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_the_parameters(dtype):
    model = MLPClassifier(**FEW, dtype=dtype).fit(X, NAMES)
    assert {W.dtype for W in model.coefs_} == {np.dtype(dtype)}
    assert model.predict_proba(X.astype(np.float32)).dtype == dtype


def test_quantile_regression_covers_its_share():
    rng = np.random.default_rng(0)
    table = rng.uniform(-1, 1, (2000, 1))
    y = table[:, 0] + rng.standard_normal(2000) * (0.2 + 0.2 * (table[:, 0] > 0))
    for level in (0.1, 0.5, 0.9):
        model = MLPRegressor(
            "quantile", (32,), quantile=level, max_iter=60, random_state=0, learning_rate_init=0.01
        ).fit(table, y)
        # Four standard deviations of the share of 2000 rows.
        assert np.mean(y <= model.predict(table)) == pytest.approx(
            level, abs=4 * np.sqrt(level * (1 - level) / 2000)
        )


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", nn.Loss("huber", 0.5)])
def test_losses_are_those_of_nn(loss):
    model = MLPRegressor(loss, **FEW).fit(X, NUMBERS)
    values = model.chain_.loss.values(model.predict(X).reshape(-1, 1), NUMBERS.reshape(-1, 1))
    name = loss if isinstance(loss, str) else loss.name
    assert model.chain_.loss.name == name
    again = MLPRegressor(loss, **{**FEW, "max_iter": 300}).fit(X, NUMBERS)
    better = again.chain_.loss.values(again.predict(X).reshape(-1, 1), NUMBERS.reshape(-1, 1))
    assert better.mean() < 0.5 * values.mean()


def half_square(scores, targets, weights):
    residual = scores - targets
    loss = 0.5 * np.mean(weights * (residual**2).sum(axis=1))
    return loss, weights[:, None] * residual / len(scores)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_loss_of_ones_own_is_as_good_as_ours(solver):
    own = MLPRegressor(half_square, solver=solver, **FEW).fit(X, NUMBERS)
    ours = MLPRegressor(solver=solver, **FEW).fit(X, NUMBERS)
    assert_allclose(own.predict(X), ours.predict(X), rtol=1e-9)


def log_loss(scores, targets, weights):
    loss = nn.Loss("softmax_cross_entropy")
    return loss.mean(scores, targets, weights), loss.mean_gradient(scores, targets, weights)


def test_a_loss_of_ones_own_for_classes():
    own = MLPClassifier(loss=log_loss, **FEW).fit(X, NAMES)
    assert_allclose(own.predict_proba(X), MLPClassifier(**FEW).fit(X, NAMES).predict_proba(X))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda s, t, w: (0.0, np.zeros(3)), "shape of the scores"),
        (lambda s, t, w: (np.nan, np.zeros_like(s)), "not finite on the first batch"),
        (lambda s, t, w: (np.mean((s - t) ** 2), (s - t) / len(s)), r"differs.* by 0\.5"),
        (lambda s, t, w: 1.0, "must return a pair"),
    ],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_wrong_loss_is_named(loss, message, solver):
    model = MLPRegressor(loss, solver=solver, **FEW)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, NUMBERS)
    assert not hasattr(model, "coefs_")


def test_label_smoothing_keeps_probabilities_from_the_ends():
    options = {**FEW, "max_iter": 400, "alpha": 0.0, "learning_rate_init": 0.02, "tol": 0.0}
    for y in (NAMES, NAMES == "setosa", np.eye(3, dtype=int)[LABELS]):
        sharp = MLPClassifier(**options).fit(X, y).predict_proba(X)
        smooth = MLPClassifier(**options, label_smoothing=0.2).fit(X, y).predict_proba(X)
        assert smooth.max(axis=1).mean() < sharp.max(axis=1).mean() - 0.05
    # Of two classes each target moves by half of ε.
    assert MLPClassifier(**options, label_smoothing=0.2).fit(X, NAMES == "setosa").predict_proba(
        X
    ).max(axis=1).mean() == pytest.approx(0.9, abs=0.01)


BAD = {
    "activation": ["swash", ("relu",), [("relu",)], 3, ["relu", "relu", "relu"], (np.sin, "cos")],
    "dropout": [1.0, -0.1, (0.1,), "half", (0.1, 1.0), (0.1, np.nan), np.nan],
    "normalization": ["instance", True],
    "residual": ["yes", None],
    "weight_decay": [-1.0, "much", np.nan],
    "schedule": ["sawtooth", 3],
    "clipping": [0.0, -1.0, "hard"],
    "scoring": ["goodness", 3],
    "n_threads": [0, 1.5, "all"],
    "dtype": ["float16", np.int64, 3],
    "callbacks": [3, print],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_bad_values_are_named(name, value):
    for model, y in ((MLPClassifier(**FEW), NAMES), (MLPRegressor(**FEW), NUMBERS)):
        model.set_params(**{name: value}, early_stopping=True)
        with pytest.raises((ValueError, TypeError), match=name):
            model.fit(X, y)
        assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    ("estimator", "params", "message"),
    [
        (MLPClassifier, {"loss": "hinge"}, "loss"),
        (MLPClassifier, {"loss": nn.Loss("huber")}, "loss.*huber"),
        (MLPClassifier, {"label_smoothing": 1.0}, "label_smoothing"),
        (
            MLPClassifier,
            {"loss": log_loss, "label_smoothing": 0.1},
            "label_smoothing=0.1.*your own",
        ),
        (MLPClassifier, {"class_weight": "even"}, "class_weight"),
        (MLPClassifier, {"class_weight": {"rose": 1.0}}, "class_weight.*'rose'"),
        (MLPClassifier, {"class_weight": {"setosa": -1.0}}, "class_weight.*-1.0"),
        (MLPClassifier, {"class_weight": {"setosa": "big"}}, "class_weight.*'big'"),
        (MLPRegressor, {"loss": "log_loss"}, "loss"),
        (MLPRegressor, {"loss": nn.Loss("softmax_cross_entropy")}, "use a classifier"),
        (MLPRegressor, {"loss": "quantile", "quantile": 1.0}, "quantile"),
        (MLPRegressor, {"activation": (np.sin, np.sin)}, "derivative of the activation 'sin'"),
        (MLPRegressor, {"hidden_layer_sizes": (6, 5), "residual": True}, r"residual.*\(6, 5\)"),
        (MLPRegressor, {"weight_decay": 0.1, "solver": "sgd"}, "weight_decay.*'sgd'"),
        (MLPRegressor, {"dropout": 0.1, "solver": "lbfgs"}, "dropout.*mini-batches"),
        (MLPRegressor, {"normalization": "batch", "solver": "lbfgs"}, "normalization.*mini"),
        (MLPRegressor, {"clipping": 1.0, "solver": "lbfgs"}, "clipping.*mini"),
        (MLPRegressor, {"schedule": "cosine", "solver": "lbfgs"}, "schedule.*mini"),
        (MLPRegressor, {"dtype": "bfloat16", "solver": "lbfgs"}, "dtype.*mini"),
        (MLPRegressor, {"scoring": "r2"}, "scoring.*early_stopping"),
    ],
)
def test_what_does_not_go_together(estimator, params, message):
    model = estimator(**{**FEW, **params})
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, NAMES if estimator is MLPClassifier else NUMBERS)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    ("key", "needs"),
    [("learning_rate", {}), ("weight_decay", {"weight_decay": 0.5}), ("dropout", {"dropout": 0.5})],
)
def test_schedules_change_what_their_keys_name(key, needs):
    """A constant schedule leaves the bits as they are; one that falls changes them."""
    options = {**FEW, "max_iter": 4, **needs}
    plain = MLPRegressor(**options).fit(X, NUMBERS)
    constant = MLPRegressor(**options, schedule={key: "constant"}).fit(X, NUMBERS)
    assert_array_equal(constant.parameters_.flat, plain.parameters_.flat)
    changed = MLPRegressor(**options, schedule={key: nn.Exponential(1e-3)}).fit(X, NUMBERS)
    assert not np.allclose(changed.parameters_.flat, plain.parameters_.flat, rtol=1e-6)


def test_a_schedule_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"schedule=.* changes weight_decay, which is 0; set"):
        MLPRegressor(schedule={"weight_decay": "cosine"}).fit(X, NUMBERS)


def test_a_schedule_needs_the_whole_training():
    with pytest.raises(ValueError, match="partial_fit does not support schedule"):
        MLPRegressor(schedule="cosine").partial_fit(X, NUMBERS)


def test_warm_start_goes_on_with_other_dropout_and_not_with_other_parameters():
    model = MLPRegressor(**FEW, normalization="rms", warm_start=True).fit(X, NUMBERS)
    first = model.loss_
    model.set_params(dropout=0.1, max_iter=50).fit(X, NUMBERS)
    assert model.loss_ < first
    with pytest.raises(ValueError, match="normalization must stay"):
        model.set_params(normalization="layer").fit(X, NUMBERS)
    with pytest.raises(ValueError, match="hidden_layer_sizes must stay"):
        model.set_params(normalization="rms", hidden_layer_sizes=(6, 7)).fit(X, NUMBERS)


def test_callbacks_hear_of_every_epoch():
    heard = []
    model = MLPRegressor(**FEW, callbacks=[lambda report: heard.append(report.loss)])
    model.fit(X, NUMBERS)
    assert heard == model.loss_curve_


class Narrow(MLPClassifier):
    def __init__(self, width=6, alpha=1e-4):
        super().__init__((width,), alpha=alpha, max_iter=6, random_state=0, n_iter_no_change=3)
        self.width = width


def test_subclasses_may_take_fewer_parameters():
    plain = MLPClassifier((5,), max_iter=6, random_state=0, n_iter_no_change=3).fit(X, NAMES)
    model = clone(Narrow(5)).fit(X, NAMES)
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert_array_equal(model.partial_fit(X, NAMES).coefs_[0], plain.partial_fit(X, NAMES).coefs_[0])
    assert_array_equal(copy.deepcopy(model).predict(X), plain.predict(X))
