import numpy as np
import pytest
from sklearn.datasets import load_iris

from pellucid.engine.plan import TrainingData, TrainingPlan
from pellucid.engine.reference import ReferenceTrainer
from pellucid.nn import Adam, Chain, Linear
from pellucid.nn.hyperplane import hyperplanes


@pytest.fixture(scope="module")
def softmax_regression():
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    chain = Chain([Linear(3)], "softmax_cross_entropy")
    params = chain.initialize(4, seed=0)
    trainer = ReferenceTrainer(chain, params, TrainingData(X, y), TrainingPlan(Adam(0.05), 150))
    for _ in range(100):
        trainer.run_epoch()
    return chain, params, X, y


def test_m03_k_hyperplanes_give_the_scores_of_softmax_regression(softmax_regression):
    chain, params, X, y = softmax_regression
    planes = hyperplanes(params["0.W"], params["0.b"])
    scores = np.column_stack([plane.score(X) for plane in planes])
    np.testing.assert_allclose(scores, chain.forward(params, X).scores, rtol=1e-12, atol=1e-13)
    assert (scores.argmax(axis=1) == y).mean() > 0.95


def test_m03_row_k_of_the_column_convention_is_the_hyperplane_of_class_k(softmax_regression):
    _, params, _, _ = softmax_regression
    W_columns = params["0.W"].T
    for k, plane in enumerate(hyperplanes(params["0.W"], params["0.b"])):
        np.testing.assert_array_equal(plane.normal, W_columns[k])
        assert plane.offset == params["0.b"][k]


def test_m03_between_two_classes_the_boundary_is_their_difference(softmax_regression):
    chain, params, X, _ = softmax_regression
    planes = hyperplanes(params["0.W"], params["0.b"])
    boundary = planes[2] - planes[1]
    scores = chain.forward(params, X).scores
    np.testing.assert_array_equal(boundary.score(X) > 0, scores[:, 2] > scores[:, 1])


def test_m03_distance_is_measured_along_the_normal():
    (plane,) = hyperplanes(np.array([[3.0], [4.0]]), np.array([-5.0]))
    on_it = np.array([[3.0 / 5.0, 4.0 / 5.0]])
    assert plane.distance(on_it)[0] == pytest.approx(0.0, abs=1e-15)
    assert plane.distance(on_it + 2 * plane.normal / 5)[0] == pytest.approx(2.0, rel=1e-15)


def test_m03_shapes_must_fit():
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(2,\)"):
        hyperplanes(np.ones((2, 3)), np.ones(2))
