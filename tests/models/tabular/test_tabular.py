"""Raw tables with a validation set, checkpoints and the options of the network behind them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from pellucid import TabularClassifier, TabularRegressor, load

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": RNG.normal(10, 3, 300),
        "city": RNG.choice(["Oslo", "Rome", "Lima"], 300),
        "age": np.where(RNG.random(300) < 0.1, np.nan, RNG.normal(40, 10, 300)),
    }
)
PRICE = 1000 * TABLE["size"] + 5000 * (TABLE["city"] == "Rome")
NAMES = np.where(PRICE.median() < PRICE, "dear", "cheap")
HELD = np.arange(300) % 4 == 0
FEW = {"hidden_layer_sizes": (8, 8), "max_iter": 5, "random_state": 0}
ESTIMATORS = [(TabularClassifier, NAMES), (TabularRegressor, PRICE.to_numpy())]


@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
def test_a_validation_set_is_scored_and_not_trained_on(estimator, y):
    model = estimator(**FEW, n_iter_no_change=100).fit(
        TABLE[~HELD], y[~HELD], X_val=TABLE[HELD], y_val=y[HELD]
    )
    assert len(model.validation_scores_) == 5
    assert model.score(TABLE[HELD], y[HELD]) == pytest.approx(
        max(model.validation_scores_), rel=1e-5
    )
    assert model.mlp_.t_ == 5 * (~HELD).sum()


@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
def test_resume_is_one_long_fit(estimator, y, tmp_path):
    options = {**FEW, "n_iter_no_change": 100, "dropout": 0.1}
    half = estimator(**options, checkpoint_path=tmp_path).fit(TABLE, y)
    resumed = clone(half).resume(TABLE, y, max_iter=5)
    whole = estimator(**{**options, "max_iter": 10}).fit(TABLE, y)
    np.testing.assert_array_equal(resumed.mlp_.parameters_.flat, whole.mlp_.parameters_.flat)
    assert resumed.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
def test_options_reach_the_network(estimator, y, tmp_path):
    options = {
        "activation": "silu",
        "dropout": 0.1,
        "normalization": "rms",
        "residual": True,
        "weight_decay": 0.01,
        "schedule": "one_cycle",
        "clipping": 1.0,
        "scoring": "loss",
        "n_threads": 1,
    }
    model = estimator(**FEW, **options).fit(TABLE, y)
    assert {name: model.mlp_.get_params()[name] for name in options} == options
    model.save(tmp_path / "m.pellucid")
    loaded = load(tmp_path / "m.pellucid")
    np.testing.assert_array_equal(loaded.predict(TABLE), model.predict(TABLE))
    assert loaded.get_params() == {**model.get_params(), "callbacks": None}


BAD = [
    ({"X_val": TABLE[["size"]][HELD], "y_val": NAMES[HELD]}, "X_val|feature"),
    ({"X_val": TABLE[HELD], "y_val": np.full(75, "free")}, "y_val.*'free'"),
    ({"X_val": TABLE[HELD], "y_val": NAMES}, "inconsistent"),
    ({"X_val": TABLE[HELD]}, "X_val needs y_val"),
    ({"y_val": NAMES[HELD]}, "y_val needs X_val"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_validation_data(arguments, message):
    model = TabularClassifier(**FEW)
    with pytest.raises(ValueError, match=message):
        model.fit(TABLE, NAMES, **arguments)
    assert not hasattr(model, "mlp_")
