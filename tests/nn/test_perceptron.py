import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_circles

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer, predict_scores
from pellucid.nn import Activation, Adam, Chain, Linear, Parameters
from pellucid.nn.perceptron import train_perceptron

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([0, 1, 1, 0])


def fit_one_hidden_layer(X, y, width):
    chain = Chain([Linear(width), Activation("tanh"), Linear(1)], "logistic_cross_entropy")
    params = chain.initialize(X.shape[1], seed=0)
    data = TrainingData(X, y[:, None].astype(float))
    trainer = ReferenceTrainer(chain, params, data, TrainingPlan(Adam(0.05), len(X)))
    for _ in range(300):
        trainer.run_epoch()
    return (predict_scores(chain, params, X)[:, 0] > 0).astype(int)


@pytest.mark.parametrize("y", [[0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0], [1] * 4])
def test_m02_converges_on_what_a_line_separates(y):
    perceptron = train_perceptron(CORNERS, y)
    assert perceptron.converged
    assert perceptron.mistakes[-1] == 0
    assert perceptron.predict(CORNERS).tolist() == list(y)
    assert "linearly separable" in str(perceptron)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_m02_makes_no_more_mistakes_than_novikoff_allows(seed):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=4)
    direction /= np.linalg.norm(direction)
    rows = np.column_stack([rng.normal(size=(40, 3)), np.ones(40)])
    margins = rows @ direction
    rows, margins = rows[np.abs(margins) > 0.2], margins[np.abs(margins) > 0.2]
    perceptron = train_perceptron(rows[:, :3], margins > 0, max_epochs=100_000)
    radius, margin = np.linalg.norm(rows, axis=1).max(), np.abs(margins).min()
    assert perceptron.converged
    assert perceptron.n_updates <= (radius / margin) ** 2
    assert perceptron.margin_bound >= margin * (1 - 1e-9)


def test_m02_reports_that_it_cannot_on_xor():
    perceptron = train_perceptron(CORNERS, XOR)
    assert not perceptron.converged
    assert perceptron.cycled
    assert "cannot converge" in str(perceptron)
    assert "hidden layer" in str(perceptron)


def test_m02_reports_that_it_cannot_on_circles():
    X, y = make_circles(60, factor=0.5, noise=0.02, random_state=0)
    perceptron = train_perceptron(X, y, max_epochs=300)
    assert not perceptron.converged
    assert perceptron.margin_bound < 1e-2
    assert "has not converged after 300 epochs" in str(perceptron)
    assert "hidden layer" in str(perceptron)


def test_m02_the_bound_is_one_in_the_space_of_x_and_1():
    """x = 999.5 is half a unit from both rows, which is 0.5/‖(1, 999.5)‖ in the space of (x, 1)."""
    X, y = np.array([[1000.0], [999.0]]), [1, 0]
    perceptron = train_perceptron(X, y, max_epochs=2000)
    margin = np.abs(np.column_stack([X, np.ones(2)]) @ [1.0, -999.5]).min() / np.hypot(1.0, 999.5)
    assert not perceptron.converged
    assert margin <= perceptron.margin_bound < 0.5
    assert "measured in the space of (x, 1)" in str(perceptron)
    assert "Center and scale the columns of X" in str(perceptron)
    centred = train_perceptron((X - X.mean()) / X.std(), y)
    assert centred.converged
    assert centred.n_epochs <= 3


def test_m02_one_hidden_layer_succeeds_on_both():
    X, y = make_circles(60, factor=0.5, noise=0.02, random_state=0)
    assert fit_one_hidden_layer(X, y, width=6).tolist() == y.tolist()
    assert fit_one_hidden_layer(CORNERS, XOR, width=6).tolist() == XOR.tolist()


def test_m02_is_a_network_of_one_linear_unit_and_a_step():
    perceptron = train_perceptron(CORNERS, [0, 0, 0, 1])
    chain = Chain([Linear(1), Activation("step")], "half_squared_error")
    flat = np.concatenate([perceptron.W.ravel(), perceptron.b])
    scores = chain.forward(Parameters(flat, chain.layout(2)), CORNERS).scores
    assert scores.ravel().tolist() == perceptron.predict(CORNERS).tolist()


def test_errors_name_what_was_received():
    with pytest.raises(ValueError, match=r"0 and 1 only, got \[1. 2.\]"):
        train_perceptron(CORNERS, [1, 2, 1, 2])
    with pytest.raises(ValueError, match=r"got \(4, 2\) and \(3,\)"):
        train_perceptron(CORNERS, [0, 1, 0])
    with pytest.raises(ValueError, match="X must be finite"):
        train_perceptron([[np.nan]], [0])
    with pytest.raises(ValueError, match="max_epochs must be a positive integer, got 0"):
        train_perceptron(CORNERS, XOR, max_epochs=0)
