"""What `MLPClassifier` and `MLPRegressor` share: how they are trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from pellucid.models.fit_tasks import CallbackSupportMixin, FitArguments, FitTasks, begin_fit
from pellucid.models.inputs import is_stream, parameter_dtype, raw_weights, renaming
from pellucid.models.perceptron.architecture import activation_names, build_network, hidden_sizes
from pellucid.models.perceptron.checkpoint import (
    MlpCheckpoints,
    Resumption,
    generator_state,
    read_resumption,
)
from pellucid.models.perceptron.coefficients import (
    draw_parameters,
    hidden_sizes_of,
)
from pellucid.models.perceptron.fitted_perceptron import FittedPerceptron
from pellucid.models.perceptron.history import HISTORY, STOCHASTIC_SOLVERS, PerceptronHistory
from pellucid.models.perceptron.lbfgs_solver import LbfgsRun
from pellucid.models.perceptron.loss import out_activation_of
from pellucid.models.perceptron.parameters import CONSTRAINTS, check_together
from pellucid.models.perceptron.stochastic_solver import StochasticRun
from pellucid.models.perceptron.task import Rows, Task
from pellucid.models.perceptron.validation_set import (
    NO_VALIDATION,
    Score,
    ValidationData,
    scorer_on,
)
from pellucid.nn import Chain, CustomLoss, Loss, Parameters
from pellucid.training import Callbacks, EpochReport, History, check_callbacks


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
    PerceptronHistory,
    FittedPerceptron,
    ABC,
):
    """Trains a chain of linear layers and activations; subclasses know the targets."""

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

    _score_name: ClassVar[str]
    """What the validation scores are where `scoring` does not say."""

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

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def resume(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        max_iter: int | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Go on with a `fit` that was killed, or that is to be longer, from its newest checkpoint.

        `fit` for 10 epochs and `resume` for 10 more give, to the bit, what `fit` for 20 gives on
        the same machine, in whatever process; this estimator may be one newly made. A training
        that has reached its end is only read.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val : array-like
            Those of the `fit`.
        max_iter : int, optional
            So many epochs more; by default until the `max_iter` of the constructor is reached. With
            a `schedule`, which is made for that length, no more than were left.

        Returns
        -------
        self : MLPClassifier or MLPRegressor
            The fitted estimator. All draws go on where they stood. An integer `random_state` must
            be what it was; a generator object is not touched.

        Raises
        ------
        ValueError
            `checkpoint_path` is None, the solver is 'lbfgs', or the checkpoint is of another
            training: other data or constructor parameters. Only `n_threads`, `verbose`,
            `callbacks`, `checkpoint_path`, `checkpoint_every`, `warm_start` may differ, and what
            decides when to stop: `max_iter` without a schedule, `tol` and `n_iter_no_change` but
            for learning_rate='adaptive'. Tables of up to 16 MiB are compared in full, of larger
            ones so much in evenly spaced rows; functions of your own by their names.
        ModelFileError
            A `ValueError`: there is no checkpoint that is whole. A damaged one is warned of, and
            the one before is taken.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from pellucid import MLPRegressor
        >>> X = np.random.default_rng(0).normal(size=(50, 3))
        >>> y = X[:, 0]
        >>> settings = {"tol": 0.0, "random_state": 0, "n_iter_no_change": np.inf}
        >>> folder = tempfile.mkdtemp()
        >>> model = MLPRegressor(max_iter=10, checkpoint_path=folder, **settings)
        >>> whole = MLPRegressor(max_iter=20, **settings)
        >>> import warnings
        >>> with warnings.catch_warnings(action="ignore"):  # more epochs would help
        ...     _ = model.fit(X, y), whole.fit(X, y)
        ...     model = model.resume(X, y, max_iter=10)
        >>> bool((model.parameters_.flat == whole.parameters_.flat).all())
        True
        """
        validation = ValidationData(X_val, y_val, sample_weight_val)
        resumption = read_resumption(self, max_iter)
        return self._fit(X, y, sample_weight, validation, incremental=False, resumption=resumption)

    def _rows_to_check(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        X, y = self._checked_input(X, y, incremental=True, fresh=False)
        return X, self._targets(y, np.float64)

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
        options = self._options()
        check_together(options, incremental=incremental, validates=self._validates(validation))
        validation.check(self.solver)
        sizes = hidden_sizes(self.hidden_layer_sizes)
        if resumption is not None:
            self.__dict__.pop("coefs_", None)
            self.__dict__.pop("classes_", None)
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        stream = None
        if is_stream(X):
            from pellucid.models.perceptron.streams import rows_of, take_stream

            stream, X, y, sample_weight = take_stream(self, X, y, sample_weight, validation)
        X, y = self._checked_input(X, y, incremental=incremental, fresh=fresh)
        sample_weight = self._weights(y, raw_weights(sample_weight, X))
        n_outputs, loss = self._outputs(y)
        chain = build_network(options, loss, n_outputs)
        random_state = self._generator(incremental, fresh)
        if resumption is not None:
            random_state, parameters = resumption.begin(chain, X.shape[1])
        elif fresh:
            names = activation_names(self.activation, len(sizes))
            parameters = draw_parameters(
                chain, X.shape[1], names, parameter_dtype(self.dtype, X), random_state
            )
        else:
            parameters = self._parameters_to_go_on_with(chain, sizes, n_outputs)
        dtype = parameters.flat.dtype
        self._attach(chain, parameters)
        if fresh:
            self._forget_history(self._validates(validation))
        self.n_outputs_, self.out_activation_ = n_outputs, out_activation_of(loss)
        if self.solver == "lbfgs":
            dtype = np.dtype(np.float64)
        training = Rows(X, y, self._targets(y, dtype), sample_weight)
        random_start = generator_state(random_state) if self._keeps(incremental) else None
        seed = int(random_state.randint(2**31 - 1)) if chain.drops or stream else 0
        holds_out = self.early_stopping and validation.X is None
        return Task(
            chain=chain,
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
        scoring = self._scoring()
        if scoring is None:
            link = self._fitted_network().loss.link
            return lambda scores, loss: self._validation_score(
                link(scores), rows.targets, rows.sample_weight
            )
        if scoring == "loss":
            return lambda scores, loss: -loss
        return scorer_on(self, scoring, rows)

    def _scoring(self) -> Any:
        """Return `scoring`, or what stands in for it; None for the estimator's own score."""
        return self.scoring

    def _parameters_to_go_on_with(
        self, chain: Chain, sizes: tuple[int, ...], n_outputs: int
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
        layout = chain.layout(np.shape(self.coefs_[0])[0])
        if parameters.layout == layout:
            return parameters
        # Dropout and the like may have changed, which have no parameters, but number the others.
        if [e.shape for e in parameters.layout.entries] != [e.shape for e in layout.entries]:
            raise ValueError(
                f"normalization must stay as it was to go on training, got "
                f"{self._options()['normalization']!r}; use fit with warm_start=False to start "
                "afresh"
            )
        return Parameters(parameters.flat, layout)

    def _make_callbacks(self, task: Task, tasks: FitTasks | None) -> Callbacks | None:
        callbacks = [*check_callbacks(self.callbacks), *([] if tasks is None else [tasks])]
        if not callbacks:
            return None
        scoring = self._scoring()
        name = self._score_name if scoring is None else "score" if callable(scoring) else scoring
        if name == "loss":
            name = None
        return Callbacks(callbacks, task.chain, task.parameters, name)

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
        for name in ("validation_scores_", "validation_loss_curve_"):
            if known.get(name) is None and validates:
                setattr(self, name, [])
        best = known.get("best_validation_score_" if validates else "best_loss_")
        return StochasticRun(
            task=task,
            history=History(
                self.loss_curve_,
                known["validation_scores_"] if validates else [],
                known["validation_loss_curve_"] if validates else [],
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
