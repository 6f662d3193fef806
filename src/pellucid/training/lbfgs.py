"""The solver 'lbfgs': SciPy's L-BFGS-B on the engine's loss and gradient over the whole table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from pellucid.engine.contract import Engine
from pellucid.engine.diagnosis import TOO_FAST, explain_non_finite
from pellucid.engine.errors import NonFiniteError
from pellucid.engine.plan import TrainingData
from pellucid.nn.chain import Chain
from pellucid.nn.context import Context
from pellucid.nn.parameters import Parameters
from pellucid.training.callbacks import Callbacks
from pellucid.training.checkpoint import TrainingState, copied
from pellucid.training.history import EpochReport
from pellucid.training.outcome import Outcome
from pellucid.training.result import FitResult

DEFAULT_TOL = 1e-4
DEFAULT_SMALLEST_DECREASE = 1e7 * float(np.finfo(np.float64).eps)
FLOOR_OF_SMALLEST_DECREASE = 64 * float(np.finfo(np.float64).eps)
DIAGNOSED_ROWS = 256
"""At most so many rows are computed again to tell why the objective is not finite."""
_LIMIT_REACHED, _STOPPED_BY_CALLBACK = 1, 99
"""What SciPy's status means."""


@dataclass(frozen=True)
class Lbfgs:
    """Minimize the objective over the whole table until its gradient is small.

    Parameters
    ----------
    l2_penalty : float
        As in `TrainingPlan`.
    n_threads : int or None
    tol : float
        Stop when the largest element of the gradient is at most this.
    max_iter, max_fun : int
        Maximum number of iterations, and of evaluations of the objective.
    """

    l2_penalty: float
    n_threads: int | None
    tol: float
    max_iter: int
    max_fun: int


class LbfgsRun:
    """One training with L-BFGS.

    The arithmetic is in float64 whatever the dtype of the table, because the line search compares
    losses that differ in their last digits; the weights are rounded to the dtype of `parameters`
    at the end.

    Parameters
    ----------
    settings : Lbfgs
    engine : Engine
    chain : Chain
    parameters : Parameters
        Where to start, and where the result goes.
    data : TrainingData
    start : TrainingState
        Only its history matters.
    callbacks : Callbacks, optional
        Told of each iteration as of an epoch, without a learning rate.
    say : callable, optional
        Gets a line for each iteration.
    """

    def __init__(
        self,
        settings: Lbfgs,
        engine: Engine,
        chain: Chain,
        parameters: Parameters,
        data: TrainingData,
        start: TrainingState,
        callbacks: Callbacks | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._settings, self._engine, self._data = settings, engine, data
        self._chain, self._parameters = chain, parameters
        self.history = copied(start.history)
        self._callbacks, self._say = callbacks, say
        self.n_threads = settings.n_threads
        self.before_run: Callable[[], None] | None = None
        self.loss = np.nan
        self.n_iterations = 0
        self._last_good = parameters.flat.astype(np.float64)
        self._non_finite: NDArray[np.float64] | None = None
        self._complaint: str | None = None
        self._started: float | None = None
        self._stops = Event()

    def stop(self) -> None:
        """End training, from another thread, as Ctrl-C does."""
        self._stops.set()

    def run(self) -> FitResult:
        """Minimize.

        Returns
        -------
        FitResult
            With the error that ended training, if one did: `NonFiniteError` where the objective
            became non-finite; the weights are those of the last step taken.
        """
        outcome: Outcome | None = None
        problem: BaseException | None = None
        most = self._settings.max_iter
        try:
            if self.before_run is not None:
                self.before_run()
            if self._callbacks is None:
                outcome = self._minimize(most)
            else:
                outcome = self._callbacks.around(self._minimize, most)
        except KeyboardInterrupt:
            outcome = Outcome.INTERRUPTED
        except BaseException as error:
            problem = error
        return FitResult(
            outcome=outcome,
            n_iter=self.n_iterations,
            loss=self.loss,
            state=TrainingState(history=self.history, n_epochs=self.n_iterations),
            complaint=None if outcome is Outcome.INTERRUPTED else self._complaint,
            error=problem,
        )

    def _minimize(self, max_iter: int) -> Outcome:
        settings = self._settings
        self._evaluate = self._engine.objective(
            self._chain,
            Parameters(self._last_good, self._parameters.layout),
            self._data,
            settings.l2_penalty,
            self.n_threads,
        )
        try:
            result = scipy.optimize.minimize(
                self._objective,
                self._last_good.copy(),
                method="L-BFGS-B",
                jac=True,
                callback=self._take,
                options={
                    "maxfun": settings.max_fun,
                    "maxiter": max_iter,
                    "gtol": settings.tol,
                    "ftol": _smallest_decrease(settings.tol),
                },
            )
        except KeyboardInterrupt:
            self._parameters.flat[:] = self._last_good
            return Outcome.INTERRUPTED
        except BaseException:
            self._parameters.flat[:] = self._last_good
            raise
        return self._finish(result)

    def _objective(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[Any]]:
        if self._stops.is_set():
            raise KeyboardInterrupt
        if self._callbacks is not None and self._started is None:
            self._started = time.perf_counter()
            self._callbacks.before_epoch(self.n_iterations + 1)
        loss, gradient = self._evaluate(flat)
        is_finite = np.isfinite(loss) and np.isfinite(gradient.flat).all()
        if not is_finite and self._non_finite is None:
            self._non_finite = flat.copy()
        return loss, gradient.flat

    def _take(self, intermediate_result: scipy.optimize.OptimizeResult) -> None:
        if not np.isfinite(intermediate_result.fun):
            return
        if not intermediate_result.fun >= self.loss:  # else SciPy went back to the last point
            self._non_finite = None
        self.n_iterations += 1
        self.loss = float(intermediate_result.fun)
        self._last_good[:] = intermediate_result.x
        if self._say is not None:
            self._say(f"Iteration {self.n_iterations}, loss = {self.loss:.8f}")
        if self._callbacks is not None and self._report(self._callbacks):
            raise StopIteration

    def _report(self, callbacks: Callbacks) -> bool:
        """Tell of the iteration that ended; return whether a callback wants to stop."""
        self._parameters.flat[:] = self._last_good
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
        n_iterations = min(int(result.nit), self._settings.max_iter)
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            self._parameters.flat[:] = self._last_good
            raise self._explanation(n_iterations, int(result.nfev))
        self._parameters.flat[:] = result.x
        self.loss, self.n_iterations = float(result.fun), n_iterations
        if result.status == _STOPPED_BY_CALLBACK:
            return Outcome.STOPPED
        if result.status != 0:
            self._complaint = self._not_converged(result)
        elif self._non_finite is not None and np.abs(result.jac).max() > self._settings.tol:
            self._complaint = (
                f"lbfgs stopped after {n_iterations} iteration(s) because the objective was not "
                f"finite at the next point that it tried; {self._size()}"
            )
        return Outcome.MAX_EPOCHS if result.status == _LIMIT_REACHED else Outcome.CONVERGED

    def _explanation(self, n_iterations: int, n_evaluations: int) -> NonFiniteError:
        """Return the error for the first point, after the last step, that was not finite."""
        flat = self._last_good if self._non_finite is None else self._non_finite
        reached = Parameters(flat, self._parameters.layout)
        losses = self._losses(reached)
        if np.isfinite(losses).all():
            cause = f"the penalty, the gradient or the sum of the losses overflowed. {self._size()}"
            return NonFiniteError(n_iterations, n_evaluations, None, cause)
        rows = np.flatnonzero(~np.isfinite(losses))[:DIAGNOSED_ROWS]
        context = Context(epoch=n_iterations, step=n_evaluations)
        error = explain_non_finite(self._chain, reached, self._data, rows, context)
        cause = error.cause.replace(TOO_FAST, self._size())
        return NonFiniteError(n_iterations, n_evaluations, error.layer, cause)

    def _size(self) -> str:
        sizes = f"values in X are as large as {_largest(self._data.X):.3g}"
        if self._data.targets.dtype.kind == "f":
            sizes += f", the targets as large as {_largest(self._data.targets):.3g}"
        return (
            f"{sizes}. Standardize the columns of X and, for regression, the targets, or change "
            "alpha."
        )

    def _losses(self, parameters: Parameters) -> NDArray[np.float64]:
        chain, data = self._chain, self._data
        with np.errstate(all="ignore"):
            predict = self._engine.predictor(chain, parameters, data.X.shape[1])
            losses: NDArray[np.float64] = chain.loss.terms(predict(data.X), data.targets)
        return losses

    def _not_converged(self, result: scipy.optimize.OptimizeResult) -> str:
        settings = self._settings
        return (
            f"lbfgs failed to converge after {self.n_iterations} iteration(s) "
            f"(status={result.status}): {result.message}\n"
            f"Increase max_iter (now {settings.max_iter}) or max_fun (now {settings.max_fun}), "
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
