"""Print a model as tables: layers, columns and training history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as ScreenTable

from pellucid.cli.screen import Output
from pellucid.inspection.description import NetworkDescription
from pellucid.inspection.model_card import ColumnDescription, ModelDescription
from pellucid.models.loading import load
from pellucid.tables import RecognizedColumn


def describe_file(path: Path, out: Output) -> None:
    """Print a description of a saved model."""
    model = load(path)
    description = model.describe()
    out.add(model=path, **description_facts(model, description))
    out.say(f"{path}: {description.estimator}", style="bold")
    facts = description.facts
    out.say(f"Predicts {facts['predicts']}.")
    if "members" in facts:
        out.say(f"Members: {facts['members']}.")
    out.say(f"Parameters: {facts['parameters']}.\n")
    out.table(network_table(description.network))
    if description.columns:
        out.say("")
        out.table(columns_table(description.columns))
    out.say("")
    history = training_table(model)
    out.say(history) if isinstance(history, str) else out.table(history)


def description_facts(model: Any, description: ModelDescription) -> dict[str, Any]:
    """Return what there is to know of a model as a dict for JSON."""
    network = description.network
    facts: dict[str, Any] = {
        "estimator": description.estimator,
        **description.facts,
        "loss": network.loss,
        "n_parameters": network.n_parameters,
        "layers": [
            {"layer": layer.layer, "outputs": layer.width, "parameters": layer.n_parameters}
            for layer in network.layers
        ],
        "columns": [vars(column) for column in description.columns],
    }
    curves = {"loss": "loss_curve_", "validation_score": "validation_scores_"}
    return facts | {
        "history": {
            name: getattr(model, attribute)
            for name, attribute in curves.items()
            if getattr(model, attribute, None)
        }
    }


def network_table(network: NetworkDescription) -> ScreenTable:
    """Return a table of the layers with widths, shapes and parameter counts."""
    table = ScreenTable(title="Network", title_justify="left", title_style="bold", show_footer=True)
    table.add_column("layer", footer=f"loss: {network.loss}")
    table.add_column("output", justify="right", footer="total")
    table.add_column("parameters", justify="right", footer=f"{network.n_parameters:,}")
    table.add_column("shapes")
    table.add_row("input", f"{network.fan_in:,}", "", "")
    for layer in network.layers:
        n = f"{layer.n_parameters:,}" if layer.n_parameters else ""
        shapes = ", ".join(
            f"{name} {' × '.join(f'{size:,}' for size in shape)}"
            for name, shape in layer.shapes.items()
        )
        table.add_row(layer.layer, f"{layer.width:,}", n, shapes)
    return table


def columns_table(
    columns: Sequence[RecognizedColumn | ColumnDescription], most_rows: int | None = None
) -> ScreenTable:
    """Return a table of the columns: recognized kind, reason and, if known, number of inputs."""
    table = ScreenTable(title="Columns", title_justify="left", title_style="bold")
    table.add_column("column", overflow="fold")
    table.add_column("kind")
    table.add_column("because", overflow="fold")
    if isinstance(columns[0], ColumnDescription):
        table.add_column("inputs", justify="right")
    for column in columns[:most_rows]:
        style = "dim" if column.kind == "left out" else None
        cells = [column.name, column.kind, column.reason]
        if isinstance(column, ColumnDescription):
            cells.append(f"{column.n_inputs:,}")
        table.add_row(*cells, style=style)
    if most_rows is not None and len(columns) > most_rows:
        table.caption = f"and {len(columns) - most_rows:,} more columns"
    return table


def training_table(model: Any) -> ScreenTable | str:
    """Return a table of some epochs, or of the members of an ensemble."""
    if hasattr(model, "estimators_"):
        return _members_table(model.estimators_)
    losses = getattr(model, "loss_curve_", None)
    if not losses:
        return "No training history is available."
    scores = getattr(model, "validation_scores_", None)
    table = _training_table(f"{len(losses):,} epochs", "epoch", scores is not None)
    shown = set(np.unique(np.linspace(0, len(losses) - 1, 8).round().astype(int)).tolist())
    best = int(np.nanargmax(scores)) if scores and not np.all(np.isnan(scores)) else -1
    for i in sorted(shown | ({best} if best >= 0 else set())):
        row = [f"{i + 1:,}", f"{losses[i]:.4f}"]
        if scores is not None:
            row.append(f"{scores[i]:.4f}" + (" (kept)" if i == best else ""))
        table.add_row(*row)
    return table


def _members_table(members: Sequence[Any]) -> ScreenTable:
    scores = [getattr(member, "best_validation_score_", None) for member in members]
    has_scores = scores[0] is not None
    table = _training_table(f"{len(members):,} members", "member", has_scores, "epochs")
    for i, (member, score) in enumerate(zip(members, scores, strict=True)):
        row = [f"{i + 1:,}", f"{member.n_iter_:,}", f"{member.loss_:.4f}"]
        table.add_row(*row, *([f"{score:.4f}"] if has_scores else []))
    return table


def _training_table(what: str, each: str, has_scores: bool, *more: str) -> ScreenTable:
    table = ScreenTable(title=f"Training: {what}", title_justify="left", title_style="bold")
    for name in (each, *more, "loss", *(["validation score"] if has_scores else [])):
        table.add_column(name, justify="right")
    return table
