"""Tables larger than memory: Parquet files read by row groups, shuffled in a buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pellucid.nn.random import permutation
from pellucid.tables.stream_reader import StreamBlock, StreamDtype, StreamReader


@dataclass(frozen=True)
class ParquetStream:
    """Rows to train on that are never all in memory.

    It says where the rows are, and reads nothing before it is used. Memory is bounded by the
    buffer, `buffer_rows` rows of numbers, and one row group as pyarrow reads it.

    The order of the rows. An epoch visits the row groups of all files in a new random order and
    fills the buffer with them; when it is full, its rows are trained on in a random order, and it
    is filled again. So rows are mixed with those of the row groups that happen to be in the buffer
    with theirs, and with no others: in a file sorted by class, whose row groups hold one class
    each, a buffer of 10 row groups has rows of about 10 row groups drawn at random. Write files
    with small row groups (`row_group_size`), or shuffled once, where that is too little. With a
    `buffer_rows` of at least all rows the table is read once, and everything is as it is for the
    same table in memory, to the bit.

    Parameters
    ----------
    source : path, list of paths or pyarrow.dataset.Dataset
        A Parquet file, a folder of them, or several. The files of a folder are read in the order
        of their names; folders `name=value` in it are a column.
    target : str or list of str
        The column to predict, or several of numbers. A y of several columns has shape (n, K), and
        so has a list of one.
    columns : list of str, optional
        Those to predict from, in this order; numbers or booleans without missing values. By default
        all but `target` and `sample_weight`.
    sample_weight : str, optional
        The column of weights, at least 0.
    classes : list, optional
        All labels of a target that holds labels, where they are known. By default a fit learns them
        in a first pass over the target column.
    buffer_rows : int
        Rows that are shuffled together. A fit rounds it down to a multiple of its batch size, so
        that no step but the last of an epoch has fewer rows.
    dtype : {"float32", "float64"}, optional
        Of the rows in the buffer. By default float32 where NumPy would join the columns in that
        type, and float64 for all others.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> from pellucid.tables import ParquetStream
    >>> path = tempfile.mkdtemp() + "/points.parquet"
    >>> table = pa.table({"x": [0.5, 1.5, 2.5], "y": [1, 3, 5]})
    >>> pq.write_table(table, path, row_group_size=1)
    >>> for block in ParquetStream(path, target="y", buffer_rows=2).blocks():
    ...     print(block.X.tolist(), block.y.tolist())
    [[0.5], [1.5]] [1, 3]
    [[2.5]] [5]
    """

    source: Any
    target: str | Sequence[str]
    columns: Sequence[str] | None = None
    sample_weight: str | None = None
    buffer_rows: int = 100_000
    dtype: StreamDtype | None = None
    classes: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        rows: Any = self.buffer_rows
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise ValueError(f"buffer_rows must be a positive integer, got {rows!r}")
        if self.dtype is not None and self.dtype not in get_args(StreamDtype):
            raise ValueError(f'dtype must be "float32", "float64" or None, got {self.dtype!r}')
        _check_names("target", self.target, one_is_enough=True)
        if self.columns is not None:
            _check_names("columns", self.columns, one_is_enough=False)
        if self.sample_weight is not None and not isinstance(self.sample_weight, str):
            raise TypeError(
                f"sample_weight must be the name of a column, got {self.sample_weight!r}"
            )

    @property
    def targets(self) -> list[str]:
        """The names of the target's columns."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    def open(self) -> StreamReader:
        """Read the footers of the files and check the columns.

        Raises
        ------
        TableError
            A file is missing, empty, damaged or no Parquet file; a column is missing, holds no
            numbers, or differs between files; there are no rows.
        ImportError
            pyarrow is not installed.
        """
        return StreamReader(
            self.source,
            self.targets,
            self.columns,
            self.sample_weight,
            self.dtype,
            is_vector=isinstance(self.target, str),
        )

    def blocks(
        self, *, seed: int | None = None, epoch: int = 0, batch_size: int = 1
    ) -> Iterator[StreamBlock]:
        """Yield the rows of an epoch in blocks of up to `buffer_rows`, such as for `partial_fit`.

        Each block is an array of its own; within it, rows have the order of the files.

        Parameters
        ----------
        seed : int, optional
            Visit the row groups in the random order that a fit with this seed visits them in; by
            default in the order of the files.
        epoch : int
            Counted from 0; each has an order of its own.
        batch_size : int
            Each block but the last has a multiple of so many rows.

        Raises
        ------
        TableError
            As `open`; or a file ends early, or has missing, infinite or too large numbers.
        """
        reader = self.open()
        order = None if seed is None else permutation(seed, epoch, reader.n_groups)
        rows = rows_of_block(self.buffer_rows, batch_size)
        for block in reader.blocks(rows, order):
            yield StreamBlock(block.X.copy(), block.y, block.sample_weight)


def rows_of_block(buffer_rows: int, batch_size: int) -> int:
    """Return the rows of a block: whole batches, at least one."""
    return max(1, buffer_rows // batch_size) * batch_size


def _check_names(parameter: str, names: Any, *, one_is_enough: bool) -> None:
    if isinstance(names, str) and one_is_enough:
        return
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_list or len(names) == 0 or not all(isinstance(name, str) for name in names):
        what = "the name of a column or a list of them" if one_is_enough else "a list of names"
        raise TypeError(f"{parameter} must be {what}, got {names!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"{parameter} must not name a column twice, got {list(names)!r}")
