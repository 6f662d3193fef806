import numpy as np
import pytest
from sklearn import metrics

from pellucid.cli.metrics import classification_metrics, match_labels, regression_metrics
from pellucid.tables import TableError


def test_classification_metrics_are_scikit_learns():
    rng = np.random.default_rng(0)
    classes = np.array(["a", "b"])
    labels = rng.choice(classes, 50)
    p = rng.uniform(0.01, 0.99, 50)
    P = np.column_stack([1 - p, p])
    told = classes[P.argmax(axis=1)]
    found = {m.name: m for m in classification_metrics(labels, P, classes, np.array([0.3, 0.7]))}
    assert found["accuracy"].model == metrics.accuracy_score(labels, told)
    assert found["accuracy"].baseline == np.mean(labels == "b")
    assert found["balanced accuracy"].model == metrics.balanced_accuracy_score(labels, told)
    assert found["log loss"].model == pytest.approx(metrics.log_loss(labels, P))
    assert found["ROC AUC"].model == metrics.roc_auc_score(labels, p)
    assert found["ROC AUC"].baseline == 0.5


def test_regression_metrics():
    found = {m.name: m for m in regression_metrics(np.array([1.0, 3]), np.array([1.0, 2]), 2.0)}
    assert found["RMSE"].model == pytest.approx(np.sqrt(0.5))
    assert found["MAE"].baseline == 1
    assert found["R²"].baseline == 0


def test_labels_match_by_text():
    classes = np.array(["<=50K", ">50K"])
    found, remark = match_labels(np.array([">50K.", "<=50K."]), classes)
    assert found.tolist() == [">50K", "<=50K"]
    assert "treated as" in remark
    found, remark = match_labels(np.array([1.0, 0.0]), np.array([0, 1]))
    assert found.tolist() == [1, 0]
    assert remark is None
    with pytest.raises(TableError, match="does not know: 'x'"):
        match_labels(np.array(["x"]), classes)
    with pytest.raises(TableError, match="does not know"):
        match_labels(np.array(["A."]), np.array(["a", "A"]))
