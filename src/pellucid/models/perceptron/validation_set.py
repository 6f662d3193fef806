"""Rows that training does not see, and how the network does on them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pellucid.models.inputs import is_stream
from pellucid.models.perceptron.task import Rows
from pellucid.nn.chain import Chain
from pellucid.training import ValidationResult

Score: TypeAlias = Callable[[NDArray[Any], float], float]
"""`(scores of the network (n, K), loss) -> float`, higher being better."""


class ValidationData(NamedTuple):
    """What the user gives `fit` to validate on."""

    X: Any = None
    y: Any = None
    sample_weight: Any = None

    def as_arguments(self) -> dict[str, Any]:
        """Return them by the names that `fit` and `resume` give them."""
        return {"X_val": self.X, "y_val": self.y, "sample_weight_val": self.sample_weight}

    def check(self, solver: str) -> None:
        """Raise ValueError for what no fit validates on: parts without others, a stream, L-BFGS."""
        if is_stream(self.X):
            raise ValueError(
                "X_val must be rows in memory, got a ParquetStream; take some of them: "
                "block = next(iter(stream.blocks())), then X_val=block.X, y_val=block.y"
            )
        if self.X is None:
            for name, value in (("y_val", self.y), ("sample_weight_val", self.sample_weight)):
                if value is not None:
                    raise ValueError(f"{name} needs X_val, which is None; pass both or neither")
            return
        if self.y is None:
            raise ValueError("X_val needs y_val, which is None; pass both or neither")
        if solver == "lbfgs":
            raise ValueError(
                "X_val is measured after each epoch, which solver='lbfgs' does not have; set "
                "solver='adam' or 'sgd', or leave X_val and y_val out"
            )


NO_VALIDATION = ValidationData()


class ValidationSet:
    """Measures the weights of the moment each time it is called.

    Parameters
    ----------
    chain : Chain
    predictor : callable
        `(X, numbers of rows or None) -> scores (n, K)`.
    rows : Rows
    score : callable
        What makes a number of the network's output and the loss.
    """

    def __init__(self, chain: Chain, predictor: Any, rows: Rows, score: Score) -> None:
        self._network, self._predictor, self._rows, self._score = chain, predictor, rows, score
        weight = rows.sample_weight
        self._weight = None if weight is None else weight / weight.mean()

    def __call__(self) -> ValidationResult:
        """Return score and loss; both are NaN where an output of the network is not finite."""
        # On the way to divergence outputs become huge before they become infinite.
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self._predictor(self._rows.X, self._rows.numbers)
            if not np.isfinite(scores).all():
                return ValidationResult(float("nan"), float("nan"))
            loss = self._network.loss_value(scores, self._rows.targets, self._weight)
            return ValidationResult(float(self._score(scores, loss)), loss)


def scorer_on(estimator: Any, scoring: Any, rows: Rows) -> Score:
    """Return what scores an estimator in training with one of scikit-learn's scorers.

    Parameters
    ----------
    estimator : estimator
        Whose weights are those of the moment.
    scoring : str or callable
        A name that scikit-learn knows, or `(estimator, X, y) -> float`; with `sample_weight` where
        the rows have weights.
    rows : Rows

    Raises
    ------
    ValueError
        No scorer has this name.
    TypeError
        The callable takes no weights, and the rows have some; or, later, returns no number.
    """
    from sklearn.metrics import check_scoring  # importing it would slow down `import pellucid`

    # The table was checked and has no names any more.
    live = object.__new__(type(estimator))
    live.__dict__.update(
        {name: value for name, value in vars(estimator).items() if name != "feature_names_in_"}
    )
    scorer, table = check_scoring(live, scoring=scoring), rows.table
    weight = {} if rows.sample_weight is None else {"sample_weight": rows.sample_weight}
    if weight and not _takes_weights(scorer):
        raise TypeError(
            f"scoring={scoring!r} must take sample_weight, since the rows to validate on have "
            "weights (sample_weight, sample_weight_val or class_weight): write it as "
            "scoring(estimator, X, y, sample_weight=None)"
        )

    def score(scores: NDArray[Any], loss: float) -> float:
        value = scorer(live, table, rows.y, **weight)
        if not isinstance(value, Real):
            raise TypeError(f"scoring={scoring!r} must return a number, got {value!r:.80}")
        return float(value)

    return score


def _takes_weights(scorer: Any) -> bool:
    try:
        signature(scorer).bind(None, None, None, sample_weight=None)
    except TypeError:
        return False
    except ValueError:  # Of some functions in C nothing is known.
        return True
    return True
