"""What a model file tells of its training: file, rows, seed, date, test score."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pellucid.cli.data import Examples, shown_name
from pellucid.cli.measurement import quantile_of
from pellucid.cli.metrics import Report, metrics_by_name
from pellucid.cli.row_hashes import facts_of, hashes_or_none, row_hashes, share_trained_on
from pellucid.cli.screen import Output, as_json
from pellucid.version import __version__

#: A larger share of rows that were trained on is told.
LARGEST_SHARE = 0.05


def training_facts(
    model: Any,
    training: Examples,
    path: Path,
    *,
    seed: int,
    test: Sequence[Report] = (),
    folds: dict[str, Any] | None = None,
    importance: dict[str, Any] | None = None,
    refit: bool = False,
    with_hashes: bool = True,
) -> dict[str, Any]:
    """Return what is kept with a model in its file, as JSON can hold it.

    Parameters
    ----------
    model : fitted TabularClassifier or TabularRegressor
    training : Examples
        The rows that it was trained on, validation rows included.
    path : Path
        The file that they come from.
    seed : int
    test : sequence of Report
        What was measured on the test rows.
    folds : dict, optional
        Cross-validated scores.
    importance : dict, optional
        Of each column.
    refit : bool
        Whether the test rows were trained on after the test.
    with_hashes : bool
        Whether to keep what tells whether rows were trained on.
    """
    left_out = [c.name for c in model.encoder_.recognized_ if c.kind == "left out"]
    metrics = {name: metric.model for name, metric in metrics_by_name(test).items()}
    facts: dict[str, Any] = {
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "file": shown_name(path),
        "sha256": sha256_of(path),
        "rows": len(training),
        "seed": seed,
        "target_quantile": quantile_of(model, training.y),
        "columns_left_out": left_out,
        "test": {"rows": test[0].n_rows, "metrics": metrics} if test else None,
        "folds": folds,
        "importance": importance,
        "refit": refit,
        "training_rows": facts_of(row_hashes(model, training)) if with_hashes else None,
    }
    plain: dict[str, Any] = as_json(facts)  # A metric may be undefined.
    return plain


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal digits, or None if it is no regular file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def warn_of_training_rows(model: Any, rows: Examples, path: Path, out: Output) -> None:
    """Say if the model was trained on rows that it is evaluated on."""
    hashes = hashes_or_none(model, rows)
    if hashes is None:
        return
    facts = model.training_facts_
    share = share_trained_on(hashes, facts.get("training_rows"))
    is_same = facts.get("sha256") is not None and facts["sha256"] == sha256_of(path)
    if share is not None:
        out.add(share_trained_on=share)
    if share is not None and share > LARGEST_SHARE:
        same = ", which is the file of the training," if is_same else ""
        out.note(
            f"{shown_name(path)}{same} has rows that the model was trained on (about "
            f"{share:.0%}), so the metrics are too good. Evaluate on other rows."
        )
