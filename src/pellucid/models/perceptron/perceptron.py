"""How a perceptron is trained: from what the user gives to a `TrainingJob`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing, check_random_state

from pellucid.engine.contract import ValidationRows
from pellucid.engine.plan import TrainingData
from pellucid.models.coefficients import draw_parameters, hidden_sizes_of
from pellucid.models.estimator import FIT, Call
from pellucid.models.fit_data import FitData
from pellucid.models.fit_tasks import FitTasks
from pellucid.models.inputs import normalized_weights, parameter_dtype
from pellucid.models.perceptron.fitted_perceptron import FittedPerceptron
from pellucid.models.perceptron.recipe import STOCHASTIC_SOLVERS, PerceptronRecipe
from pellucid.models.prepared_fit import Learned, PreparedFit, undo_of
from pellucid.models.scoring import Score, scorer_on, validation_of
from pellucid.models.solver_state import SolverState
from pellucid.models.streams import OpenStream, StreamRows
from pellucid.models.targets import Targets
from pellucid.nn import Chain, CustomLoss, Loss, Parameters
from pellucid.persistence.training_checkpoints import OwnState, SavedTraining, checkpoints_in
from pellucid.tables import Table
from pellucid.training import (
    Checkpoints,
    FixedOrder,
    History,
    Lbfgs,
    MiniBatches,
    RowSource,
    ShuffledOrder,
    TableRows,
    TrainingJob,
    TrainingState,
    Validation,
    hold_out,
)
from pellucid.training.fingerprint import Fingerprint, contents, described
from pellucid.training.row_order import generator_from, generator_state


def has_epochs(estimator: Perceptron) -> bool:
    """Return True where the solver works in epochs; raise AttributeError for 'lbfgs'."""
    solver = getattr(estimator, "solver", "adam")
    if solver not in STOCHASTIC_SOLVERS:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {solver} is not stochastic."
        )
    return True


def part_of(given: Any, rows: NDArray[np.int64]) -> Any:
    """Return a copy of some rows of a table of any kind."""
    return given.take(rows) if isinstance(given, Table) else _safe_indexing(given, rows)


@dataclass(frozen=True)
class ReadRows:
    """Rows as the network takes them, and as they were given.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, n_inputs)
    y : ndarray
        Labels or numbers, checked.
    sample_weight : ndarray of float64 of shape (n,), or None
        Times the weights of the classes.
    given : table
        What a scorer of scikit-learn gets.
    """

    X: Any
    y: Any
    sample_weight: NDArray[np.float64] | None
    given: Any

    def part(self, rows: NDArray[np.int64]) -> ReadRows:
        """Return a copy of some of the rows."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        given = part_of(self.given, rows)
        X = given if self.given is self.X else self.X[rows]
        return ReadRows(X, self.y[rows], weight, given)


@dataclass(frozen=True)
class Reading:
    """What the arguments of `fit` hold.

    Parameters
    ----------
    training : ReadRows
        Of a stream, a few rows of its form.
    targets : Targets
        What y means.
    validation : ReadRows or None
        What the user gave as `X_val`.
    stream : OpenStream or None
    class_factors : ndarray of float64 of shape (n_labels,), or None
        What the weights of the rows of a stream are multiplied by, by label.
    attributes : mapping
        What the estimator gets beside the network: an encoder.
    """

    training: ReadRows
    targets: Targets
    validation: ReadRows | None = None
    stream: OpenStream | None = None
    class_factors: NDArray[np.float64] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Perceptron(FittedPerceptron):
    """Trains linear layers and activations; subclasses know what X and y are."""

    random_state: Any
    warm_start: bool
    scoring: Any
    verbose: Any
    checkpoint_every: Any

    _n_partial_fits: int = 0

    @abstractmethod
    def _recipe(self) -> PerceptronRecipe:
        """Return the constructor parameters, each of them valid alone."""

    @abstractmethod
    def _read(self, data: FitData, call: Call, known: Targets | None) -> Reading:
        """Check what the user gave; `known` is what y meant before, where training goes on."""

    @abstractmethod
    def _loss_for(self, targets: Targets) -> Loss | CustomLoss:
        """Return the loss that the parameters name."""

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

        `fit` with `max_iter=10` and `resume(max_iter=20)` give, to the bit, what `fit` with
        `max_iter=20` gives on the same machine, in whatever process; this estimator may be one
        newly made. A training that has reached its end is only read.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val : array-like
            Those of the `fit`.
        max_iter : int, optional
            Maximum number of epochs in all, those before the checkpoint included; by default that
            of the constructor. With a `schedule`, which is made for that length, no more than it.

        Returns
        -------
        self : estimator
            The fitted estimator. All draws go on where they stood. An integer `random_state` must
            be what it was; a generator object is not touched.

        Raises
        ------
        ValueError
            `checkpoint_path` is None, the solver is 'lbfgs', or the checkpoint is of another
            training: other data or constructor parameters. Only `n_threads`, `verbose`,
            `callbacks`, `checkpoint_path`, `checkpoint_every`, `warm_start` may differ, and what
            decides when to stop: `max_iter` without a schedule, `tol` and `n_iter_no_change` but
            for learning_rate='adaptive'. Tables of up to 16 MiB are compared in full; of larger
            ones evenly spaced rows are. Functions of your own are compared by their names.
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
        ...     model = model.resume(X, y, max_iter=20)
        >>> bool((model.parameters_.flat == whole.parameters_.flat).all())
        True
        """
        if getattr(self, "solver", "adam") == "lbfgs":
            raise ValueError(
                "resume goes on from the end of an epoch, which solver='lbfgs' does not have; set "
                "solver='adam' or 'sgd', or call fit with warm_start=True"
            )
        data = FitData(X, y, sample_weight, X_val, y_val, sample_weight_val)
        return self._resume(data, max_iter)

    def _prepare(
        self, data: FitData, call: Call = FIT, tasks: FitTasks | None = None
    ) -> PreparedFit:
        undo = undo_of(self)
        try:
            return self._prepared(data, call, tasks)
        except BaseException:
            undo()
            raise

    def _prepared(self, data: FitData, call: Call, tasks: FitTasks | None) -> PreparedFit:
        undo, recipe = undo_of(self), self._recipe()
        recipe.check(
            partial=call.partial,
            validates=recipe.early_stopping or data.X_val is not None,
            keeps_checkpoints=self.checkpoint_path is not None,
        )
        data.check(recipe.solver)
        fresh = self._is_fresh(call)
        reading = self._read(data, call, None if fresh else self._targets)
        if data.X_val is not None or not self._can_hold_out(reading):
            recipe = replace(recipe, early_stopping=False)
        targets, X = reading.targets, reading.training.X
        chain = recipe.chain(self._loss_for(targets), targets.n_outputs)
        draws, parameters = self._begin(recipe, chain, X, call, fresh)
        attributes = {**reading.attributes, "_n_partial_fits": self._n_calls_after(call, fresh)}
        learned = Learned(chain, parameters, X.shape[1], targets, attributes)
        keeps = self.checkpoint_path is not None and not call.partial
        own = self._own_state(draws, call) if keeps else None
        rows = _Rows(recipe, reading, chain, parameters.flat.dtype, draws)
        solver: Lbfgs | MiniBatches = recipe.lbfgs()
        if recipe.solver != "lbfgs":
            solver = recipe.mini_batches(rows.source.n_rows, rows.seed, self._max_epochs(call))
        validation = self._validation(recipe, learned, reading, rows)
        start = self._start(recipe, call, fresh, validates=validation is not None)
        job = TrainingJob(
            chain=chain,
            parameters=parameters,
            source=rows.source,
            solver=solver,
            validation=validation,
            start=start,
            callbacks=self._callbacks(tasks),
            checkpoints=None
            if own is None
            else self._checkpoints(recipe, reading, rows, own, call),
            verbose=bool(self.verbose),
        )
        if tasks is not None:
            tasks.follow(job.start.history, partial(self._snapshot, learned))
        engine = self._engine_of(chain)
        return PreparedFit(job, engine, learned, self._take_over, undo, call.saved)

    def _is_fresh(self, call: Call) -> bool:
        goes_on = self.warm_start or call.partial
        return call.saved is not None or not hasattr(self, "coefs_") or not goes_on

    def _max_epochs(self, call: Call) -> int:
        if call.partial:
            return 1
        return int(self.max_iter if call.max_iter is None else call.max_iter)

    def _begin(
        self, recipe: PerceptronRecipe, chain: Chain, X: Any, call: Call, fresh: bool
    ) -> tuple[np.random.RandomState, Parameters]:
        """Return what draws from now on, and the parameters to start from."""
        if call.saved is not None:
            return _generator_of(call.saved), _room_for(call.saved, chain, X.shape[1])
        random_state = self.random_state
        if call.partial and not fresh and isinstance(random_state, Integral):
            # No order is repeated: scikit-learn's partial_fit would begin its draws again.
            random_state = np.random.RandomState([int(random_state), self._n_partial_fits])
        draws: np.random.RandomState = check_random_state(random_state)
        if not fresh:
            return draws, self._parameters_to_go_on_with(chain, recipe)
        dtype, names = parameter_dtype(recipe.dtype, X), recipe.activation_names
        return draws, draw_parameters(chain, X.shape[1], names, dtype, draws)

    def _parameters_to_go_on_with(self, chain: Chain, recipe: PerceptronRecipe) -> Parameters:
        had, sizes, n_outputs = hidden_sizes_of(self.coefs_), recipe.sizes, self.coefs_[-1].shape[1]
        if had != sizes:
            raise ValueError(
                f"hidden_layer_sizes must stay {had} to go on training, got {sizes}; use "
                "fit with warm_start=False to start afresh"
            )
        fan_in = int(np.shape(self.coefs_[0])[0])
        if n_outputs != chain.fan_out(fan_in):
            raise ValueError(
                f"y must have {n_outputs} outputs as in the previous call, got "
                f"{chain.fan_out(fan_in)}; use fit with warm_start=False to start afresh"
            )
        parameters = self._current_parameters(self._fitted_chain())
        layout = chain.layout(fan_in)
        if parameters.layout == layout:
            return parameters
        # Dropout and the like may have changed, which have no parameters, but number the others.
        if [e.shape for e in parameters.layout.entries] != [e.shape for e in layout.entries]:
            raise ValueError(
                f"normalization must stay as it was to go on training, got "
                f"{recipe.normalization!r}; use fit with warm_start=False to start afresh"
            )
        return Parameters(parameters.flat, layout)

    def _start(
        self, recipe: PerceptronRecipe, call: Call, fresh: bool, *, validates: bool
    ) -> TrainingState:
        """Return where training goes on from."""
        known = vars(self)
        if call.saved is not None:
            return call.saved.state
        if fresh or "loss_curve_" not in known:
            return TrainingState()
        best = known.get("best_validation_score_" if validates else "best_loss_")
        history = History(
            losses=self.loss_curve_,
            validation_scores=known.get("validation_scores_") or [] if validates else [],
            validation_losses=known.get("validation_loss_curve_") or [] if validates else [],
            examples_seen=self.t_,
        )
        state: SolverState | None = known.get("_optimizer") if call.partial else None
        if state is None or state.solver != recipe.solver:
            state = SolverState(recipe.solver)
        return TrainingState(
            trainer=state.trainer,
            learning_rate=state.learning_rate,
            best=np.nan if best is None else best,
            n_without_improvement=self._no_improvement_count,
            history=history,
        )

    def _validation(
        self, recipe: PerceptronRecipe, learned: Learned, reading: Reading, rows: _Rows
    ) -> Validation | None:
        """Return how the rows that the user gave, or those held out, are scored."""
        measured, given = rows.validation, reading.validation
        if measured is None:
            return None
        if given is None:
            assert rows.held_out is not None
            given = reading.training.part(rows.held_out)
        scoring = self._scoring()

        def scorer() -> Score:
            model = self._in_training(learned)
            model._knows(given.given, given.X)
            return scorer_on(model, scoring, given.given, given.y, measured.sample_weight)

        return validation_of(
            measured,
            learned.targets,
            learned.chain,
            scoring,
            scorer,
            is_held_out=reading.validation is None,
            compares=reading.validation is None and self.scoring is None,
        )

    def _scoring(self) -> Any:
        """Return `scoring`, or what stands in for it; None for the estimator's own score."""
        return self.scoring

    def _can_hold_out(self, reading: Reading) -> bool:
        """Return whether rows can be held out, where the parameters ask for it."""
        return True

    def _knows(self, given: Any, X: Any) -> None:
        """Remember what the network takes of a table that a scorer will ask for again."""
        self.__dict__.pop("feature_names_in_", None)  # The table was checked and has none any more.

    def _own_state(self, draws: np.random.RandomState, call: Call) -> OwnState:
        """Return what a checkpoint holds beside the state of the training."""
        if call.saved is not None:
            return call.saved.own, call.saved.arrays
        numbers, arrays = generator_state(draws)
        own = {"n_partial_fits": self._n_partial_fits, "start": numbers}
        return own, {f"start.{name}": array for name, array in arrays.items()}

    def _checkpoints(
        self,
        recipe: PerceptronRecipe,
        reading: Reading,
        rows: _Rows,
        own: OwnState | None,
        call: Call,
    ) -> Checkpoints | None:
        if own is None:
            return None
        # What decides only when training ends may change, but for a schedule, which is made for
        # the length of training, and the rate of 'adaptive', which a plateau lowers.
        free = set() if recipe.schedule is not None else {"max_iter"}
        if not (recipe.solver == "sgd" and recipe.learning_rate == "adaptive"):
            free |= {"n_iter_no_change", "tol"}

        def fingerprint() -> Fingerprint:
            known = {**self._settings(frozenset(free)), **rows.source.fingerprint()}
            known["target"] = described(reading.targets)
            for name in ("X", "y", "sample_weight"):
                value = None if reading.validation is None else getattr(reading.validation, name)
                known[f"{name}_val"] = contents(value)
            return known

        if call.saved is not None:
            call.saved.check_is_of(fingerprint())
        return checkpoints_in(self.checkpoint_path, self.checkpoint_every, fingerprint, own)

    def _n_calls_after(self, call: Call, fresh: bool) -> int:
        """Return the calls of `partial_fit` there have been once this one is over."""
        if call.saved is not None:
            return int(call.saved.own["n_partial_fits"])
        return (0 if fresh else self._n_partial_fits) + call.partial


class _Rows:
    """The rows of one training: those to learn from and those to validate on."""

    def __init__(
        self,
        recipe: PerceptronRecipe,
        reading: Reading,
        chain: Chain,
        dtype: np.dtype[Any],
        draws: np.random.RandomState,
    ) -> None:
        self._recipe, self._reading = recipe, reading
        self._dtype = np.dtype(np.float64) if recipe.solver == "lbfgs" else dtype
        training, stream = reading.training, reading.stream
        drawn = chain.drops or stream is not None
        self.seed = int(draws.randint(2**31 - 1)) if drawn else 0
        self.held_out: NDArray[np.int64] | None = None
        encoded = self._encode(training.y)
        self.source: RowSource
        if stream is not None:
            self.source = StreamRows(
                stream,
                lambda y: self._encode(y, "the target"),
                batch_size=recipe.rows_of_step(stream.n_rows),
                shuffle=recipe.shuffle,
                seed=self.seed,
                class_factors=reading.class_factors,
            )
        else:
            self.source = self._table(training, encoded, draws)
        self.validation = self._validation(encoded)

    def _encode(self, y: Any, name: str = "y") -> NDArray[Any]:
        targets = self._reading.targets
        return self._recipe.smoothed(targets, targets.encode(y, self._dtype, name))

    def _table(
        self, training: ReadRows, encoded: NDArray[Any], draws: np.random.RandomState
    ) -> TableRows:
        recipe, n = self._recipe, training.X.shape[0]
        rows: NDArray[np.int64] | None = None
        if recipe.early_stopping:
            groups = self._reading.targets.groups_to_split(encoded)
            rows, self.held_out = hold_out(n, recipe.validation_fraction, draws, groups)
        weights = normalized_weights(training.sample_weight, rows)
        data = TrainingData(training.X, encoded, weights.values, weights.scale)
        all_rows = np.arange(n, dtype=np.int64) if rows is None else rows
        order = ShuffledOrder(all_rows, draws) if recipe.shuffle else FixedOrder(all_rows)
        return TableRows(data, order)

    def _validation(self, encoded: NDArray[Any]) -> ValidationRows | None:
        given, held_out = self._reading.validation, self.held_out
        if given is not None:
            return ValidationRows(given.X, self._encode(given.y, "y_val"), given.sample_weight)
        if held_out is None:
            return None
        training = self._reading.training
        weight = training.sample_weight
        weight = None if weight is None else weight[held_out]
        return ValidationRows(training.X, encoded[held_out], weight, held_out)


def _generator_of(saved: SavedTraining) -> np.random.RandomState:
    """Return the generator as it was after the first weights were drawn."""
    prefix = "start."
    with saved.reading():
        int(saved.own["n_partial_fits"])
        arrays = {k[len(prefix) :]: v for k, v in saved.arrays.items() if k.startswith(prefix)}
        return generator_from((saved.own["start"], arrays))


def _room_for(saved: SavedTraining, chain: Chain, fan_in: int) -> Parameters:
    flat = saved.state.parameters
    with saved.reading():
        if flat is None or flat.dtype not in (np.float32, np.float64):
            raise ValueError("parameters that are no float32 or float64")
    assert flat is not None
    return Parameters.zeros(chain.layout(fan_in), flat.dtype)
