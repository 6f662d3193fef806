"""Stream tables larger than memory from Parquet files, with a shuffle buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pellucid.nn.random import permutation
from pellucid.tables.stream_reader import StreamBlock, StreamDtype, StreamReader


@dataclass(frozen=True)
class ParquetStream:
    """Training data streamed from Parquet files that need not fit in memory.

    The stream only describes where the rows are; nothing is read until it is used. Memory use is
    bounded by the buffer of `buffer_rows` rows plus one row group as read by pyarrow.

    Each epoch visits the row groups of all files in a new random order and fills the buffer with
    their rows. When the buffer is full, its rows are trained on in random order, and it is filled
    again. A row is therefore shuffled only with the rows that are in the buffer at the same time.
    For example, if a file is sorted by class and each row group contains one class, a buffer of the
    size of 10 row groups contains about 10 randomly chosen row groups. If this does not shuffle
    enough, write files with smaller row groups (`row_group_size`), or shuffle them once. If
    `buffer_rows` is at least the number of rows, the table is read once, and results are
    bit-identical to those of the same table in memory.

    Parameters
    ----------
    source : path, list of paths or pyarrow.dataset.Dataset
        One or several Parquet files, or a folder of them. The files of a folder are read in the
        order of their names; subfolders `name=value` add a column.
    target : str or list of str
        The column to predict, or a list of numeric columns. With a list, y has shape (n, K), even
        if K is 1.
    columns : list of str, optional
        Feature columns, in this order. They must be numbers or booleans without missing values. By
        default, all columns except `target` and `sample_weight`.
    sample_weight : str, optional
        The column of sample weights, which must be at least 0.
    classes : list, optional
        All labels of the target of a classifier, if known. By default, `fit` finds them in a first
        pass over the target column.
    buffer_rows : int
        Number of rows that are shuffled together. `fit` rounds it down to a multiple of the batch
        size, so that only the last step of an epoch can have fewer rows.
    dtype : {"float32", "float64"}, optional
        Type of the rows in the buffer. By default, float32 if this is NumPy's result type of all
        columns, else float64.

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
        """Names of the target columns."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    def open(self) -> StreamReader:
        """Read the footers of the files and check the columns.

        Raises
        ------
        TableError
            If a file is missing, empty, damaged or not a Parquet file; if a column is missing, not
            numeric, or differs between files; or if there are no rows.
        ImportError
            If pyarrow is not installed.
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
        """Yield the rows of an epoch in blocks of up to `buffer_rows` rows, e.g. for `partial_fit`.

        Each block is a new array. Its rows are in the order of the files.

        Parameters
        ----------
        seed : int, optional
            If given, visit the row groups in the random order in which a fit with this seed visits
            them. By default, they are visited in the order of the files.
        epoch : int
            Epoch, counted from 0; the random order differs between epochs.
        batch_size : int
            The size of every block except the last is a multiple of `batch_size`.

        Raises
        ------
        TableError
            In the same cases as `open`, or if a file ends early or contains missing, infinite or
            too large numbers.
        """
        reader = self.open()
        order = None if seed is None else permutation(seed, epoch, reader.n_groups)
        rows = rows_of_block(self.buffer_rows, batch_size)
        for block in reader.blocks(rows, order):
            yield StreamBlock(block.X.copy(), block.y, block.sample_weight)


def rows_of_block(buffer_rows: int, batch_size: int) -> int:
    """Return the number of rows of a block: whole batches, at least one."""
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
