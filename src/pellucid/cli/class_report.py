"""Recall, precision and F1 of each class, and which classes are taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table as ScreenTable

#: Most classes whose confusions are shown beside their scores, and in a matrix of their own; of
#: more, the most frequent confusions are.
MOST_BESIDE, MOST_IN_MATRIX = 3, 8
MOST_CLASSES, MOST_CONFUSIONS = 12, 5


@dataclass(frozen=True)
class ClassReport:
    """How each class is recognized.

    Attributes
    ----------
    classes : tuple of str
    confusions : ndarray of int of shape (n_classes, n_classes)
        Rows of each true class (first axis) by predicted class.
    recall, precision, f1 : ndarray of shape (n_classes,)
        NaN where it is undefined: the recall of a class that no row has, the precision of one that
        is never predicted.
    """

    classes: tuple[str, ...]
    confusions: npt.NDArray[np.int64]
    recall: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        n_rows = self.confusions.sum(axis=1).tolist()
        columns = zip(self.classes, n_rows, self.recall, self.precision, self.f1, strict=True)
        return {
            "classes": [
                {
                    "class": name,
                    "rows": n,
                    "recall": recall,
                    "precision": precision,
                    "f1": f1,
                }
                for name, n, recall, precision, f1 in columns
            ],
            "confusion_matrix": self.confusions.tolist(),
        }

    def most_frequent_confusions(self) -> list[tuple[int, str, str]]:
        """Return the rows, the true and the predicted class of the most frequent mistakes."""
        wrong = self.confusions.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
        true, told = np.unravel_index(order, wrong.shape)
        return [
            (int(wrong[i, j]), self.classes[i], self.classes[j])
            for i, j in zip(true, told, strict=True)
            if wrong[i, j]
        ]


def class_report(
    codes: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp], classes: npt.NDArray[Any]
) -> ClassReport:
    """Count true and predicted classes, given as numbers from 0."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    every = np.arange(len(classes))
    scores = precision_recall_fscore_support(codes, predicted, labels=every, zero_division=np.nan)
    precision, recall, f1 = (np.asarray(score, np.float64) for score in scores[:3])
    confusions = confusion_matrix(codes, predicted, labels=every)
    names = tuple(str(label) for label in classes.tolist())
    return ClassReport(names, confusions, recall, precision, f1)


def class_tables(report: ClassReport) -> list[ScreenTable]:
    """Return the classes as tables for the screen, with their confusion matrix if they are few."""
    n_rows = report.confusions.sum(axis=1)
    is_beside = len(report.classes) <= MOST_BESIDE
    table = ScreenTable(title="By class", title_justify="left", title_style="bold")
    table.add_column("class")
    for name in ("rows", "recall", "precision", "F1"):
        table.add_column(name, justify="right")
    if is_beside:
        _add_predicted(table, report)
    shown = np.argsort(-n_rows, kind="stable")[:MOST_CLASSES]
    for i in np.sort(shown) if len(shown) == len(n_rows) else shown:
        scores = (report.recall[i], report.precision[i], report.f1[i])
        cells = [report.classes[i], f"{n_rows[i]:,}", *map(_shown, scores)]
        if is_beside:
            cells += [f"{n:,}" for n in report.confusions[i]]
        table.add_row(*cells)
    if len(shown) < len(n_rows):
        table.caption = f"and {len(n_rows) - len(shown):,} classes with fewer rows"
    has_matrix = not is_beside and len(report.classes) <= MOST_IN_MATRIX
    return [table, _matrix_table(report)] if has_matrix else [table]


def _matrix_table(report: ClassReport) -> ScreenTable:
    table = ScreenTable(title="Confusion matrix", title_justify="left", title_style="bold")
    table.add_column("class")
    _add_predicted(table, report)
    for name, row in zip(report.classes, report.confusions, strict=True):
        table.add_row(name, *(f"{n:,}" for n in row))
    return table


def _add_predicted(table: ScreenTable, report: ClassReport) -> None:
    """Add a column for each predicted class."""
    for name in report.classes:
        table.add_column(f"as {name}", justify="right")


def confusions_line(report: ClassReport) -> str | None:
    """Return the most frequent mistakes as a line, or None where the tables show them all."""
    found = report.most_frequent_confusions()
    if len(report.classes) <= MOST_IN_MATRIX or not found:
        return None
    told = [f"{true!r} as {predicted!r} ({n:,})" for n, true, predicted in found]
    return f"Most frequent mistakes: {', '.join(told)}."


def _shown(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"
