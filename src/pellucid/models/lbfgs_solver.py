"""The solver 'lbfgs': SciPy's L-BFGS-B on the engine's loss and gradient over the whole table."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData
from pellucid.models.default_engine import EngineObjective
from pellucid.models.inputs import checked_weights
from pellucid.models.task import Task
from pellucid.nn.parameters import Parameters

DEFAULT_TOL = 1e-4
DEFAULT_SMALLEST_DECREASE = 1e7 * float(np.finfo(np.float64).eps)
FLOOR_OF_SMALLEST_DECREASE = 64 * float(np.finfo(np.float64).eps)


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
    """

    task: Task
    loss: float = np.nan
    """The objective at the last point accepted."""
    n_iterations: int = 0

    def __post_init__(self) -> None:
        task = self.task
        weights = checked_weights(task.sample_weight, task.X, None)
        data = TrainingData(task.X, task.targets, weights.values, weights.scale)
        self._last_good = task.parameters.flat.astype(np.float64)
        start = Parameters(self._last_good, task.parameters.layout)
        self._evaluate = EngineObjective(task.network, start, data, float(task.options["alpha"]))

    def run(self) -> None:
        """Minimize until the largest element of the gradient is at most `tol`.

        Raises
        ------
        NonFiniteError
            The objective became non-finite; the weights are the last for which it was finite.
        """
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
                    "maxiter": options["max_iter"],
                    "gtol": options["tol"],
                    "ftol": _smallest_decrease(options["tol"]),
                },
            )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=6)
            self.task.parameters.flat[:] = self._last_good
            return
        self._finish(result)

    def _objective(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[Any]]:
        loss, gradient = self._evaluate(flat)
        return loss, gradient.flat

    def _take(self, intermediate_result: scipy.optimize.OptimizeResult) -> None:
        if not np.isfinite(intermediate_result.fun):
            return
        self.n_iterations += 1
        self.loss = float(intermediate_result.fun)
        self._last_good[:] = intermediate_result.x
        if self.task.options["verbose"]:
            print(f"Iteration {self.n_iterations}, loss = {self.loss:.8f}")

    def _finish(self, result: scipy.optimize.OptimizeResult) -> None:
        n_iterations = min(int(result.nit), self.task.options["max_iter"])
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            self.task.parameters.flat[:] = self._last_good
            raise NonFiniteError(
                n_iterations,
                int(result.nfev),
                None,
                "the objective is not finite; scale the columns of X and y, or raise alpha",
            )
        self.task.parameters.flat[:] = result.x
        self.loss, self.n_iterations = float(result.fun), n_iterations
        if result.status != 0:
            warnings.warn(self._not_converged(result), ConvergenceWarning, stacklevel=7)

    def _not_converged(self, result: scipy.optimize.OptimizeResult) -> str:
        options = self.task.options
        return (
            f"lbfgs failed to converge after {self.n_iterations} iteration(s) "
            f"(status={result.status}): {result.message}\n"
            f"Increase max_iter (now {options['max_iter']}) or max_fun (now {options['max_fun']}), "
            "or bring the columns of X to a similar scale, for example with "
            "sklearn.preprocessing.StandardScaler."
        )


def _smallest_decrease(tol: float) -> float:
    """Return the relative decrease of the objective at which to stop.

    SciPy's default, and so scikit-learn's, for the default `tol`; but it would hide a smaller
    `tol` on ill-conditioned tables, so it shrinks with it, down to that of `LogisticRegression`.
    """
    asked = DEFAULT_SMALLEST_DECREASE * min(1.0, tol / DEFAULT_TOL)
    return max(FLOOR_OF_SMALLEST_DECREASE, asked)
