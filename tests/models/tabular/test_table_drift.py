"""Tabular estimators and ensembles of them tell where a table differs from that of training."""

import numpy as np
import pandas as pd
import pytest

from pellucid import (
    DataDriftWarning,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    MLPClassifier,
    TableError,
    TabularClassifier,
    TabularRegressor,
    load,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"size": RNG.normal(10, 3, 300), "city": RNG.choice(["Oslo", "Rome"], 300)})
NUMBERS = TABLE["size"].to_numpy() + (TABLE["city"] == "Rome")
LABELS = np.where(np.median(NUMBERS) < NUMBERS, "dear", "cheap")
OTHER = TABLE.assign(city="Paris")
FEW = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
MODELS = {
    "TabularClassifier": (TabularClassifier(**FEW), LABELS),
    "TabularRegressor": (TabularRegressor(**FEW), NUMBERS),
    "DeepEnsembleClassifier": (DeepEnsembleClassifier(TabularClassifier(**FEW), 3), LABELS),
    "DeepEnsembleRegressor": (DeepEnsembleRegressor(TabularRegressor(**FEW), 3), NUMBERS),
}
CALLS = {
    "predict": lambda model, X, y: model.predict(X),
    "predict_proba": lambda model, X, y: getattr(model, "predict_proba", model.predict)(X),
    "transform": lambda model, X, y: model.transform(X),
    "score": lambda model, X, y: model.score(X, y),
    "check_gradient": lambda model, X, y: model.check_gradient(X[:30], y[:30]),
}


@pytest.fixture(params=MODELS)
def fitted(request):
    model, y = MODELS[request.param]
    return model.fit(TABLE, y), y


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_drift_is_told_of_once(fitted, call):
    model, y = fitted
    call(model, TABLE, y)
    with pytest.warns(DataDriftWarning, match="'city': 100 % of the cells are unseen") as caught:
        call(model, OTHER, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.raises(TableError, match="Column 'size': none of its cells are numbers"):
        call(model, TABLE.assign(size="much"), y)


def test_a_report_says_it_all(fitted, tmp_path):
    model, _ = fitted
    report = model.drift_report(OTHER[["city", "size"]])
    assert [column.alarms for column in report.columns] == [(), ("unseen",)]
    assert model.drift_report(TABLE).alarms == ()
    with pytest.raises(ValueError, match="no column 'size'"):
        model.drift_report(OTHER[["city"]])
    model.save(tmp_path / "m.pellucid")
    assert load(tmp_path / "m.pellucid").drift_report(OTHER) == report


def test_only_estimators_of_raw_tables_have_a_report():
    assert not hasattr(DeepEnsembleClassifier(MLPClassifier()), "drift_report")
    assert hasattr(DeepEnsembleClassifier(TabularClassifier()), "drift_report")


def test_rows_to_validate_on_and_to_go_on_with_are_compared():
    model = TabularRegressor(**FEW, warm_start=True)
    with pytest.warns(DataDriftWarning, match="'city'"):
        model.fit(TABLE, NUMBERS, X_val=OTHER, y_val=NUMBERS)
    with pytest.warns(DataDriftWarning, match="'city'"):
        model.fit(OTHER, NUMBERS)
