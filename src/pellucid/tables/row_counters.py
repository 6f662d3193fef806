"""Columns that number the rows: by their name, or by their order."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.tables.row_weights import FloatVector

#: Minimum number of rows to recognize a column of distinct values as an id or free text.
FEWEST_ROWS_TO_JUDGE = 20
#: Distinct integers that fill at least this fraction of their range may be a row counter …
COUNTER_DENSITY = 0.5
#: … in tables with at least this many rows, whatever the column's name.
FEWEST_ROWS_OF_COUNTER = 100
#: The order of the rows tells of the target if chance does so with at most this probability.
SIGNIFICANCE = 0.01

_MOST_CLASSES = 20
_N_PARTS = 4
_ID_NAME = re.compile(
    r"^$|^unnamed: ?\d+$|^row([_. -]?(no|nr|num|number|names?|index))?$"
    r"|(^|^row|[_ .-])(id|uuid|guid)$",
    re.IGNORECASE,
)
_ID_SUFFIX = re.compile(r"[a-z0-9](Id|ID|UUID|GUID)$")
_MAY_BE_ID_NAME = re.compile(
    r"(^|[_ .-])(index|idx|key|code|no|nr|num|number|obs|observation|record|instant)\.?$",
    re.IGNORECASE,
)
_MAY_BE_ID_SUFFIX = re.compile(r"[a-z0-9](Index|Key|Code|No|Nr|Number)$")


def is_id_name(name: str) -> bool:
    """Return whether a column is called an id, or the number of a row.

    Examples
    --------
    >>> from pellucid.tables.row_counters import is_id_name
    >>> is_id_name("customerId"), is_id_name("atomic_number")
    (True, False)
    """
    return bool(_ID_NAME.search(name) or _ID_SUFFIX.search(name))


def may_be_id_name(name: str) -> bool:
    """Return whether a column is called so that it may be an id, such as "order_no"."""
    return bool(_MAY_BE_ID_NAME.search(name) or _MAY_BE_ID_SUFFIX.search(name))


def may_count_rows(values: FloatVector, n_rows: int) -> bool:
    """Return whether different whole numbers fill their range as those of a counter do."""
    span = float(values.max() - values.min()) + 1
    dense = n_rows >= FEWEST_ROWS_OF_COUNTER and n_rows >= COUNTER_DENSITY * span
    return dense or (span == n_rows and bool(np.all(np.abs(np.diff(values)) == 1)))


def is_in_order(values: FloatVector) -> bool:
    """Return whether the values increase, or decrease, from row to row."""
    steps = np.diff(values)
    return bool(np.all(steps > 0) or np.all(steps < 0))


def order_tells_of(y: npt.NDArray[Any]) -> bool:
    """Return whether the order of the rows tells of the target.

    The rows are cut into four parts of equal length. The order tells of the target if its ranks
    differ between the parts by the test of Kruskal and Wallis (1952, "Use of ranks in one-criterion
    variance analysis"), with a probability below 1 %. For classes, each class is tested against the
    others, and the limit is divided by the number of classes.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.tables.row_counters import order_tells_of
    >>> order_tells_of(np.arange(200)), order_tells_of(np.arange(200) % 7)
    (True, False)
    """
    scores = [score for target in y.reshape(len(y), -1).T for score in _scores(target)]
    return any(_chance_of(score) < SIGNIFICANCE / len(scores) for score in scores)


def _scores(target: npt.NDArray[Any]) -> list[FloatVector]:
    """Return the ranks of numbers, or an indicator for each of the frequent classes."""
    if target.dtype.kind not in "biufM":
        target = target.astype(np.str_)
    distinct, codes, counts = np.unique(target, return_inverse=True, return_counts=True)
    if len(distinct) == 1:
        return []
    are_classes = len(distinct) <= min(_MOST_CLASSES, len(target) // 5)
    if target.dtype.kind in "iufM" and not are_classes:
        ranks = np.cumsum(counts) - (counts - 1) / 2  # Equal values have their mean rank.
        return [ranks[codes]]
    frequent = np.argsort(-counts, kind="stable")[: _MOST_CLASSES if len(distinct) > 2 else 1]
    return [(codes == code).astype(np.float64) for code in frequent]


def _chance_of(score: FloatVector) -> float:
    """Return how probable such differences between parts of the rows are by chance."""
    n = len(score)
    part = np.arange(n) * _N_PARTS // n
    sizes = np.bincount(part, minlength=_N_PARTS)
    means = np.bincount(part, weights=score, minlength=_N_PARTS) / np.maximum(sizes, 1)
    centred = score - score.mean()
    statistic = (n - 1) * float(sizes @ (means - score.mean()) ** 2) / float(centred @ centred)
    from scipy.special import gammaincc  # Slow to import, and tables are read before it is needed.

    return float(gammaincc((_N_PARTS - 1) / 2, statistic / 2))
