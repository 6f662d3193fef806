"""Tell whether rows were trained on, from so few bits that no single row can be recovered.

A row is hashed as the network sees it: its encoded columns and its target. A model keeps a bitmap
with two slots for each distinct training row, and sets the slot that the hash of the row chooses (a
Bloom filter of one hash function; B. Bloom, "Space/time trade-offs in hash coding with allowable
errors", 1970). About 40 % of all other rows find their slot set, too: trying all values of an
unknown cell leaves 40 % of them. Of many rows, the share beyond these 40 % was trained on. Of large
tables a random sample is kept, chosen by the hash.
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

MOST_ROWS = 32_768
"""Rows of the sample, about."""
SLOTS_PER_ROW = 2
STANDARD_ERRORS = 3.0
"""A share that so many of them can explain is chance."""
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
    one_of = max(1, -(-len(distinct) // MOST_ROWS))
    sample = distinct[distinct % np.uint64(one_of) == 0]
    is_set = np.zeros(max(1, SLOTS_PER_ROW * len(sample)), dtype=bool)
    is_set[_slots(sample, one_of, len(is_set))] = True
    return {
        "one_of": one_of,
        "slots": len(is_set),
        "set": base64.b64encode(np.packbits(is_set).tobytes()).decode("ascii"),
        "rows": len(hashes),
        "repeated": int(counts[counts > 1].sum()),
    }


def _slots(sample: Hashes, one_of: int, n_slots: int) -> NDArray[np.intp]:
    return (sample // np.uint64(one_of) % np.uint64(n_slots)).astype(np.intp)


def share_trained_on(hashes: Hashes, facts: Any) -> float | None:
    """Return the share of rows that were trained on.

    Other rows match as well: by chance as often as slots are set, and because they equal a training
    row, about as often as training rows equal each other. Both is taken off.

    Parameters
    ----------
    hashes : ndarray of uint64 of shape (n_rows,)
    facts : dict
        What `facts_of` returned, from a model file.

    Returns
    -------
    float or None
        0 where the share can be chance; None if there are too few rows, or the facts do not tell.
    """
    try:
        packed = np.frombuffer(base64.b64decode(facts["set"], validate=True), dtype=np.uint8)
        one_of, n_slots = int(facts["one_of"]), int(facts["slots"])
        n_train, repeated = int(facts["rows"]), int(facts["repeated"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not (0 < one_of < 2**63 and 0 < n_slots <= 8 * len(packed) and 0 <= repeated <= n_train):
        return None
    distinct, counts = np.unique(hashes[hashes % np.uint64(one_of) == 0], return_counts=True)
    if not len(distinct):
        return None
    is_set = np.unpackbits(packed, count=n_slots).astype(bool)
    by_slot = float(is_set.mean())
    by_equality = (repeated + 1) / (n_train + 2)
    by_chance = by_slot + (1.0 - by_slot) * by_equality
    weights = counts / counts.sum()
    of_test = by_chance * (1.0 - by_chance) * float(np.sum(weights**2))
    of_training = (1.0 - by_slot) ** 2 * by_equality * (1.0 - by_equality) / (n_train + 2)
    largest_chance = STANDARD_ERRORS * math.sqrt(of_test + of_training)
    if by_chance + largest_chance >= 1.0:
        return None
    beyond = float(weights @ is_set[_slots(distinct, one_of, n_slots)]) - by_chance
    return 0.0 if beyond <= largest_chance else min(1.0, beyond / (1.0 - by_chance))


def hashes_or_none(model: Any, rows: Examples) -> Hashes | None:
    """Return the hash of each row, or None if it is no model that knows its training rows."""
    if not hasattr(model, "encoder_") or not getattr(model, "training_facts_", None):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # Evaluation tells of drift.
            return row_hashes(model, rows)
    except TableError:
        return None
