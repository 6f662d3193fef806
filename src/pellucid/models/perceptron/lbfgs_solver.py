"""The solver 'lbfgs': SciPy's L-BFGS-B on the engine's loss and gradient over the whole table."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from pellucid.engine.diagnosis import TOO_FAST, explain_non_finite
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData
from pellucid.models.default_engine import engine_of
from pellucid.models.inputs import normalized_weights
from pellucid.models.perceptron.task import Task
from pellucid.nn.context import Context
from pellucid.nn.parameters import Parameters
from pellucid.training import Callbacks, EpochReport, Outcome

DEFAULT_TOL = 1e-4
DEFAULT_SMALLEST_DECREASE = 1e7 * float(np.finfo(np.float64).eps)
FLOOR_OF_SMALLEST_DECREASE = 64 * float(np.finfo(np.float64).eps)
DIAGNOSED_ROWS = 256
"""Most rows whose forward pass is done again to tell why the objective is not finite."""
_LIMIT_REACHED, _STOPPED_BY_CALLBACK = 1, 99
"""What SciPy's status means."""


@dataclass
class LbfgsRun:
    """One call of `fit` with solver 'lbfgs'.

    The arithmetic is in float64 whatever the dtype of the table, because the line search compares
    losses that differ in their last digits; the weights are rounded to the dtype of
    `task.parameters` at the end.

    Parameters
    ----------
    task : Task
        What to train on.
    callbacks : Callbacks, optional
        Told of each iteration as of an epoch, without a learning rate.
    """

    task: Task
    callbacks: Callbacks | None = None
    loss: float = np.nan
    """The objective at the last point accepted."""
    n_iterations: int = 0

    def __post_init__(self) -> None:
        task = self.task
        rows, weights = task.training, normalized_weights(task.training.sample_weight, None)
        self._data = TrainingData(rows.X, rows.targets, weights.values, weights.scale)
        self._last_good = task.parameters.flat.astype(np.float64)
        self._non_finite: NDArray[np.float64] | None = None
        self._complaint: str | None = None
        self._started: float | None = None
        start = Parameters(self._last_good, task.parameters.layout)
        self._evaluate = engine_of(task.chain).objective(
            task.chain,
            start,
            self._data,
            float(task.options["alpha"]),
            task.options["n_threads"],
        )

    def run(self) -> None:
        """Minimize until the largest element of the gradient is at most `tol`.

        Raises
        ------
        NonFiniteError
            The objective became non-finite; the weights are those of the last step taken.
        """
        most = self.task.options["max_iter"]
        if self.callbacks is None:
            outcome = self._minimize(most)
        else:
            outcome = self.callbacks.around(self._minimize, most)
        if outcome is Outcome.INTERRUPTED:
            warnings.warn("Training interrupted by user.", stacklevel=6)
        elif self._complaint is not None:
            warnings.warn(self._complaint, ConvergenceWarning, stacklevel=6)

    def _minimize(self, max_iter: int) -> Outcome:
        options = self.task.options
        try:
            result = scipy.optimize.minimize(
                self._objective,
                self._last_good.copy(),
                method="L-BFGS-B",
                jac=True,
                callback=self._take,
                options={
                    "maxfun": options["max_fun"],
                    "maxiter": max_iter,
                    "gtol": options["tol"],
                    "ftol": _smallest_decrease(options["tol"]),
                },
            )
        except KeyboardInterrupt:
            self.task.parameters.flat[:] = self._last_good
            return Outcome.INTERRUPTED
        except BaseException:
            self.task.parameters.flat[:] = self._last_good
            raise
        return self._finish(result)

    def _objective(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[Any]]:
        if self.callbacks is not None and self._started is None:
            self._started = time.perf_counter()
            self.callbacks.before_epoch(self.n_iterations + 1)
        loss, gradient = self._evaluate(flat)
        is_finite = np.isfinite(loss) and np.isfinite(gradient.flat).all()
        if not is_finite and self._non_finite is None:
            self._non_finite = flat.copy()
        return loss, gradient.flat

    def _take(self, intermediate_result: scipy.optimize.OptimizeResult) -> None:
        if not np.isfinite(intermediate_result.fun):
            return
        self._non_finite = None
        self.n_iterations += 1
        self.loss = float(intermediate_result.fun)
        self._last_good[:] = intermediate_result.x
        if self.task.options["verbose"]:
            print(f"Iteration {self.n_iterations}, loss = {self.loss:.8f}")
        if self.callbacks is not None and self._report(self.callbacks):
            raise StopIteration

    def _report(self, callbacks: Callbacks) -> bool:
        """Tell of the iteration that ended; return whether a callback wants to stop."""
        self.task.parameters.flat[:] = self._last_good
        now = time.perf_counter()
        seconds, self._started = now - (self._started or now), None
        return callbacks.after_epoch(
            EpochReport(
                epoch=self.n_iterations,
                loss=self.loss,
                validation_score=None,
                learning_rate=np.nan,
                n_examples=self._data.n_examples,
                seconds=seconds,
            )
        )

    def _finish(self, result: scipy.optimize.OptimizeResult) -> Outcome:
        n_iterations = min(int(result.nit), self.task.options["max_iter"])
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            self.task.parameters.flat[:] = self._last_good
            raise self._explanation(n_iterations, int(result.nfev))
        self.task.parameters.flat[:] = result.x
        self.loss, self.n_iterations = float(result.fun), n_iterations
        if result.status == _STOPPED_BY_CALLBACK:
            return Outcome.STOPPED
        if result.status != 0:
            self._complaint = self._not_converged(result)
        return Outcome.MAX_EPOCHS if result.status == _LIMIT_REACHED else Outcome.CONVERGED

    def _explanation(self, n_iterations: int, n_evaluations: int) -> NonFiniteError:
        """Return the error for the first point, after the last step, that was not finite."""
        flat = self._last_good if self._non_finite is None else self._non_finite
        reached = Parameters(flat, self.task.parameters.layout)
        losses = self._losses(reached)
        if np.isfinite(losses).all():
            cause = f"the penalty, the gradient or the sum of the losses overflowed. {self._size()}"
            return NonFiniteError(n_iterations, n_evaluations, None, cause)
        rows = np.flatnonzero(~np.isfinite(losses))[:DIAGNOSED_ROWS]
        context = Context(epoch=n_iterations, step=n_evaluations)
        error = explain_non_finite(self.task.chain, reached, self._data, rows, context)
        cause = error.cause.replace(TOO_FAST, self._size())
        return NonFiniteError(n_iterations, n_evaluations, error.layer, cause)

    def _size(self) -> str:
        sizes = f"values in X are as large as {_largest(self.task.training.X):.3g}"
        if self.task.training.targets.dtype.kind == "f":
            sizes += f", the targets as large as {_largest(self.task.training.targets):.3g}"
        return (
            f"{sizes}. Standardize the columns of X and, for regression, the targets, or change "
            "alpha."
        )

    def _losses(self, parameters: Parameters) -> NDArray[np.float64]:
        chain, rows = self.task.chain, self.task.training
        with np.errstate(all="ignore"):
            predictor = engine_of(chain).predictor(chain, parameters, rows.X.shape[1])
            losses: NDArray[np.float64] = chain.loss.terms(predictor(rows.X), rows.targets)
        return losses

    def _not_converged(self, result: scipy.optimize.OptimizeResult) -> str:
        options = self.task.options
        return (
            f"lbfgs failed to converge after {self.n_iterations} iteration(s) "
            f"(status={result.status}): {result.message}\n"
            f"Increase max_iter (now {options['max_iter']}) or max_fun (now {options['max_fun']}), "
            "or bring the columns of X to a similar scale, for example with "
            "sklearn.preprocessing.StandardScaler."
        )


def _largest(values: Any) -> float:
    return max(float(values.max()), -float(values.min()))


def _smallest_decrease(tol: float) -> float:
    """Return the relative decrease of the objective at which to stop.

    SciPy's default, and so scikit-learn's, for the default `tol`; but it would hide a smaller
    `tol` on ill-conditioned tables, so it shrinks with it, down to that of `LogisticRegression`.
    """
    asked = DEFAULT_SMALLEST_DECREASE * min(1.0, tol / DEFAULT_TOL)
    return max(FLOOR_OF_SMALLEST_DECREASE, asked)
