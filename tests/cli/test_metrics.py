"""What is measured of a model, and how it is shown."""

import numpy as np
import pytest
from rich.console import Console
from sklearn import metrics

from pellucid.cli.metrics import (
    explanation,
    label_report,
    match_labels,
    metrics_table,
    number_report,
)
from pellucid.tables import TableError


def test_metrics_of_labels_beside_the_baseline():
    rng = np.random.default_rng(0)
    classes = np.array(["a", "b"])
    labels = rng.choice(classes, 50)
    p = rng.uniform(0.01, 0.99, 50)
    P = np.column_stack([1 - p, p])
    told = classes[P.argmax(axis=1)]
    found = label_report(labels, P, classes, np.array([0.3, 0.7]))
    assert found["accuracy"].model == pytest.approx(metrics.accuracy_score(labels, told))
    assert found["accuracy"].baseline == pytest.approx(np.mean(labels == "b"))
    expected = metrics.balanced_accuracy_score(labels, told)
    assert found["balanced accuracy"].model == pytest.approx(expected)
    assert found["log loss"].model == pytest.approx(metrics.log_loss(labels, P))
    assert found["ROC AUC"].model == pytest.approx(metrics.roc_auc_score(labels, p))
    assert found["ROC AUC"].baseline == 0.5
    for metric in found.metrics:
        if metric.name != "calibration error":
            assert metric.low < metric.model < metric.high
    assert found.by_class.confusions.sum() == 50


def test_one_class_has_no_curve():
    P = np.full((4, 2), 0.5)
    found = label_report(np.array(["a"] * 4), P, np.array(["a", "b"]), np.array([0.5, 0.5]))
    assert "ROC AUC" not in [metric.name for metric in found.metrics]


def test_metrics_of_numbers():
    found = number_report(np.array([1.0, 3]), np.array([1.0, 2]), 2.0)
    assert found["RMSE"].model == pytest.approx(np.sqrt(0.5))
    assert found["MAE"].baseline == 1
    assert found["R²"].baseline == 0
    assert [metric.name for metric in found.metrics] == ["RMSE", "MAE", "R²"]


def test_losses_have_metrics_of_their_own():
    rng = np.random.default_rng(0)
    y = rng.poisson(3.0, 200).astype(float)
    p = np.full(200, 4.0)
    found = number_report(y, p, 3.0, "quantile", 0.8)
    expected = metrics.mean_pinball_loss(y, p, alpha=0.8)
    assert found["pinball loss at 0.8"].model == pytest.approx(expected)
    assert found["coverage at 0.8"].model == pytest.approx(np.mean(y <= 4))
    found = number_report(y, p, 3.0, "poisson")
    expected = metrics.mean_poisson_deviance(y, np.full(200, 3.0))
    assert found["Poisson deviance"].baseline == pytest.approx(expected)


def test_a_report_is_shown_and_told():
    y = np.arange(30.0)
    found = number_report(y, y + 1, y.mean(), target="size")
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(metrics_table(found, "30 rows"))
    for word in ("30 rows, target 'size'", "95 % interval", "1 to 1", "mean"):
        assert word in capture.get()
    assert "1,000 resamples, seed 0" in explanation(found)
    assert "alibration" not in explanation(found)
    facts = found.facts()
    assert facts["metrics"]["RMSE"] == pytest.approx(1.0)
    assert facts["intervals"]["RMSE"] == pytest.approx([1.0, 1.0])
    assert facts["baseline"]["always"] == "mean"


def test_one_row_has_no_interval():
    found = number_report(np.array([1.0]), np.array([2.0]), 0.0)
    assert found.facts()["intervals"] == {}


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


def test_a_model_is_judged_by_its_own_loss():
    y = np.arange(20.0)
    assert number_report(y, y, 10.0).worse_in is None
    assert number_report(y, y[::-1], 10.0).worse_in == "RMSE"
    assert number_report(y, y[::-1], 10.0, "absolute_error").worse_in == "MAE"
    assert number_report(y, y[::-1] + 1, 10.0, "poisson").worse_in == "Poisson deviance"
    found = number_report(y, y[::-1], 17.5, "quantile", 0.9)
    assert found.worse_in == "pinball loss at 0.9"
    assert found.baseline == "quantile 0.9"
    good = number_report(y, np.maximum(y, 17.0), 17.5, "quantile", 0.9)
    assert good["RMSE"].model > np.std(y)
    assert good.worse_in is None
    labels = np.array(["a"] * 8 + ["b"] * 2)
    classes, shares = np.array(["a", "b"]), np.array([0.8, 0.2])
    wrong = np.tile([0.1, 0.9], (10, 1))
    assert label_report(labels, wrong, classes, shares).worse_in == "log loss"
    unsure = np.tile([0.4, 0.6], (10, 1))
    unsure[8:] = [0.01, 0.99]  # Less accurate, but not beyond chance.
    assert label_report(labels, unsure, classes, shares).worse_in is None


def test_a_difference_that_can_be_chance_is_none():
    rng = np.random.default_rng(0)
    y = rng.normal(0, 5, 200)
    found = number_report(y, rng.normal(0, 0.2, 200) - 0.3, 0.0)
    assert found["RMSE"].model > found["RMSE"].baseline
    assert found.worse_in is None
    assert number_report(y[:1], y[:1] + 9, 0.0).worse_in is None
    assert found.facts()["worse_than_baseline"] is False
