"""Class labels in any form that a user may give them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target


def as_labels(y: Any) -> Any:
    """Return `y` with a single column made one-dimensional.

    Raises
    ------
    ValueError
        `y` holds continuous or missing values, labels of several types that do not sort, or
        several columns that are not zeros and ones.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if plain_classes(y) is not None:
        return y
    if y.dtype.kind == "O":
        _check_one_type(y)
    check_classification_targets(y)
    if type_of_target(y) == "multiclass-multioutput":
        raise ValueError(
            f"y must hold one label a row, or zeros and ones for several labels a row; got shape "
            f"{y.shape} with other values. Multioutput target data is not supported: fit one "
            "classifier for each column, for example with sklearn.multioutput.MultiOutputClassifier"
        )
    return y


def as_plain_integers(y: Any) -> Any:
    """Return a series of a nullable type of integers or booleans as a NumPy array.

    scikit-learn makes floats of it, and of its labels. Everything else, and a series with missing
    values, is returned as it is.
    """
    kind = getattr(getattr(getattr(y, "dtype", None), "numpy_dtype", None), "kind", None)
    if kind is None or kind not in "biu" or not hasattr(y, "isna") or bool(np.any(y.isna())):
        return y
    return y.to_numpy(dtype=y.dtype.numpy_dtype)


def check_indicators(y: NDArray[Any]) -> None:
    """Raise ValueError unless several labels a row are given as zeros and ones (n, K)."""
    unknown = np.setdiff1d(y, (0, 1))
    if len(unknown):
        raise ValueError(
            f"the columns of several labels a row must hold zeros and ones, got {unknown[:5]}"
        )


def plain_classes(y: Any) -> NDArray[Any] | None:
    """Return the sorted distinct labels of a column that scikit-learn takes without a word.

    These are text and whole numbers with few distinct values. None means that scikit-learn's own
    functions must look at `y`; they find the same, but take as long as an epoch.
    """
    is_vector = isinstance(y, np.ndarray) and y.ndim == 1
    if not is_vector or y.dtype.kind not in "biufU" or not y.dtype.isnative:
        return None
    classes = np.unique(y)
    if 2 * len(classes) > len(y):
        return None
    if y.dtype.kind == "f" and not _are_whole(classes):
        return None
    # As scikit-learn's: text no longer than the longest label.
    return np.array(classes.tolist()) if y.dtype.kind == "U" else classes


def is_multilabel(y: Any) -> bool:
    """Return whether each row has several labels, given as zeros and ones."""
    if plain_classes(y) is not None:
        return False
    return bool(type_of_target(y).startswith("multilabel"))


def codes_of(classes: NDArray[Any], labels: Any) -> NDArray[np.int64]:
    """Return the places of labels in `classes`, which holds them all."""
    codes: NDArray[np.int64] = np.searchsorted(classes, labels).astype(np.int64, copy=False)
    return codes


def class_factors(
    class_weight: Any, classes: NDArray[Any], totals: NDArray[Any]
) -> NDArray[np.float64]:
    """Return what the weight of a row is multiplied by, for each class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        "balanced" gives class c the factor Σ_j W_j/(C·W_c), where C is the number of classes that
        have rows, so that the sum of all weights stays what it was. Classes that a dict leaves out
        have weight 1. As in scikit-learn, a dict may know labels that these rows do not have, such
        as those of a fold without a rare class, if it leaves out none that they have.
    classes : ndarray of shape (n_classes,)
    totals : ndarray of shape (n_classes,)
        The total weight W_c of the rows of each class.

    Raises
    ------
    ValueError
        It is neither, a weight is negative or no number, or a label is unknown.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        n_present = max(1, np.count_nonzero(totals))
        balanced: NDArray[np.float64] = totals.sum() / (
            n_present * np.where(totals > 0.0, totals, 1.0)
        )
        return balanced
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f'class_weight must be "balanced" or a dict such as {{"yes": 2.0}}, got '
            f"{class_weight!r}; weights of rows go into sample_weight"
        )
    known = classes.tolist()
    factors = np.ones(len(known))
    for label, weight in class_weight.items():
        if label not in known:
            if all(one in class_weight for one in known):
                continue
            raise ValueError(
                f"class_weight has a label that y has not, {label!r:.80}; y has {known}"
            )
        if not (isinstance(weight, Real) and 0.0 <= float(weight) < np.inf):
            raise ValueError(f"class_weight must hold numbers >= 0, got {weight!r} for {label!r}")
        factors[known.index(label)] = weight
    return factors


def _are_whole(numbers: NDArray[Any]) -> bool:
    largest_whole = 2.0**53
    return bool(np.all((np.abs(numbers) < largest_whole) & (numbers == np.floor(numbers))))


def _check_one_type(y: NDArray[Any]) -> None:
    types = {type(label) for label in y.ravel()}
    if type(None) in types:
        n_missing = sum(label is None for label in y.ravel())
        raise ValueError(
            f"y contains None in {n_missing} of {len(y)} rows; remove these rows, or give them a "
            "label of their own"
        )
    if str in types and len(types) > 1:
        names = ", ".join(sorted(one.__name__ for one in types))
        raise ValueError(
            f"class labels in y must be of one type, got {names}; make them all text, for example "
            "with y.astype(str)"
        )
