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

    A table without the targets has fewer columns than in training: the columns behind their places
    are numbered as if they were there.

    Raises
    ------
    TableError
        If the table has another number of columns.
    """
    targets = model.target_names_ or ()
    has_numbers = table.names == tuple(f"column_{i + 1}" for i in range(len(table.names)))
    if not (is_headerless(model) and has_numbers and targets):
        return table
    if not all(_GENERATED.fullmatch(target) for target in targets):
        return table
    features = [str(name) for name in model.feature_names_in_]
    n, n_trained = len(table.names), len(features) + len(targets)
    if n == n_trained:
        return table
    without = f"the target{'s' if len(targets) > 1 else ''} {', '.join(targets)}"
    if n != len(features):
        raise TableError(
            f"{path} has {n} columns and no names, but the model was trained on {n_trained} "
            f"columns. Pass a table with all of them, or with all but {without}."
        )
    if list(table.names) != features:
        moved = next(i for i in range(n) if table.names[i] != features[i])
        fewer = "one column" if len(targets) == 1 else f"{len(targets)} columns"
        out.note(
            f"{path.name} has {fewer} less than the table of training, so it is taken to be "
            f"without {without}: column {moved + 1} of the file is {features[moved]}, and so on."
        )
    named = zip(table, features, strict=True)
    return replace(table, columns=tuple(replace(column, name=name) for column, name in named))
