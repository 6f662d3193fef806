"""Print a model as tables: layers, columns and training history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as ScreenTable

from pellucid.inspection.description import NetworkDescription
from pellucid.inspection.model_card import ModelDescription
from pellucid.models.loading import load
from pellucid.tables import RecognizedColumn


def describe_file(path: Path, console: Console) -> None:
    """Print a description of a saved model."""
    model = load(path)
    console.print(f"{path}: {type(model).__name__}", style="bold")
    description = model.describe()
    network = description
    if isinstance(description, ModelDescription):
        network = description.network
        console.print(_about_target(model), soft_wrap=True)
        console.print(f"Parameters: {description.facts['parameters']}.", soft_wrap=True)
    console.print()
    console.print(network_table(network))
    if hasattr(model, "encoder_"):
        encoder = model.encoder_
        widths = {name: len(e.suffixes) for name, e in encoder.encodings_.items()}
        console.print()
        console.print(columns_table(encoder.recognized_, widths))
    console.print()
    _print_training(model, console)


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
    recognized: list[RecognizedColumn],
    widths: dict[str, int] | None = None,
    most_rows: int | None = None,
) -> ScreenTable:
    """Return a table of the columns: recognized kind, reason and, if known, number of inputs."""
    table = ScreenTable(title="Columns", title_justify="left", title_style="bold")
    table.add_column("column", overflow="fold")
    table.add_column("kind")
    table.add_column("because", overflow="fold")
    if widths is not None:
        table.add_column("inputs", justify="right")
    for column in recognized[:most_rows]:
        style = "dim" if column.kind == "left out" else None
        cells = [column.name, column.kind, column.reason]
        if widths is not None:
            cells.append(f"{widths.get(column.name, 0):,}")
        table.add_row(*cells, style=style)
    if most_rows is not None and len(recognized) > most_rows:
        table.caption = f"and {len(recognized) - most_rows:,} more columns"
    return table


def _about_target(model: Any) -> str:
    name = getattr(model, "target_name_", None)
    target = "the target" if name is None else f"the target {name!r}"
    classes = getattr(model, "classes_", None)
    if classes is None:
        return f"Predicts a number: {target}."
    shown = ", ".join(str(label) for label in classes[:10]) + (", …" if len(classes) > 10 else "")
    return f"Predicts one of {len(classes):,} classes of {target}: {shown}."


def _print_training(model: Any, console: Console) -> None:
    history = getattr(model, "history", {})
    losses = list(getattr(model, "loss_curve_", history.get("loss", [])))
    scores = list(getattr(model, "validation_scores_", None) or [])
    if not losses:
        console.print("No training history is available.")
        return
    table = ScreenTable(
        title=f"Training: {len(losses):,} epochs", title_justify="left", title_style="bold"
    )
    table.add_column("epoch", justify="right")
    table.add_column("loss", justify="right")
    if scores:
        table.add_column("validation score", justify="right")
    shown = set(np.unique(np.linspace(0, len(losses) - 1, 8).round().astype(int)).tolist())
    best = int(np.nanargmax(scores)) if scores and not np.all(np.isnan(scores)) else -1
    for i in sorted(shown | ({best} if best >= 0 else set())):
        row = [f"{i + 1:,}", f"{losses[i]:.4f}"]
        if scores:
            row.append(f"{scores[i]:.4f}" + (" (kept)" if i == best else ""))
        table.add_row(*row)
    console.print(table)
