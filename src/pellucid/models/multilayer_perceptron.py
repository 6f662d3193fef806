"""What `MLPClassifier` and `MLPRegressor` share: checks, solvers, weights, predictions."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils._tags import Tags
from sklearn.utils.validation import check_is_fitted

from pellucid.engine.batch import dense
from pellucid.engine.plan import TrainingData
from pellucid.inspection.gradient_check import GradientCheck, check_gradient
from pellucid.models.coefficients import (
    are_views,
    build_network,
    draw_parameters,
    hidden_sizes_of,
    pack,
    views,
)
from pellucid.models.default_engine import loss_and_gradient
from pellucid.models.inputs import checked_hidden_sizes, checked_table, compute_dtype
from pellucid.models.lbfgs_solver import LbfgsRun
from pellucid.models.mlp_state import mlp_from_state, mlp_to_state
from pellucid.models.onnx_export import OnnxExport, onnx_of_mlp
from pellucid.models.prediction import Fitted, KeptFitted, fitted_scores
from pellucid.models.saving import Arrays, save
from pellucid.models.stochastic_solver import SolverState, StochasticRun
from pellucid.models.task import Task
from pellucid.nn.network import Network
from pellucid.nn.parameters import Parameters
from pellucid.training import EpochReport, History, Outcome

STOCHASTIC_SOLVERS = ("sgd", "adam")


def has_epochs(estimator: MultilayerPerceptron) -> bool:
    """Return True where the solver works in epochs; raise AttributeError for 'lbfgs'."""
    if estimator.solver not in STOCHASTIC_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class MultilayerPerceptron(OnnxExport, BaseEstimator, ABC):  # type: ignore[misc]
    """Trains a chain of linear layers and activations; subclasses know the targets.

    The weights lie in one flat buffer; `coefs_` and `intercepts_` are lists of views of it.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
    }

    hidden_layer_sizes: Any
    activation: str
    solver: str
    max_iter: int
    warm_start: bool
    early_stopping: bool
    random_state: Any

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    n_outputs_: int
    out_activation_: str
    n_iter_: int
    loss_: float

    _on_epoch: Callable[[EpochReport], None] | None = None
    """Called after each epoch, for progress lines; it is not kept in copies."""
    _parameters: Parameters | None = None
    _fitted: KeptFitted | None = None

    @abstractmethod
    def _checked_input(
        self, X: Any, y: Any, *, incremental: bool, fresh: bool
    ) -> tuple[Any, NDArray[Any]]:
        """Return the table and the targets in one form; learn the classes."""

    @abstractmethod
    def _outputs(self, y: NDArray[Any]) -> tuple[int, str]:
        """Return the number of scores and the name of the output activation."""

    @abstractmethod
    def _targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Return the targets as the loss takes them."""

    @abstractmethod
    def _stratify(self, targets: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return which rows are of the one of two groups whose shares a split keeps, or None."""

    @abstractmethod
    def _validation_score(
        self,
        predictions: NDArray[Any],
        targets: NDArray[Any],
        sample_weight: NDArray[np.float64] | None,
    ) -> float:
        """Return the score of predictions on held-out rows."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool) -> Self:
        """Train; if no epoch was finished before an error, leave the estimator as it was."""
        before = vars(self).copy()
        goes_on = self.warm_start or incremental
        weights = self._parameters.copy() if goes_on and self._parameters else None
        self.n_iter_ = 0
        try:
            task = self._make_task(X, y, sample_weight, incremental)
            if self.solver == "lbfgs":
                self._fit_lbfgs(task)
            else:
                self._fit_stochastic(task, incremental)
        except BaseException:
            if self.n_iter_ == 0:
                self._go_back_to(before)
                if self._parameters is not None and weights is not None:
                    self._parameters.flat[:] = weights.flat
            raise
        return self

    def _go_back_to(self, attributes: dict[str, Any]) -> None:
        self.__dict__.clear()
        self.__dict__.update(attributes)

    def _make_task(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Task:
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True; use fit, or set "
                "early_stopping=False"
            )
        hidden_sizes = checked_hidden_sizes(self.hidden_layer_sizes)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._checked_input(X, y, incremental=incremental, fresh=fresh)
        n_outputs, out_activation = self._outputs(y)
        random_state = check_random_state(self.random_state)
        network = build_network(hidden_sizes, self.activation, n_outputs, out_activation)
        if fresh:
            parameters = draw_parameters(
                network, X.shape[1], self.activation, compute_dtype(X), random_state
            )
        else:
            parameters = self._parameters_to_go_on_with(network, hidden_sizes, n_outputs)
        self._attach(parameters)
        if fresh:
            self._forget_history()
        self.n_outputs_, self.out_activation_ = n_outputs, out_activation
        dtype = np.float64 if self.solver == "lbfgs" else parameters.flat.dtype
        targets = self._targets(y, dtype)
        return Task(
            network=network,
            parameters=parameters,
            X=X,
            targets=targets,
            sample_weight=sample_weight,
            random_state=random_state,
            options=self.get_params(deep=False),
            stratify=self._stratify(targets) if self.early_stopping else None,
            score=self._validation_score,
        )

    def _parameters_to_go_on_with(
        self, network: Network, hidden_sizes: tuple[int, ...], n_outputs: int
    ) -> Parameters:
        had = hidden_sizes_of(self.coefs_)
        if had != hidden_sizes:
            raise ValueError(
                f"hidden_layer_sizes must stay {had} to go on training, got {hidden_sizes}; use "
                "fit with warm_start=False to start afresh"
            )
        if n_outputs != np.shape(self.coefs_[-1])[1]:
            raise ValueError(
                f"y must have {np.shape(self.coefs_[-1])[1]} outputs as in the previous call, got "
                f"{n_outputs}; use fit with warm_start=False to start afresh"
            )
        return self._current_parameters(network)

    def _fit_lbfgs(self, task: Task) -> None:
        run = LbfgsRun(task)
        try:
            run.run()
        finally:
            self.n_iter_ = run.n_iterations
            self.loss_ = run.loss

    def _fit_stochastic(self, task: Task, incremental: bool) -> None:
        known = vars(self)
        if "loss_curve_" not in known:
            self._start_history()
        best = known.get("best_validation_score_" if self.early_stopping else "best_loss_")
        run = StochasticRun(
            task=task,
            history=History(self.loss_curve_, known.get("validation_scores_") or [], self.t_),
            best=np.nan if best is None else best,
            n_without_improvement=self._no_improvement_count,
            state=known.get("_optimizer") if incremental else None,
            on_epoch=self._on_epoch,
        )
        try:
            outcome = run.run(1 if incremental else self.max_iter)
        finally:
            self._remember(run)
        self._warn(outcome, incremental)

    def _forget_history(self) -> None:
        self.t_ = 0
        self._optimizer: SolverState | None = None
        for name in ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
            self.__dict__.pop(name, None)
        if self.solver in STOCHASTIC_SOLVERS:
            self._start_history()

    def _start_history(self) -> None:
        self.loss_ = np.nan
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_: float | None = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_: float | None = -np.inf if self.early_stopping else None

    def _remember(self, run: StochasticRun) -> None:
        loop, history = run.loop, run.history
        self.n_iter_ = loop.n_epochs
        self.t_ = history.examples_seen
        self._optimizer = run.final_state()
        self._no_improvement_count = loop.stopping.count
        if history.losses:
            self.loss_ = history.losses[-1]
        if self.early_stopping:
            self.validation_scores_ = history.validation_scores
            self.best_loss_, self.best_validation_score_ = None, loop.stopping.best
        else:
            self.validation_scores_ = None
            self.best_loss_, self.best_validation_score_ = loop.stopping.best, None

    def _warn(self, outcome: Outcome, incremental: bool) -> None:
        if outcome is Outcome.INTERRUPTED:
            warnings.warn("Training interrupted by user.", stacklevel=6)
        elif outcome is Outcome.DIVERGED:
            warnings.warn(
                f"Training diverged in iteration {self.n_iter_}; the weights with the best "
                "validation score are kept. Scale the columns of X and y, or lower "
                "learning_rate_init.",
                ConvergenceWarning,
                stacklevel=6,
            )
        elif outcome is Outcome.MAX_EPOCHS and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _attach(self, parameters: Parameters) -> None:
        """Make the weights of the estimator views of this buffer."""
        self._parameters = parameters
        self.coefs_, self.intercepts_ = views(parameters)
        self._fitted = KeptFitted([*self.coefs_, *self.intercepts_])
        self.n_layers_ = len(self.coefs_) + 1

    def _current_parameters(self, network: Network) -> Parameters:
        """Return the buffer behind `coefs_`, or a copy if other arrays were put into the lists."""
        parameters = self._parameters
        if parameters is None or not are_views(parameters, self.coefs_, self.intercepts_):
            return pack(network, self.coefs_, self.intercepts_)
        return parameters

    def _fitted_network(self) -> Network:
        return build_network(
            hidden_sizes_of(self.coefs_),
            self.activation,
            int(np.shape(self.coefs_[-1])[1]),
            self.out_activation_,
        )

    def _predictions(self, X: Any) -> NDArray[Any]:
        """Return the output of the network, of shape (n_rows, n_outputs)."""
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        fitted = self._find_fitted()
        scores = fitted_scores(fitted, X)
        with np.errstate(over="ignore"):
            predictions: NDArray[Any] = fitted.network.loss.link(scores)
        return predictions

    def _find_fitted(self) -> Fitted:
        """Return the network that the attributes describe: the kept one, if it still is that."""
        key = (self.activation, self.out_activation_)
        kept = self._fitted
        fitted = kept.find([*self.coefs_, *self.intercepts_], key) if kept else None
        if fitted is None:
            network = self._fitted_network()
            fitted = Fitted(network, self._current_parameters(network))
            if kept and fitted.parameters is self._parameters:
                kept.keep(key, fitted)
        return fitted

    def check_gradient(self, X: Any, y: Any, tolerance: float = 1e-5) -> GradientCheck:
        """Compare the engine's gradient at the fitted weights with central differences, in float64.

        The gradient is computed by the engine that trains, the losses behind the differences by
        the formulas of `pellucid.nn`: ‖g - ĝ‖/(‖g‖ + ‖ĝ‖) for each weight and bias, for each layer
        and for the whole network. Elements at a kink of an activation are counted and left out. The
        penalty `alpha` is left out too: its gradient is the weights themselves.

        Parameters
        ----------
        X, y : array-like
            A few rows and their targets: each parameter costs two forward passes over them.
        tolerance : float
            The relative error up to which `passed` is True.

        Returns
        -------
        pellucid.inspection.gradient_check.GradientCheck
            Prints as a table.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from pellucid import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.check_gradient(X[::10], y[::10]).passed
        True
        """
        check_is_fitted(self)
        X, y = self._checked_input(X, y, incremental=True, fresh=False)
        network = self._fitted_network()
        targets = self._targets(y, np.float64)
        fitted = self._current_parameters(network)
        parameters = Parameters(fitted.flat.astype(np.float64), fitted.layout)
        _, gradient = loss_and_gradient(network, parameters, TrainingData(X, targets))
        table = dense(X, np.dtype(np.float64))
        return check_gradient(
            network, parameters, table, targets, tolerance=tolerance, gradient=gradient
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_parameters", None)
        state.pop("_fitted", None)
        state.pop("_on_epoch", None)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(dict(state))
        if hasattr(self, "coefs_") and hasattr(self, "out_activation_"):
            self._attach(pack(self._fitted_network(), self.coefs_, self.intercepts_))

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one file, which `pellucid.load` reads.

        Parameters
        ----------
        path : str or Path
            Replaced atomically if it exists.

        Raises
        ------
        ModelFileError
            The file cannot be written; an earlier file stays as it was.
        """
        save(self, path)

    def _onnx_model(self) -> Any:
        return onnx_of_mlp(self)

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        return mlp_to_state(self)

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator: Self = mlp_from_state(cls, state, arrays)
        return estimator
