"""What an encoder has learned of the columns of a table, as a state that a file can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pellucid.tables.categorical import CategoricalEncoding
from pellucid.tables.conventions import Conventions
from pellucid.tables.drift import Cells, Encoding
from pellucid.tables.numeric import DatetimeEncoding, NumericEncoding
from pellucid.tables.recognition import KINDS, Kind, RecognizedColumn

_ENCODINGS: dict[Kind, type[Encoding]] = {
    "numeric": NumericEncoding,
    "boolean": NumericEncoding,
    "datetime": DatetimeEncoding,
    "categorical": CategoricalEncoding,
}


@dataclass(frozen=True)
class FittedColumns:
    """The fitted attributes of a `TableEncoder`.

    Attributes
    ----------
    recognized : sequence of RecognizedColumn
        All columns.
    encodings : dict of str to encoding
        Of the columns that are not left out.
    cells : dict of str to Cells
        What the cells of these columns were in training; empty if the file is of before.
    conventions : Conventions
    has_names : bool
        Whether the columns had names.
    """

    recognized: Sequence[RecognizedColumn]
    encodings: Mapping[str, Encoding]
    cells: Mapping[str, Cells]
    conventions: Conventions
    has_names: bool

    def to_state(self) -> dict[str, Any]:
        """Return a JSON-serializable state for :meth:`from_state`."""
        states = {name: encoding.to_state() for name, encoding in self.encodings.items()}
        cells = {name: cells.to_state() for name, cells in self.cells.items()}
        columns = [
            {
                "name": column.name,
                "kind": column.kind,
                "reason": column.reason,
                "encoding": states.get(column.name),
                "cells": cells.get(column.name),
            }
            for column in self.recognized
        ]
        return {
            "columns": columns,
            "has_names": self.has_names,
            "conventions": self.conventions.to_state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Restore what was learned from the result of :meth:`to_state`.

        Raises
        ------
        ValueError, TypeError, LookupError
            If the state is invalid.
        """
        recognized = [
            RecognizedColumn(
                str(c["name"]), next(k for k in KINDS if k == c["kind"]), str(c["reason"])
            )
            for c in state["columns"]
        ]
        if len({column.name for column in recognized}) != len(recognized):
            raise ValueError("two columns have the same name")
        used = [
            (column, entry)
            for column, entry in zip(recognized, state["columns"], strict=True)
            if column.kind != "left out"
        ]
        # Files of before know of plain numbers and ISO dates only, and nothing of cells.
        conventions = state.get("conventions")
        return cls(
            recognized,
            {c.name: _ENCODINGS[c.kind].from_state(entry["encoding"]) for c, entry in used},
            {c.name: Cells.from_state(entry["cells"]) for c, entry in used if entry.get("cells")},
            Conventions() if conventions is None else Conventions.from_state(conventions),
            bool(state["has_names"]),
        )
