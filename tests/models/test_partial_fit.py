"""Training piece by piece: reproducible, without repeating one order, with several labels too."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification

from pellucid import MLPClassifier, MLPRegressor, load
from pellucid.engine.engines import ENGINES

X, Y = make_classification(60, 5, random_state=0)
NUMBERS = X[:, 0] - X[:, 1]


class Watched(MLPRegressor):
    """Remembers the row order of each call of `partial_fit`."""

    def _engine_of(self, chain):
        orders = vars(self).setdefault("orders", [])

        class Trainer(ENGINES["native"].trainer):
            def run_epochs(self, given, learning_rate=None):
                orders.extend(given.copy())
                return super().run_epochs(given, learning_rate)

        return replace(super()._engine_of(chain), trainer=Trainer)


def orders_of(model, n_calls):
    """Return the row order of each of these calls."""
    vars(model).pop("orders", None)
    for _ in range(n_calls):
        model.partial_fit(X, NUMBERS)
    return model.orders


@pytest.mark.parametrize("seed", [0, 7, np.int64(3), 2**32 - 1])
def test_no_order_is_repeated_and_all_are_reproducible(seed):
    first = orders_of(Watched(random_state=seed), 5)
    again = orders_of(Watched(random_state=seed), 5)
    assert len({order.tobytes() for order in first}) == 5
    assert_array_equal(first, again)
    assert all((np.sort(order) == np.arange(60)).all() for order in first)


@pytest.mark.parametrize("how", ["pickle", "file"])
def test_training_goes_on_behind_a_copy_as_if_there_were_none(how, tmp_path):
    """A file keeps no moments, so the steps are plain ones that have none."""
    whole, model = (MLPRegressor(random_state=0, solver="sgd", momentum=0.0) for _ in range(2))
    for _ in range(4):
        whole.partial_fit(X, NUMBERS)
    for _ in range(2):
        model.partial_fit(X, NUMBERS)
    if how == "pickle":
        model = pickle.loads(pickle.dumps(model))
    else:
        model.save(tmp_path / "m.pellucid")
        model = load(tmp_path / "m.pellucid")
    for _ in range(2):
        model.partial_fit(X, NUMBERS)
    assert_array_equal(model.parameters_.flat, whole.parameters_.flat)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_after_a_fit_orders_are_new():
    model = Watched(random_state=0, max_iter=3).fit(X, NUMBERS)
    after = orders_of(model, 2)
    before = orders_of(Watched(random_state=0), 1)
    assert len({order.tobytes() for order in [*after, *before]}) == 3


def test_several_labels():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((80, 6))
    labels = (table @ rng.standard_normal((6, 4)) > 0).astype(int)
    model = MLPClassifier((16,), random_state=0, learning_rate_init=0.01)
    for _ in range(100):
        for part in (slice(0, 40), slice(40, 80)):
            model.partial_fit(table[part], labels[part], classes=range(4))
    assert model.score(table, labels) > 0.9
    assert model.predict_proba(table).shape == (80, 4)


def test_options_beyond_scikit_learn():
    model = MLPClassifier(
        (8, 8),
        dropout=0.1,
        normalization="batch",
        residual=True,
        clipping=1.0,
        learning_rate_init=0.01,
        random_state=0,
    )
    losses = []
    for _ in range(60):
        model.partial_fit(X, Y, classes=[0, 1])
        losses.append(model.loss_)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
