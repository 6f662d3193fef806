"""When training has stopped improving."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class NoImprovement:
    """scikit-learn's rule: count the epochs in a row that improve on the best by less than `tol`.

    The count compares with the best value so far plus `tol`; the best value itself moves at any
    improvement, however small. A value that is not a number counts as no improvement.

    Parameters
    ----------
    tol : float
        Smallest improvement that counts.
    patience : float
        The rule says stop when the count *exceeds* it; infinity never stops.
    sign : {1, -1}
        1 where higher is better (a score), -1 where lower is better (a loss).
    best : float
        Best value so far; NaN stands for the worst possible.
    count : int
        Epochs in a row without improvement.

    Examples
    --------
    >>> rule = NoImprovement(tol=0.1, patience=1, sign=-1)
    >>> for loss in (1.0, 0.5, 0.45, 0.44):
    ...     is_best = rule.update(loss)
    >>> rule.best, rule.count, rule.exhausted
    (0.44, 2, True)
    """

    tol: float
    patience: float
    sign: int
    best: float = math.nan
    count: int = 0

    def __post_init__(self) -> None:
        if math.isnan(self.best):
            self.best = -self.sign * math.inf

    def update(self, value: float) -> bool:
        """Take the value of one more epoch; return whether it is the best so far."""
        gained, best = self.sign * value, self.sign * self.best
        self.count = 0 if gained >= best + self.tol else self.count + 1
        is_best = gained > best
        if is_best:
            self.best = value
        return is_best

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self.count > self.patience
