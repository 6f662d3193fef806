"""One-hot encoding of categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pellucid.tables.row_weights import Weights, counts_of, n_rows


@dataclass(frozen=True)
class CategoricalEncoding:
    """Encoding of a categorical column: one 0/1 column per category.

    Rare categories share one column, and missing values have another. A category that was not seen
    in training is encoded as rare. If the training data had no rare categories, there is no such
    column (its weights could not be learned) and unseen categories are encoded as all zeros. The
    same applies to missing values.

    Attributes
    ----------
    categories : tuple of str
        Categories with their own column, in alphabetical order.
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
        """Learn the encoding from training values.

        Parameters
        ----------
        values : ndarray of object, shape (n,)
            str, or None for missing values.
        min_count : int
            Minimum number of rows of a category; others are rare. Tables of fewer than
            50 (min_count - 1) rows use 1 + n // 50 instead, so that they keep their categories.
        max_categories : int
            Maximum number of categories; the most frequent ones are kept.
        weights : ndarray of float64, shape (n,), optional
            Number of rows that each value counts for.
        """
        counts, n_missing = counts_of(values, weights)
        least = min(min_count, 1 + n_rows(weights, len(values)) // 50)
        # Five weights of 0.2 must count as one row, even if their float64 sum is below 1.
        counts = {text: round(count, 9) for text, count in counts.items()}
        frequent = [text for text, count in counts.items() if count >= least]
        frequent.sort(key=lambda text: (-counts[text], text))
        kept = sorted(frequent[:max_categories])
        return cls(tuple(kept), len(kept) < len(counts), n_missing > 0)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes that the output columns append to the input's name."""
        named = tuple(f"_{category}" for category in self.categories)
        return named + ("_(rare)",) * self.rare + ("_(missing)",) * self.missing

    def write(self, values: npt.NDArray[np.object_], out: npt.NDArray[np.floating[Any]]) -> bool:
        """Encode values, shape (n,), into out, shape (n, len(suffixes)), initially all zeros.

        Returns
        -------
        bool
            Whether every value has a category of its own: none is missing, rare or unseen.
        """
        n = len(self.categories)
        slots: dict[str | None, int] = {text: j for j, text in enumerate(self.categories)}
        slots[None] = n + 1
        codes = np.fromiter((slots.get(v, n) for v in values), np.intp, len(values))
        all_known = bool((codes < n).all())
        if not all_known:
            rare, missing = n if self.rare else -1, n + self.rare if self.missing else -1
            codes = np.array([*range(n), rare, missing])[codes]
        rows = np.flatnonzero(codes >= 0)
        out[rows, codes[rows]] = 1.0
        return all_known

    def to_state(self) -> dict[str, Any]:
        """Return a JSON-serializable state for :meth:`from_state`."""
        return {"categories": list(self.categories), "rare": self.rare, "missing": self.missing}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Restore an encoding from the result of :meth:`to_state`."""
        categories = state["categories"]
        if not isinstance(categories, list) or not all(isinstance(c, str) for c in categories):
            raise ValueError("categories must be a list of strings")
        return cls(tuple(categories), bool(state["rare"]), bool(state["missing"]))
