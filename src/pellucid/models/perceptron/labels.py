"""Class labels as the engine takes them: codes, one column of zeros and ones, or an indicator."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from pellucid.tables.scikit_learn_versions import LEAST_POPULATED


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


def plain_classes(y: Any) -> NDArray[Any] | None:
    """Return the different labels, sorted, of a column that scikit-learn takes without a word.

    These are text and whole numbers of which few are different. None means that scikit-learn's own
    functions must look at `y`, which find the same, but take as long as an epoch.
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


def _are_whole(numbers: NDArray[Any]) -> bool:
    largest_whole = 2.0**53
    return bool(np.all((np.abs(numbers) < largest_whole) & (numbers == np.floor(numbers))))


def fitted_binarizer(y: Any) -> LabelBinarizer:
    """Return `LabelBinarizer().fit(y)`."""
    classes = plain_classes(y)
    if classes is None:
        return LabelBinarizer().fit(y)
    return binarizer_of(classes, "multiclass" if len(classes) > 2 else "binary")


def binarizer_of(classes: NDArray[Any], y_type: str, sparse_input: bool = False) -> LabelBinarizer:
    """Return a binarizer that is fitted on a target of this type with these classes."""
    binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.y_type_ = classes, y_type
    binarizer.sparse_input_ = sparse_input
    return binarizer


def out_activation_of(binarizer: LabelBinarizer) -> str:
    """Return 'softmax' for three classes or more, else 'logistic'."""
    return "softmax" if binarizer.y_type_ == "multiclass" else "logistic"


def n_outputs_of(binarizer: LabelBinarizer) -> int:
    """Return the number of scores: one for two classes, else one for each class."""
    return 1 if binarizer.y_type_ == "binary" else len(binarizer.classes_)


def encode(binarizer: LabelBinarizer, y: Any, dtype: Any) -> NDArray[Any]:
    """Return the targets that the loss of the engine takes.

    Parameters
    ----------
    binarizer : LabelBinarizer
        Fitted; it knows the classes and the type of target.
    y : ndarray or sparse indicator matrix
        Labels, all of them known to `binarizer`.
    dtype : dtype
        Of the arithmetic.

    Returns
    -------
    ndarray
        int64 codes of shape (n_rows,) for three classes or more; else numbers of `dtype` and shape
        (n_rows, n_outputs).
    """
    if binarizer.y_type_.startswith("multilabel"):
        return np.ascontiguousarray(y.toarray() if hasattr(y, "toarray") else y, dtype=dtype)
    if binarizer.y_type_ == "multiclass":
        codes: NDArray[np.int64] = np.searchsorted(binarizer.classes_, y)
        return codes.astype(np.int64, copy=False)
    if len(binarizer.classes_) == 1:
        return np.zeros((len(y), 1), dtype=dtype)
    is_second: NDArray[np.bool_] = y == binarizer.classes_[1]
    return is_second.reshape(-1, 1).astype(dtype)


def check_known(binarizer: LabelBinarizer, y: Any, *, all_needed: bool) -> None:
    """Raise ValueError where `y` does not fit the classes of an earlier call.

    Parameters
    ----------
    binarizer : LabelBinarizer
        Fitted on the classes of the earlier call.
    y : ndarray or sparse indicator matrix
        Labels of this call.
    all_needed : bool
        Whether `y` must have all the classes (`warm_start`), not only known ones (`partial_fit`).
    """
    is_multilabel = type_of_target(y).startswith("multilabel")
    if is_multilabel != binarizer.y_type_.startswith("multilabel"):
        raise ValueError(
            f"y has shape {y.shape}, but the model was fitted on "
            f"{'one label a row' if is_multilabel else 'several labels a row'}; make a new model "
            "for another kind of target"
        )
    classes = unique_labels(y)
    if all_needed and set(classes) != set(binarizer.classes_):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to "
            f"fit. Previously got {binarizer.classes_}, `y` has {classes}. Set warm_start=False to "
            "start afresh."
        )
    if is_multilabel and y.shape[1] < len(binarizer.classes_):
        raise ValueError(
            f"y must have {len(binarizer.classes_)} columns, one for each label of the previous "
            f"call, got {y.shape[1]}; fill columns of labels that no row has with zeros"
        )
    unknown = np.setdiff1d(classes, binarizer.classes_)
    if len(unknown):
        raise ValueError(
            f"`y` has classes not in `self.classes_`: {unknown}. `self.classes_` has "
            f"{binarizer.classes_}. All labels must be among those of the rows that fit trains "
            "on, or in the classes of the first call to partial_fit."
        )


def check_block(binarizer: LabelBinarizer, y: NDArray[Any]) -> None:
    """Raise ValueError where some rows of a stream have labels that were not learned from it.

    Parameters
    ----------
    binarizer : LabelBinarizer
        Fitted on all the labels.
    y : ndarray of shape (n,) or (n, n_labels)
    """
    is_multilabel = binarizer.y_type_.startswith("multilabel")
    unknown = np.setdiff1d(y, [0, 1] if is_multilabel else binarizer.classes_)
    if len(unknown) and is_multilabel:
        raise ValueError(
            f"the columns of several labels a row must hold zeros and ones, got {unknown[:5]}"
        )
    if len(unknown):
        raise ValueError(
            f"the target has labels that are not among the classes: {unknown[:5].tolist()}; the "
            f"classes are {binarizer.classes_.tolist()}"
        )


def with_class_weight(
    class_weight: Any,
    binarizer: LabelBinarizer,
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
) -> NDArray[np.float64] | None:
    """Return the weight of each row times that of its class.

    "balanced" means `balanced_factors`, a dict `class_factors`.

    Raises
    ------
    ValueError
        A weight is negative or no number, a label of the dict is unknown, or rows have several
        labels.
    """
    if class_weight is None:
        return sample_weight
    if binarizer.y_type_.startswith("multilabel"):
        raise ValueError(
            f"class_weight={class_weight!r} needs one label a row; where rows have several, pass "
            "sample_weight"
        )
    classes = binarizer.classes_
    codes = np.searchsorted(classes, y)
    if isinstance(class_weight, str):
        total = np.bincount(codes, weights=sample_weight, minlength=len(classes))
        factors = balanced_factors(total)
    else:
        factors = class_factors(class_weight, classes)
    weights: NDArray[np.float64] = factors[codes]
    return weights if sample_weight is None else weights * sample_weight


def is_balanced(class_weight: Any) -> bool:
    """Return whether it is "balanced"; raise where it is no mapping of labels to weights either."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        return True
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f'class_weight must be "balanced" or a dict such as {{"yes": 2.0}}, got '
            f"{class_weight!r}; weights of rows go into sample_weight"
        )
    return False


def balanced_factors(totals: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weight Σ_j W_j/(C·W_c) of each class, from the total weights W of their rows.

    C is the number of classes that have any, so that the weights of the rows, which add up to
    Σ_j W_j before, do so afterwards; a row of weight k counts as k rows.
    """
    n_present = max(1, np.count_nonzero(totals))
    factors: NDArray[np.float64] = totals.sum() / (n_present * np.where(totals > 0.0, totals, 1.0))
    return factors


def class_factors(class_weight: Any, classes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weight of each class; those that a dict leaves out have weight 1.

    As in scikit-learn, a dict may know labels that these rows do not have, such as those of a fold
    without a rare class, if it leaves out none that they have; otherwise it is a slip.
    """
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


def hits(binarizer: LabelBinarizer, predictions: NDArray[Any], targets: NDArray[Any]) -> Any:
    """Return for each row whether the predicted probabilities lead to the right label or labels."""
    if binarizer.y_type_ == "multiclass":
        return predictions.argmax(axis=1) == targets
    if len(binarizer.classes_) == 1:
        return np.ones(len(targets), dtype=bool)
    return ((predictions > 0.5) == (targets > 0.5)).all(axis=1)


def check_two_members(binarizer: LabelBinarizer, is_second: NDArray[np.bool_]) -> None:
    """Raise ValueError where one of two classes has a single row, which no split can share out."""
    n_second = int(np.count_nonzero(is_second))
    alone = [
        str(name) for name, n in ((False, len(is_second) - n_second), (True, n_second)) if n == 1
    ]
    if alone:
        labels = [binarizer.classes_[int(name == "True")] for name in alone]
        raise ValueError(
            f"{LEAST_POPULATED}, which is too few to be both "
            f"trained on and held out by early_stopping=True. Classes with too few members are: "
            f"{alone}, that is {labels}. Add rows of it, or set early_stopping=False."
        )


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
