"""M42: a loss that the user writes trains a native network; its gradient is checked at first."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.native import NativeTrainer
from pellucid.engine.native import loss_and_gradient as native_gradient
from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.engine.reference import loss_and_gradient as reference_gradient
from pellucid.inspection.gradient_check import check_gradient
from pellucid.nn import Activation, Adam, Chain, CustomLoss, Dropout, Linear
from pellucid.nn.random import permutation

RNG = np.random.default_rng(0)
X = RNG.standard_normal((53, 5))
Y = RNG.standard_normal((53, 3))
WEIGHTS = RNG.uniform(0.5, 1.5, 53)
WEIGHTS /= WEIGHTS.mean()
TRAINERS = [NativeTrainer, ReferenceTrainer]


def squared(scores, targets, weights):
    residual = scores - targets
    weighted = weights[:, None] * residual
    return np.sum(weighted * residual) / len(scores), 2.0 * weighted / len(scores)


def pairwise(scores, targets, weights):
    """Residuals are to be small, and those of every pair of rows alike: rows are not alone."""
    n, residual = len(scores), scores - targets
    centred = residual - residual.mean(axis=0)
    return np.sum(centred**2 + residual**2) / n, 2.0 * (centred + residual) / n


def cross_entropy(scores, labels, weights):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    gradient = p.copy()
    gradient[rows, labels] -= 1.0
    loss = np.mean(weights * -np.log(p[rows, labels]))
    return loss, weights[:, None] * gradient / len(labels)


def trained(trainer, loss, targets=Y, dtype=np.float64, n_threads=None, epochs=3, weights=WEIGHTS):
    chain = Chain([Linear(7), Activation("tanh"), Dropout(0.2), Linear(3)], loss)
    parameters = chain.initialize(5, seed=1, dtype=dtype)
    plan = TrainingPlan(Adam(0.01), batch_size=16, n_threads=n_threads, l2_penalty=0.1)
    run = trainer(chain, parameters, TrainingData(X, targets, weights), plan)
    losses = [run.run_epoch().loss for _ in range(epochs)]
    return losses, parameters


@pytest.mark.arithmetic
@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize(
    ("own", "built_in", "targets"),
    [
        (squared, "squared_error", Y),
        (cross_entropy, "softmax_cross_entropy", np.arange(53) % 3),
    ],
)
def test_the_same_loss_trains_to_the_same_parameters(trainer, own, built_in, targets):
    losses, parameters = trained(trainer, own, targets)
    expected_losses, expected = trained(trainer, built_in, targets)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-12)
    np.testing.assert_allclose(parameters.flat, expected.flat, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("trainer", TRAINERS)
def test_rows_of_a_table_train_as_a_table_of_their_own(trainer, weights):
    rows = np.arange(30, 53)
    there = TrainingData(X, Y, weights, rows=rows)
    results = []
    for data in (there, there.gathered()):
        chain = Chain([Linear(7), Activation("tanh"), Linear(3)], squared)
        parameters = chain.initialize(5, seed=1)
        trainer(chain, parameters, data, TrainingPlan(Adam(0.01), batch_size=4)).run_epoch()
        results.append(parameters.flat)
    np.testing.assert_array_equal(*results)


@pytest.mark.arithmetic
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("loss", [squared, pairwise])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 1e-4)])
def test_engines_agree(loss, dtype, rtol, weights):
    losses, parameters = trained(NativeTrainer, loss, dtype=dtype, weights=weights)
    expected_losses, expected = trained(ReferenceTrainer, loss, dtype=dtype, weights=weights)
    np.testing.assert_allclose(losses, expected_losses, rtol=rtol)
    np.testing.assert_allclose(parameters.flat, expected.flat, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_some_rows_without_weights_are_a_table_of_their_own(trainer):
    rows = np.arange(20, 53)
    chain = Chain([Linear(7), Activation("tanh"), Linear(3)], pairwise)
    chosen, alone = (chain.initialize(5, seed=1) for _ in range(2))
    plan = TrainingPlan(Adam(0.01), batch_size=10, seed=4)
    trainer(chain, chosen, TrainingData(X, Y, rows=rows), plan).run_epoch()
    trainer(chain, alone, TrainingData(X[rows], Y[rows]), plan).run_epoch()
    np.testing.assert_array_equal(chosen.flat, alone.flat)


@pytest.mark.arithmetic
def test_the_result_does_not_depend_on_the_number_of_threads():
    one, two, five = (trained(NativeTrainer, pairwise, n_threads=n)[1].flat for n in (1, 2, 5))
    assert (one == two).all()
    assert (one == five).all()


def test_it_is_called_once_a_step_with_the_rows_of_the_batch():
    calls = []

    def loss(scores, targets, weights):
        calls.append((scores.shape, targets.shape, weights.shape))
        return squared(scores, targets, weights)

    chain = Chain([Linear(3)], CustomLoss(loss, checks_gradient=False))
    parameters = chain.initialize(5, seed=1)
    NativeTrainer(chain, parameters, TrainingData(X, Y), TrainingPlan(Adam(), 20)).run_epoch()
    assert calls == [((n, 3), (n, 3), (n,)) for n in (20, 20, 13)]


@pytest.mark.arithmetic
def test_full_batch_gradients_agree():
    chain = Chain([Linear(4), Activation("tanh"), Linear(3)], squared)
    parameters = chain.initialize(5, seed=2)
    data = TrainingData(X, Y, WEIGHTS)
    loss, gradient = native_gradient(chain, parameters, data, 0.5)
    expected_loss, expected = reference_gradient(chain, parameters, data, 0.5)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(gradient.flat, expected.flat, rtol=1e-10, atol=1e-13)
    assert check_gradient(chain, parameters, X, Y, WEIGHTS).passed


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda s, t, w: (squared(s, t, w)[0], -squared(s, t, w)[1]), ValueError, "differs from"),
        (lambda s, t, w: (squared(s, t, w)[0], 1.1 * squared(s, t, w)[1]), ValueError, "is wrong"),
        (lambda s, t, w: (squared(s, t, w)[0], np.zeros(3)), ValueError, r"\(16, 3\), got \(3,\)"),
        (lambda s, t, w: ((s - t) ** 2, s - t), ValueError, "one number"),
        (lambda s, t, w: 1.0, TypeError, "a pair"),
        (lambda s, t, w: (np.nan, s - t), ValueError, "not finite on the first batch"),
        (lambda s, t, w: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_a_wrong_loss_is_refused_before_the_first_update(trainer, loss, error, message):
    chain = Chain([Linear(3)], loss)
    parameters = chain.initialize(5, seed=1)
    before = parameters.flat.copy()
    run = trainer(chain, parameters, TrainingData(X, Y), TrainingPlan(Adam(), 16))
    with pytest.raises(error, match=message):
        run.run_epoch()
    assert (parameters.flat == before).all()


def test_an_error_in_a_later_step_keeps_the_steps_before_it():
    steps = []

    def loss(scores, targets, weights):
        steps.append(1)
        if len(steps) == 3:
            raise RuntimeError("enough")
        return squared(scores, targets, weights)

    chain = Chain([Linear(3)], CustomLoss(loss, checks_gradient=False))
    parameters = chain.initialize(5, seed=1)
    run = NativeTrainer(chain, parameters, TrainingData(X, Y), TrainingPlan(Adam(), 10))
    with pytest.raises(RuntimeError, match="enough"):
        run.run_epoch()
    assert run.step == 2
    two_steps = chain.initialize(5, seed=1)
    plain = Chain([Linear(3)], "squared_error")
    expected = NativeTrainer(plain, two_steps, TrainingData(X, Y), TrainingPlan(Adam(), 10))
    expected.run_epoch(order=permutation(0, 0, 53)[:20])
    np.testing.assert_allclose(parameters.flat, two_steps.flat, rtol=1e-10)


def test_a_loss_that_overflows_is_reported():
    def loss(scores, targets, weights):
        value, gradient = squared(scores, targets, weights)
        return (value if len(scores) == 16 else np.inf), gradient

    chain = Chain([Linear(3)], loss)
    parameters = chain.initialize(5, seed=1)
    run = NativeTrainer(chain, parameters, TrainingData(X, Y), TrainingPlan(Adam(), 16))
    with pytest.raises(NonFiniteError, match="step 4"):
        run.run_epoch()


def test_the_check_can_be_left_out():
    chain = Chain([Linear(3)], CustomLoss(lambda s, t, w: (0.0, s - t), checks_gradient=False))
    parameters = chain.initialize(5, seed=1)
    run = NativeTrainer(chain, parameters, TrainingData(X, Y), TrainingPlan(Adam(), 16))
    assert run.run_epoch().loss == 0.0


def test_a_loss_with_a_kink_passes_the_check():
    def absolute(scores, targets, weights):
        residual = scores - targets
        return np.abs(residual).sum() / len(scores), np.sign(residual) / len(scores)

    targets = np.zeros((53, 3))
    assert CustomLoss(absolute).check(np.zeros((53, 3)), targets) < 1e-2


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="function must be callable, got 3"):
        CustomLoss(3)
    with pytest.raises(TypeError, match="link must be callable, got 'softmax'"):
        CustomLoss(squared, link="softmax")


@pytest.mark.parametrize("value", [None, "0.5"])
def test_a_loss_that_is_no_number_is_named(value):
    own = CustomLoss(lambda scores, targets, weights: (value, scores), checks_gradient=False)
    with pytest.raises(TypeError, match="must return a number, got"):
        own.mean(X, Y)


def test_a_loss_may_be_any_kind_of_number():
    for value in (2, 2.0, np.float32(2.0), np.array(2.0)):
        own = CustomLoss(lambda scores, targets, weights, value=value: (value, scores))
        assert own.mean(X, Y) == 2.0
