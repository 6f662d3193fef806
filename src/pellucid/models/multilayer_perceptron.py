"""What `MLPClassifier` and `MLPRegressor` share: checks, solvers, weights, predictions."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._tags import Tags
from sklearn.utils.validation import check_is_fitted

from pellucid.engine.batch import dense
from pellucid.engine.plan import TrainingData
from pellucid.engine.sampling import Spread
from pellucid.inspection.gradient_check import GradientCheck, check_gradient
from pellucid.inspection.model_card import ModelDescription
from pellucid.models.architecture import activation_names, build_network, hidden_sizes
from pellucid.models.coefficients import (
    are_views,
    draw_parameters,
    hidden_sizes_of,
    others,
    pack,
    views,
)
from pellucid.models.constructor_parameters import QuickParameters
from pellucid.models.default_engine import engine_of
from pellucid.models.exchange import MlpExchange
from pellucid.models.fit_tasks import CallbackSupportMixin, FitArguments, FitTasks, begin_fit
from pellucid.models.hidden_layers import HiddenLayers
from pellucid.models.inputs import checked_table, is_stream, parameter_dtype, raw_weights, renaming
from pellucid.models.lbfgs_solver import LbfgsRun
from pellucid.models.mlp_checkpoint import (
    MlpCheckpoints,
    Resumption,
    generator_state,
)
from pellucid.models.mlp_loss import loss_with_output, out_activation_of
from pellucid.models.mlp_parameters import CONSTRAINTS, check_together
from pellucid.models.mlp_state import mlp_from_state, mlp_to_state
from pellucid.models.model_card import describe_mlp
from pellucid.models.prediction import Fitted, KeptFitted, fitted_scores, fitted_spread
from pellucid.models.saving import Arrays, save
from pellucid.models.stochastic_solver import SolverState, StochasticRun
from pellucid.models.task import Rows, Task
from pellucid.models.validation_set import NO_VALIDATION, Score, ValidationData, scorer_on
from pellucid.nn import CustomLoss, Linear, Loss, Network, Parameters
from pellucid.training import Callbacks, EpochReport, History, Outcome, check_callbacks

STOCHASTIC_SOLVERS = ("sgd", "adam")
HISTORY = (
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
)


def has_epochs(estimator: MultilayerPerceptron) -> bool:
    """Return True where the solver works in epochs; raise AttributeError for 'lbfgs'."""
    if estimator.solver not in STOCHASTIC_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


class MultilayerPerceptron(
    CallbackSupportMixin,  # type: ignore[misc]
    MlpExchange,
    HiddenLayers,
    QuickParameters,
    ABC,
):
    """Trains a chain of linear layers and activations; subclasses know the targets.

    The weights lie in one flat buffer; `coefs_` and `intercepts_` are lists of views of it.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    hidden_layer_sizes: Any
    activation: Any
    solver: str
    max_iter: int
    loss: Any
    scoring: Any
    dtype: Any
    callbacks: Any
    checkpoint_path: Any
    warm_start: bool
    shuffle: bool
    early_stopping: bool
    random_state: Any

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    n_outputs_: int
    out_activation_: str
    n_iter_: int
    loss_: float

    _score_name: ClassVar[str]
    """What the validation scores are where `scoring` does not say."""
    _network: Network | None = None
    _parameters: Parameters | None = None
    _n_partial_fits: int = 0
    _fitted: KeptFitted | None = None

    @abstractmethod
    def _checked_input(
        self, X: Any, y: Any, *, incremental: bool, fresh: bool
    ) -> tuple[Any, NDArray[Any]]:
        """Return the table and the targets in one form; learn the classes."""

    @abstractmethod
    def _checked_validation(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        """Return the table and the targets to validate on, in the same form."""

    @abstractmethod
    def _outputs(self, y: NDArray[Any]) -> tuple[int, Loss | CustomLoss]:
        """Return the number of scores and the loss."""

    @abstractmethod
    def _targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Return the targets as the loss takes them."""

    @abstractmethod
    def _block_targets(self, y: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Return the targets of some rows of a stream, checked."""

    @abstractmethod
    def _weights(
        self, y: NDArray[Any], sample_weight: NDArray[np.float64] | None
    ) -> NDArray[np.float64] | None:
        """Return the weights of rows: those given, times those of their classes."""

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
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    @property
    def network_(self) -> Network:
        """Layers and loss; they hold no numbers."""
        check_is_fitted(self)
        return self._fitted_network()

    @property
    def parameters_(self) -> Parameters:
        """All parameters in one flat buffer, of which `coefs_` and `intercepts_` are views."""
        check_is_fitted(self)
        return self._current_parameters(self._fitted_network())

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: ValidationData = NO_VALIDATION,
        *,
        incremental: bool,
        resumption: Resumption | None = None,
    ) -> Self:
        """Train; if no epoch was finished before an error, leave the estimator as it was."""
        given = FitArguments(X, y, sample_weight)
        n_epochs = self.max_iter if resumption is None else resumption.epochs_left
        tasks = None if incremental else begin_fit(self, given, self._so_far, n_epochs)
        undo = self._undo(incremental)
        try:
            task = self._make_task(X, y, sample_weight, validation, incremental, resumption)
            callbacks = self._make_callbacks(task, tasks)
            if self.solver == "lbfgs":
                self._fit_lbfgs(task, callbacks)
            else:
                self._fit_stochastic(task, callbacks, incremental, resumption)
            self._n_partial_fits += incremental
        except BaseException:
            undo()
            raise
        if tasks is not None:
            tasks.end_fit()
        return self

    def _undo(self, incremental: bool) -> Callable[[], None]:
        """Return what makes the estimator again what it is now, unless it finishes an epoch."""
        before = vars(self).copy()
        goes_on = self.warm_start or incremental
        weights = self._parameters.copy() if goes_on and self._parameters else None
        self.n_iter_ = 0

        def undo() -> None:
            if self.n_iter_ == 0:
                self._go_back_to(before)
                if self._parameters is not None and weights is not None:
                    self._parameters.flat[:] = weights.flat

        return undo

    def _go_back_to(self, attributes: dict[str, Any]) -> None:
        self.__dict__.clear()
        self.__dict__.update(attributes)

    def _make_task(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: ValidationData,
        incremental: bool,
        resumption: Resumption | None = None,
    ) -> Task:
        options = self.get_params(deep=False)
        check_together(options, incremental=incremental, validates=self._validates(validation))
        validation.check(self.solver)
        sizes = hidden_sizes(self.hidden_layer_sizes)
        if resumption is not None:
            self.__dict__.pop("coefs_", None)
            self.__dict__.pop("classes_", None)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        stream = None
        if is_stream(X):
            from pellucid.models.mlp_streams import rows_of, take_stream

            stream, X, y, sample_weight = take_stream(self, X, y, sample_weight, validation)
        X, y = self._checked_input(X, y, incremental=incremental, fresh=fresh)
        sample_weight = self._weights(y, raw_weights(sample_weight, X))
        n_outputs, loss = self._outputs(y)
        network = build_network(options, loss, n_outputs)
        random_state = self._generator(incremental, fresh)
        if resumption is not None:
            random_state, parameters = resumption.begin(network, X.shape[1])
        elif fresh:
            names = activation_names(self.activation, len(sizes))
            parameters = draw_parameters(
                network, X.shape[1], names, parameter_dtype(self.dtype, X), random_state
            )
        else:
            parameters = self._parameters_to_go_on_with(network, sizes, n_outputs)
        dtype = parameters.flat.dtype
        self._attach(network, parameters)
        if fresh:
            self._forget_history(self._validates(validation))
        self.n_outputs_, self.out_activation_ = n_outputs, out_activation_of(loss)
        if self.solver == "lbfgs":
            dtype = np.dtype(np.float64)
        training = Rows(X, y, self._targets(y, dtype), sample_weight)
        random_start = generator_state(random_state) if self._keeps(incremental) else None
        seed = int(random_state.randint(2**31 - 1)) if network.drops or stream else 0
        holds_out = self.early_stopping and validation.X is None
        return Task(
            network=network,
            parameters=parameters,
            training=training,
            validation=self._validation_rows(validation, dtype),
            random_state=random_state,
            seed=seed,
            options=options,
            stratify=self._stratify(training.targets) if holds_out else None,
            score=self._score,
            random_start=random_start,
            stream=rows_of(self, stream, dtype, seed, self.shuffle) if stream else None,
        )

    def _keeps(self, incremental: bool) -> bool:
        return self.checkpoint_path is not None and not incremental

    def _generator(self, incremental: bool, fresh: bool) -> np.random.RandomState:
        """Return what draws first weights, rows held out and row orders.

        A call of `partial_fit` that goes on draws from a generator of its own, seeded by the
        integer `random_state` and the number of calls so far: no order is repeated.
        """
        if incremental and not fresh and isinstance(self.random_state, Integral):
            return np.random.RandomState([int(self.random_state), self._n_partial_fits])
        generator: np.random.RandomState = check_random_state(self.random_state)
        return generator

    def _validates(self, validation: ValidationData) -> bool:
        return self.early_stopping or validation.X is not None

    def _validation_rows(self, validation: ValidationData, dtype: Any) -> Rows | None:
        """Return what the user gave to validate on, checked like the rows to train on."""
        if validation.X is None:
            return None
        with renaming(X="X_val", y="y_val"):
            X, y = self._checked_validation(validation.X, validation.y)
            targets = self._targets(y, dtype)
        weight = raw_weights(validation.sample_weight, X, "sample_weight_val")
        return Rows(X, y, targets, self._weights(y, weight))

    def _score(self, rows: Rows) -> Score:
        """Return what scores the weights of the moment on these rows."""
        if self.scoring is None:
            link = self._fitted_network().loss.link
            return lambda scores, loss: self._validation_score(
                link(scores), rows.targets, rows.sample_weight
            )
        if self.scoring == "loss":
            return lambda scores, loss: -loss
        return scorer_on(self, self.scoring, rows)

    def _parameters_to_go_on_with(
        self, network: Network, sizes: tuple[int, ...], n_outputs: int
    ) -> Parameters:
        had = hidden_sizes_of(self.coefs_)
        if had != sizes:
            raise ValueError(
                f"hidden_layer_sizes must stay {had} to go on training, got {sizes}; use "
                "fit with warm_start=False to start afresh"
            )
        if n_outputs != np.shape(self.coefs_[-1])[1]:
            raise ValueError(
                f"y must have {np.shape(self.coefs_[-1])[1]} outputs as in the previous call, got "
                f"{n_outputs}; use fit with warm_start=False to start afresh"
            )
        parameters = self._current_parameters(self._fitted_network())
        layout = network.layout(np.shape(self.coefs_[0])[0])
        if parameters.layout == layout:
            return parameters
        # Dropout and the like may have changed, which have no parameters, but number the others.
        if [e.shape for e in parameters.layout.entries] != [e.shape for e in layout.entries]:
            raise ValueError(
                f"normalization must stay as it was to go on training, got "
                f"{self.get_params()['normalization']!r}; use fit with warm_start=False to start "
                "afresh"
            )
        return Parameters(parameters.flat, layout)

    def _make_callbacks(self, task: Task, tasks: FitTasks | None) -> Callbacks | None:
        callbacks = [*check_callbacks(self.callbacks), *([] if tasks is None else [tasks])]
        if not callbacks:
            return None
        scoring = self._score_name if self.scoring is None else self.scoring
        name = "score" if callable(scoring) else scoring
        if name == "loss":
            name = None
        return Callbacks(callbacks, task.network, task.parameters, name)

    def _so_far(self, report: EpochReport) -> dict[str, Any]:
        """Return the attributes that an estimator in training has only in the end."""
        attributes: dict[str, Any] = {"n_iter_": report.epoch, "loss_": report.loss}
        curves = (name for name in HISTORY if isinstance(vars(self).get(name), list))
        return attributes | {name: list(getattr(self, name)) for name in curves}

    def _fit_lbfgs(self, task: Task, callbacks: Callbacks | None) -> None:
        run = LbfgsRun(task, callbacks)
        try:
            run.run()
        finally:
            self.n_iter_ = run.n_iterations
            self.loss_ = run.loss

    def _fit_stochastic(
        self,
        task: Task,
        callbacks: Callbacks | None,
        incremental: bool,
        resumption: Resumption | None,
    ) -> None:
        run = self._make_run(task, callbacks, incremental, resumption)
        try:
            max_epochs = self.max_iter if resumption is None else resumption.max_epochs
            outcome = run.run(1 if incremental else max_epochs)
        finally:
            self._remember(run)
        self._warn(outcome, incremental)

    def _make_run(
        self,
        task: Task,
        callbacks: Callbacks | None,
        incremental: bool,
        resumption: Resumption | None = None,
    ) -> StochasticRun:
        known, validates = vars(self), task.validation is not None or self.early_stopping
        if "loss_curve_" not in known:
            self._start_history(validates)
        best = known.get("best_validation_score_" if validates else "best_loss_")
        return StochasticRun(
            task=task,
            history=History(
                self.loss_curve_,
                known.get("validation_scores_") or [],
                known.get("validation_loss_curve_") or [],
                self.t_,
            ),
            best=np.nan if best is None else best,
            n_without_improvement=self._no_improvement_count,
            state=known.get("_optimizer") if incremental else None,
            callbacks=callbacks,
            checkpoints=self._checkpoints(incremental, resumption),
        )

    def _checkpoints(
        self, incremental: bool, resumption: Resumption | None
    ) -> MlpCheckpoints | None:
        if not self._keeps(incremental):
            return None
        if resumption is not None:
            self._n_partial_fits = resumption.n_partial_fits
        saved = None if resumption is None else resumption.saved
        return MlpCheckpoints(type(self).__name__, self._n_partial_fits, saved)

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

    def _attach(self, network: Network, parameters: Parameters) -> None:
        """Make the weights of the estimator views of this buffer."""
        self._network, self._parameters = network, parameters
        self.coefs_, self.intercepts_ = views(parameters)
        self._fitted = KeptFitted([*self.coefs_, *self.intercepts_])
        self.n_layers_ = len(self.coefs_) + 1

    def _current_parameters(self, network: Network) -> Parameters:
        """Return the buffer behind `coefs_`, or a copy if other arrays were put into the lists."""
        parameters = self._parameters
        if parameters is None:
            return pack(network, self.coefs_, self.intercepts_)
        if not are_views(parameters, self.coefs_, self.intercepts_):
            kept = others(parameters) if network is self._network else {}
            return pack(network, self.coefs_, self.intercepts_, kept)
        return parameters

    def _fitted_network(self) -> Network:
        """Return the network that was trained, or one that fits weights put in by hand."""
        network, sizes = self._network, hidden_sizes_of(self.coefs_)
        n_outputs = int(np.shape(self.coefs_[-1])[1])
        if network is None:
            loss: Loss | CustomLoss = loss_with_output(self.out_activation_)
        elif [*sizes, n_outputs] == [e.fan_out for e in network.layers if isinstance(e, Linear)]:
            return network
        else:
            loss = network.loss
        options = {**self.get_params(deep=False), "hidden_layer_sizes": sizes}
        return build_network(options, loss, n_outputs)

    def _predictions(self, X: Any) -> NDArray[Any]:
        """Return the output of the network, of shape (n_rows, n_outputs)."""
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        fitted = self._find_fitted()
        scores = fitted_scores(fitted, X)
        with np.errstate(over="ignore"):
            predictions: NDArray[Any] = fitted.network.loss.link(scores)
        return predictions

    def _spread(self, X: Any, n_samples: int, random_state: Any) -> Spread:
        """Return mean and standard deviation, (n_rows, n_outputs), over sampled sub-networks."""
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return fitted_spread(self._find_fitted(), X, n_samples, seed)

    def _find_fitted(self) -> Fitted:
        """Return the network that the attributes describe: the kept one, if it still is that."""
        kept = self._fitted
        fitted = kept.find([*self.coefs_, *self.intercepts_], self._network) if kept else None
        if fitted is None:
            network = self._fitted_network()
            fitted = Fitted(network, self._current_parameters(network))
            if kept and fitted.parameters is self._parameters:
                kept.keep(network, fitted)
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
        objective = engine_of(network).objective(network, parameters, TrainingData(X, targets))
        _, gradient = objective(parameters.flat)
        table = dense(X, np.dtype(np.float64))
        return check_gradient(
            network, parameters, table, targets, tolerance=tolerance, gradient=gradient
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_fitted", None)
        parameters = state.pop("_parameters", None)
        if parameters is not None:
            state["_others"] = others(parameters)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        other_arrays = state.pop("_others", {})
        super().__setstate__(state)
        if hasattr(self, "coefs_") and hasattr(self, "out_activation_"):
            network = self._fitted_network()
            self._attach(network, pack(network, self.coefs_, self.intercepts_, other_arrays))

    def describe(self) -> ModelDescription:
        """Return what the fitted model predicts, from what, and its layers; `print` it to read it.

        In a notebook it shows itself as a page.

        Returns
        -------
        pellucid.inspection.model_card.ModelDescription
            With `facts`, `network` and `columns`.

        Raises
        ------
        sklearn.exceptions.NotFittedError

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from pellucid import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> print(model.describe().network)
           layer                        output  parameters  shapes            memory  FLOPs
           input                             4
        0  Linear(4)                         4          20  W (4, 4), b (4,)   160 B     36
        1  Activation('relu')                4
        2  Linear(3)                         3          15  W (4, 3), b (3,)   120 B     27
           loss: softmax_cross_entropy                  35                     280 B     63
        >>> model.describe().facts["predicts"]
        'one of 3 classes: 0, 1, 2'
        """
        return describe_mlp(self)

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

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        return mlp_to_state(self)

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator: Self = mlp_from_state(cls, state, arrays)
        return estimator
