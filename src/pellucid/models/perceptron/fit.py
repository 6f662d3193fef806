"""One fit of an `MLPClassifier` or `MLPRegressor` that somebody else runs, with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid.models.perceptron.history import STOCHASTIC_SOLVERS
from pellucid.models.perceptron.multilayer_perceptron import MultilayerPerceptron
from pellucid.models.perceptron.validation_set import ValidationData
from pellucid.training import Outcome


@dataclass
class MlpFit:
    """A call of `fit` that is ready to run: `loop`, for `n_epochs` at most, then `finish`.

    The parameters are the estimator and what its `fit` takes. scikit-learn's own callbacks
    (`set_callbacks`) are not told of it.

    Raises
    ------
    ValueError
        A parameter or an input is wrong, or solver='lbfgs'; the estimator is then as it was.
    """

    estimator: MultilayerPerceptron
    X: Any
    y: Any
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None

    def __post_init__(self) -> None:
        estimator = self.estimator
        estimator._validate_params()
        if estimator.solver not in STOCHASTIC_SOLVERS:
            raise ValueError(
                f"solver must be 'adam' or 'sgd' for fits that run together, got "
                f"{estimator.solver!r}; call fit of each estimator"
            )
        validation = ValidationData(self.X_val, self.y_val, self.sample_weight_val)
        self.undo = estimator._undo(incremental=False)
        try:
            task = estimator._make_task(self.X, self.y, self.sample_weight, validation, False)
            callbacks = estimator._make_callbacks(task, None)
            self._run = estimator._make_run(task, callbacks, incremental=False)
        except BaseException:
            self.undo()
            raise
        self.loop = self._run.loop
        self.n_epochs = int(estimator.max_iter)
        self.checkpoint_path = estimator.checkpoint_path

    def finish(self, outcome: Outcome | None, stacklevel: int = 3) -> None:
        """Keep what was learned, and warn where need be; see `end`."""
        self.end(outcome)
        if outcome is not None:
            self.estimator._warn(outcome, incremental=False, stacklevel=stacklevel + 1)

    def end(self, outcome: Outcome | None) -> None:
        """Keep what was learned.

        `outcome` is None after an error: without a finished epoch the estimator is then as it was.
        """
        self._run.outcome = outcome
        self.estimator._remember(self._run)
        if outcome is None:
            self.undo()
