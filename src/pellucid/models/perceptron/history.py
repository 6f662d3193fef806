"""What a perceptron remembers of its training: losses, scores, the state to go on from."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from pellucid.models.perceptron.stochastic_solver import SolverState, StochasticRun
from pellucid.training import Outcome

STOCHASTIC_SOLVERS = ("sgd", "adam")
HISTORY = (
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
)


class PerceptronHistory:
    """The attributes of `MLPClassifier` and `MLPRegressor` that tell of their training."""

    solver: str
    n_iter_: int
    loss_: float

    _n_partial_fits: int = 0

    def _forget_history(self, validates: bool) -> None:
        self.t_ = 0
        self._n_partial_fits = 0
        self._optimizer: SolverState | None = None
        for name in HISTORY:
            self.__dict__.pop(name, None)
        if self.solver in STOCHASTIC_SOLVERS:
            self._start_history(validates)

    def _start_history(self, validates: bool) -> None:
        self.loss_ = np.nan
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_: float | None = None if validates else np.inf
        self.validation_scores_: list[float] | None = [] if validates else None
        self.validation_loss_curve_: list[float] | None = [] if validates else None
        self.best_validation_score_: float | None = -np.inf if validates else None

    def _remember(self, run: StochasticRun) -> None:
        loop, history = run.loop, run.history
        self.n_iter_ = loop.n_epochs
        self.t_ = history.examples_seen
        self._optimizer = run.final_state()
        self._no_improvement_count = loop.stopping.count
        if history.losses:
            self.loss_ = history.losses[-1]
        if loop.validation is not None:
            self.validation_scores_ = history.validation_scores
            self.validation_loss_curve_ = history.validation_losses
            self.best_loss_, self.best_validation_score_ = None, loop.stopping.best
        else:
            self.validation_scores_ = self.validation_loss_curve_ = None
            self.best_loss_, self.best_validation_score_ = loop.stopping.best, None

    def _warn(self, outcome: Outcome, incremental: bool, stacklevel: int = 6) -> None:
        if self.validation_scores_ and not np.isfinite(self.best_validation_score_ or 0.0):
            warnings.warn(
                "No validation score was a finite number, so that no weights were the best; those "
                "of the last epoch are kept. Look at scoring and X_val.",
                stacklevel=stacklevel,
            )
        if outcome is Outcome.INTERRUPTED:
            warnings.warn("Training interrupted by user.", stacklevel=stacklevel)
        elif outcome is Outcome.DIVERGED:
            warnings.warn(
                f"Training diverged in iteration {self.n_iter_}; the weights with the best "
                "validation score are kept. Scale the columns of X and y, or lower "
                "learning_rate_init.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )
        elif outcome is Outcome.MAX_EPOCHS and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.n_iter_}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )
