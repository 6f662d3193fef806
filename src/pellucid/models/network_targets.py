"""What the y of a `Network` means, and how the loss takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite

from pellucid.models.perceptron.labels import as_labels
from pellucid.nn import Loss

Kind = Literal["label", "two labels", "shares", "indicators", "counts", "numbers", "own"]


@dataclass(frozen=True)
class Targets:
    """How y is turned into targets, and predictions back into y.

    Parameters
    ----------
    kind : str
        "label": one of K labels a row, for softmax. "two labels": one of two, for one logistic
        score. "shares": K numbers a row that sum to 1, for softmax. "indicators": K numbers from 0
        to 1 a row, for logistic scores. "counts": K numbers of at least 0 a row, for poisson.
        "numbers": K numbers a row, for the other losses. "own": what the user's own loss takes,
        numbers (n, any) or, of integers or booleans (n,) with several outputs, int64 (n,).
    n_outputs : int
        K, the scores of the network.
    is_vector : bool
        Whether y had one dimension, and predictions have.
    classes : ndarray of shape (n_classes,), or None
        The labels, sorted; the numbers of the columns of "shares"; None for the other kinds.
    """

    kind: Kind
    n_outputs: int
    is_vector: bool
    classes: NDArray[Any] | None = None

    @property
    def has_accuracy(self) -> bool:
        """Whether predictions are labels, right or wrong."""
        return self.kind not in ("counts", "numbers", "own")

    def encode(self, y: Any, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return int64 codes (n,), or numbers (n, K) of `dtype`.

        Raises
        ------
        ValueError
            An unknown label, another shape, NaN, or a number that the loss does not take.
        """
        if self.kind in ("label", "two labels"):
            codes = self._codes(_label_vector(y), name)
            return codes if self.kind == "label" else codes.reshape(-1, 1).astype(dtype)
        numbers = _numbers(y, name)
        if self.kind == "own":
            if np.ndim(y) == 1 and self.n_outputs > 1 and numbers.dtype.kind in "biu":
                return numbers.ravel().astype(np.int64)
        elif numbers.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} must have {self.n_outputs} columns, one for each output of the network, "
                f"got shape {np.shape(y)}"
            )
        if self.kind in _CHECKS:
            _CHECKS[self.kind](numbers, name)
        with np.errstate(over="ignore"):
            targets = numbers.astype(dtype, copy=False)
        if not np.isfinite(targets).all():
            raise ValueError(
                f"{name} has values too large for {np.dtype(dtype)}; scale it, or make the network "
                'with dtype="float64"'
            )
        return targets

    def check_classes(self, classes: Any) -> None:
        """Raise ValueError where `classes`, unless None, are not the labels that are known."""
        if classes is None:
            return
        known = None if self.classes is None else self.classes.tolist()
        named = np.unique(_label_vector(classes)).tolist()
        if named != known:
            raise ValueError(
                f"classes must be those of the earlier fit to go on training, {known}, got "
                f"{named}; leave it out, or fit without warm_start to start over"
            )

    def decode(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """Return what predictions (n, K), after the link, say in terms of y."""
        if not self.has_accuracy:
            is_vector = self.is_vector and self.n_outputs == 1
            return predictions.ravel() if is_vector else predictions
        if self.kind == "indicators":
            return (predictions > 0.5).astype(np.int64)
        assert self.classes is not None
        is_two = self.kind == "two labels"
        codes = predictions[:, 0] > 0.5 if is_two else predictions.argmax(axis=1)
        labels: NDArray[Any] = self.classes[codes.astype(np.intp)]
        return labels

    def with_both_labels(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (n, K), those of the second of two labels beside the first's."""
        if self.kind == "two labels":
            return np.hstack([1 - probabilities, probabilities])
        return probabilities

    def spread_of_decoded(self, mean: NDArray[Any], std: NDArray[Any]) -> NDArray[Any]:
        """Return the standard deviation of what `decode` takes from predictions `mean` (n, K)."""
        if self.kind in ("label", "shares"):
            return np.take_along_axis(std, mean.argmax(axis=1)[:, None], axis=1).ravel()
        is_vector = self.is_vector and self.n_outputs == 1
        return std.ravel() if is_vector else std

    def accuracy(
        self, predictions: NDArray[Any], targets: NDArray[Any], sample_weight: Any
    ) -> float:
        """Return the weighted share of rows whose label, or whose labels, are all right."""
        if self.kind == "label":
            right = predictions.argmax(axis=1) == targets
        elif self.kind == "shares":
            right = predictions.argmax(axis=1) == targets.argmax(axis=1)
        else:
            right = ((predictions > 0.5) == (targets > 0.5)).all(axis=1)
        return float(np.average(right, weights=sample_weight))

    def _codes(self, y: NDArray[Any], name: str) -> NDArray[np.int64]:
        assert self.classes is not None
        known = np.isin(y, self.classes)
        if not known.all():
            raise ValueError(
                f"{name} has labels that the network does not know: "
                f"{np.unique(y[~known])[:5].tolist()}. It knows {self.classes.tolist()}; name them "
                "all with fit(..., classes=...)"
            )
        codes: NDArray[np.int64] = np.searchsorted(self.classes, y).astype(np.int64, copy=False)
        return codes


def learn_targets(y: Any, loss: Any, n_outputs: int, classes: Any = None) -> Targets:
    """Return what y means to a network with this loss and so many outputs.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, K)
    loss : Loss, or the user's own
    n_outputs : int
    classes : array-like, optional
        All labels there are, where y may lack some.

    Raises
    ------
    ValueError
        The number of labels does not fit the outputs, or y has one label only.
    """
    shape = np.shape(y)
    if len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(f"y must have shape (n,) or (n, K), with rows, got {shape}")
    is_vector = len(shape) == 1
    loss = loss.name if isinstance(loss, Loss) else "own"
    if loss == "softmax_cross_entropy" and (is_vector or shape[1] == 1):
        labels = _labels(y, classes)
        _check_count(labels, n_outputs, f"end with Linear({len(labels)})")
        return Targets("label", n_outputs, True, labels)
    if loss == "logistic_cross_entropy" and (is_vector or shape[1] == 1):
        labels = _labels(y, classes)
        if n_outputs != 1 or len(labels) != 2:
            raise ValueError(
                f"logistic_cross_entropy takes one of two labels a row with one output, or zeros "
                f"and ones of shape (n, K) with K; got {len(labels)} labels and {n_outputs} "
                'outputs. Take loss="softmax_cross_entropy" for one of several labels'
            )
        return Targets("two labels", 1, True, labels)
    if classes is not None:
        raise ValueError(
            f"classes names the labels of a y of shape (n,) with a cross-entropy, got y of shape "
            f"{shape} and another loss; leave it out"
        )
    if loss == "softmax_cross_entropy":
        return Targets("shares", n_outputs, False, np.arange(n_outputs))
    if loss == "logistic_cross_entropy":
        return Targets("indicators", n_outputs, False)
    kind: Kind = "own" if loss == "own" else "counts" if loss == "poisson" else "numbers"
    return Targets(kind, n_outputs, is_vector)


def _labels(y: Any, classes: Any) -> NDArray[Any]:
    """Return the labels of y, sorted; or `classes`, which must have them all."""
    found = np.unique(_label_vector(y))
    if classes is None:
        if len(found) == 1:
            raise ValueError(
                f"y has one label only, {found.tolist()[0]!r}, and nothing can be learned from it; "
                "pass rows of another class too"
            )
        return found
    named = np.unique(_label_vector(classes))
    if len(np.setdiff1d(found, named)):
        raise ValueError(
            f"classes must have all labels of y, got {named.tolist()} without "
            f"{np.setdiff1d(found, named).tolist()}"
        )
    return named


def _label_vector(y: Any) -> NDArray[Any]:
    array = np.asarray(y)
    vector = array.ravel() if array.ndim == 2 and array.shape[1] == 1 else array
    if vector.ndim != 1:
        raise ValueError(f"labels must have shape (n,), got {array.shape}")
    if vector.dtype.kind == "f":
        assert_all_finite(vector, input_name="y")
    labels: NDArray[Any] = as_labels(vector)
    return labels


def _check_count(labels: NDArray[Any], n_outputs: int, way_out: str) -> None:
    if len(labels) != n_outputs:
        raise ValueError(
            f"y has {len(labels)} labels and the network {n_outputs} outputs; {way_out}, or name "
            "the labels that y lacks with fit(..., classes=...)"
        )


def _numbers(y: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(y)
        if array.dtype.kind not in "biuf":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers for this loss: {error}") from error
    assert_all_finite(array, input_name=name)
    return array.reshape(-1, 1) if array.ndim == 1 else array


def _check_shares(y: NDArray[Any], name: str) -> None:
    if (y < 0).any() or not np.allclose(y.sum(axis=1), 1.0, atol=1e-5):
        raise ValueError(
            f"each row of {name} must hold shares of the classes that are at least 0 and sum to 1; "
            "for labels pass a vector"
        )


def _check_indicators(y: NDArray[Any], name: str) -> None:
    if ((y < 0) | (y > 1)).any():
        raise ValueError(
            f"{name} must be from 0 to 1 for logistic_cross_entropy, got {y.min()} to {y.max()}"
        )


def _check_counts(y: NDArray[Any], name: str) -> None:
    if (y < 0).any():
        raise ValueError(f"{name} must be at least 0 for poisson, got {y.min()}")


_CHECKS: dict[Kind, Callable[[NDArray[Any], str], None]] = {
    "shares": _check_shares,
    "indicators": _check_indicators,
    "counts": _check_counts,
}
