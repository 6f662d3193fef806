"""Wrong options of the estimators for raw tables: named, and nothing changes."""

import copy

import numpy as np
import pandas as pd
import pytest
from case_names import case_name
from option_values import BAD, CLASSIFIER, REGRESSOR

from pellucid import TabularClassifier, TabularRegressor

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"size": RNG.normal(size=120), "kind": ["a", "b", None] * 40})
LABELS = np.array(["yes", "no"])[np.arange(120) % 2]
NUMBERS = RNG.normal(size=120)
ESTIMATORS = {TabularClassifier: LABELS, TabularRegressor: NUMBERS}
QUICK = {"hidden_layer_sizes": (4, 4), "max_iter": 1, "random_state": 0}
FITTED = {}
KNOWN = TabularRegressor().get_params()
CASES = [
    (kind, name, value)
    for kind in ESTIMATORS
    for name, values in BAD.items()
    if name in KNOWN
    for value in values
] + [
    (kind, name, value)
    for kind, own in ((TabularClassifier, CLASSIFIER), (TabularRegressor, REGRESSOR))
    for name, (_, values) in own.items()
    for value in values
]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(estimator_class):
    """Return a fitted model of one's own; training it once is enough."""
    if estimator_class not in FITTED:
        model = estimator_class(**QUICK).fit(TABLE, ESTIMATORS[estimator_class])
        FITTED[estimator_class] = model
    return copy.copy(FITTED[estimator_class])


@pytest.mark.parametrize(("estimator_class", "name", "value"), CASES, ids=case_name)
def test_a_wrong_option_is_named_and_changes_nothing(estimator_class, name, value):
    model = fitted(estimator_class).set_params(**{name: value})
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=name):
        model.fit(TABLE, ESTIMATORS[estimator_class])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is before[key] for key in before)


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"X_val": TABLE}, "X_val needs y_val"),
        ({"y_val": "y"}, "y_val needs X_val"),
        ({"X_val": TABLE[["size"]], "y_val": "y"}, "X_val"),
        (
            {"X_val": TABLE.rename(columns={"kind": "sort"}), "y_val": "y"},
            "X_val: There is no column 'kind'",
        ),
        ({"X_val": TABLE[:50], "y_val": "y"}, "inconsistent numbers of samples"),
        ({"X_val": TABLE[:0], "y_val": []}, "0 sample"),
        ({"X_val": 3, "y_val": "y"}, "X_val"),
        ({"X_val": TABLE, "y_val": [None] * 120}, "y_val"),
        ({"X_val": TABLE, "y_val": [{}] * 120}, "y_val"),
        ({"X_val": TABLE, "y_val": "y", "sample_weight_val": [1, 2]}, "sample_weight_val"),
        ({"X_val": TABLE, "y_val": "y", "sample_weight_val": [-1] * 120}, "sample_weight_val"),
        ({"X_val": TABLE, "y_val": "y", "sample_weight_val": [0] * 120}, "sample_weight_val"),
    ],
)
def test_wrong_validation_rows_are_named_and_change_nothing(estimator_class, validation, message):
    y = ESTIMATORS[estimator_class]
    options = {key: y if isinstance(v, str) else v for key, v in validation.items()}
    model = fitted(estimator_class)
    before, expected = dict(vars(model)), model.predict(TABLE)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(TABLE, y, **options)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is before[key] for key in before)
    np.testing.assert_array_equal(model.predict(TABLE), expected)


def test_labels_that_training_did_not_see_are_named():
    with pytest.raises(ValueError, match=r"y_val.*maybe|maybe.*y_val|classes not in"):
        fitted(TabularClassifier).fit(TABLE, LABELS, X_val=TABLE, y_val=["maybe"] * 120)


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_a_refused_fit_on_other_columns_leaves_the_model_usable(estimator_class):
    y = ESTIMATORS[estimator_class]
    model = fitted(estimator_class)
    expected = model.predict(TABLE)
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(TABLE.rename(columns={"size": "length"}), y[:-1])
    with pytest.raises(ValueError, match="max_iter"):
        model.set_params(max_iter=0).fit(TABLE[["size"]], y)
    np.testing.assert_array_equal(model.predict(TABLE), expected)
    unfitted = estimator_class(**QUICK, clipping=-1.0)
    with pytest.raises(ValueError, match="clipping"):
        unfitted.fit(TABLE, y)
    assert set(vars(unfitted)) == set(unfitted.get_params())


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_series_in_another_order_than_the_table_are_refused(estimator_class):
    y = pd.Series(ESTIMATORS[estimator_class], name="y")
    weight = pd.Series(np.ones(len(y)))
    model = fitted(estimator_class)
    before = dict(vars(model))
    for given, name in (
        ({"y": y[::-1]}, "y"),
        ({"y": y, "sample_weight": weight[::-1]}, "sample_weight"),
        ({"y": y, "X_val": TABLE, "y_val": y[::-1]}, "y_val"),
    ):
        with pytest.raises(ValueError, match=f"index of {name} has the labels of X"):
            model.fit(TABLE, **given)
    assert vars(model) == before
