"""Encode numbers and times as standardized network inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pellucid.tables.row_weights import Weights, deviation, mean, of, quantiles, sample

#: Squares of larger values would overflow float64.
LARGEST = 1e150
#: Values farther from the median than this many interquartile ranges are clipped. Otherwise a
#: placeholder such as 1e30 for "unknown" would squeeze all other values together.
FENCE = 1000.0

#: Numbers are far out if they are beyond the range of training by more than its width, and by more
#: than this factor: years and months go on, and 0.5 km are not far from 1 km. Positive numbers are
#: far out as well if they are less than the smallest of positive ones divided by this factor.
FAR_FACTOR = 2.0

#: Maximum number of values, drawn at random, from which quantiles are computed.
MOST_VALUES_SORTED = 100_000
#: Number of rows for which pieces are computed at once; they fit in the cache.
ROWS_AT_A_TIME = 4096

FloatVector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NumericEncoding:
    """Encoding of a column of numbers: z = (x - mean) / scale, a missing indicator, and pieces.

    Networks fit smooth functions well. A target that jumps at a value of x is easier to learn from
    a piecewise linear encoding (Gorishniy et al. 2022, "On embeddings for numerical features in
    tabular deep learning", section 3.2). Piece j between the edges e_j and e_j+1 is

        min(1, max(0, (x - e_j) / (e_j+1 - e_j))).

    The edges are quantiles of the training values and of their distinct values. Both dense and
    sparse parts of the range are therefore divided.

    Attributes
    ----------
    mean, scale : float
        Mean and standard deviation of the training values.
    lower, upper : float
        Limits to which values, including infinity, are clipped before z is computed: the training
        range, extended by its width on both sides.
    indicator : bool
        Whether an additional column is 1 for missing values. It exists if values were missing in
        training. Missing values are encoded as the mean, z = 0.
    edges : tuple of float
        Increasing edges of the pieces, one more than there are pieces; empty without pieces.
    """

    mean: float
    scale: float
    lower: float
    upper: float
    indicator: bool
    edges: tuple[float, ...] = ()

    @classmethod
    def fit(cls, values: FloatVector, n_pieces: int = 0, weights: Weights = None) -> Self:
        """Learn the encoding from training values.

        Parameters
        ----------
        values : ndarray of float64, shape (n,)
            NaN for missing values.
        n_pieces : int
            Half the maximum number of pieces; 0 for none.
        weights : ndarray of float64, shape (n,), optional
            Number of rows that each value counts for.
        """
        known = np.isfinite(values)
        finite, weights = np.clip(values[known], -LARGEST, LARGEST), of(weights, known)
        indicator = bool(np.isnan(values).any())
        if len(finite) == 0:
            return cls(0.0, 1.0, -1.0, 1.0, indicator)
        some, some_weights = sample(finite, weights, MOST_VALUES_SORTED)
        low, median, high = quantiles(some, [0.25, 0.5, 0.75], some_weights)
        if high > low:
            reach = FENCE * (high - low)
            finite = np.clip(finite, median - reach, median + reach)
            some = np.clip(some, median - reach, median + reach)
        smallest, largest = float(finite.min()), float(finite.max())
        width = largest - smallest
        scale = float(deviation(finite, weights))
        usable = width > 0 and np.isfinite(scale) and scale > 0
        return cls(
            mean=float(mean(finite, weights)),
            scale=scale if usable else 1.0,
            lower=smallest - width,
            upper=largest + width,
            indicator=indicator,
            edges=_edges(some, n_pieces, some_weights) if usable else (),
        )

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and largest training value, but for rounding and outliers."""
        width = (self.upper - self.lower) / 3.0
        return self.lower + width, self.upper - width

    def too_small(self, values: FloatVector) -> npt.NDArray[np.bool_]:
        """Return which positive values are much smaller than all of training, if it had no others.

        Likewise for negative ones. Such values are in other units, as 0.01 for 1 %.
        """
        low, high = self.range
        sign, smallest = (1.0, low) if low > 0 else (-1.0, -high)
        sizes = sign * values if smallest > 0 else np.zeros(len(values))
        mask: npt.NDArray[np.bool_] = (sizes > 0) & (sizes < smallest / FAR_FACTOR)
        return mask

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes that the output columns append to the input's name."""
        pieces = [f"_piece_{j + 1}" for j in range(len(self.edges) - 1)]
        return ("", "_missing", *pieces) if self.indicator else ("", *pieces)

    def write(self, values: FloatVector, out: npt.NDArray[np.floating[Any]]) -> bool:
        """Encode values, shape (n,), into out, shape (n, len(suffixes)), initially all zeros.

        Returns
        -------
        bool
            Whether all values are finite, and at least half are within the limits and not too
            small: nothing of them is alarming.
        """
        x = np.clip(values, self.lower, self.upper)
        n_clipped = int(np.count_nonzero(x != values))  # NaN is unlike itself.
        is_plain = n_clipped == 0 or bool(np.isfinite(values).all())
        if not is_plain:
            missing = np.isnan(x)
            x[missing] = self.mean
            if self.indicator:
                out[:, 1] = missing
        first = 2 if self.indicator else 1
        if self.edges:
            self._write_pieces(x, out[:, first:])
        x -= self.mean
        x /= self.scale
        out[:, 0] = x
        n_far = n_clipped + np.count_nonzero(self.too_small(values))
        return is_plain and bool(2 * n_far <= len(values))

    def _write_pieces(self, x: FloatVector, out: npt.NDArray[np.floating[Any]]) -> None:
        low = np.array(self.edges[:-1])
        width = np.diff(self.edges)
        for start in range(0, len(x), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            pieces = np.subtract.outer(x[rows], low)
            pieces /= width
            np.clip(pieces, 0.0, 1.0, out=pieces)
            out[rows] = pieces

    def to_state(self) -> dict[str, Any]:
        """Return a JSON-serializable state for :meth:`from_state`."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "lower": self.lower,
            "upper": self.upper,
            "indicator": self.indicator,
            "edges": list(self.edges),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Restore an encoding from the result of :meth:`to_state`; raise ValueError if invalid."""
        numbers = {name: float(state[name]) for name in ("mean", "scale", "lower", "upper")}
        edges = tuple(float(edge) for edge in state["edges"])
        if not all(map(math.isfinite, numbers.values())) or numbers["scale"] <= 0:
            raise ValueError(f"numbers cannot be standardized with {numbers}")
        if numbers["lower"] > numbers["upper"]:
            raise ValueError(f"values cannot be clipped between {numbers}")
        if any(not low < high for low, high in pairwise(edges)) or len(edges) == 1:
            raise ValueError("the edges of pieces must increase")
        limits = numbers["lower"], numbers["upper"]
        furthest = max(abs(limit - numbers["mean"]) for limit in limits) / numbers["scale"]
        if not furthest <= _LARGEST_FLOAT32:
            raise ValueError(f"standardized values are beyond float32 with {numbers}")
        if edges:
            narrowest = min(high - low for low, high in pairwise(edges))
            largest = max(map(abs, (*edges, *limits, numbers["mean"])))
            if not math.isfinite(2.0 * largest / narrowest):
                raise ValueError("the edges of pieces must be finite numbers, not too close")
        return cls(**numbers, indicator=bool(state["indicator"]), edges=edges)


def n_pieces_of(values: FloatVector, most: int) -> int:
    """Return the number of different pieces that a column of numbers can use, at most `most`.

    A column with d different values has d - 1; with two values, the standardized number says all.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    most : int
    """
    known = values[np.isfinite(values)]
    if len(np.unique(known[:1000])) > most:
        return most
    n_different = len(np.unique(known))
    return min(n_different - 1, most) if n_different > 2 else 0


def _edges(values: FloatVector, n_pieces: int, weights: Weights) -> tuple[float, ...]:
    """Return the edges of at most 2 n_pieces pieces, none of which are alike in training.

    They are the distinct values if these are few, else quantiles of the values and of the distinct
    values; none if there are fewer than 3.
    """
    if n_pieces == 0:
        return ()
    distinct = np.unique(values)
    if len(distinct) <= 2 * n_pieces + 1:
        edges = distinct
    else:
        levels = np.linspace(0.0, 1.0, n_pieces + 1)
        crowded = quantiles(values, levels, weights)
        edges = np.unique(np.concatenate([crowded, np.quantile(distinct, levels)]))
    smallest_gap = 1e-9 * (edges[-1] - edges[0])
    kept = edges[np.concatenate([[True], np.diff(edges) > smallest_gap])]
    kept = _without_twins(kept, distinct)
    return tuple(kept.tolist()) if len(kept) > 2 else ()


def _without_twins(edges: FloatVector, distinct: FloatVector) -> FloatVector:
    """Leave out edges between pieces that lie between the same two neighbouring values.

    Such pieces are 0 up to the one value and 1 from the other on: the same input twice.
    """
    low = np.searchsorted(distinct, edges[:-1], side="right")
    high = np.searchsorted(distinct, edges[1:], side="left")
    is_twin = (low[1:] == low[:-1]) & (high[1:] == low[1:]) & (high[:-1] == low[:-1])
    kept: FloatVector = edges[np.concatenate([[True], ~is_twin, [True]])]
    return kept


_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
DAY, _ROUNDING = 86_400.0, 1e-3
_CYCLES = {"day_of_year": 365.2425 * DAY, "day_of_week": 7 * DAY, "time_of_day": DAY}


@dataclass(frozen=True)
class DatetimeEncoding:
    """Encoding of a column of times: seconds since 1970 as a number, and cycles.

    The day of the year, the day of the week and the time of day are each encoded as the pair
    sin 2πt/T, cos 2πt/T, where T is the length of the cycle, so that 23:59 is close to 00:00.
    Cycles that do not vary in training, or are longer than the time range of the training values,
    are omitted. Missing times are 0 in every column and 1 in the indicator.

    Attributes
    ----------
    seconds : NumericEncoding
    cycles : tuple of str
        The encoded cycles, out of "day_of_year", "day_of_week" and "time_of_day".
    """

    seconds: NumericEncoding
    cycles: tuple[str, ...]

    @classmethod
    def fit(cls, values: FloatVector, weights: Weights = None) -> Self:
        """Learn the encoding from seconds since 1970, shape (n,), with NaN for missing values."""
        finite = values[np.isfinite(values)]
        span = float(finite.max() - finite.min()) if len(finite) else 0.0
        cycles = [
            name
            for name, length in _CYCLES.items()
            if span >= 0.5 * length and np.ptp(_phase(name, finite)) > 1e-9
        ]
        return cls(NumericEncoding.fit(values, weights=weights), tuple(cycles))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes that the output columns append to the input's name."""
        pairs = [f"_{name}_{part}" for name in self.cycles for part in ("sin", "cos")]
        return (*self.seconds.suffixes, *pairs)

    @property
    def are_clock_times(self) -> bool:
        """Whether the training values were times of day, without a date."""
        smallest, largest = self.seconds.range
        return smallest > -_ROUNDING and largest < DAY + _ROUNDING

    def write(self, values: FloatVector, out: npt.NDArray[np.floating[Any]]) -> bool:
        """Encode seconds, shape (n,), into out, shape (n, len(suffixes)), initially all zeros.

        Returns
        -------
        bool
            As for :meth:`NumericEncoding.write`.
        """
        first = len(self.seconds.suffixes)
        is_plain = self.seconds.write(values, out[:, :first])
        missing = np.isnan(values)
        seconds = np.clip(values, self.seconds.lower, self.seconds.upper)
        for i, name in enumerate(self.cycles):
            angle = 2 * np.pi * _phase(name, np.where(missing, 0.0, seconds))
            out[:, first + 2 * i] = np.where(missing, 0.0, np.sin(angle))
            out[:, first + 2 * i + 1] = np.where(missing, 0.0, np.cos(angle))
        return is_plain

    def to_state(self) -> dict[str, Any]:
        """Return a JSON-serializable state for :meth:`from_state`."""
        return {"seconds": self.seconds.to_state(), "cycles": list(self.cycles)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Restore an encoding from the result of :meth:`to_state`."""
        cycles = tuple(str(name) for name in state["cycles"])
        if unknown := set(cycles) - set(_CYCLES):
            raise ValueError(f"unknown cycles {sorted(unknown)}")
        return cls(NumericEncoding.from_state(state["seconds"]), cycles)


def _phase(cycle: str, seconds: FloatVector) -> FloatVector:
    """Return the position of each time in its cycle, in [0, 1); for days, in whole days."""
    length = _CYCLES[cycle]
    shown = seconds if cycle == "time_of_day" else np.floor(seconds / DAY) * DAY
    return np.asarray(np.mod(shown, length) / length, dtype=np.float64)
