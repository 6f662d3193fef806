"""What regressors do with y: check numbers, choose the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils._tags import Tags

from pellucid.models.perceptron.loss import regressor_loss
from pellucid.models.predicting import Predicts
from pellucid.models.targets import NumberTargets, Targets, number_targets


class Regression(RegressorMixin, Predicts):  # type: ignore[misc]
    """Makes a regressor of a `Perceptron`."""

    loss: Any
    quantile: float
    scoring: Any

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _scoring(self) -> Any:
        # R² asks for means: it would choose the wrong epoch for quantiles and the like.
        if self.scoring is None and self.loss not in ("squared_error", "poisson"):
            return "loss"
        return self.scoring

    def _encoded_targets(self, y: Any, dtype: Any) -> NDArray[Any]:
        return self._known_targets().encode(y, dtype)

    def _learned_or_known(self, y: NDArray[Any], known: Targets | None) -> Targets:
        """Return what numbers mean: what they meant before, or learned from their form."""
        is_count = regressor_loss(self.loss, self.quantile).name == "poisson"
        targets = number_targets(y, at_least_zero=is_count)
        if known is None:
            return targets
        if targets.n_outputs != known.n_outputs:
            raise ValueError(
                f"y must have {known.n_outputs} outputs as in the previous call, got "
                f"{targets.n_outputs}; use fit with warm_start=False to start afresh"
            )
        assert isinstance(known, NumberTargets)
        return NumberTargets(known.n_outputs, targets.is_vector, known.mean, known.scale, is_count)


def check_dense_numbers(y: Any) -> None:
    """Raise ValueError for sparse matrices and text, of which scikit-learn says less."""
    if scipy.sparse.issparse(y):
        raise ValueError("a regressor needs dense y, got a sparse matrix; pass y.toarray()")
    values = np.asarray(y)
    has_text = values.dtype.kind in "US" or (
        values.dtype.kind == "O" and any(isinstance(value, str) for value in values.ravel())
    )
    if has_text:
        raise ValueError("a regressor needs numbers as y, got text; for classes use MLPClassifier")


def checked_numbers(y: NDArray[Any]) -> NDArray[Any]:
    """Return y, which scikit-learn has checked, with a single column made one-dimensional."""
    if y.dtype.kind not in "biuf":
        raise ValueError(f"a regressor needs numbers as y, got dtype {y.dtype}")
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
