import numpy as np
import pytest

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer, predict_scores
from pellucid.nn import SGD, Activation, AdamW, BatchNorm, Chain, Context, Linear, Parameters

RNG = np.random.default_rng(0)
H = RNG.normal(size=(7, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -3.0]
TRAINING = Context(training=True, step=1)
NETWORK = Chain([Linear(4), BatchNorm(), Activation("tanh"), Linear(1)], "half_squared_error")


def initial(d=3, layer=BatchNorm()):  # noqa: B008
    return layer.initial_parameters(d, None)


def test_m25_training_standardizes_every_column():
    y = BatchNorm(epsilon=0.0).forward(initial(), H, TRAINING)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-12)


def test_m25_prediction_uses_the_running_moments_row_by_row():
    parameters = initial() | {
        "gamma": np.array([1.0, 2.0, 3.0]),
        "beta": np.array([0.5, 0.0, -1.0]),
        "running_mean": np.array([0.1, 5.0, -3.0]),
        "running_variance": np.array([1.5, 90.0, 0.02]),
    }
    layer = BatchNorm(epsilon=0.25)
    y = layer.forward(parameters, H)
    n = (H - parameters["running_mean"]) / np.sqrt(parameters["running_variance"] + 0.25)
    np.testing.assert_allclose(y, parameters["gamma"] * n + parameters["beta"], rtol=1e-14)
    np.testing.assert_array_equal(layer.forward(parameters, H[2:3]), y[2:3])


def test_m25_running_moments_move_by_momentum():
    new = BatchNorm(momentum=0.3).updated_statistics(initial(), H, TRAINING)
    np.testing.assert_allclose(new["running_mean"], 0.3 * H.mean(axis=0), rtol=1e-13)
    expected = 0.7 + 0.3 * H.var(axis=0, ddof=1)
    np.testing.assert_allclose(new["running_variance"], expected, rtol=1e-13)
    layer, moments = BatchNorm(), initial()
    for _ in range(400):
        moments = moments | layer.updated_statistics(moments, H, TRAINING)
    np.testing.assert_allclose(moments["running_mean"], H.mean(axis=0), rtol=1e-12)


def test_m25_one_row_gives_beta_and_leaves_the_moments():
    parameters = initial() | {"beta": np.array([1.0, 2.0, 3.0])}
    layer, row = BatchNorm(), H[:1]
    np.testing.assert_array_equal(layer.forward(parameters, row, TRAINING), [[1.0, 2.0, 3.0]])
    dh, _ = layer.backward(parameters, np.ones((1, 3)), row, row, TRAINING)
    assert not dh.any()
    new = layer.updated_statistics(parameters, row, TRAINING)
    assert new["running_variance"].tolist() == [1.0] * 3


def test_m25_a_shift_and_a_scale_of_the_batch_do_not_matter_in_training():
    layer = BatchNorm(epsilon=0.0)
    moved = layer.forward(initial(), 5.0 * H + 2.0, TRAINING)
    np.testing.assert_allclose(moved, layer.forward(initial(), H, TRAINING), rtol=1e-9)


def test_m25_statistics_have_no_gradient_and_no_decay():
    params = NETWORK.initialize(3, seed=0)
    assert params.names()[2:6] == ("1.gamma", "1.beta", "1.running_mean", "1.running_variance")
    trace = NETWORK.forward(params, H, TRAINING)
    gradients = NETWORK.backward(params, trace, np.ones((7, 1)), context=TRAINING).parameters
    assert not gradients["1.running_mean"].any()
    assert not gradients["1.running_variance"].any()
    weights = params.layout.weight_mask()
    for entry in params.layout.entries:
        assert weights[entry.span].all() == (entry.role == "weight")


def test_m25_the_trainer_keeps_the_running_moments(rng):
    X, Y = rng.normal(size=(10, 3)), rng.normal(size=(10, 1))
    optimizer = AdamW(0.01, weight_decay=0.1)
    plan = TrainingPlan(optimizer, batch_size=5, l2_penalty=0.1, shuffle=False)
    params = NETWORK.initialize(3, seed=0)
    theta, state = params.flat.copy(), optimizer.init(params.flat)
    ReferenceTrainer(NETWORK, params, TrainingData(X, Y), plan).run_epoch()
    for step, rows in ((1, slice(0, 5)), (2, slice(5, 10))):
        at = Parameters(theta, params.layout)
        context = Context(training=True, step=step)
        trace = NETWORK.forward(at, X[rows], context)
        gradient = NETWORK.backward(at, trace, Y[rows], context=context).parameters.flat
        weights = params.layout.weight_mask()
        gradient = gradient + 0.1 / 5 * theta * weights
        moments = NETWORK.updated_statistics(at, trace, context)
        theta, state = optimizer.update(gradient, state, theta, step, weight_mask=weights)
        for name, value in moments.items():
            Parameters(theta, params.layout)[name][...] = value
    np.testing.assert_allclose(params.flat, theta, rtol=1e-12)
    assert params["1.running_mean"].any()


def test_m25_prediction_after_training_does_not_depend_on_the_batch(rng):
    X, Y = rng.normal(size=(64, 3)), rng.normal(size=(64, 1))
    params = NETWORK.initialize(3, seed=0)
    trainer = ReferenceTrainer(NETWORK, params, TrainingData(X, Y), TrainingPlan(SGD(0.1), 16))
    first = trainer.run_epoch().loss
    losses = [trainer.run_epoch().loss for _ in range(30)]
    assert losses[-1] < first
    scores = predict_scores(NETWORK, params, X)
    np.testing.assert_allclose(predict_scores(NETWORK, params, X[5:9]), scores[5:9], rtol=1e-12)
    predicting = NETWORK.loss_value(scores, Y)
    assert predicting < 1.2 * losses[-1] + 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNorm(momentum=0.0), "momentum must be above 0 and at most 1, got 0.0"),
        (lambda: BatchNorm(epsilon=-1.0), "epsilon must be a number of at least 0, got -1.0"),
    ],
)
def test_errors_name_what_was_received(make, message):
    with pytest.raises(ValueError, match=message):
        make()
