"""Read tables, recognize their columns and encode them as network inputs."""

from pellucid.tables.columns import as_table, column_from_values
from pellucid.tables.encoder import TableEncoder
from pellucid.tables.reading import read_table
from pellucid.tables.recognition import RecognizedColumn, recognize
from pellucid.tables.stream import ParquetStream
from pellucid.tables.stream_reader import StreamBlock
from pellucid.tables.table import Column, Table, TableError
from pellucid.tables.target import RecognizedTask, read_target, recognize_task

__all__ = [
    "Column",
    "ParquetStream",
    "RecognizedColumn",
    "RecognizedTask",
    "StreamBlock",
    "Table",
    "TableEncoder",
    "TableError",
    "as_table",
    "column_from_values",
    "read_table",
    "read_target",
    "recognize",
    "recognize_task",
]
