"""Tell whether rows were trained on, from hashes that give no row away.

A row is hashed as the network sees it: its encoded columns and its target, in 64 bits. A model
keeps the 2,048 smallest distinct hashes of its training rows, which are a random sample of them
(Z. Bar-Yossef et al., "Counting distinct elements in a data stream", 2002): other rows with hashes
up to the largest of these were trained on if theirs is among them.
"""

from __future__ import annotations

import base64
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.cli.data import Examples
from pellucid.cli.metrics import match_labels
from pellucid.tables import TableError

Hashes = NDArray[np.uint64]

MOST_HASHES = 2048
#: Fewest rows of the sample from which a share is told.
FEWEST_ROWS = 5
_ROWS_AT_A_TIME = 50_000
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def row_hashes(model: Any, rows: Examples) -> Hashes:
    """Return a hash of each row as a tabular model sees it.

    Parameters
    ----------
    model : fitted TabularClassifier or TabularRegressor
    rows : Examples
        A table of the columns of the model, and its targets.
    """
    y = rows.y
    if hasattr(model, "classes_"):
        y = np.searchsorted(model.classes_, match_labels(y, model.classes_)[0])
    targets = np.asarray(y, dtype=np.float64).reshape(len(rows), -1)
    parts = [
        _hashes_of(np.asarray(model.encoder_._encode(rows.X.take(some)), np.float64), targets[some])
        for some in np.array_split(np.arange(len(rows)), max(1, -(-len(rows) // _ROWS_AT_A_TIME)))
    ]
    return np.concatenate(parts)


def _hashes_of(*tables: NDArray[np.float64]) -> Hashes:
    """Return a hash of each row of some tables side by side."""
    total = np.zeros(len(tables[0]), dtype=np.uint64)
    columns = (column for table in tables for column in table.T)
    for number, column in enumerate(columns, start=1):
        bits = (np.ascontiguousarray(column) + 0.0).view(np.uint64)  # -0.0 becomes 0.0.
        total += _mixed(bits + np.uint64(number * _GOLDEN % 2**64))
    return _mixed(total)


def _mixed(bits: Hashes) -> Hashes:
    """Return SplitMix64 of each number (G. Steele et al., 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_FIRST)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_SECOND)
    return bits ^ (bits >> np.uint64(31))


def facts_of(hashes: Hashes) -> dict[str, Any]:
    """Return what a model keeps of the hashes of its training rows, as JSON can hold it."""
    distinct, counts = np.unique(hashes, return_counts=True)
    smallest = distinct[:MOST_HASHES].astype("<u8")
    return {
        "hashes": base64.b64encode(smallest.tobytes()).decode("ascii"),
        "all": len(distinct) <= MOST_HASHES,
        "repeated": float(counts[counts > 1].sum() / len(hashes)),
    }


def share_trained_on(hashes: Hashes, facts: Any) -> float | None:
    """Return the share of rows that were trained on.

    Rows that were not may equal a training row as often as training rows equal each other. This is
    taken off: the share is 0 where it can be chance (two standard errors).

    Parameters
    ----------
    hashes : ndarray of uint64 of shape (n_rows,)
    facts : dict
        What `facts_of` returned, from a model file.

    Returns
    -------
    float or None
        None if the facts do not tell.
    """
    try:
        known = np.frombuffer(base64.b64decode(facts["hashes"], validate=True), dtype="<u8")
        has_all, repeated = bool(facts["all"]), float(facts["repeated"])
    except (KeyError, TypeError, ValueError):
        return None
    sampled = hashes if has_all or not len(known) else hashes[hashes <= known.max()]
    n = len(sampled)
    if n < min(FEWEST_ROWS, len(hashes)) or not 0 <= repeated < 1:
        return None
    beyond = float(np.isin(sampled, known).mean()) - repeated
    is_chance = beyond <= 2.0 * math.sqrt(repeated * (1.0 - repeated) / n)
    return 0.0 if is_chance else beyond / (1.0 - repeated)


def hashes_or_none(model: Any, rows: Examples) -> Hashes | None:
    """Return the hash of each row, or None if it is no model that knows its training rows."""
    if not hasattr(model, "encoder_") or not getattr(model, "training_facts_", None):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # Evaluation tells of drift.
            return row_hashes(model, rows)
    except TableError:
        return None
