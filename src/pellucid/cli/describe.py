"""Print a model as tables: layers, columns and training history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as ScreenTable

from pellucid.cli.importance import importance_table, n_not_kept, show_importance
from pellucid.cli.screen import Output
from pellucid.inspection.description import NetworkDescription
from pellucid.inspection.model_card import ColumnDescription, ModelDescription
from pellucid.models.loading import load
from pellucid.models.scoring import ERRORS, error_of
from pellucid.persistence import ModelFileError
from pellucid.tables import RecognizedColumn

#: Facts of a training that say nothing to people.
_INTERNAL = ("training_rows",)
#: Columns that a table shows unless all are asked for.
MOST_COLUMNS = 40


def describe_file(path: Path, out: Output, *, shows_all: bool = False) -> None:
    """Print a description of a saved model; `shows_all` is about its columns."""
    model = load(path)
    description = model.describe()
    trained = getattr(model, "training_facts_", {})
    importance = trained.get("importance")
    try:
        lines = training_lines(trained)
        if importance is not None:
            importance_table(importance, None)
            n_not_kept(importance)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged: it tells nothing of its training.") from error
    out.add(model=path, **description_facts(model, description))
    out.say(f"{path}: {description.estimator}", style="bold")
    facts = description.facts
    out.say(f"Predicts {facts['predicts']}.")
    if "members" in facts:
        out.say(f"Members: {facts['members']}.")
    out.say(f"Parameters: {facts['parameters']}.")
    for line in lines:
        out.say(line)
    out.say("")
    out.table(network_table(description.network))
    if description.columns:
        out.say("")
        show_columns(description.columns, out, shows_all, "--all")
    if importance is not None:
        out.say("")
        show_importance(importance, out, None if shows_all else MOST_COLUMNS, "--all")
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
    facts["training_facts"] = {
        name: value
        for name, value in getattr(model, "training_facts_", {}).items()
        if name not in _INTERNAL
    }
    curves = {"loss": "loss_curve_", "validation_score": "validation_scores_"}
    return facts | {
        "history": {
            name: getattr(model, attribute)
            for name, attribute in curves.items()
            if getattr(model, attribute, None)
        }
    }


def training_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return what a model knows of its training and test, as sentences.

    Examples
    --------
    >>> from pellucid.cli.describe import training_lines
    >>> test = {"rows": 180, "metrics": {"accuracy": 0.90556}}
    >>> facts = {"rows": 720, "file": "passengers.csv", "seed": 0, "test": test}
    >>> for line in training_lines(facts):
    ...     print(line)
    Trained on 720 rows of passengers.csv with seed 0.
    Test on 180 rows: accuracy 0.9056.
    """
    known = {name: value for name, value in facts.items() if value is not None}
    origin = ""
    if "rows" in known:
        origin += f" on {known['rows']:,} rows"
    if "file" in known:
        origin += f" of {known['file']}"
    if "sha256" in known:
        origin += f" (SHA-256 {str(known['sha256'])[:12]}…)"
    if "date" in known:
        origin += " on " + str(known["date"]).replace("T", " ").replace("+00:00", " UTC")
    if "seed" in known:
        origin += f" with seed {known['seed']}"
    if "version" in known:
        origin += f" by Pellucid {known['version']}"
    lines = [f"Trained{origin}."] if origin else []
    if "test" in known:
        before = ", before training on all rows" if known.get("refit") else ""
        test = known["test"]
        lines.append(f"Test on {test['rows']:,} rows{before}: {_listed(test['metrics'])}.")
    if "folds" in known:
        folds = known["folds"]
        means = {name: score["mean"] for name, score in folds["metrics"].items()}
        lines.append(f"Cross-validation with {folds['folds']} folds: {_listed(means)}.")
    return lines


def _listed(metrics: Mapping[str, float | None]) -> str:
    known = {name: value for name, value in metrics.items() if value is not None}
    return ", ".join(f"{name} {value:.4g}" for name, value in known.items())


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


def show_columns(
    columns: Sequence[RecognizedColumn | ColumnDescription],
    out: Output,
    shows_all: bool,
    option: str,
) -> None:
    """Show a table of the columns; of many, the first ones and the option that shows all."""
    n_shown = len(columns) if shows_all else MOST_COLUMNS
    out.table(columns_table(columns[:n_shown]))
    if len(columns) > n_shown:
        out.say(f"and {len(columns) - n_shown:,} more columns; {option} shows them.")


def columns_table(columns: Sequence[RecognizedColumn | ColumnDescription]) -> ScreenTable:
    """Return a table of the columns: recognized kind, reason and, if known, number of inputs."""
    table = ScreenTable(title="Columns", title_justify="left", title_style="bold")
    table.add_column("column")
    table.add_column("kind")
    table.add_column("because")
    if isinstance(columns[0], ColumnDescription):
        table.add_column("inputs", justify="right")
    for column in columns:
        style = "dim" if column.kind == "left out" else None
        cells = [column.name, column.kind, column.reason]
        if isinstance(column, ColumnDescription):
            cells.append(f"{column.n_inputs:,}")
        table.add_row(*cells, style=style)
    return table


def training_table(model: Any) -> ScreenTable | str:
    """Return a table of some epochs, or of the members of an ensemble."""
    if hasattr(model, "estimators_"):
        return _members_table(model.estimators_)
    losses = getattr(model, "loss_curve_", None)
    if not losses:
        return "No training history is available."
    scores = getattr(model, "validation_scores_", None)
    sign, name = _score_of(model)
    names = [] if scores is None else [name]
    plural = "" if len(losses) == 1 else "s"
    table = _training_table(f"{len(losses):,} epoch{plural}", "epoch", "loss", *names)
    shown = set(np.unique(np.linspace(0, len(losses) - 1, 8).round().astype(int)).tolist())
    best = int(np.nanargmax(scores)) if scores and not np.all(np.isnan(scores)) else -1
    for i in sorted(shown | ({best} if best >= 0 else set())):
        row = [f"{i + 1:,}", f"{losses[i]:.4f}"]
        if scores is not None:
            row.append(f"{sign * scores[i]:.4f}" + (" (kept)" if i == best else ""))
        table.add_row(*row)
    return table


def _members_table(members: Sequence[Any]) -> ScreenTable:
    scores = [getattr(member, "best_validation_score_", None) for member in members]
    has_scores = scores[0] is not None
    sign, name = _score_of(members[0])
    names = [name] if has_scores else []
    table = _training_table(f"{len(members):,} members", "member", "epochs", "loss", *names)
    for i, (member, score) in enumerate(zip(members, scores, strict=True)):
        row = [f"{i + 1:,}", f"{member.n_iter_:,}", f"{member.loss_:.4f}"]
        table.add_row(*row, *([] if score is None else [f"{sign * score:.4f}"]))
    return table


def _score_of(model: Any) -> tuple[int, str]:
    """Return the sign to show validation scores with, and their name: many are minus an error."""
    scores, losses = (
        getattr(model, name, None) for name in ("validation_scores_", "validation_loss_curve_")
    )
    if scores and losses and np.array_equal(scores, -np.array(losses), equal_nan=True):
        return -1, "validation loss"
    if (error := error_of(getattr(model, "scoring", None))) is not None:
        return -1, f"validation {ERRORS[error][0]}"
    return 1, "validation score"


def _training_table(what: str, *columns: str) -> ScreenTable:
    table = ScreenTable(title=f"Training: {what}", title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="right")
    return table
