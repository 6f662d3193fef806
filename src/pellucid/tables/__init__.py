"""Read tables, recognize their columns and encode them as network inputs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "CellShares",
    "Column",
    "ColumnDrift",
    "DataDriftWarning",
    "DriftReport",
    "ParquetStream",
    "RecognizedColumn",
    "RecognizedTask",
    "StreamBlock",
    "Table",
    "TableEncoder",
    "TableError",
    "as_table",
    "column_from_values",
    "places_of_rows",
    "read_table",
    "read_target",
    "recognize",
    "recognize_task",
]

if TYPE_CHECKING:
    from pellucid.tables.columns import as_table, column_from_values
    from pellucid.tables.drift import CellShares, ColumnDrift, DataDriftWarning, DriftReport
    from pellucid.tables.encoder import TableEncoder
    from pellucid.tables.reading import places_of_rows, read_table
    from pellucid.tables.recognition import RecognizedColumn, recognize
    from pellucid.tables.stream import ParquetStream
    from pellucid.tables.stream_reader import StreamBlock
    from pellucid.tables.table import Column, Table, TableError
    from pellucid.tables.target import RecognizedTask, read_target, recognize_task

# A name is imported when it is first asked for: reading a table does not need scikit-learn, which
# the encoder does, and which takes longer to import than most files take to read.
_PLACES = {
    "CellShares": "drift",
    "Column": "table",
    "ColumnDrift": "drift",
    "DataDriftWarning": "drift",
    "DriftReport": "drift",
    "ParquetStream": "stream",
    "RecognizedColumn": "recognition",
    "RecognizedTask": "target",
    "StreamBlock": "stream_reader",
    "Table": "table",
    "TableEncoder": "encoder",
    "TableError": "table",
    "as_table": "columns",
    "column_from_values": "columns",
    "places_of_rows": "reading",
    "read_table": "reading",
    "read_target": "target",
    "recognize": "recognition",
    "recognize_task": "target",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES.values():
        return import_module(f"pellucid.tables.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'pellucid.tables' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"pellucid.tables.{_PLACES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
