"""How a perceptron is trained: from what the user gives to a `TrainingJob`."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from pellucid.models.call import Begun, Call
from pellucid.models.coefficients import draw_parameters, hidden_sizes_of
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import parameter_dtype
from pellucid.models.perceptron.fitted_perceptron import FittedPerceptron
from pellucid.models.perceptron.recipe import STOCHASTIC_SOLVERS, PerceptronRecipe
from pellucid.models.perceptron.state import calls_from_json
from pellucid.models.solver_state import SolverState
from pellucid.nn import Chain, Parameters
from pellucid.persistence.training_checkpoints import OwnState, SavedTraining
from pellucid.training import (
    History,
    TrainingState,
)
from pellucid.training.row_order import generator_from, generator_state

_START = "start."
"""Before the names of the arrays of a checkpoint that say where the draws began."""


def has_epochs(estimator: Perceptron) -> bool:
    """Return True where the solver works in epochs; raise AttributeError for 'lbfgs'."""
    solver = getattr(estimator, "solver", "adam")
    if solver not in STOCHASTIC_SOLVERS:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {solver} is not stochastic."
        )
    return True


class Perceptron(FittedPerceptron):
    """Trains linear layers and activations; subclasses know what X and y are."""

    random_state: Any
    warm_start: bool
    scoring: Any
    verbose: Any
    checkpoint_every: Any

    _n_partial_fits: int = 0

    @abstractmethod
    def _recipe(self, call: Call) -> PerceptronRecipe:
        """Return the constructor parameters, each of them valid alone."""

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

    def _begin(
        self, recipe: PerceptronRecipe, chain: Chain, X: Any, call: Call, goes_on: bool
    ) -> Begun:
        if call.saved is not None:
            draws, calls = _draws_of(call.saved)
            return self._begun(_room_for(call.saved, chain, X.shape[1]), draws, calls, call)
        random_state, calls = self.random_state, self._n_partial_fits if goes_on else 0
        if call.partial and goes_on and isinstance(random_state, Integral):
            # No order is repeated: scikit-learn's partial_fit would begin its draws again.
            random_state = np.random.RandomState([int(random_state), calls])
        draws = check_random_state(random_state)
        if goes_on:
            parameters = self._parameters_to_go_on_with(chain, recipe)
        else:
            dtype, names = parameter_dtype(recipe.dtype, X), recipe.activation_names
            parameters = draw_parameters(chain, X.shape[1], names, dtype, draws)
        return self._begun(parameters, draws, calls + call.partial, call)

    def _begun(
        self,
        parameters: Parameters,
        draws: np.random.RandomState,
        n_partial_fits: int,
        call: Call,
    ) -> Begun:
        own: OwnState = ({}, {})
        if self.checkpoint_path is not None and not call.partial:
            numbers, arrays = generator_state(draws)
            own = (
                {"n_partial_fits": n_partial_fits, "start": numbers},
                {_START + name: array for name, array in arrays.items()},
            )
        return Begun(parameters, draws, own, {"_n_partial_fits": n_partial_fits})

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

    def _start(self, recipe: PerceptronRecipe, call: Call, *, validates: bool) -> TrainingState:
        known = vars(self)
        if "loss_curve_" not in known:
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


def _draws_of(saved: SavedTraining) -> tuple[np.random.RandomState, int]:
    """Return the generator as it was after the first weights were drawn, and calls so far."""
    with saved.reading():
        calls = calls_from_json(saved.own["n_partial_fits"])
        arrays = {k[len(_START) :]: v for k, v in saved.arrays.items() if k.startswith(_START)}
        return generator_from((saved.own["start"], arrays)), calls


def _room_for(saved: SavedTraining, chain: Chain, fan_in: int) -> Parameters:
    flat = saved.state.parameters
    with saved.reading():
        if flat is None or flat.dtype not in (np.float32, np.float64):
            raise ValueError("parameters that are no float32 or float64")
    assert flat is not None
    return Parameters.zeros(chain.layout(fan_in), flat.dtype)
