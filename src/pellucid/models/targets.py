"""What y means to a model: how the loss takes it, and how predictions are turned back into it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import assert_all_finite, column_or_1d

from pellucid.models.labels import as_labels, class_factors, codes_of, is_multilabel, plain_classes
from pellucid.nn import CustomLoss, Loss
from pellucid.persistence.onnx import Answer
from pellucid.tables.scikit_learn_versions import LEAST_POPULATED

Floats = NDArray[Any]


@dataclass(frozen=True)
class Targets(ABC):
    """How y is turned into targets of the loss, and predictions back into y.

    A prediction is the output of the network after the link of its loss, (n, n_outputs).

    Parameters
    ----------
    n_outputs : int
        Scores of the network.
    """

    n_outputs: int

    kind: ClassVar[str]
    answer: ClassVar[Answer]
    """What an exported model answers."""
    score_name: ClassVar[str | None]
    """What `score` is."""

    @property
    def classes(self) -> NDArray[Any] | None:
        """The labels, sorted; None where y holds numbers."""
        return None

    @abstractmethod
    def encode(self, y: Any, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return the targets that the loss takes: int64 codes (n,), or numbers (n, K) of `dtype`.

        Raises
        ------
        ValueError
            An unknown label, another shape, NaN, or a number that the loss does not take; the
            message calls y by `name`.
        """

    @abstractmethod
    def decode(self, predictions: Floats) -> Any:
        """Return what predictions say in terms of y."""

    @abstractmethod
    def score(self, predictions: Floats, targets: Floats, sample_weight: Any) -> float:
        """Return the accuracy, or R², of predictions against encoded targets."""

    def probabilities(self, predictions: Floats) -> Floats:
        """Return the probability of each class, (n, n_classes)."""
        return predictions

    def deviation(self, mean: Floats, std: Floats) -> Floats:
        """Return the standard deviation of what `decode(mean)` takes, given that of predictions."""
        return std.ravel() if std.shape[1] == 1 else std

    def deviation_of_probabilities(self, std: Floats) -> Floats:
        """Return the standard deviation of each of `probabilities`."""
        return std

    def weigh(
        self,
        class_weight: Any,
        y: Any,
        sample_weight: NDArray[np.float64] | None,
        name: str = "y",
    ) -> NDArray[np.float64] | None:
        """Return the weight of each row times that of its class.

        Raises
        ------
        ValueError
            y holds no single label a row or an unknown one, or `class_weight` is wrong; the
            message calls y by `name`.
        """
        if class_weight is None:
            return sample_weight
        weights = self.factors(class_weight, y, sample_weight, name)
        return weights if sample_weight is None else weights * sample_weight

    def factors(
        self, class_weight: Any, y: Any, counted: NDArray[np.float64] | None, name: str = "y"
    ) -> NDArray[np.float64]:
        """Return the weight of the class of each row, "balanced" over weights that count."""
        raise ValueError(
            f"class_weight={class_weight!r:.80} needs one label a row, and {name} holds "
            f"{self._content}; pass sample_weight"
        )

    _content: ClassVar[str]

    def groups_to_split(self, targets: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return which rows are of one of two groups whose shares a split keeps, or None."""
        return None

    def state(self) -> dict[str, Any]:
        """Return the fields as plain values, for `targets_from_state`."""
        return {"kind": self.kind, **vars(self)}


@dataclass(frozen=True)
class LabelTargets(Targets):
    """One label a row.

    Parameters
    ----------
    n_outputs : int
        As many as there are labels, for softmax; or 1, the logistic score of the second of two.
    labels : ndarray of shape (n_classes,)
        Sorted. A single one, with one output, is always right.
    """

    labels: NDArray[Any]

    kind = "label"
    score_name = "accuracy"

    @property
    def answer(self) -> Answer:  # type: ignore[override]
        """What an exported model answers."""
        return "two labels" if self.n_outputs == 1 else "label"

    @property
    def classes(self) -> NDArray[Any]:
        """The labels."""
        return self.labels

    def encode(self, y: Any, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return codes (n,) for softmax, zeros and ones (n, 1) for one score."""
        codes = self._codes(y, name)
        return codes if self.n_outputs > 1 else codes.reshape(-1, 1).astype(dtype)

    def decode(self, predictions: Floats) -> Any:
        """Return the most probable label of each row."""
        if len(self.labels) == 1:
            return np.repeat(self.labels, len(predictions))
        is_one = self.n_outputs == 1
        codes = (predictions[:, 0] > 0.5).astype(np.intp) if is_one else predictions.argmax(axis=1)
        return self.labels.take(codes)

    def score(self, predictions: Floats, targets: Floats, sample_weight: Any) -> float:
        """Return the share of rows whose label is right."""
        if len(self.labels) == 1:
            return 1.0
        if self.n_outputs > 1:
            return _mean(predictions.argmax(axis=1) == targets, sample_weight)
        return _mean((predictions[:, 0] > 0.5) == (targets[:, 0] > 0.5), sample_weight)

    def probabilities(self, predictions: Floats) -> Floats:
        """Return the probability of each class."""
        if len(self.labels) == 1:
            return np.ones_like(predictions)
        return np.hstack([1 - predictions, predictions]) if self.n_outputs == 1 else predictions

    def deviation(self, mean: Floats, std: Floats) -> Floats:
        """Return that of the probability of the most probable label."""
        if len(self.labels) == 1:
            return np.zeros(len(std))
        if self.n_outputs == 1:
            return std.ravel()
        return np.take_along_axis(std, mean.argmax(axis=1)[:, np.newaxis], axis=1).ravel()

    def deviation_of_probabilities(self, std: Floats) -> Floats:
        """Return that of each class."""
        if len(self.labels) == 1:
            return np.zeros_like(std)
        return np.hstack([std, std]) if self.n_outputs == 1 else std

    def factors(
        self, class_weight: Any, y: Any, counted: NDArray[np.float64] | None, name: str = "y"
    ) -> NDArray[np.float64]:
        """Return the weight of the class of each row, "balanced" over weights that count."""
        codes = self._codes(y, name)
        totals = np.bincount(codes, weights=counted, minlength=len(self.labels))
        factors: NDArray[np.float64] = class_factors(class_weight, self.labels, totals)[codes]
        return factors

    def groups_to_split(self, targets: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return the rows of the second of two labels.

        Raises
        ------
        ValueError
            One of the two has a single row, which no split can share out.
        """
        if self.n_outputs > 1:
            return None
        is_second: NDArray[np.bool_] = targets.ravel() > 0.5
        n_second = int(np.count_nonzero(is_second))
        sizes = {False: len(is_second) - n_second, True: n_second}
        alone = [is_one for is_one, n in sizes.items() if n == 1]
        if alone:
            labels = [self.labels[int(is_one)] for is_one in alone]
            raise ValueError(
                f"{LEAST_POPULATED}, which is too few to be both "
                f"trained on and held out by early_stopping=True. Classes with too few members "
                f"are: {[str(is_one) for is_one in alone]}, that is {labels}. Add rows of it, or "
                "set early_stopping=False."
            )
        return is_second

    def _codes(self, y: Any, name: str) -> NDArray[np.int64]:
        labels = np.asarray(y)
        labels = labels.ravel() if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.ndim != 1:
            raise ValueError(
                f"{name} must hold one label a row, got shape {np.shape(y)}; make a new model for "
                "another kind of target"
            )
        try:
            codes = codes_of(self.labels, labels)
            known = self.labels.take(codes, mode="clip") == labels
        except TypeError:
            known = np.zeros(len(labels), dtype=bool)
        if not np.all(known):
            unknown = np.array(list({str(label): label for label in labels[~known]}.values())[:5])
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`: {unknown}. `self.classes_` has "
                f"{self.labels}. All labels must be among those of the rows that fit trains on, "
                "or in `classes`."
            )
        return codes


@dataclass(frozen=True)
class IndicatorTargets(Targets):
    """Several labels a row: a column of zeros and ones, or of numbers between, for each.

    Parameters
    ----------
    n_outputs : int
        As many as there are labels.
    is_sparse : bool
        Whether y was a sparse matrix, and predictions are.
    """

    is_sparse: bool = False

    kind = "indicators"
    answer = "indicators"
    score_name = "accuracy"
    _content = "several labels a row"

    @property
    def classes(self) -> NDArray[Any]:
        """The numbers of the columns."""
        return np.arange(self.n_outputs)

    def encode(self, y: Any, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return y as numbers (n, K)."""
        y = y.toarray() if hasattr(y, "toarray") else y
        numbers = _numbers(y, name, self.n_outputs)
        if len(numbers) and ((numbers < 0) | (numbers > 1)).any():
            raise ValueError(
                f"{name} must be from 0 to 1 for several labels a row, got {numbers.min()} to "
                f"{numbers.max()}"
            )
        return np.ascontiguousarray(numbers, dtype=dtype)

    def decode(self, predictions: Floats) -> Any:
        """Return zeros and ones (n, K)."""
        labels = (predictions > 0.5).astype(np.int64)
        return scipy.sparse.csr_matrix(labels) if self.is_sparse else labels

    def score(self, predictions: Floats, targets: Floats, sample_weight: Any) -> float:
        """Return the share of rows whose labels are all right."""
        return _mean(((predictions > 0.5) == (targets > 0.5)).all(axis=1), sample_weight)


@dataclass(frozen=True)
class ShareTargets(Targets):
    """The share of each class, in each row; they sum to 1."""

    kind = "shares"
    answer = "label"
    score_name = "accuracy"
    _content = "shares of classes"

    @property
    def classes(self) -> NDArray[Any]:
        """The numbers of the columns."""
        return np.arange(self.n_outputs)

    def encode(self, y: Any, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return y as numbers (n, K)."""
        numbers = _numbers(y, name, self.n_outputs)
        if (numbers < 0).any() or not np.allclose(numbers.sum(axis=1), 1.0, atol=1e-5):
            raise ValueError(
                f"each row of {name} must hold shares of the classes that are at least 0 and sum "
                "to 1; for labels pass a vector"
            )
        return numbers.astype(dtype, copy=False)

    def decode(self, predictions: Floats) -> Any:
        """Return the number of the most probable class."""
        return predictions.argmax(axis=1)

    def score(self, predictions: Floats, targets: Floats, sample_weight: Any) -> float:
        """Return the share of rows whose largest share is predicted as the largest."""
        return _mean(predictions.argmax(axis=1) == targets.argmax(axis=1), sample_weight)

    def deviation(self, mean: Floats, std: Floats) -> Floats:
        """Return that of the probability of the most probable class."""
        return np.take_along_axis(std, mean.argmax(axis=1)[:, np.newaxis], axis=1).ravel()


@dataclass(frozen=True)
class NumberTargets(Targets):
    """A number, or several, in each row.

    Parameters
    ----------
    n_outputs : int
    is_vector : bool
        Whether y has one dimension, and predictions have.
    mean, scale : tuple of float
        One for each output: the network learns (y - mean)/scale. Empty for y as it is.
    at_least_zero : bool
        Whether the loss takes only numbers of at least 0 (poisson).
    """

    is_vector: bool = True
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    at_least_zero: bool = False

    kind = "numbers"
    answer = "numbers"
    score_name = "R²"
    _content = "numbers"

    def encode(self, y: Any, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return y as numbers (n, K)."""
        numbers = _numbers(y, name, self.n_outputs)
        if self.at_least_zero and len(numbers) and numbers.min() < 0:
            raise ValueError(
                f"loss='poisson' needs {name} >= 0: {name} must be at least 0 for poisson, got "
                f"{numbers.min()}; use a squared error for targets that may be negative"
            )
        if self.scale:
            numbers = (numbers - self.mean) / self.scale
        return _in_precision(numbers, dtype, name)

    def decode(self, predictions: Floats) -> Any:
        """Return predictions on the scale and in the form of y."""
        if self.scale:
            predictions = np.add(self.mean, np.multiply(self.scale, predictions, dtype=np.float64))
        return predictions.ravel() if self.is_vector else predictions

    def score(self, predictions: Floats, targets: Floats, sample_weight: Any) -> float:
        """Return R², averaged over the outputs."""
        from sklearn.metrics import r2_score  # importing it would slow down `import pellucid`

        return float(r2_score(targets, predictions, sample_weight=sample_weight))

    def deviation(self, mean: Floats, std: Floats) -> Floats:
        """Return it on the scale of y."""
        if self.scale:
            std = np.multiply(self.scale, std)
        return std.ravel() if self.is_vector else std


@dataclass(frozen=True)
class OwnTargets(NumberTargets):
    """What a loss of the user's takes: numbers (n, any), or whole numbers (n,) as int64 codes."""

    kind = "own"

    def encode(self, y: Any, dtype: Any, name: str = "y") -> NDArray[Any]:
        """Return y as it is, but for the dtype."""
        numbers = _numbers(y, name)
        if np.ndim(y) == 1 and self.n_outputs > 1 and numbers.dtype.kind in "biu":
            return numbers.ravel().astype(np.int64)
        return _in_precision(numbers, dtype, name)

    def score(self, predictions: Floats, targets: Floats, sample_weight: Any) -> float:
        """Return R² where predictions and targets have one shape."""
        if predictions.shape != targets.shape:
            raise ValueError(
                "a loss of your own whose targets have another shape than its predictions has no "
                "score; look at validation_loss_curve_"
            )
        return super().score(predictions, targets, sample_weight)


_KINDS: dict[str, type[Targets]] = {
    kind.kind: kind
    for kind in (LabelTargets, IndicatorTargets, ShareTargets, NumberTargets, OwnTargets)
}


MOST_COLUMNS = 2**22
"""Of zeros and ones, or of shares, that a file may claim: `classes_` takes memory for each."""


def label_targets(y: Any) -> LabelTargets | IndicatorTargets:
    """Return what labels mean to a classifier, whatever their form.

    Softmax for three labels or more, one logistic score for two, and one for each of several labels
    a row.

    Parameters
    ----------
    y : ndarray or sparse matrix
        Checked by `as_labels`.
    """
    labels = plain_classes(y)
    if labels is None and is_multilabel(y):
        return IndicatorTargets(y.shape[1], bool(scipy.sparse.issparse(y)))
    if labels is None:
        labels = LabelBinarizer().fit(y).classes_
    return LabelTargets(1 if len(labels) <= 2 else len(labels), labels)


def number_targets(y: NDArray[Any], *, at_least_zero: bool = False) -> NumberTargets:
    """Return what numbers (n,) or (n, K) mean to a regressor."""
    n_outputs = 1 if y.ndim == 1 else y.shape[1]
    return NumberTargets(n_outputs, y.ndim == 1, at_least_zero=at_least_zero)


def targets_of_loss(
    y: Any, loss: Loss | CustomLoss, n_outputs: int, classes: Any = None
) -> Targets:
    """Return what y means to a network with this loss and so many outputs.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, K)
    loss : Loss or CustomLoss
    n_outputs : int
    classes : array-like, optional
        All labels there are, where y may lack some.

    Raises
    ------
    ValueError
        The number of labels does not fit the outputs, or y has one class only.
    """
    shape = np.shape(y)
    if len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(f"y must have shape (n,) or (n, K), with rows, got {shape}")
    is_vector = len(shape) == 1
    is_column = is_vector or shape[1] == 1
    name = loss.name if isinstance(loss, Loss) else "own"
    if name == "softmax_cross_entropy" and is_column:
        labels = _learned_labels(y, classes)
        _check_count(labels, n_outputs)
        return LabelTargets(n_outputs, labels)
    if name == "logistic_cross_entropy" and is_column:
        labels = _learned_labels(y, classes)
        if len(labels) != 2:
            raise ValueError(
                f"Only binary classification is supported. {name} takes one of two labels a row, "
                f"or zeros and ones of shape (n, K) with K outputs; got {len(labels)} labels. Take "
                'loss="softmax_cross_entropy" for one of several labels'
            )
        if n_outputs != 1:
            raise ValueError(
                f"{name} takes one of two labels a row with one output, or zeros and ones of shape "
                f"(n, K) with K; got two labels and {n_outputs} outputs. End with Linear(1)"
            )
        return LabelTargets(1, labels)
    if classes is not None:
        raise ValueError(
            f"classes names the labels of a y of shape (n,) with a cross-entropy, got y of shape "
            f"{shape} and another loss; leave it out"
        )
    if name == "softmax_cross_entropy":
        return ShareTargets(n_outputs)
    if name == "logistic_cross_entropy":
        return IndicatorTargets(n_outputs)
    is_vector = is_vector and n_outputs == 1
    if not isinstance(loss, Loss):
        return OwnTargets(n_outputs, is_vector)
    return NumberTargets(n_outputs, is_vector, at_least_zero=name == "poisson")


def targets_from_state(state: dict[str, Any]) -> Targets:
    """Undo `Targets.state`, for values of the right types.

    Raises
    ------
    ValueError, TypeError, KeyError
        The values do not fit together.
    """
    own = dict(state)
    targets = _KINDS[own.pop("kind")](**own)
    if type(targets.n_outputs) is not int or targets.n_outputs < 1:
        raise ValueError(f"a model has at least one output, got {targets.n_outputs!r}")
    if isinstance(targets, IndicatorTargets | ShareTargets) and targets.n_outputs > MOST_COLUMNS:
        raise ValueError(f"y cannot have {targets.n_outputs} columns")
    if isinstance(targets, LabelTargets):
        n, n_outputs = len(targets.labels), targets.n_outputs
        if not np.array_equal(np.unique(targets.labels), targets.labels):
            raise ValueError("the classes must be sorted, each once")
        if not (n in (1, 2) if n_outputs == 1 else n == n_outputs):
            raise ValueError(f"{n} classes do not fit {n_outputs} outputs")
    if isinstance(targets, NumberTargets):
        sizes = {len(targets.mean), len(targets.scale)}
        if sizes not in ({0}, {targets.n_outputs}):
            raise ValueError("the means and scales do not fit the outputs")
        if targets.is_vector and targets.n_outputs != 1:
            raise ValueError("a vector of predictions needs one output")
        numbers = np.array([*targets.mean, *targets.scale], dtype=np.float64)
        if not np.isfinite(numbers).all() or (np.array(targets.scale) <= 0).any():
            raise ValueError("targets cannot be standardized by these means and scales")
    return targets


def _mean(right: NDArray[Any], sample_weight: Any) -> float:
    if sample_weight is None:
        return int(np.count_nonzero(right)) / len(right)  # Ten times as fast as a mean.
    return float(np.average(right, weights=sample_weight))


def _in_precision(numbers: NDArray[Any], dtype: Any, name: str) -> NDArray[Any]:
    """Return numbers in `dtype`; raise ValueError where float32 does not hold them."""
    with np.errstate(over="ignore"):
        targets = np.ascontiguousarray(numbers, dtype=dtype)
    if targets.dtype == np.float32 and not np.isfinite(targets).all():
        raise ValueError(
            f"{name} has values too large for float32, which the model computes in; scale {name}, "
            "or set dtype='float64'"
        )
    return targets


def _learned_labels(y: Any, classes: Any) -> NDArray[Any]:
    """Return the labels of y, sorted; or `classes`, which must have them all."""
    found = np.unique(_label_vector(y))
    if classes is None:
        if len(found) == 1:
            raise ValueError(
                f"y has one class only, {found.tolist()[0]!r}, and nothing can be learned from it; "
                "pass rows of another class too"
            )
        return found
    named = np.unique(_label_vector(classes, "classes"))
    if len(np.setdiff1d(found, named)):
        raise ValueError(
            f"classes must have all labels of y, got {named.tolist()} without "
            f"{np.setdiff1d(found, named).tolist()}"
        )
    return named


def _label_vector(y: Any, name: str = "y") -> NDArray[Any]:
    vector = np.asarray(y)
    if vector.ndim == 2 and vector.shape[1] == 1:
        vector = column_or_1d(vector, warn=name == "y")
    if vector.ndim != 1:
        raise ValueError(f"{name} must have labels in the shape (n,), got {vector.shape}")
    if vector.dtype.kind == "f":
        assert_all_finite(vector, input_name=name)
    labels: NDArray[Any] = as_labels(vector)
    return labels


def _check_count(labels: NDArray[Any], n_outputs: int) -> None:
    if len(labels) != n_outputs:
        raise ValueError(
            f"y has {len(labels)} labels and the network {n_outputs} outputs; end with "
            f"Linear({len(labels)}), or name the labels that y lacks with fit(..., classes=...)"
        )


def _numbers(y: Any, name: str, n_outputs: int | None = None) -> NDArray[Any]:
    """Return y as finite numbers (n, K)."""
    if scipy.sparse.issparse(y):
        raise ValueError(
            f"{name} must be dense for this loss, got a sparse matrix; pass y.toarray()"
        )
    try:
        array = np.asarray(y)
        if array.dtype.kind not in "biuf":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers for this loss: {error}") from error
    assert_all_finite(array, input_name=name)
    array = array.reshape(-1, 1) if array.ndim == 1 else array
    if n_outputs is not None and array.shape[1] != n_outputs:
        raise ValueError(
            f"{name} must have {n_outputs} columns, one for each output of the network, got shape "
            f"{np.shape(y)}"
        )
    return array
