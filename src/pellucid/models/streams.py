"""A fit on a `ParquetStream`: what its first pass learns, and the blocks of its epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.blocks import block_order
from pellucid.engine.contract import Block
from pellucid.engine.plan import TrainingData
from pellucid.models.labels import class_factors
from pellucid.nn.random import permutation
from pellucid.tables.stream import ParquetStream, rows_of_block
from pellucid.tables.stream_reader import StreamBlock, StreamReader, TargetSummary
from pellucid.training.row_order import OrderState

_ROWS_OF_FORM = 3
"""With fewer rows a label, scikit-learn may take labels for numbers."""


@dataclass(frozen=True)
class OpenStream:
    """A stream that was found to be all right, as far as its footers and its target tell.

    Parameters
    ----------
    reader : StreamReader
    buffer_rows : int
    summary : TargetSummary or None
        Of the labels; None where the target holds numbers.
    total_weight : float
        Sum of the sample weights of all rows.
    """

    reader: StreamReader
    buffer_rows: int
    summary: TargetSummary | None
    total_weight: float

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return self.reader.n_rows

    def described(self) -> str:
        """Return a text that is the same for the same rows, as far as can be told without them."""
        reader, labels = self.reader, self.summary
        known = [*reader.columns, *reader.group_sizes, self.buffer_rows, self.total_weight]
        counts = [] if labels is None else [*labels.labels.tolist(), *labels.counts.tolist()]
        checksum = blake2b(repr([*known, *counts]).encode(), digest_size=8).hexdigest()
        return f"a stream of {reader.n_rows} rows with checksum {checksum}"

    def all_rows(self) -> StreamBlock | None:
        """Return all rows, X, y and the sample weights, where the buffer takes them."""
        if self.reader.n_rows > self.buffer_rows:
            return None
        (block,) = self.reader.blocks(self.reader.n_rows)
        return block

    def has_every_label(self, y: NDArray[Any]) -> bool:
        """Return whether these rows have all the classes that the stream names."""
        return self.summary is None or np.array_equal(np.unique(y), self.summary.labels)

    def form(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return a few rows, of zeros, with every label or of the form that y has."""
        if self.summary is not None:
            y = np.repeat(self.summary.labels, _ROWS_OF_FORM)
        else:
            y = np.zeros((_ROWS_OF_FORM, self.reader.n_targets), dtype=np.int64)
            y = y.ravel() if self.reader.is_vector else y
        return np.zeros((len(y), len(self.reader.columns)), self.reader.dtype), y

    def named(self, X: NDArray[Any]) -> Any:
        """Return rows with the names of their columns, as a DataFrame."""
        try:
            from pandas import DataFrame
        except ImportError:
            raise ImportError(
                'this fit on a stream needs pandas: pip install "pellucid[tables]"'
            ) from None
        return DataFrame(X, columns=self.reader.columns, copy=False)


def open_stream(
    stream: ParquetStream,
    y: Any,
    sample_weight: Any,
    *,
    labels: bool,
    counts: bool = False,
    classes: Any = None,
) -> OpenStream:
    """Open a stream and take the first pass over its target and weights, where one is needed.

    Parameters
    ----------
    stream : ParquetStream
    y, sample_weight : None
        The stream has columns for them.
    labels : bool
        Whether the target holds labels.
    counts : bool
        Whether to count the rows of each label, also where the labels are known.
    classes : array-like, optional
        All labels, in place of those that the stream names.

    Raises
    ------
    ValueError
        y or sample_weight is no None.
    TableError
        As `ParquetStream.open` and its blocks.
    """
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            column = "target" if name == "y" else name
            raise ValueError(
                f"{name} comes from the stream, which names its column: "
                f"ParquetStream(…, {column}=…); leave {name} out of fit"
            )
    reader = stream.open()
    if not labels and reader.has_text:
        raise ValueError(
            f"the target column {stream.targets[0]!r} holds text, and this model learns numbers; "
            "for labels take a classifier, or a network that ends with a cross-entropy"
        )
    summary = None
    classes = stream.classes if classes is None else classes
    if labels and (classes is None or counts):
        summary = reader.summarize()
        total = float(summary.weights.sum())
    else:
        total = reader.mean_weight() * reader.n_rows if reader.has_weights else reader.n_rows
    if labels and classes is not None:
        summary = _with_classes(summary, classes)
    if not (total > 0.0 and np.isfinite(total)):
        raise ValueError(
            f"the weights in column {stream.sample_weight!r} must contain at least one number "
            f"above zero and have a finite sum, got the sum {total}"
        )
    return OpenStream(reader, stream.buffer_rows, summary, total)


def _with_classes(summary: TargetSummary | None, classes: Sequence[Any]) -> TargetSummary:
    """Return the summary with all the labels of `classes`; with zeros where none was made."""
    if all(isinstance(label, str) for label in classes):
        labels = np.unique(np.array([str(label) for label in classes], dtype=object))
    else:
        labels = np.unique(np.asarray(classes))
    counts, weights = np.zeros(len(labels), dtype=np.int64), np.zeros(len(labels))
    if summary is not None:
        unknown = np.setdiff1d(summary.labels, labels)
        if len(unknown):
            raise ValueError(
                f"classes must have all labels of the target, got {labels.tolist()} without "
                f"{unknown[:5].tolist()}"
            )
        places = np.searchsorted(labels, summary.labels)
        counts[places], weights[places] = summary.counts, summary.weights
    return TargetSummary(labels, counts, weights)


def class_factors_of(stream: OpenStream, class_weight: Any) -> NDArray[np.float64] | None:
    """Return what the weights of rows are multiplied by, for each label; None for nothing.

    Raises
    ------
    ValueError
        The target holds no labels, one a row.
    """
    if class_weight is None:
        return None
    if stream.summary is None:
        raise ValueError(
            f"class_weight={class_weight!r:.80} needs labels, one a row, got a target of numbers "
            "or of several columns; use the column sample_weight of the stream"
        )
    factors = class_factors(class_weight, stream.summary.labels, stream.summary.weights)
    return None if (factors == 1.0).all() else factors


@dataclass(frozen=True)
class StreamRows:
    """The `RowSource` of a stream: many blocks an epoch.

    Parameters
    ----------
    stream : OpenStream
    encode : callable
        `(y of some rows) -> their targets as the loss takes them`.
    batch_size : int
    shuffle : bool
    seed : int
        Of the orders of row groups and of the rows in the buffer.
    class_factors : ndarray of float64 of shape (n_labels,), optional
        What the weight of a row is multiplied by, by its label.
    """

    stream: OpenStream
    encode: Callable[[NDArray[Any]], NDArray[Any]]
    batch_size: int
    shuffle: bool = True
    seed: int = 0
    class_factors: NDArray[np.float64] | None = None

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""
        return self.stream.reader.n_rows

    @property
    def mean_weight(self) -> float:
        """Of all rows, which weights are divided by."""
        total, summary = self.stream.total_weight, self.stream.summary
        if self.class_factors is not None and summary is not None:
            total = float(self.class_factors @ summary.weights)
        return total / self.n_rows

    def start(self) -> TrainingData:
        """Return data of no rows, in the form of the blocks to come, to make a trainer with."""
        X, y = self.stream.form()
        return TrainingData(X[:0], self.encode(y)[:0], self._weights(None, 0), self.mean_weight)

    def fingerprint(self) -> Mapping[str, str]:
        """Return what tells these rows from others."""
        return {"X": self.stream.described()}

    def state(self) -> OrderState:
        """Return nothing: seed and epoch tell all."""
        return {}, {}

    def restore(self, state: OrderState) -> None:
        """Do nothing."""

    def blocks(self, epoch: int) -> Iterator[Block]:
        """Yield the blocks of an epoch, counted from 0, with the order of the rows in each.

        All blocks lie in the same memory.
        """
        reader, groups = self.stream.reader, None
        if self.shuffle:
            groups = permutation(self.seed, epoch, reader.n_groups)
        rows, scale = rows_of_block(self.stream.buffer_rows, self.batch_size), self.mean_weight
        for i, block in enumerate(reader.blocks(rows, groups, self.encode)):
            weight = self._weights(block.sample_weight, len(block.X), block.y)
            if self.shuffle:
                order = block_order(self.seed, epoch, i, len(block.X))
            else:
                order = np.arange(len(block.X), dtype=np.int64)
            yield TrainingData(block.X, block.y, weight, scale), order

    def _weights(
        self, given: NDArray[np.float64] | None, n: int, targets: Any = None
    ) -> NDArray[np.float64] | None:
        """Return the weights (n,) of some rows, over the mean of all; None where all are one."""
        if self.class_factors is None and not self.stream.reader.has_weights:
            return None
        weights = np.ones(n) if given is None else given
        if self.class_factors is not None and n > 0:
            codes = targets if targets.ndim == 1 else (targets.ravel() > 0.5).astype(np.intp)
            weights = weights * self.class_factors[codes]
        return weights / self.mean_weight
