"""Parquet files in blocks: which rows come when, and what broken files say."""

import os
import tracemalloc
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from pellucid.nn.random import permutation
from pellucid.tables import ParquetStream, TableError
from pellucid.tables.stream import rows_of_block

N = 23
X = np.arange(2.0 * N).reshape(N, 2)
TABLE = pa.table({"a": X[:, 0], "b": X[:, 1], "y": np.arange(N), "w": np.arange(N) + 0.5})


@pytest.fixture
def path(tmp_path):
    pq.write_table(TABLE, tmp_path / "table.parquet", row_group_size=5)
    return tmp_path / "table.parquet"


def write(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


def joined(blocks):
    """Return X, y and the weights of all blocks one after the other."""
    X, y, w = zip(*blocks, strict=True)
    return np.concatenate(X), np.concatenate(y), None if w[0] is None else np.concatenate(w)


@pytest.mark.parametrize("buffer_rows", [1, 4, 5, 7, 10, N, 100])
def test_without_a_seed_all_rows_come_in_the_order_of_the_file(path, buffer_rows):
    stream = ParquetStream(path, "y", sample_weight="w", buffer_rows=buffer_rows)
    blocks = list(stream.blocks())
    assert [len(block.X) for block in blocks[:-1]] == [buffer_rows] * (len(blocks) - 1)
    table, y, w = joined(blocks)
    np.testing.assert_array_equal(table, X)
    np.testing.assert_array_equal(y, np.arange(N))
    np.testing.assert_array_equal(w, np.arange(N) + 0.5)
    assert table.dtype == np.float64


def test_with_a_seed_row_groups_come_in_a_random_order_of_each_epoch(path):
    stream = ParquetStream(path, "y", columns=["b"], buffer_rows=7)
    orders = []
    for epoch in range(4):
        table, y, w = joined(stream.blocks(seed=3, epoch=epoch))
        groups = permutation(3, epoch, 5)
        expected = np.concatenate([np.arange(N)[5 * g : 5 * g + 5] for g in groups])
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(table, X[expected, 1:])
        assert w is None
        orders.append(tuple(y))
    assert len(set(orders)) == 4
    assert tuple(joined(stream.blocks(seed=3, epoch=2))[1]) == orders[2]


@pytest.mark.parametrize(("buffer_rows", "batch"), [(10, 3), (9, 3), (2, 3), (100, 7)])
def test_blocks_hold_whole_batches(path, buffer_rows, batch):
    sizes = [
        len(b.X) for b in ParquetStream(path, "y", buffer_rows=buffer_rows).blocks(batch_size=batch)
    ]
    assert rows_of_block(buffer_rows, batch) % batch == 0
    assert all(size % batch == 0 and size <= max(buffer_rows, batch) for size in sizes[:-1])
    assert sum(sizes) == N


def test_files_folders_lists_and_datasets_are_the_same_rows(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for i, first in enumerate((10, 0)):
        pq.write_table(TABLE.slice(first, 10), folder / f"{1 - i}.parquet", row_group_size=4)
    files = [folder / "0.parquet", str(folder / "1.parquet")]
    dataset = pyarrow.dataset.dataset([str(file) for file in files])
    for source in (folder, str(folder), files, tuple(files), dataset):
        table, y, _ = joined(ParquetStream(source, "y", columns=["a", "b"]).blocks())
        np.testing.assert_array_equal(y, np.arange(20))
        np.testing.assert_array_equal(table, X[:20])
    _, y, _ = joined(ParquetStream(files[::-1], "y", columns=["a"]).blocks())
    np.testing.assert_array_equal(y, [*range(10, 20), *range(10)])


def test_folders_named_after_values_are_a_column(tmp_path):
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        write(tmp_path / f"year={year}" / "part.parquet", {"a": [1.0, 2.0], "y": [0, 1]})
    table, y, _ = joined(ParquetStream(tmp_path, "y").blocks())
    assert table.tolist() == [[1, 2023], [2, 2023], [1, 2024], [2, 2024]]
    _, y, _ = joined(ParquetStream(tmp_path, "year", columns=["a"]).blocks())
    assert y.tolist() == [2023, 2023, 2024, 2024]


@pytest.mark.parametrize(
    ("types", "dtype", "expected"),
    [
        ((pa.float32(), pa.float32()), None, np.float32),
        ((pa.float32(), pa.int8()), None, np.float32),
        ((pa.float32(), pa.int64()), None, np.float64),
        ((pa.bool_(), pa.uint8()), None, np.float64),
        ((pa.float16(), pa.float16()), None, np.float64),
        ((pa.float64(), pa.float64()), "float32", np.float32),
        ((pa.float32(), pa.float32()), "float64", np.float64),
        ((pa.decimal128(5, 2), pa.float32()), None, np.float64),
    ],
)
def test_numbers_of_any_kind(tmp_path, types, dtype, expected):
    kinds = {pa.bool_(): bool, pa.float16(): np.float16, pa.decimal128(5, 2): Decimal}
    columns = {
        f"c{i}": pa.array([kinds.get(kind, int)(v) for v in (0, 1, 1)], kind)
        for i, kind in enumerate(types)
    }
    path = write(tmp_path / "t.parquet", {**columns, "y": [1, 2, 3]})
    stream = ParquetStream(path, "y", dtype=dtype)
    (block,) = stream.blocks()
    assert block.X.dtype == expected
    assert block.X.tolist() == [[0, 0], [1, 1], [1, 1]]
    assert stream.open().columns == ["c0", "c1"]


TEXTS = {
    "text": pa.array(["b", "a", "b", "c"]),
    "large text": pa.array(["b", "a", "b", "c"], pa.large_string()),
    "categories": pa.DictionaryArray.from_arrays([1, 2, 1, 3], ["unused", "b", "a", "c"]),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_labels_of_text(tmp_path, kind):
    columns = {"a": [1.0, 2.0, 3.0, 4.0], "y": TEXTS[kind], "w": [1.0, 2.0, 3.0, 4.0]}
    path = write(tmp_path / "t.parquet", columns, row_group_size=3)
    stream = ParquetStream(path, "y", columns=["a"], sample_weight="w", buffer_rows=2)
    assert [block.y.tolist() for block in stream.blocks()] == [["b", "a"], ["b", "c"]]
    summary = stream.open().summarize()
    assert summary.labels.tolist() == ["a", "b", "c"]
    assert summary.counts.tolist() == [1, 2, 1]
    assert summary.weights.tolist() == [2.0, 4.0, 4.0]


@pytest.mark.parametrize("y", [[3, 1, 3, -2], [True, False, True, True], [0.5, 2.0, 0.5, 0.5]])
def test_labels_that_are_numbers(tmp_path, y):
    path = write(tmp_path / "t.parquet", {"a": [1.0, 2.0, 3.0, 4.0], "y": y}, row_group_size=1)
    summary = ParquetStream(path, "y").open().summarize()
    labels, counts = np.unique(y, return_counts=True)
    np.testing.assert_array_equal(summary.labels, labels)
    assert summary.labels.dtype == labels.dtype
    np.testing.assert_array_equal(summary.counts, counts)
    np.testing.assert_array_equal(summary.weights, counts)


def test_targets_of_several_columns(path):
    (block,) = ParquetStream(path, ["y", "b"], columns=["a"]).blocks()
    np.testing.assert_array_equal(block.y, np.column_stack([np.arange(N), X[:, 1]]))
    (block,) = ParquetStream(path, ["y"], columns=["a"]).blocks()
    assert block.y.shape == (N, 1)


def test_the_mean_of_the_weights(path):
    assert ParquetStream(path, "y", sample_weight="w").open().mean_weight() == 11.5


def test_memory_is_the_buffer_and_a_row_group(tmp_path):
    n, step = 200_000, 10_000
    with pq.ParquetWriter(
        tmp_path / "t.parquet", pa.schema([(c, pa.float32()) for c in "abcdy"])
    ) as writer:
        for first in range(0, n, step):
            values = np.arange(first, first + step, dtype=np.float32)
            writer.write_table(pa.table(dict.fromkeys("abcdy", values)))
    reader = ParquetStream(tmp_path / "t.parquet", "y").open()
    arrow, seen = pa.total_allocated_bytes(), 0
    tracemalloc.start()
    try:
        for block in reader.blocks(20_000):
            seen += len(block.X)
            # The last row group may still be there while a block is used: 5 columns of float32.
            assert pa.total_allocated_bytes() - arrow < 4 * 5 * 4 * step
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == n
    assert most < 2 * 20_000 * 5 * 4 + 200_000  # all of it: 4,000,000


def test_missing_damaged_and_empty_files(tmp_path, path):
    def refused(source, text):
        with pytest.raises(TableError, match=text):
            ParquetStream(source, "y").open()

    refused(tmp_path / "nowhere.parquet", r"nowhere\.parquet: there is no such file")
    (tmp_path / "empty.parquet").write_bytes(b"")
    refused(tmp_path / "empty.parquet", r"empty\.parquet is empty \(0 bytes\)")
    (tmp_path / "text.parquet").write_text("a,y\n1,2\n" * 20)
    refused(tmp_path / "text.parquet", "is not a Parquet file, is damaged or ends early")
    whole = path.read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "half.parquet", "is not a Parquet file, is damaged or ends early")
    refused([path, tmp_path / "half.parquet"], "is not a Parquet file, is damaged or ends early")
    refused(
        write(tmp_path / "none.parquet", {"a": pa.array([], pa.float64()), "y": [0][:0]}),
        r"none\.parquet has no rows",
    )
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "folder is an empty folder")
    with pytest.raises(TypeError, match=r"source must be the path .* got 5"):
        ParquetStream(5, "y").open()
    with pytest.raises(TableError, match="reads Parquet files by row groups"):
        ParquetStream(pyarrow.dataset.dataset(TABLE), "y").open()
    filtered = pyarrow.dataset.dataset(str(path)).filter(pyarrow.dataset.field("a") > 3)
    with pytest.raises(TableError, match="Remove the filtering"):
        ParquetStream(filtered, "y").open()


def test_columns_that_are_not_there_or_hold_no_numbers(tmp_path, path):
    def refused(source, text, target="y", **options):
        with pytest.raises(TableError, match=text):
            ParquetStream(source, target, **options).open()

    refused(path, r"has no column 'z'\. It has: a, b, y, w", "z")
    refused(path, r"no column 'aa'\. Did you mean 'a'", columns=["aa"])
    refused(path, "columns names 'y', which is the target", columns=["a", "y"])
    refused(path, "no column 'weight'", sample_weight="weight")
    other = {"a": ["x", "y"], "t": pa.array([1, 2], pa.timestamp("s")), "y": ["k", "l"]}
    text = write(tmp_path / "text.parquet", other)
    refused(text, "column 'a' holds string, but a stream takes numbers. Exclude it")
    refused(text, "column 't' holds timestamp", columns=["t"])
    refused(text, "target column 't' holds timestamp", "t", columns=["a"])
    refused(text, "target column 'y' holds string", ["y", "a"], columns=["t"])
    refused(text, "column 'a' holds string", sample_weight="a", columns=["t"])
    refused(write(tmp_path / "alone.parquet", {"y": [1]}), "no columns to predict from")
    twice = pa.Table.from_arrays([pa.array([1.0])] * 3, names=["a", "a", "y"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    refused(tmp_path / "twice.parquet", "duplicate field names")


def test_files_whose_columns_differ(tmp_path):
    for name, columns in [("0", {"a": [1.0], "y": ["k"]}), ("1", {"b": [1.0], "y": ["k"]})]:
        write(tmp_path / f"{name}.parquet", columns)
    with pytest.raises(TableError, match=r"1\.parquet has no column 'a'"):
        ParquetStream(tmp_path, "y").open()
    write(tmp_path / "1.parquet", {"a": ["x"], "y": ["k"]})
    with pytest.raises(TableError, match=r"1\.parquet: column 'a' holds text, but numbers in"):
        ParquetStream(tmp_path, "y").open()
    write(tmp_path / "1.parquet", {"a": pa.array([2], pa.int8()), "y": ["k"], "more": [1]})
    table, _, _ = joined(ParquetStream(tmp_path, "y").blocks())
    assert table.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("column", "values", "text"),
    [
        ("a", [1.0, 2.0, None], "row group 1: column 'a' has 1 missing values. Fill them in"),
        ("a", [1.0, 2.0, np.nan], "row group 1: column 'a' has NaN, infinity or a number too"),
        ("a", [1.0, 2.0, np.inf], "row group 1: column 'a' has NaN"),
        ("a", [1.0, 2.0, 1e39], "row group 1: column 'a' has .* too large for float32"),
        ("y", [1, 2, None], "row group 1: column 'y' has 1 missing"),
        ("w", [1.0, 2.0, -1.0], r"row group 1: the weights in column 'w' .* got -1\.0"),
        ("w", [1.0, 2.0, np.nan], "row group 1: the weights in column 'w' must be finite"),
    ],
)
def test_values_that_no_network_takes(tmp_path, column, values, text):
    columns = {"a": [1.0, 2.0, 3.0], "y": [1, 2, 3], "w": [1.0, 1.0, 1.0], column: values}
    path = write(tmp_path / "t.parquet", columns, row_group_size=2)
    blocks = ParquetStream(path, "y", sample_weight="w", dtype="float32", buffer_rows=2).blocks()
    next(blocks)
    with pytest.raises(TableError, match=text):
        next(blocks)


def test_labels_that_are_not_finite_or_too_many(tmp_path, monkeypatch):
    path = write(tmp_path / "t.parquet", {"a": [1.0, 2.0, 3.0], "y": [0.0, 1.0, np.nan]})
    with pytest.raises(TableError, match="row group 0: the target 'y' has NaN"):
        ParquetStream(path, "y").open().summarize()
    monkeypatch.setattr("pellucid.tables.stream_reader._MOST_LABELS", 2)
    with pytest.raises(TableError, match="'a' has more than 2 labels"):
        ParquetStream(path, "a", columns=["y"]).open().summarize()


def test_a_file_that_ends_early_or_changes_while_it_is_read(tmp_path, path):
    wide = {"a": np.random.default_rng(0).standard_normal(4000), "y": np.arange(4000)}
    path = write(tmp_path / "wide.parquet", wide, row_group_size=1000)
    blocks = ParquetStream(path, "y", buffer_rows=1000).blocks()
    next(blocks)
    os.truncate(path, path.stat().st_size // 3)
    with pytest.raises(TableError, match=r"row group 1 was changed while .* Start again"):
        list(blocks)
    path = write(tmp_path / "wide.parquet", wide, row_group_size=1000)
    blocks = ParquetStream(path, "y", buffer_rows=1000).blocks()
    next(blocks)
    write(path, {"a": 2.0 * wide["a"], "y": wide["y"]}, row_group_size=1000)
    with pytest.raises(TableError, match=r"row group 1 was changed while .* Start again"):
        list(blocks)
    path.unlink()
    reader = ParquetStream(write(path, wide), "y").open()
    path.unlink()
    with pytest.raises(TableError, match="a file does not exist or was deleted"):
        list(reader.blocks(10))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"buffer_rows": 0}, ValueError, "buffer_rows must be a positive integer, got 0"),
        ({"buffer_rows": 1e5}, ValueError, "buffer_rows must be a positive integer"),
        ({"dtype": "int8"}, ValueError, "dtype must be"),
        ({"target": 3}, TypeError, "target must be the name of a column or a list"),
        ({"target": []}, TypeError, "target must be the name of a column or a list"),
        ({"target": ["y", "y"]}, ValueError, "must not name a column twice"),
        ({"columns": "a"}, TypeError, "columns must be a list of names, got 'a'"),
        ({"sample_weight": ["w"]}, TypeError, "sample_weight must be the name of a column"),
    ],
)
def test_wrong_descriptions(options, error, text):
    with pytest.raises(error, match=text):
        ParquetStream(**{"source": "t.parquet", "target": "y", **options})


def test_without_pyarrow_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install \"pellucid\[tables\]\""):
        ParquetStream(path, "y").open()
