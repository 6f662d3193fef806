"""Recall, precision and F1 by class; confusions."""

import numpy as np
import pytest
from rich.console import Console

from pellucid.cli.class_report import class_report, class_tables, confusions_line


def shown(report):
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        for table in class_tables(report):
            console.print(table)
    return capture.get()


def test_scores_by_hand():
    codes, told = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    report = class_report(codes, told, np.array(["a", "b", "c"]))
    assert report.confusions.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(report.recall, [2 / 3, 1, np.nan])
    np.testing.assert_allclose(report.precision, [1, 1 / 2, np.nan])
    np.testing.assert_allclose(report.f1[:2], [0.8, 2 / 3])
    facts = report.facts()
    assert facts["confusion_matrix"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert facts["classes"][0] == {
        "class": "a",
        "rows": 3,
        "recall": pytest.approx(2 / 3),
        "precision": 1.0,
        "f1": pytest.approx(0.8),
    }
    output = shown(report)
    assert "as c" in output
    assert "Confusion matrix" not in output
    assert confusions_line(report) is None, "the matrix shows them"


def test_a_matrix_of_several_classes_is_a_table_of_its_own():
    codes = np.arange(8).repeat(9)
    told = np.roll(codes, 1)
    names = np.array([f"class {i}" for i in range(8)])
    output = shown(class_report(codes, told, names))
    by_class, matrix = output.split("Confusion matrix")
    assert "as class 0" not in by_class
    assert "precision" in by_class
    assert matrix.count("│ class") == 8
    assert max(map(len, output.splitlines())) <= 80


def test_many_classes_are_shortened_with_a_count():
    codes = np.repeat(np.arange(20), np.arange(20, 40))
    told = codes.copy()
    told[:15] = 1
    told[-4:] = 18
    report = class_report(codes, told, np.array([f"k{i:02}" for i in range(20)]))
    output = shown(report)
    assert "and 8 classes with fewer rows" in output
    assert "k19" in output
    assert "k07" not in output
    assert "as k19" not in output
    line = confusions_line(report)
    assert line == "Most frequent mistakes: 'k00' as 'k01' (15), 'k19' as 'k18' (4)."
    assert len(report.facts()["classes"]) == 20
