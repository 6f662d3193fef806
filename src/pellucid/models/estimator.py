"""What every estimator that trains a chain does alike: fit, go on, predict, check, save."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from pellucid.engine.batch import dense
from pellucid.engine.contract import Engine
from pellucid.engine.engines import engine_of
from pellucid.engine.plan import TrainingData
from pellucid.engine.sampling import Spread
from pellucid.inspection.gradient_check import GradientCheck, check_gradient
from pellucid.inspection.model_card import ModelDescription
from pellucid.models.call import FIT, Begun, Call
from pellucid.models.constructor_parameters import QuickParameters
from pellucid.models.exchange.onnx_export import OnnxExport
from pellucid.models.fit_data import FitData
from pellucid.models.fit_tasks import CallbackSupportMixin, FitTasks, begin_fit
from pellucid.models.model_card import describe_estimator
from pellucid.models.predicting import Predicts
from pellucid.models.prediction import Fitted, KeptFitted, fitted_scores, fitted_spread
from pellucid.models.prepared_fit import Learned, PreparedFit, undo_of, warn_of
from pellucid.models.reading import Reading, Rows
from pellucid.models.recipe import Recipe
from pellucid.models.saving import save
from pellucid.models.scoring import Score, scorer_on, validation_of
from pellucid.models.targets import Targets
from pellucid.nn import Chain, Parameters
from pellucid.persistence.training_checkpoints import (
    checkpoints_in,
    read_newest,
)
from pellucid.training import (
    EpochReport,
    FitResult,
    History,
    Outcome,
    TrainingJob,
    TrainingState,
    Validation,
    check_callbacks,
)
from pellucid.training.fingerprint import Fingerprint, contents, described


class Estimator(CallbackSupportMixin, OnnxExport, QuickParameters, Predicts):  # type: ignore[misc]
    """An estimator that trains a chain by a `TrainingJob`."""

    max_iter: int
    n_threads: int | None
    callbacks: Any
    checkpoint_path: Any
    checkpoint_every: Any
    scoring: Any
    verbose: Any
    warm_start: bool

    _free_to_change: ClassVar[frozenset[str]] = frozenset(
        {"callbacks", "checkpoint_every", "checkpoint_path", "n_threads", "verbose", "warm_start"}
    )
    """Parameters that may differ between `fit` and `resume`."""
    _held_out_by: ClassVar[str] = "validation_fraction"
    """What says which rows of X to validate on."""
    _scores_compare: ClassVar[bool] = True
    """Whether validation scores of one call compare with those of the next."""
    _widens: ClassVar[bool] = True
    """Whether float32 weights meet a table of float64 in float64."""

    _chain: Chain | None = None
    _parameters: Parameters | None = None
    _fan_in: int | None = None
    _judge: tuple[Any, ...] | None = None
    _kept: KeptFitted | None = None
    _warns_of_length: bool = True

    outcome_: Outcome | None
    n_iter_: int
    loss_: float

    @abstractmethod
    def _recipe(self, call: Call) -> Recipe:
        """Return the constructor parameters, each of them valid alone."""

    @abstractmethod
    def _read(self, data: FitData, call: Call, known: Targets | None) -> Reading:
        """Check what the user gave; `known` is what y meant before, where training goes on."""

    @abstractmethod
    def _begin(self, recipe: Any, chain: Chain, X: Any, call: Call, goes_on: bool) -> Begun:
        """Return the parameters to start from, and what draws from now on."""

    @abstractmethod
    def _start(self, recipe: Any, call: Call, *, validates: bool) -> TrainingState:
        """Return the state of the last call that this one goes on from."""

    @abstractmethod
    def _table(self, X: Any) -> Any:
        """Return X as the network takes it: numbers, checked against the table fitted on."""

    @abstractmethod
    def _encoded_targets(self, y: Any, dtype: Any) -> NDArray[Any]:
        """Return y as the loss takes it, checked."""

    def _prepare(
        self, data: FitData, call: Call = FIT, tasks: FitTasks | None = None
    ) -> PreparedFit:
        """Check everything and return a fit that is ready to run."""
        undo = undo_of(self)
        try:
            return self._prepared(data, call, tasks, undo)
        except BaseException:
            undo()
            raise

    def _prepared(
        self, data: FitData, call: Call, tasks: FitTasks | None, undo: Callable[[], None]
    ) -> PreparedFit:
        recipe = self._recipe(call)
        keeps = self.checkpoint_path is not None and not call.partial
        recipe.check(
            partial=call.partial,
            validates=data.X_val is not None or data.rows_val is not None,
            keeps_checkpoints=keeps,
        )
        data.check(recipe.solver)
        goes_on = call.saved is None and (self.warm_start or call.partial)
        goes_on = goes_on and self.__sklearn_is_fitted__()
        known, before = self._before(call, goes_on=goes_on, keeps=keeps)
        reading = self._read(data, call, known)
        targets, X = reading.targets, reading.training.X
        chain = recipe.chain_for(targets)
        begun = self._begin(recipe, chain, X, call, goes_on)
        attributes = {**reading.attributes, **begun.attributes}
        names = data.target_names() or (self.target_names_ if goes_on else None)
        if names is not None:
            attributes["target_names_"] = names
        learned = Learned(chain, begun.parameters, X.shape[1], targets, attributes)
        rows, seed = recipe.rows(reading, learned, begun.draws)
        length = int(self.max_iter if call.max_iter is None else call.max_iter)
        solver = recipe.solver_for(rows.source, seed, 1 if call.partial else length)
        judge = attributes["_judge"] = self._judge_of(learned, rows)
        same_judge = self._judge in (None, judge)
        validation = self._validation(learned, rows, same_judge=same_judge)
        start = TrainingState()
        if call.saved is not None:
            start = call.saved.state
            call.saved.check_is_of(self._fingerprint(recipe, targets, rows))
        elif goes_on:
            start = self._start(recipe, call, validates=validation is not None)
            if not same_judge:
                best = start.best if validation is not None else math.nan
                start = replace(start, best=best, n_without_improvement=0)
        if tasks is not None:
            tasks.follow(start.history, partial(self._snapshot, learned))
        own, arrays = begun.own
        job = TrainingJob(
            chain=chain,
            parameters=begun.parameters,
            source=rows.source,
            solver=solver,
            validation=validation,
            start=start,
            callbacks=[*check_callbacks(self.callbacks), *([] if tasks is None else [tasks])],
            checkpoints=checkpoints_in(
                self.checkpoint_path if keeps else None,
                self.checkpoint_every,
                lambda: self._fingerprint(recipe, targets, rows),
                ({**own, **before}, arrays),
            ),
            record=getattr(self, "record", None),
            verbose=bool(self.verbose),
        )
        return PreparedFit(job, self._engine_of(chain), learned, self._take_over, undo, call.saved)

    def _before(
        self, call: Call, *, goes_on: bool, keeps: bool
    ) -> tuple[Targets | None, dict[str, Any]]:
        """Return what y meant before, where training goes on, and what checkpoints keep of then.

        The rows of this call, which `resume` gets, need not tell it: they may lack labels.
        """
        if call.saved is None:
            before = self._known_to_json() if goes_on and keeps else {}
            return self._targets if goes_on else None, {"before": before} if before else {}
        if "before" not in call.saved.own:
            return None, {}
        with call.saved.reading():
            before = dict(call.saved.own["before"])
            return self._know_again(before), {"before": before}

    def _known_to_json(self) -> dict[str, Any]:
        """Return what this estimator knows of X and y that other rows may not tell."""
        return {}

    def _know_again(self, known: dict[str, Any]) -> Targets:
        """Know of X what `_known_to_json` told; return what y meant.

        Raises
        ------
        ValueError, TypeError, KeyError
            It tells nothing.
        """
        raise ValueError(f"a {type(self).__name__} keeps nothing of the fit before")

    def _judge_of(self, learned: Learned, rows: Rows) -> tuple[Any, ...]:
        """Return what the best score, or the best loss, of a call is measured by."""
        measured = rows.validation
        how = "none" if measured is None else "given" if measured.rows is None else "held out"
        return how, self._scoring(), learned.chain.loss

    def _validation(self, learned: Learned, rows: Rows, *, same_judge: bool) -> Validation | None:
        """Return how the rows to validate on are scored."""
        measured, scoring = rows.validation, self._scoring()
        if measured is None:
            return None

        asked: list[Any] = []

        def scorer() -> Score:
            model, given = self._in_training(learned), rows.given_validation()
            asked.append(model)
            model._knows(given.given, given.X)
            return scorer_on(model, scoring, given.given, given.y, measured.sample_weight)

        is_held_out = measured.rows is not None
        validation = validation_of(
            measured,
            learned.targets,
            learned.chain,
            scoring,
            scorer,
            chosen_by="X_val" if measured.rows is None else self._held_out_by,
            compares=is_held_out and self._scores_compare and self.scoring is None and same_judge,
        )
        for model in asked:
            return replace(validation, share_threads=partial(setattr, model, "n_threads"))
        return validation

    def _scoring(self) -> Any:
        """Return `scoring`, or what stands in for it; None for the score of the targets."""
        return self.scoring

    def _knows(self, given: Any, X: Any) -> None:
        """Remember what the network takes of a table that a scorer will ask for again."""
        self.__dict__.pop("feature_names_in_", None)  # The table was checked and has none any more.

    def _fingerprint(self, recipe: Recipe, targets: Targets, rows: Rows) -> Fingerprint:
        """Describe all that decides what a fit computes."""
        known = {**self._settings(recipe.free_settings), **rows.source.fingerprint()}
        known["target"] = described(targets)
        measured = rows.validation
        if measured is not None:
            is_given = measured.rows is None
            known["X_val"] = contents(measured.X if is_given else measured.rows)
            known["y_val"] = contents(measured.targets)
            known["sample_weight_val"] = contents(measured.sample_weight)
        return known

    def _train(self, data: FitData, call: Call = FIT) -> Self:
        """Train; if no epoch was finished before an error, leave the estimator as it was."""
        undo = undo_of(self)
        tasks = None
        if not call.partial:
            length = self.max_iter if call.max_iter is None else call.max_iter
            done = 0 if call.saved is None else call.saved.state.n_epochs
            tasks = begin_fit(self, data, max(0, length - done))
        try:
            fit = self._prepare(data, call, tasks)
            run = fit.begin()
            if fit.job.callbacks:
                self._show(fit, run.history)
            result = run.run()
            if not result.learned_something:
                raise KeyboardInterrupt if result.error is None else result.error
        except BaseException:
            undo()
            raise
        fit.finish(result)
        if result.error is not None:
            raise result.error
        warn_of(result, warns_of_length=self._warns_of_length and not call.partial)
        self._warn_of_score()
        if tasks is not None:
            tasks.end_fit()
        return self

    def _warn_of_score(self) -> None:
        """Warn of a validation score that says that nothing was learned."""

    def _resume(self, data: FitData, max_iter: int | None) -> Self:
        """Go on from the newest checkpoint."""
        if self.checkpoint_path is None:
            raise ValueError(
                "resume goes on from a checkpoint, but checkpoint_path is None; set it to the "
                "folder for them before fit, and to the same before resume"
            )
        is_number = isinstance(max_iter, int | np.integer) and not isinstance(max_iter, bool)
        if max_iter is not None and not (is_number and max_iter >= 1):
            raise ValueError(
                "max_iter is the number of epochs in all, those before the checkpoint included, "
                f"and must be a positive integer or None; got {max_iter!r}"
            )
        length = int(self.max_iter)
        total = length if max_iter is None else int(max_iter)
        if total > length and self._has_schedule():
            raise ValueError(
                f"max_iter={total} is more than the max_iter={length} of the constructor, which "
                "the schedule was made for; begin again by fit with "
                f"set_params(max_iter={total})"
            )
        saved = read_newest(self.checkpoint_path, type(self).__name__)
        return self._train(data, Call(saved=saved, max_iter=total))

    def _has_schedule(self) -> bool:
        return getattr(self, "schedule", None) is not None

    def _settings(self, free: frozenset[str] = frozenset()) -> Fingerprint:
        """Describe the constructor parameters that decide what a fit computes."""
        left_out = self._free_to_change | free
        known = {name: described(v) for name, v in self._options().items() if name not in left_out}
        return {"model": type(self).__name__, **known}

    def _become(self, learned: Learned) -> None:
        """Take over what was learned; `_remember` takes the history."""
        self._chain, self._parameters = learned.chain, learned.parameters
        self._fan_in, self._targets, self._kept = learned.fan_in, learned.targets, KeptFitted()
        self.__dict__.pop("target_names_", None)
        self.__dict__.update(learned.attributes)

    def _remember(self, result: FitResult) -> None:
        """Set the attributes that tell how training went."""
        self.outcome_ = result.outcome
        self.n_iter_ = result.n_iter
        self.loss_ = result.loss

    def _take_over(self, learned: Learned, result: FitResult) -> None:
        self.__dict__.pop("training_facts_", None)
        self._become(learned)
        self._remember(result)

    def _show(self, fit: PreparedFit, history: History) -> None:
        """Let callbacks look at the estimator while it is trained."""
        self._become(fit.learned)
        state, validated = TrainingState(history=history), fit.job.validation is not None
        self._remember(FitResult(None, 0, math.nan, state, validated=validated))

    def _in_training(self, learned: Learned) -> Self:
        """Return a copy that predicts with the parameters in training, as they change."""
        copy: Self = object.__new__(type(self))
        copy.__dict__.update(vars(self))
        copy._become(learned)
        return copy

    def _snapshot(self, learned: Learned, history: History, report: EpochReport) -> dict[str, Any]:
        """Return the attributes of the estimator as it is after an epoch."""
        copy = self._in_training(replace(learned, parameters=learned.parameters.copy()))
        state = TrainingState(history=history, n_epochs=report.epoch)
        validated = report.validation_score is not None
        copy._remember(
            FitResult(Outcome.STOPPED, report.epoch, report.loss, state, validated=validated)
        )
        before = vars(self)
        return {k: v for k, v in vars(copy).items() if k not in before or before[k] is not v}

    @property
    def chain_(self) -> Chain:
        """Layers and loss; they hold no numbers."""
        self._check_has_parameters()
        return self._fitted_chain()

    @property
    def parameters_(self) -> Parameters:
        """All parameters in one flat buffer: `parameters_["0.W"]` is a view to read and write."""
        self._check_has_parameters()
        return self._current_parameters(self._fitted_chain())

    def _check_has_parameters(self) -> None:
        check_is_fitted(self)

    def _fitted_chain(self) -> Chain:
        assert self._chain is not None
        return self._chain

    def _current_parameters(self, chain: Chain) -> Parameters:
        assert self._parameters is not None
        return self._parameters

    def _engine_of(self, chain: Chain) -> Engine:
        return engine_of(chain)

    def _find_fitted(self) -> Fitted:
        """Return what scores rows with the parameters there are; it is kept between calls."""
        key = (self._chain, self._parameters, self.n_threads)
        if self._kept is None:
            self._kept = KeptFitted()
        return self._kept.get(key, self._make_fitted)

    def _make_fitted(self) -> Fitted:
        chain = self._fitted_chain()
        parameters = self._current_parameters(chain)
        return Fitted(self._engine_of(chain), chain, parameters, self._n_inputs(), self.n_threads)

    def _n_inputs(self) -> int:
        """Return the columns of the network's input."""
        assert self._fan_in is not None
        return self._fan_in

    def _predictions(self, X: Any) -> NDArray[Any]:
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # raises; it takes as long as a small network
        return self._predictions_from(self._table(X))

    def _predictions_from(self, table: Any) -> NDArray[Any]:
        """Return the predictions for what `_table` returned."""
        fitted = self._find_fitted()
        scores = fitted_scores(fitted, table, widens=self._widens)
        with np.errstate(over="ignore"):
            predictions: NDArray[Any] = fitted.chain.loss.link(scores)
        return predictions

    def _spread(self, X: Any, n_samples: int, random_state: Any) -> Spread:
        check_is_fitted(self)
        table = self._table(X)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return fitted_spread(self._find_fitted(), table, n_samples, seed, widens=self._widens)

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
        table, targets = self._table(X), self._encoded_targets(y, np.float64)
        chain = self._fitted_chain()
        fitted = self._current_parameters(chain)
        parameters = Parameters(fitted.flat.astype(np.float64), fitted.layout)
        objective = self._engine_of(chain).objective(
            chain, parameters, TrainingData(table, targets)
        )
        _, gradient = objective(parameters.flat)
        return check_gradient(
            chain,
            parameters,
            dense(table, np.dtype(np.float64)),
            targets,
            tolerance=tolerance,
            gradient=gradient,
        )

    def describe(self) -> ModelDescription:
        """Return what the fitted model predicts, from what, and its layers; `print` it to read it.

        In a notebook it shows itself as a page.

        Returns
        -------
        pellucid.inspection.model_card.ModelDescription
            With `facts`, `network` and, for tabular estimators, `columns`.

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
        return describe_estimator(self)

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one file, which `pellucid.load` reads.

        Parameters
        ----------
        path : str or Path
            Replaced atomically if it exists.

        Raises
        ------
        TypeError
            A layer, the loss or a parameter is your own, which a file without code cannot hold.
        ModelFileError
            The file cannot be written; an earlier file stays as it was.
        """
        save(self, path)

    def __sklearn_is_fitted__(self) -> bool:
        return self._targets is not None

    def __getstate__(self) -> dict[str, Any]:
        state: Mapping[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_kept"}
