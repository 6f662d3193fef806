"""Find, check and read the row groups of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.tables.table import TableError

_WORTH_THREADS = 2**18
"""Minimum number of values for which reading with threads is faster."""
_NOT_THERE = (None, None)
_CHANGED = "was changed while the stream was read. Start again, and do not modify the files."


class RowGroup(NamedTuple):
    """A row group: rows that a file stores together."""

    fragment: Any
    """The `pyarrow.dataset.ParquetFileFragment`."""
    number: int
    n_rows: int
    written: tuple[int | None, int | None]
    """Size and modification time of the file."""

    def __str__(self) -> str:
        return f"{self.fragment.path}, row group {self.number}"


def find_row_groups(source: Any) -> list[RowGroup]:
    """Return the row groups of a file, a folder, several files or a `pyarrow.dataset.Dataset`.

    The files of a folder are sorted by name. A subfolder `name=value` adds a column.

    Raises
    ------
    TableError
        If a file is missing, empty, damaged or not a Parquet file, or if there are no rows.
    """
    dataset = _dataset(source)
    with _reading(source):
        fragments = list(dataset.get_fragments())
        if isinstance(source, str | Path):
            fragments.sort(key=lambda fragment: str(fragment.path))
        groups = [group for fragment in fragments for group in _groups_of(fragment)]
    if not groups:
        raise TableError(f"{_name(source)} has no rows. Write a file that contains rows.")
    return groups


def check_columns(groups: Sequence[RowGroup], names: Sequence[str]) -> None:
    """Raise TableError unless all files have these columns with the kinds of the first file."""
    first = groups[0].fragment
    known = {name: _kind(_type_of(first, name)) for name in names}
    for fragment in {id(group.fragment): group.fragment for group in groups}.values():
        for name in names:
            kind = _kind(_type_of(fragment, name))
            if kind != known[name]:
                raise TableError(
                    f"{fragment.path}: column {name!r} holds {kind}, but {known[name]} in "
                    f"{first.path}. Write all files with the same columns."
                )


def column_names(group: RowGroup) -> list[str]:
    """Return the columns of the group's file, followed by those of its folder names."""
    return [*group.fragment.physical_schema.names, *_partition_keys(group.fragment)]


def column_dtype(groups: Sequence[RowGroup], name: str) -> np.dtype[Any]:
    """Return a NumPy dtype for the numbers of a column in all files.

    Raises
    ------
    TableError
        If the column does not contain numbers.
    """
    import pyarrow as pa

    dtypes: set[Any] = set()
    for group in groups:
        kind = type_of(group, name)
        if not is_number(kind):
            raise TableError(
                f"{group.fragment.path}: column {name!r} holds {kind}, but a stream takes numbers. "
                "Exclude it with columns=[…], or convert it to numbers first."
            )
        dtypes.add(np.float64 if pa.types.is_decimal(kind) else kind.to_pandas_dtype())
    return np.result_type(*dtypes)


def is_number(kind: Any) -> bool:
    """Return whether an Arrow type is a number or boolean type."""
    import pyarrow as pa

    types = pa.types
    return any(
        test(kind)
        for test in (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    )


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type is text, stored directly or as a dictionary."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def read_group(group: RowGroup, names: Sequence[str]) -> Any:
    """Return columns of a row group as a `pyarrow.Table`.

    Raises
    ------
    TableError
        If the file is missing, ends early or was changed, or if a column has missing values.
    """
    from pyarrow.parquet import ParquetFile

    names = list(dict.fromkeys(names))
    fragment = group.fragment
    stored = [name for name in names if name in fragment.physical_schema.names]
    # The fragment's own reader passes every row group between threads; read it directly.
    with _reading(group):
        if _written(fragment) not in (group.written, _NOT_THERE):
            raise TableError(f"{group} {_CHANGED}")
    with _reading(group), fragment.open() as file:
        table = ParquetFile(file, metadata=fragment.metadata).read_row_group(
            group.number, stored, use_threads=group.n_rows * len(stored) >= _WORTH_THREADS
        )
    if table.num_rows != group.n_rows:
        raise TableError(
            f"{group} has {table.num_rows} rows instead of {group.n_rows}: it {_CHANGED}"
        )
    for name in stored:
        if missing := table[name].null_count:
            raise TableError(
                f"{group}: column {name!r} has {missing} missing values. Fill them in, or remove "
                "these rows or the column."
            )
    return _with_partitions(table, fragment, names)


def numbers_of(array: Any) -> NDArray[Any]:
    """Return an Arrow array of numbers as a NumPy array, (n,)."""
    import pyarrow as pa

    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    numbers: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers


def _dataset(source: Any) -> Any:
    try:
        from pyarrow import dataset as arrow_dataset
    except ImportError:
        raise ImportError(
            'streaming Parquet files needs pyarrow: pip install "pellucid[tables]"'
        ) from None
    if isinstance(source, arrow_dataset.Dataset):
        return source
    is_list = isinstance(source, list | tuple) and len(source) > 0
    paths = [Path(path) for path in source] if is_list else [_one_path(source)]
    for path in paths:
        _check_path(path)
    if len(paths) == 1 and paths[0].is_dir() and not any(paths[0].rglob("*")):
        raise TableError(f"{paths[0]} is an empty folder. Pass a folder with Parquet files.")
    given: Any = [str(path) for path in paths] if is_list else str(paths[0])
    with _reading(source):
        return arrow_dataset.dataset(given, format="parquet", partitioning="hive")


def _one_path(source: Any) -> Path:
    if not isinstance(source, str | Path):
        raise TypeError(
            "source must be the path of a Parquet file or a folder of them, a list of paths, or a "
            f"pyarrow.dataset.Dataset, got {source!r}"
        )
    return Path(source)


def _check_path(path: Path) -> None:
    if not path.exists():
        raise TableError(f"{path}: there is no such file or folder. Check the path.")
    if path.is_file() and path.stat().st_size == 0:
        raise TableError(f"{path} is empty (0 bytes). Write the file again.")


def _groups_of(fragment: Any) -> Iterator[RowGroup]:
    if not hasattr(fragment, "row_groups"):
        raise TableError(
            f"a stream reads Parquet files by row groups, but the dataset has a "
            f"{type(fragment).__name__}. Write it with pyarrow.parquet first."
        )
    with _reading(fragment.path):
        written = _written(fragment)
        row_groups = fragment.row_groups
    for row_group in row_groups:
        if row_group.num_rows > 0:
            yield RowGroup(fragment, row_group.id, row_group.num_rows, written)


def _written(fragment: Any) -> tuple[int | None, int | None]:
    """Return values that change when a fragment's file is rewritten."""
    if fragment.filesystem is None:  # The fragment is in memory.
        return _NOT_THERE
    info = fragment.filesystem.get_file_info(fragment.path)
    return info.size, info.mtime_ns


def type_of(group: RowGroup, name: str) -> Any:
    """Return the Arrow type of a column of the group's file; raise TableError if it is missing."""
    return _type_of(group.fragment, name)


def _type_of(fragment: Any, name: str) -> Any:
    schema = fragment.physical_schema
    found = schema.get_all_field_indices(name)
    if len(found) > 1:
        raise TableError(
            f"{fragment.path} has {len(found)} columns named {name!r}. Give every column a unique "
            "name."
        )
    if found:
        return schema.field(found[0]).type
    keys = _partition_keys(fragment)
    if name in keys:
        import pyarrow as pa

        return pa.scalar(keys[name]).type
    near = get_close_matches(name, schema.names, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise TableError(
        f"{fragment.path} has no column {name!r}.{meant} It has: {', '.join(schema.names[:20])}."
    )


def _partition_keys(fragment: Any) -> dict[str, Any]:
    from pyarrow import dataset as arrow_dataset

    keys: dict[str, Any] = arrow_dataset.get_partition_keys(fragment.partition_expression)
    return keys


def _with_partitions(table: Any, fragment: Any, names: Sequence[str]) -> Any:
    """Return the table with the columns given by its folder names."""
    import pyarrow as pa

    for name in names:
        if name not in table.column_names:
            value = pa.scalar(_partition_keys(fragment)[name])
            table = table.append_column(name, pa.repeat(value, table.num_rows))
    return table


def _kind(arrow_type: Any) -> str:
    """Return the kind of a column; it is the same for numbers of all widths."""
    if is_number(arrow_type):
        return "numbers"
    return "text" if is_text(arrow_type) else str(arrow_type)


@contextmanager
def _reading(what: Any) -> Iterator[None]:
    """Convert errors of pyarrow and the operating system for broken files to TableError."""
    try:
        yield
    except (TableError, ImportError):
        raise
    except FileNotFoundError as error:
        raise TableError(f"{_name(what)}: a file does not exist or was deleted: {error}") from error
    except Exception as error:  # pyarrow has its own exceptions
        raise TableError(
            f"{_name(what)} is not a Parquet file, is damaged or ends early: {error}"
        ) from error


def _name(source: Any) -> str:
    if isinstance(source, str | Path | RowGroup):
        return str(source)
    return f"the source {type(source).__name__}"
