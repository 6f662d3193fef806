"""Tell where a table differs from the one that an encoder was fitted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from html import escape
from typing import Any, NamedTuple, Self, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from pellucid.outside_warning import warn_outside
from pellucid.tables.categorical import CategoricalEncoding
from pellucid.tables.missing_words import is_missing_word
from pellucid.tables.numeric import FAR_FACTOR, DatetimeEncoding, NumericEncoding
from pellucid.tables.row_weights import Weights
from pellucid.tables.table import Column, Storage, Table, TableError
from pellucid.tables.text import text_of_number

Encoding = NumericEncoding | DatetimeEncoding | CategoricalEncoding
Mask = npt.NDArray[np.bool_]


class Alarm(NamedTuple):
    """When a share of cells is told of.

    Attributes
    ----------
    threshold : float
        It must be larger than in training by more than this.
    may_be_chance : bool
        Whether training may have missed such cells by chance: a category may be rare, but a column
        of numbers without other text in training has none.
    """

    threshold: float
    may_be_chance: bool


THRESHOLD = 0.05
#: What is told of.
ALARMS = {
    "unparseable": Alarm(THRESHOLD, may_be_chance=False),
    "unseen": Alarm(THRESHOLD, may_be_chance=True),
    "infinite": Alarm(THRESHOLD, may_be_chance=False),
    "far_out": Alarm(0.5, may_be_chance=True),
    "missing": Alarm(THRESHOLD, may_be_chance=True),
}
#: A share that would be as large with more than this probability, if rows were as in training, is
#: not told of.
CHANCE = 0.001

_MOST_EXAMPLES = 3
_MOST_COLUMNS_TOLD = 5
_WHAT = {"numeric": "numbers", "boolean": "true or false", "datetime": "dates"}


class DataDriftWarning(UserWarning):
    """A table differs so much from that of training that predictions may be wrong.

    Attributes
    ----------
    report : DriftReport or None
        The shares of the columns that have missing, unparseable, unseen, infinite or many
        out-of-range cells.
    """

    report: DriftReport | None = None


@dataclass(frozen=True)
class CellShares:
    """Shares of the cells of a column.

    Attributes
    ----------
    missing : float
        Share of the rows whose cell is empty or means a missing value.
    unparseable : float
        Share of the cells that are not missing and are no number, no date in a column of dates, or
        no time of day in a column of these. They are encoded as missing.
    unseen : float
        Share of the cells that are not missing and whose category is rare in training, or does not
        occur there.
    infinite : float
        Share of the cells that are not missing and are infinite.
    out_of_range : float
        Share of the cells that are not missing and are smaller or larger than all numbers of
        training, not counting its outliers.
    far_out : float
        Share of the cells that are not missing and are so far out of range that other units are to
        be suspected: by more than the width of the range, and by more than a factor of two; or
        positive where training had positive numbers only, and below half of the smallest (likewise
        for negative ones). Dates never are.
    """

    missing: float = 0.0
    unparseable: float = 0.0
    unseen: float = 0.0
    infinite: float = 0.0
    out_of_range: float = 0.0
    far_out: float = 0.0


KINDS_OF_CELLS = tuple(field.name for field in fields(CellShares))


@dataclass(frozen=True)
class Cells:
    """What the cells of a column are.

    Attributes
    ----------
    n_rows : float
        Number of rows, where a row counts as often as its weight says.
    storage : {"number", "boolean", "datetime", "text"}
        How the column was stored.
    shares : CellShares
    """

    n_rows: float
    storage: Storage
    shares: CellShares

    def n_of(self, kind: str) -> float:
        """Return the number of cells of which the share of a kind of cells is a share."""
        return self.n_rows if kind == "missing" else self.n_rows * (1.0 - self.shares.missing)

    def to_state(self) -> dict[str, Any]:
        """Return a JSON-serializable state for :meth:`from_state`."""
        return {"rows": self.n_rows, "storage": self.storage, **asdict(self.shares)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Restore cells from the result of :meth:`to_state`; raise ValueError if invalid."""
        storage = next((known for known in get_args(Storage) if known == state["storage"]), None)
        # Files of before do not know of cells that are far out.
        known = {"far_out": 0.0, **state}
        shares = {name: float(known[name]) for name in KINDS_OF_CELLS}
        n_rows = float(state["rows"])
        if storage is None or not 0 < n_rows < 2**63:
            raise ValueError(f"no column has {state['rows']!r} rows stored as {state['storage']!r}")
        if not all(0.0 <= share <= 1.0 for share in shares.values()):
            raise ValueError(f"shares of cells must be between 0 and 1, got {shares}")
        return cls(n_rows, storage, CellShares(**shares))


@dataclass(frozen=True)
class ColumnDrift:
    """How a column differs from that of training.

    Attributes
    ----------
    name : str
    kind : {"numeric", "boolean", "categorical", "datetime"}
    shares : CellShares
        Shares of the cells of the table.
    training : CellShares or None
        Shares of the cells in training; None if the model's file does not tell them.
    examples : tuple of str
        The most frequent unparseable or unseen texts.
    alarms : tuple of str
        The kinds of cells that are so much more frequent than in training that a warning says so:
        "unparseable", "unseen", "infinite", "far_out", "missing".
    range : tuple of float, or None
        The smallest and largest number of training, not counting its outliers; None for categories.
    what : str
        What the cells were in training, such as "numbers" or "times of day".
    """

    name: str
    kind: str
    shares: CellShares
    training: CellShares | None
    examples: tuple[str, ...]
    alarms: tuple[str, ...]
    range: tuple[float, float] | None = None
    what: str = "categories"

    def sentence(self, alarm: str) -> str:
        """Return what is to be said of a kind of cells."""
        rare = "rare or " if self.training is None or self.training.unseen else ""
        low, high = self.range or (0.0, 0.0)
        what = {
            "unparseable": f"not {self.what}",
            "unseen": f"{rare}unseen categories",
            "far_out": f"far out of the range of training, {low:.6g} to {high:.6g}",
        }.get(alarm, alarm)
        has_examples = alarm in ("unparseable", "unseen") and self.examples
        such_as = f", such as {', '.join(map(repr, self.examples))}" if has_examples else ""
        now = _percent(getattr(self.shares, alarm))
        then = f" ({_percent(getattr(self.training, alarm))} in training)" if self.training else ""
        filled = "" if alarm == "missing" or self.shares.missing == 0 else "filled "
        return f"{self.name!r}: {now} of the {filled}cells are {what}{such_as}{then}"


@dataclass(frozen=True)
class DriftReport:
    """How the columns of a table differ from those of training; `print` it.

    Attributes
    ----------
    n_rows : int
        Number of rows of the table.
    columns : tuple of ColumnDrift
        The columns that the model uses.
    """

    n_rows: int
    columns: tuple[ColumnDrift, ...]

    @property
    def alarms(self) -> tuple[str, ...]:
        """Sentences about what is much more frequent than in training; empty if nothing is."""
        return tuple(column.sentence(alarm) for column in self.columns for alarm in column.alarms)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {"rows": self.n_rows, "columns": [asdict(column) for column in self.columns]}

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        aligned = [
            "  ".join(
                cell.ljust(width) if j < 2 else cell.rjust(width)
                for j, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines = [f"{self.n_rows:,} rows: shares of cells (and in training)", *aligned]
        if self.alarms:
            lines += ["", "Much more frequent than in training:", *self.alarms]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *body = self._rows()
        cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body]
        titles = "".join(f"<th>{escape(title)}</th>" for title in head)
        told = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.alarms)
        lines = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table><tr>{titles}</tr>{lines}</table>{told}"

    def _rows(self) -> list[list[str]]:
        titles = [name.replace("_", " ") for name in KINDS_OF_CELLS]
        rows = [["column", "kind", *titles]]
        for column in self.columns:
            shares = [_now_and_then(column, name) for name in KINDS_OF_CELLS]
            rows.append([column.name, column.kind, *shares])
        return rows


@dataclass(frozen=True)
class JudgedTable(Table):
    """A table whose drift has been told of, so that no other encoder needs to."""


def count_cells(
    column: Column, read: Column, encoding: Encoding, weights: Weights = None
) -> tuple[Cells, tuple[str, ...]]:
    """Count the cells of a column, and return the texts that are unparseable or unseen.

    Parameters
    ----------
    column : Column
        As it was given.
    read : Column
        In the storage that the encoding takes.
    encoding : encoding of the column
    weights : ndarray of float64, shape (n_rows,), optional
        Number of rows that each row counts for.
    """
    n_rows = float(len(column.values) if weights is None else weights.sum())
    if not isinstance(encoding, CategoricalEncoding) and _is_plain(read, encoding):
        return Cells(n_rows, column.storage, CellShares()), ()
    missing = _missing(column, encoding)
    kinds = _kinds_of(read, encoding, ~missing)
    n_filled = _count(~missing, weights)
    counts = {kind: _count(mask, weights) for kind, mask in kinds.items()} if n_filled else {}
    shares = {kind: min(1.0, count / n_filled) for kind, count in counts.items()}
    n_missing = min(n_rows, _count(missing, weights))
    odd = kinds["unseen" if isinstance(encoding, CategoricalEncoding) else "unparseable"]
    cells = Cells(n_rows, column.storage, CellShares(n_missing / n_rows, **shares))
    return cells, _examples(column, odd)


def drift_of(
    name: str,
    kind: str,
    encoding: Encoding,
    cells: Cells,
    examples: tuple[str, ...],
    training: Cells | None,
) -> ColumnDrift:
    """Compare the cells of a column with those of training."""
    alarms = tuple(alarm for alarm in ALARMS if _is_alarming(alarm, cells, training))
    then = None if training is None else training.shares
    drift = ColumnDrift(name, kind, cells.shares, then, examples, alarms)
    if isinstance(encoding, CategoricalEncoding):
        return drift
    are_clock_times = isinstance(encoding, DatetimeEncoding) and encoding.are_clock_times
    what = "times of day" if are_clock_times else _WHAT[kind]
    return replace(drift, range=_numbers(encoding).range, what=what)


def warn_of_drift(report: DriftReport) -> None:
    """Warn if a column differs much from that of training."""
    alarms = report.alarms
    if not alarms:
        return
    told = "; ".join(alarms[:_MOST_COLUMNS_TOLD])
    more = len(alarms) - _MOST_COLUMNS_TOLD
    warning = DataDriftWarning(
        f"The table differs from that of training, so predictions may be wrong: {told}"
        f"{f'; and {more} more' if more > 0 else ''}."
    )
    warning.report = report
    warn_outside(warning)


def check_is_readable(drift: ColumnDrift, column: Column, training: Cells | None) -> None:
    """Raise TableError if a column of numbers or dates has cells, and none is one."""
    if drift.shares.unparseable < 1.0 or "unparseable" not in drift.alarms:
        return
    what = drift.what
    if column.storage != "text":
        is_dated = column.storage == "datetime"
        raise TableError(
            f"Column {column.name!r} holds {'dates' if is_dated else 'numbers'}, but "
            f"training had {'text of ' if training and training.storage == 'text' else ''}{what} "
            "there. Convert it to what it was."
        )
    raise TableError(
        f"Column {column.name!r}: none of its cells are {what}, as they were in training: "
        f"{', '.join(map(repr, drift.examples))}. Convert them, or leave them empty if they are to "
        "be taken as missing."
    )


def fits_storage(kind: str, column: Column, training: Cells | None) -> bool:
    """Return whether a column can be what it was: dates are no numbers, numbers are no dates."""
    if training is None or column.storage == training.storage or kind == "categorical":
        return True
    return column.storage == "text" or (column.storage == "datetime") == (kind == "datetime")


def _is_alarming(alarm: str, cells: Cells, training: Cells | None) -> bool:
    share, n = getattr(cells.shares, alarm), round(cells.n_of(alarm))
    threshold, may_be_chance = ALARMS[alarm]
    if training is None:
        return share > threshold and not may_be_chance
    before = getattr(training.shares, alarm)
    if share - before <= threshold:
        return False
    count, n_before = round(share * n), training.n_of(alarm)
    if count == 1 and before > 0:
        return False
    expected = (before * n_before + 1) / (n_before + 2) if may_be_chance else before
    # The probability that at least `count` of n cells are such: a binomial distribution.
    return float(betainc(count, n - count + 1, expected)) <= CHANCE


def _is_plain(read: Column, encoding: NumericEncoding | DatetimeEncoding) -> bool:
    """Return whether all numbers are there and in the range of training; quick."""
    low, high = _range(encoding)
    smallest, largest = read.values.min(), read.values.max()
    return bool(low <= smallest and largest <= high)  # Not if there is NaN.


def _range(encoding: NumericEncoding | DatetimeEncoding) -> tuple[float, float]:
    """Return the smallest and largest number of training, with room for rounding."""
    numbers = _numbers(encoding)
    low, high = numbers.range
    room = 1e-9 * (high - low) + 4 * float(np.spacing(max(abs(numbers.lower), abs(numbers.upper))))
    return low - room, high + room


def _numbers(encoding: NumericEncoding | DatetimeEncoding) -> NumericEncoding:
    return encoding.seconds if isinstance(encoding, DatetimeEncoding) else encoding


def _far_out(values: npt.NDArray[np.float64], encoding: NumericEncoding | DatetimeEncoding) -> Mask:
    """Return which numbers are far out; dates go on for ever."""
    if isinstance(encoding, DatetimeEncoding):
        return np.zeros(len(values), np.bool_)
    low, high = _range(encoding)
    far = _beyond(
        values,
        min(encoding.lower, low / FAR_FACTOR, low * FAR_FACTOR),
        max(encoding.upper, high / FAR_FACTOR, high * FAR_FACTOR),
    )
    return far | encoding.too_small(values)


def _missing(column: Column, encoding: Encoding) -> Mask:
    if column.storage != "text" or isinstance(encoding, CategoricalEncoding):
        return column.missing()
    known = {text: text is None or is_missing_word(text) for text in set(column.values.tolist())}
    return np.fromiter(map(known.__getitem__, column.values), np.bool_, len(column.values))


def _kinds_of(read: Column, encoding: Encoding, filled: Mask) -> dict[str, Mask]:
    if isinstance(encoding, CategoricalEncoding):
        known = set(encoding.categories)
        seen = np.fromiter((text in known for text in read.values), np.bool_, len(read.values))
        return {"unseen": filled & ~seen}
    values = read.as_float()
    infinite = np.isinf(values)
    return {
        "unparseable": filled & np.isnan(values),
        "infinite": infinite,
        "out_of_range": _beyond(values, *_range(encoding)) & ~infinite,
        "far_out": _far_out(values, encoding) & ~infinite,
    }


def _beyond(values: npt.NDArray[np.float64], low: float, high: float) -> Mask:
    with np.errstate(invalid="ignore"):
        mask: Mask = (values < low) | (values > high)
    return mask


def _count(mask: Mask, weights: Weights) -> float:
    return float(np.count_nonzero(mask) if weights is None else weights[mask].sum())


def _examples(column: Column, odd: Mask) -> tuple[str, ...]:
    cells: Iterable[Any] = column.values[odd].tolist()
    if column.storage != "text":
        cells = (str(bool(v)) if column.storage == "boolean" else text_of_number(v) for v in cells)
    return tuple(text for text, _ in Counter(cells).most_common(_MOST_EXAMPLES))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _now_and_then(column: ColumnDrift, kind: str) -> str:
    is_of_numbers = kind in ("unparseable", "infinite", "out_of_range", "far_out")
    if kind != "missing" and is_of_numbers == (column.kind == "categorical"):
        return ""
    then = "unknown" if column.training is None else _percent(getattr(column.training, kind))
    return f"{_percent(getattr(column.shares, kind))} ({then})"
