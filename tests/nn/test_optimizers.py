import math

import numpy as np
import pytest

from pellucid.nn import SGD, Adagrad, Adam, AdamW, Chain, Linear, RMSNorm, RMSProp

rng = np.random.default_rng(0)
GRADIENTS = rng.normal(size=(30, 7))
START = rng.normal(size=7)


ALL = [
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True),
    Adagrad(),
    RMSProp(),
    AdamW(),
    *(Adam(form=form) for form in ("standard", "scikit-learn", "accumulator")),
]


def run(optimizer, gradients=GRADIENTS, theta=START, **keywords):
    state = optimizer.init(theta)
    for step, gradient in enumerate(gradients, start=1):
        theta, state = optimizer.update(gradient, state, theta, step, **keywords)
    return theta


def test_m18_gradient_descent_is_theta_minus_eta_g():
    np.testing.assert_allclose(run(SGD(0.1)), START - 0.1 * GRADIENTS.sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
def test_m18_momentum_agrees_with_scikit_learn(nesterov):
    from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

    theta = [START.copy()]
    theirs = SGDOptimizer(theta, 0.05, "constant", 0.9, nesterov)
    for gradient in GRADIENTS:
        theirs.update_params(theta, [gradient])
    np.testing.assert_allclose(run(SGD(0.05, 0.9, nesterov)), theta[0], rtol=1e-13)


def test_m18_momentum_is_the_sum_of_decaying_gradients():
    n = len(GRADIENTS)
    shares = np.array([sum(0.9**k for k in range(n - t)) for t in range(n)])
    np.testing.assert_allclose(run(SGD(0.1, 0.9)), START - 0.1 * shares @ GRADIENTS, rtol=1e-12)


def test_m18_nesterov_is_the_gradient_at_the_point_ahead():
    # On ½λθ², stepping from φ = θ + μv, the classical form, gives θ_new + μv_new = the form here.
    eta, mu, curvature = 0.1, 0.8, 3.0
    theta, v = 1.0, 0.0
    optimizer = SGD(eta, mu, nesterov=True)
    ahead = np.array([theta + mu * v])
    state = optimizer.init(ahead)
    for step in range(1, 20):
        v = mu * v - eta * curvature * (theta + mu * v)
        theta += v
        ahead, state = optimizer.update(curvature * ahead, state, ahead, step)
        assert ahead[0] == pytest.approx(theta + mu * v, rel=1e-12)


def test_m18_adam_in_the_textbook_form():
    theta, m, v = START.copy(), 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        theta -= 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-3)
    np.testing.assert_allclose(run(Adam(0.01, epsilon=1e-3)), theta, rtol=1e-13)


def test_m18_adam_agrees_with_scikit_learn():
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

    theta = [START.copy()]
    theirs = AdamOptimizer(theta, 0.01, 0.8, 0.95, 1e-3)
    for gradient in GRADIENTS:
        theirs.update_params(theta, [gradient])
    ours = run(Adam(0.01, 0.8, 0.95, 1e-3, form="scikit-learn"))
    np.testing.assert_allclose(ours, theta[0], rtol=1e-13)


def test_m18_the_two_corrected_forms_differ_only_in_epsilon():
    standard = run(Adam(0.01, epsilon=0.0))
    other = run(Adam(0.01, epsilon=0.0, form="scikit-learn"))
    np.testing.assert_allclose(standard, other, rtol=1e-14)
    assert not np.allclose(
        run(Adam(0.01, epsilon=0.1)), run(Adam(0.01, epsilon=0.1, form="scikit-learn"))
    )


def test_m18_adamw_decays_weights_and_not_biases():
    mask = np.arange(7) < 5
    adam, adamw = Adam(0.01), AdamW(0.01, weight_decay=0.1)
    g = GRADIENTS[0]
    plain, _ = adam.update(g, adam.init(START), START, 1)
    decayed, _ = adamw.update(g, adamw.init(START), START, 1, weight_mask=mask)
    np.testing.assert_allclose(decayed - plain, -0.01 * 0.1 * START * mask, atol=1e-17)
    np.testing.assert_array_equal(run(AdamW(0.01, weight_decay=0.0)), run(adam))


def test_m18_decoupled_decay_is_not_an_l2_penalty():
    # With no gradient from the loss, decay shrinks θ geometrically; Adam on the gradient λθ of a
    # penalty takes a step of η whatever λ and θ are.
    decay, eta, n = 0.5, 0.01, 10
    theta = run(AdamW(eta, weight_decay=decay), np.zeros((n, 7)))
    np.testing.assert_allclose(theta, START * (1 - eta * decay) ** n, rtol=1e-13)
    penalized, optimizer = START, Adam(eta)
    state = optimizer.init(penalized)
    penalized, state = optimizer.update(decay * penalized, state, penalized, 1)
    np.testing.assert_allclose(penalized, START - eta * np.sign(START), atol=1e-7)


def test_m18_sgd_penalty_and_decay_are_the_same_thing():
    decayed = START * (1 - 0.1 * 0.3)
    np.testing.assert_allclose(run(SGD(0.1), [0.3 * START]), decayed, rtol=1e-14)


def test_m18_adagrad_by_its_own_equation():
    theta, v = START.copy(), 0.5
    for g in GRADIENTS:
        v = v + g**2
        theta -= 0.1 * g / (np.sqrt(v) + 1e-3)
    ours = run(Adagrad(0.1, epsilon=1e-3, initial_accumulator=0.5))
    np.testing.assert_allclose(ours, theta, rtol=1e-13)


def test_m18_rmsprop_by_its_own_equation():
    theta, v = START.copy(), 0.0
    for g in GRADIENTS:
        v = 0.9 * v + 0.1 * g**2
        theta -= 0.1 * g / (np.sqrt(v) + 1e-3)
    np.testing.assert_allclose(run(RMSProp(0.1, 0.9, 1e-3)), theta, rtol=1e-13)


def test_m18_rmsprop_is_adam_without_momentum_and_correction():
    eta, ours = 0.01, run(RMSProp(0.01, 0.999, 0.0))
    sums = run(Adam(eta / math.sqrt(1 - 0.999), 0.0, 0.999, 0.0, form="accumulator"))
    np.testing.assert_allclose(ours, sums, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_a_schedule_may_give_a_rate_of_zero(optimizer):
    np.testing.assert_array_equal(run(optimizer, learning_rate=0.0), START)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_m18_a_factor_multiplies_every_move(optimizer):
    factors = np.array([0.0, 0.1, 0.5, 1.0, 2.0, 6.0, 1.0])
    one = run(optimizer, GRADIENTS[:1]) - START
    scaled = run(optimizer, GRADIENTS[:1], factors=factors) - START
    np.testing.assert_allclose(scaled, factors * one, rtol=1e-9)
    all_one = run(optimizer, factors=np.ones(7))
    np.testing.assert_allclose(all_one, run(optimizer), rtol=1e-13)


def test_m18_factors_of_sgd_are_learning_rates():
    factors = np.where(np.arange(7) < 3, 0.1, 1.0)
    for nesterov in (False, True):
        slow, fast = run(SGD(0.01, 0.9, nesterov)), run(SGD(0.1, 0.9, nesterov))
        ours = run(SGD(0.1, 0.9, nesterov), factors=factors)
        np.testing.assert_allclose(ours, np.where(factors < 1, slow, fast), rtol=1e-12)


def test_m18_factors_go_by_name_part_and_role():
    chain = Chain([Linear(2), RMSNorm(), Linear(1)], "half_squared_error")
    layout = chain.layout(3)
    given = {"bias": 0.1, "gamma": 6.0, "2": 3.0, "2.W": 5.0}
    factors = layout.learning_rate_factors(given)
    by_name = {entry.name: set(factors[entry.span].tolist()) for entry in layout.entries}
    assert by_name == {"0.W": {1.0}, "0.b": {0.1}, "1.gamma": {6.0}, "2.W": {5.0}, "2.b": {3.0}}
    with pytest.raises(ValueError, match=r"names 'alpha', which no parameter .* has.*bias.*2.b"):
        layout.learning_rate_factors({"alpha": 0.1})
    with pytest.raises(ValueError, match="factor of 'W' must be a number of at least 0, got -1"):
        layout.learning_rate_factors({"W": -1})


def test_m18_the_trainer_honours_factors():
    from pellucid.engine.plan import TrainingData, TrainingPlan
    from pellucid.engine.reference import ReferenceTrainer

    chain = Chain([Linear(1, weights="zeros")], "squared_error")
    params = chain.initialize(2, seed=0)
    data = TrainingData(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    plan = TrainingPlan(SGD(0.01), batch_size=1, learning_rate_factors={"b": 0.1})
    ReferenceTrainer(chain, params, data, plan).run_epoch()
    np.testing.assert_allclose(params.flat, [0.4, 0.6, 0.02], rtol=1e-14)  # M13


def test_m19_accumulator_form_by_its_own_equation():
    theta, v, G = START.copy(), 0.0, 0.0
    for g in GRADIENTS:
        v, G = 0.9 * v + g, 0.999 * G + g**2
        theta -= 0.01 * v / np.sqrt(G + 1e-8)
    np.testing.assert_allclose(run(Adam(0.01, form="accumulator")), theta, rtol=1e-13)


@pytest.mark.parametrize(("beta_1", "beta_2"), [(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)])
def test_m19_accumulator_equals_uncorrected_adam_with_another_learning_rate(beta_1, beta_2):
    # The averages are m = (1 - β1)v and s = (1 - β2)G, so m/√s = (1 - β1)/√(1 - β2) · v/√G, and
    # averages with η' = η√(1 - β2)/(1 - β1) take the steps of sums with η.
    eta = 0.02
    eta_uncorrected = eta * math.sqrt(1 - beta_2) / (1 - beta_1)
    theta, m, s = START.copy(), 0.0, 0.0
    for g in GRADIENTS:
        m, s = beta_1 * m + (1 - beta_1) * g, beta_2 * s + (1 - beta_2) * g**2
        theta -= eta_uncorrected * m / np.sqrt(s)
    ours = run(Adam(eta, beta_1, beta_2, epsilon=0.0, form="accumulator"))
    np.testing.assert_allclose(ours, theta, rtol=1e-12)


@pytest.mark.parametrize("step", [1, 2, 1000, 10**6])
def test_m19_bias_correction_is_a_learning_rate_of_the_step(step):
    # The same sums v and G give the standard step at η the length of the accumulator's at η_t.
    eta = 0.01
    standard = Adam(eta, epsilon=0.0).coefficients(step)
    uncorrected = eta * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    eta_t = uncorrected * (1 - 0.9) / math.sqrt(1 - 0.999)
    sums = Adam(eta_t, epsilon=0.0, form="accumulator").coefficients(step)
    v, G = 0.7, 0.3
    m, s = standard.c1 * v, standard.c2 * G
    standard_move = standard.s * m / math.sqrt(s)
    assert standard_move == pytest.approx(sums.s * v / math.sqrt(G), rel=1e-14)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_updates_are_pure_and_keep_the_precision(optimizer):
    theta, g = START.astype(np.float32), GRADIENTS[0].astype(np.float32)
    state = optimizer.init(theta)
    before = theta.copy(), g.copy(), state.first.copy(), state.second.copy()
    new_theta, new_state = optimizer.update(g, state, theta, 1)
    for array, copy in zip((theta, g, state.first, state.second), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert new_theta.dtype == new_state.first.dtype == new_state.second.dtype == np.float32
    assert not np.array_equal(new_theta, theta)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_a_learning_rate_given_to_the_step_replaces_the_optimizers(optimizer):
    from dataclasses import replace

    np.testing.assert_array_equal(
        run(optimizer, learning_rate=0.25), run(replace(optimizer, learning_rate=0.25))
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.0), "learning_rate must be a number above 0, got 0.0"),
        (lambda: Adam(math.inf), "learning_rate must be a number above 0, got inf"),
        (lambda: SGD(momentum=1.5), r"momentum must be in \[0, 1\], got 1.5"),
        (lambda: Adam(beta_1=1.0), "beta_1 must be at least 0 and below 1, got 1.0"),
        (lambda: AdamW(beta_2=-0.1), "beta_2 must be at least 0 and below 1, got -0.1"),
        (lambda: Adam(epsilon=-1.0), "epsilon must be at least 0, got -1.0"),
        (lambda: AdamW(weight_decay=math.nan), "weight_decay must be at least 0, got nan"),
        (lambda: RMSProp(rho=1.0), "rho must be at least 0 and below 1, got 1.0"),
        (lambda: Adagrad(initial_accumulator=-1), "initial_accumulator must be at least 0, got -1"),
        (lambda: Adam(form="amsgrad"), "one of standard, scikit-learn, accumulator; got 'amsgrad'"),
    ],
)
def test_errors_name_what_was_received(make, message):
    with pytest.raises(ValueError, match=message):
        make()
