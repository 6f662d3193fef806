"""A flat buffer for all parameters of a network, accessed through named views."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np

from pellucid.nn.array import Array, namespace

ALIGNMENT = 64
"""Bytes: one cache line, and one vector of the widest instruction set."""

Role = Literal["weight", "bias", "scale", "statistic", "embedding"]
"""Purpose of an array. Penalties and weight decay apply to weights only:

- "weight": multiplied with values. Shrinking it towards 0 makes the function simpler.
- "bias": added to values.
- "scale": multiplied with one column, starting at 1 (γ of a normalization, α of a parametric
  activation). Shrinking it to 0 would switch the column off rather than simplify the function.
- "statistic": measured, not learned (running moments). Its gradient is 0.
- "embedding": rows of a table. A step changes the active rows only.
"""


@dataclass(frozen=True)
class Entry:
    """One named array in the flat buffer; `"2.W"` is the weight of `chain.layers[2]`."""

    name: str
    shape: tuple[int, ...]
    offset: int
    role: Role

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def span(self) -> slice:
        """Slice of the flat buffer that holds the elements, in row-major order."""
        return slice(self.offset, self.offset + self.size)


@dataclass(frozen=True)
class Layout:
    """Position of every array in the flat buffer: one after another, without padding.

    Parameters, gradients and optimizer moments share the same layout.
    """

    entries: tuple[Entry, ...]
    _by_name: Mapping[str, Entry] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {entry.name: entry for entry in self.entries})

    @property
    def size(self) -> int:
        """Length of the flat buffer."""
        return sum(entry.size for entry in self.entries)

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(self._by_name) or "none"
            raise KeyError(f"no parameter is named {name!r}; the names are: {known}") from None

    def names(self) -> tuple[str, ...]:
        """Return the names in the order of the buffer."""
        return tuple(entry.name for entry in self.entries)

    def weight_mask(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a flat mask that is True for weights and False for all other elements."""
        mask = np.zeros(self.size, dtype=np.bool_)
        for entry in self.entries:
            mask[entry.span] = entry.role == "weight"
        return mask

    def learning_rate_factors(
        self, factors: Mapping[str, float]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the learning-rate factor of each element of the flat buffer; (size,).

        Parameters
        ----------
        factors : mapping
            Factor by name. A name can be that of one array ("2.b"), a layer or a part of a layer
            ("2", "0.1"), all arrays of that name ("alpha"), or a role ("bias"). If several names
            match, the first kind in this order takes precedence; among layers and parts, the
            longest name does. Arrays without a matching name get the factor 1.
        """
        unused = dict(factors)
        flat = np.ones(self.size)
        for entry in self.entries:
            for name in _names_of(entry):
                unused.pop(name, None)
            named = [name for name in _names_of(entry) if name in factors]
            if named:
                flat[entry.span] = _checked_factor(named[0], factors[named[0]])
        if unused:
            known = ", ".join(dict.fromkeys(n for e in self.entries for n in _names_of(e)))
            raise ValueError(
                f"learning_rate_factors names {', '.join(map(repr, unused))}, which no parameter "
                f"of the network has; the names and roles are: {known or 'none'}"
            )
        return flat


def _names_of(entry: Entry) -> list[str]:
    """Return all names that match an array, most specific first."""
    parts = entry.name.split(".")
    prefixes = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return [*prefixes, parts[-1], entry.role]


def _checked_factor(name: str, value: Any) -> float:
    if not (isinstance(value, Real) and 0.0 <= float(value) < math.inf):
        raise ValueError(
            f"the learning-rate factor of {name!r} must be a number of at least 0, got {value!r}"
        )
    return float(value)


class Parameters:
    """All parameters of a network, or all their gradients, in one flat array.

    Parameters
    ----------
    flat : array of shape (layout.size,)
        Used without copying. `Parameters.zeros` and `copy` allocate it on a 64-byte boundary.
    layout : Layout
        Name, shape and position of each array.

    Examples
    --------
    >>> from pellucid.nn import Linear, Chain
    >>> params = Chain([Linear(2)], "half_squared_error").initialize(3, seed=0)
    >>> params.names()
    ('0.W', '0.b')
    >>> params["0.W"].shape
    (3, 2)
    """

    __slots__ = ("flat", "layout")

    def __init__(self, flat: Array, layout: Layout) -> None:
        if flat.shape != (layout.size,):
            raise ValueError(
                f"flat must have shape ({layout.size},) for this layout, got {flat.shape}"
            )
        self.flat = flat
        self.layout = layout

    @classmethod
    def zeros(cls, layout: Layout, dtype: Any = np.float64) -> Parameters:
        """Return all-zero parameters, aligned to a 64-byte boundary."""
        return cls(aligned_zeros(layout.size, dtype), layout)

    @classmethod
    def pack(cls, layout: Layout, arrays: Mapping[str, Array]) -> Parameters:
        """Return parameters with a copy of `arrays`, one for each name in the layout."""
        pieces = [arrays[entry.name].reshape(-1) for entry in layout.entries]
        return cls(namespace(pieces[0]).concat(pieces), layout)

    def __getitem__(self, name: str) -> Array:
        """Return the named array as a view of the flat buffer."""
        entry = self.layout[name]
        return self.flat[entry.span].reshape(entry.shape)

    def names(self) -> tuple[str, ...]:
        """Return the names in the order of the buffer."""
        return self.layout.names()

    def copy(self) -> Parameters:
        """Return an independent copy, aligned to a 64-byte boundary."""
        duplicate = Parameters.zeros(self.layout, self.flat.dtype)
        duplicate.flat[:] = self.flat
        return duplicate

    def __repr__(self) -> str:
        shapes = ", ".join(f"{entry.name} {entry.shape}" for entry in self.layout.entries)
        return f"Parameters({shapes}; {self.flat.dtype})"


def aligned_zeros(size: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Return a zero vector of `size` elements, aligned to a 64-byte boundary."""
    n_bytes = size * np.dtype(dtype).itemsize
    room = np.zeros(n_bytes + ALIGNMENT, dtype=np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + n_bytes].view(dtype)
