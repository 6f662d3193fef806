"""What classifiers do with y: learn labels, choose the loss, weigh classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils._tags import Tags
from sklearn.utils.multiclass import unique_labels

from pellucid.models.labels import as_labels, is_multilabel
from pellucid.models.predicting import PredictsProbabilities
from pellucid.models.prepared_fit import Learned
from pellucid.models.targets import IndicatorTargets, Targets, label_targets


class Classification(ClassifierMixin, PredictsProbabilities):  # type: ignore[misc]
    """Makes a classifier of a `Perceptron`."""

    loss: Any
    label_smoothing: float
    class_weight: Any
    warm_start: bool

    classes_: NDArray[Any]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _become(self, learned: Learned) -> None:
        super()._become(learned)
        classes = learned.targets.classes
        assert classes is not None
        self.classes_ = classes

    def _encoded_targets(self, y: Any, dtype: Any) -> NDArray[Any]:
        labels = as_labels(y if hasattr(y, "ndim") and hasattr(y, "dtype") else np.asarray(y))
        return self._known_targets().encode(labels, dtype)


def learned_or_known(y: Any, known: Targets | None, *, all_needed: bool = False) -> Targets:
    """Return what labels mean: what they meant before, checked, or learned from them.

    Parameters
    ----------
    y : ndarray or sparse indicator matrix
        Checked by `as_labels`.
    known : Targets or None
        Of the earlier calls.
    all_needed : bool
        Whether y must have all known labels (`warm_start`), not only known ones.

    Raises
    ------
    ValueError
        y does not fit the labels that are known.
    """
    if known is None:
        return label_targets(y)
    check_known(known, y, all_needed=all_needed)
    return known


def check_known(known: Targets, y: Any, *, all_needed: bool) -> None:
    """Raise ValueError where `y` does not fit the labels of an earlier call."""
    has_several = is_multilabel(y)
    if has_several != isinstance(known, IndicatorTargets):
        raise ValueError(
            f"y has shape {y.shape}, but the model was fitted on "
            f"{'one label a row' if has_several else 'several labels a row'}; make a new model "
            "for another kind of target"
        )
    classes, before = unique_labels(y), known.classes
    assert before is not None
    if all_needed and set(classes) != set(before):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to "
            f"fit. Previously got {before}, `y` has {classes}. Set warm_start=False to "
            "start afresh."
        )
    if has_several and y.shape[1] < known.n_outputs:
        raise ValueError(
            f"y must have {known.n_outputs} columns, one for each label of the previous call, got "
            f"{y.shape[1]}; fill columns of labels that no row has with zeros"
        )
    unknown = np.setdiff1d(classes, before)
    if len(unknown):
        raise ValueError(
            f"`y` has classes not in `self.classes_`: {unknown}. `self.classes_` has {before}. All "
            "labels must be among those of the rows that fit trains on, or in the classes of the "
            "first call to partial_fit."
        )


def targets_of_classes(y: Any, classes: Any, known: Targets | None) -> Targets | None:
    """Return what all the labels that `partial_fit` will ever get mean.

    Parameters
    ----------
    y : array-like
        Of this call.
    classes : array-like or None
        All labels; needed in the first call.
    known : Targets or None
        Of the earlier calls.

    Raises
    ------
    ValueError
        They are missing in the first call, or differ later.
    """
    if classes is None:
        if known is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels that any call "
                "will have, for example np.unique(y_of_the_whole_table)"
            )
        return known
    classes = unique_labels(classes)
    if known is not None:
        if not np.array_equal(known.classes, classes):  # type: ignore[arg-type]
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{known.classes!r}; leave it out, or make a new model"
            )
        return known
    if not _has_several_labels(y):
        return label_targets(classes)
    if not np.array_equal(classes, unique_labels(y)):
        raise ValueError(
            f"classes must be the column numbers of y where each row has several labels, "
            f"{unique_labels(y)!r}, got {classes!r}"
        )
    return label_targets(y if hasattr(y, "toarray") else np.asarray(y))


def _has_several_labels(y: Any) -> bool:
    return is_multilabel(y if hasattr(y, "toarray") else np.asarray(y))
