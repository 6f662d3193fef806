"""How much a model needs each column: measured after training, kept with the model, shown."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from rich.table import Table as ScreenTable

from pellucid.cli.data import Examples
from pellucid.cli.metrics import FEWEST_ROWS_TO_JUDGE, Unit, match_labels, shown
from pellucid.cli.screen import Output

N_REPEATS = 5
MOST_KEPT = 100
"""Columns whose importance is kept in the model file."""
_UNITS: Mapping[str, Unit] = {
    "accuracy": "percent",
    "RMSE": "target",
    "MAE": "target",
    "pinball loss": "target",
}
#: What gets smaller where predictions get worse.
_SCORES = ("accuracy", "R²")


def measured_importance(
    model: Any, rows: Examples, which: str, out: Output
) -> dict[str, Any] | None:
    """Return the importance of each column as JSON has it.

    It is None if there are too few rows, or if it would take minutes, which is told.

    Parameters
    ----------
    model : fitted TabularClassifier or TabularRegressor
    rows : Examples
        Rows that it was not trained on.
    which : {"test", "validation"}
        What these rows are for.
    out : Output
    """
    if len(rows) < FEWEST_ROWS_TO_JUDGE:
        return None
    n_repeats = model._affordable_repeats(len(rows), N_REPEATS)
    if not n_repeats:
        out.note(
            "The importance of the columns is not measured: with so many columns it would take "
            "minutes. In Python, column_importance of the model measures it."
        )
        return None
    y = match_labels(rows.y, model.classes_)[0] if hasattr(model, "classes_") else rows.y
    with warnings.catch_warnings(action="ignore"):  # The test has told of drift.
        found = model.column_importance(rows.X, y, n_repeats=n_repeats)
    return {
        "rows": found[0].n_rows,
        "of": which,
        "repeats": n_repeats,
        "n_columns": len(found),
        "columns": {
            each.column: {name: rise._asdict() for name, rise in each.rises.items()}
            for each in found
        },
    }


def kept_importance(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the part that is kept in the model file: the most important columns."""
    if facts is None:
        return None
    return facts | {"columns": dict(list(facts["columns"].items())[:MOST_KEPT])}


def n_not_kept(facts: Mapping[str, Any]) -> int:
    """Return the number of columns that were measured and are not in these facts."""
    n_kept = len(facts["columns"])
    return max(0, int(facts.get("n_columns", n_kept)) - n_kept)


def importance_table(facts: Mapping[str, Any], most: int | None) -> ScreenTable:
    """Return the importance of the most important columns as a table for the screen."""
    table = ScreenTable(title="Importance", title_justify="left", title_style="bold")
    columns = list(facts["columns"].items())
    table.add_column("column")
    for name in columns[0][1]:
        verb = "falls" if name in _SCORES else "rises"
        table.add_column(f"{name} {verb} by", justify="right")
    for column, rises in columns[:most]:
        table.add_row(column, *(_shown(name, rise) for name, rise in rises.items()))
    return table


def _shown(name: str, rise: Mapping[str, float]) -> str:
    unit = _UNITS.get(name, "plain")
    mean, deviation = (shown(rise[part], unit) for part in ("mean", "deviation"))
    return f"{mean} ({deviation.removesuffix(' %')})"


def show_importance(
    facts: Mapping[str, Any], out: Output, most: int | None, way_to_all: str
) -> None:
    """Show a table of at most so many columns, what shows the others, and how it came about."""
    table = importance_table(facts, most)
    out.table(table)
    n_shown, n_known = table.row_count, len(facts["columns"])
    if n_more := n_known - n_shown + n_not_kept(facts):
        shows = "them" if n_known <= MOST_KEPT else f"the first {MOST_KEPT}"
        if n_not_kept(facts):
            shows = f"the first {n_known:,}"
        way = f"; {way_to_all} shows {shows}" if n_shown < n_known else ""
        out.say(f"and {n_more:,} more columns{way}.")
    out.say(
        f"Importance: of the {facts['rows']:,} {facts['of']} rows with one column shuffled, mean "
        f"(standard deviation) of {facts['repeats']} time{'s' if facts['repeats'] > 1 else ''}."
    )
