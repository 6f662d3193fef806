"""Match the columns of tables without names, in which the target may be there or not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pellucid.cli.screen import Output
from pellucid.tables import Table, TableError

_GENERATED = re.compile(r"column_\d+")


def is_headerless(model: Any) -> bool:
    """Return whether a model was trained on a table without names: column_1, column_2, …"""
    names = getattr(model, "feature_names_in_", None)
    return names is not None and all(_GENERATED.fullmatch(name) for name in names)


def numbered_as_in_training(table: Table, model: Any, path: Path, out: Output) -> Table:
    """Return a table without names whose columns are numbered as in training.

    A table with one column less than in training lacks the target: the columns behind its place
    are numbered as if it were there.

    Raises
    ------
    TableError
        If the table has another number of columns.
    """
    target = getattr(model, "target_name_", None)
    has_numbers = table.names == tuple(f"column_{i + 1}" for i in range(len(table.names)))
    if not (is_headerless(model) and has_numbers and target and _GENERATED.fullmatch(target)):
        return table
    features = [str(name) for name in model.feature_names_in_]
    n, n_trained = len(table.names), len(features) + 1
    if n == n_trained:
        return table
    if n != n_trained - 1:
        raise TableError(
            f"{path} has {n} columns and no names, but the model was trained on {n_trained} "
            f"columns. Pass a table with all of them, or with all but the target {target}."
        )
    if list(table.names) != features:
        out.note(
            f"{path.name} has one column less than the table of training, so it is taken to be "
            f"without the target {target}: column {int(target.removeprefix('column_'))} of the "
            f"file is {features[int(target.removeprefix('column_')) - 1]}, and so on."
        )
    named = zip(table, features, strict=True)
    return replace(table, columns=tuple(replace(column, name=name) for column, name in named))
