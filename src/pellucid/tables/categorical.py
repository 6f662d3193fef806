"""Categories as one-hot network inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pellucid.tables.row_weights import Weights, counts_of, n_rows


@dataclass(frozen=True)
class CategoricalEncoding:
    """One column of categories: a 0/1 column for each, one for the rare and one for missing.

    A category that was not seen in training takes the slot of the rare ones. Where training
    had no rare categories there is no such slot (nothing could have taught its weights) and an
    unseen category is all zeros; likewise for missing values.

    Attributes
    ----------
    categories : tuple of str
        Those with a column of their own, in alphabetical order.
    rare, missing : bool
        Whether there is a column for rare and unseen categories, and one for missing values.
    """

    categories: tuple[str, ...]
    rare: bool
    missing: bool

    @classmethod
    def fit(
        cls,
        values: npt.NDArray[np.object_],
        min_count: int,
        max_categories: int,
        weights: Weights = None,
    ) -> Self:
        """Learn from the training values, shape (n,), str or None where missing.

        Parameters
        ----------
        values : ndarray of object
        min_count : int
            Categories seen fewer times share the slot of the rare ones. Tables of fewer than
            50 (min_count - 1) rows use 1 + n // 50 instead, so that small tables keep theirs.
        max_categories : int
            At most so many categories get a slot, the most frequent first.
        weights : ndarray of float64, shape (n,), optional
            How many rows each one counts for.
        """
        counts, n_missing = counts_of(values, weights)
        least = min(min_count, 1 + n_rows(weights, len(values)) // 50)
        # Five times 0.2 is one, also where its sum in float64 is not.
        counts = {text: round(count, 9) for text, count in counts.items()}
        frequent = [text for text, count in counts.items() if count >= least]
        frequent.sort(key=lambda text: (-counts[text], text))
        kept = sorted(frequent[:max_categories])
        return cls(tuple(kept), len(kept) < len(counts), n_missing > 0)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the output columns add to the input's name."""
        named = tuple(f"_{category}" for category in self.categories)
        return named + ("_(rare)",) * self.rare + ("_(missing)",) * self.missing

    def write(self, values: npt.NDArray[np.object_], out: npt.NDArray[np.floating[Any]]) -> None:
        """Encode values, shape (n,), into out, shape (n, len(suffixes)), which is all zeros."""
        n_categories = len(self.categories)
        slots: dict[str | None, int] = {text: j for j, text in enumerate(self.categories)}
        unseen = n_categories if self.rare else -1
        slots[None] = n_categories + self.rare if self.missing else -1
        codes = np.fromiter((slots.get(v, unseen) for v in values), np.intp, len(values))
        rows = np.flatnonzero(codes >= 0)
        out[rows, codes[rows]] = 1.0

    def to_state(self) -> dict[str, Any]:
        """Return what :meth:`from_state` needs, as JSON can hold it."""
        return {"categories": list(self.categories), "rare": self.rare, "missing": self.missing}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_state`."""
        categories = state["categories"]
        if not isinstance(categories, list) or not all(isinstance(c, str) for c in categories):
            raise ValueError("categories must be a list of texts")
        return cls(tuple(categories), bool(state["rare"]), bool(state["missing"]))
