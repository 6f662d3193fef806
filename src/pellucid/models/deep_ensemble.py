"""What `DeepEnsembleClassifier` and `DeepEnsembleRegressor` share: members fitted together."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils._tags import Tags
from sklearn.utils.validation import check_is_fitted

from pellucid.models.inputs import checked_table, is_stream, renaming
from pellucid.models.perceptron.fit import MlpFit
from pellucid.models.perceptron.multilayer_perceptron import MultilayerPerceptron
from pellucid.models.perceptron.validation_set import ValidationData
from pellucid.models.saving import Arrays, members_from_state, members_to_state, save
from pellucid.training import Outcome, check_callbacks, run_together

LARGEST_SEED = 2**31 - 1


class DeepEnsemble(BaseEstimator, ABC):  # type: ignore[misc]
    """Perceptrons that differ in their seeds alone, and the mean and spread of what they say."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }
    _member_class: ClassVar[type[MultilayerPerceptron]]

    estimators_: list[Any]

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 5,
        *,
        random_state: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.random_state = random_state
        self.n_threads = n_threads

    @abstractmethod
    def _learn_from(self, members: Sequence[Any]) -> None:
        """Take over what the fitted members know of the targets."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_val: Any, *validation: Any) -> Self:
        """Fit all members, or raise and leave the ensemble as it was."""
        before = vars(self).copy()
        try:
            members = self._make_members()
            if is_stream(X):
                raise TypeError(
                    f"{type(self).__name__} needs a table in memory, got {X!r}; fit "
                    f"{self._member_class.__name__} with several seeds on the stream"
                )
            table = checked_table(self, X, reset=True)
            if X_val is not None:
                with renaming(X="X_val"):
                    X_val = checked_table(self, X_val, reset=False)
            given = (table, y, sample_weight, X_val, *validation)
            if members[0].solver == "lbfgs":
                self.estimators_ = fit_in_turn(members, given)
            else:
                self.estimators_ = fit_members(members, given, self.n_threads)
            self._learn_from(self.estimators_)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _make_members(self) -> list[MultilayerPerceptron]:
        """Return unfitted copies of the estimator, each with a seed of its own."""
        kind = self._member_class
        estimator = kind() if self.estimator is None else self.estimator
        if not isinstance(estimator, kind):
            raise TypeError(
                f"estimator must be an {kind.__name__} of pellucid or None, got {estimator!r}; "
                "put scalers and encoders before the ensemble, into a Pipeline"
            )
        if estimator.get_params(deep=False).get("checkpoint_path") is not None:
            raise ValueError(
                "the estimator of an ensemble must have checkpoint_path=None: all members would "
                "write into one folder"
            )
        generator = check_random_state(self.random_state)
        seeds = generator.randint(LARGEST_SEED, size=self.n_estimators)
        return [clone(estimator).set_params(random_state=int(seed)) for seed in seeds]

    def _outputs(self, X: Any) -> NDArray[Any]:
        """Return the predictions (n_members, n_rows, n_outputs) of every member."""
        check_is_fitted(self)
        table = checked_table(self, X, reset=False)
        with config_context(assume_finite=True):  # The table has just been checked.
            return np.stack([member._predictions(table) for member in self.estimators_])

    def save(self, path: str | Path) -> None:
        """Write the fitted ensemble to one file, which `pellucid.load` reads.

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
        state, arrays = members_to_state(self.estimators_)
        names = getattr(self, "feature_names_in_", None)
        state["feature_names_in"] = None if names is None else [str(name) for name in names]
        return state, arrays

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        ensemble = cls()
        members = members_from_state(cls._member_class, state, arrays)
        ensemble.n_features_in_, names = members[0].n_features_in_, state["feature_names_in"]
        if {member.n_features_in_ for member in members} != {members[0].n_features_in_}:
            raise ValueError("the members take tables of different widths")
        if names is not None:
            if len(names) != members[0].n_features_in_ or {*map(type, names)} != {str}:
                raise ValueError("the feature names do not fit the members")
            ensemble.feature_names_in_ = np.array(names, dtype=object)
        ensemble.estimators_ = members
        ensemble._learn_from(members)
        return ensemble


def fit_members(
    members: Sequence[MultilayerPerceptron], given: Sequence[Any], n_threads: int | None
) -> list[MultilayerPerceptron]:
    """Fit members at the same time and return those that have learned anything.

    That is all of them, but after Ctrl-C, when some had perhaps not finished an epoch.

    Raises
    ------
    Exception
        That of the first member whose training failed.
    KeyboardInterrupt
        None of them has finished an epoch.
    """
    fits = [MlpFit(member, *given) for member in members]
    results = run_together([fit.loop for fit in fits], [fit.n_epochs for fit in fits], n_threads)
    for i, (fit, result) in enumerate(zip(fits, results, strict=True)):
        fit.end(result.outcome)
        if result.error is not None:
            result.error.add_note(f"It happened to member {i} of {len(members)}.")
            raise result.error
    kept = [fit.estimator for fit in fits if fit.loop.n_epochs > 0]
    if not kept:
        raise KeyboardInterrupt
    _warn([result.outcome for result in results], len(kept))
    return kept


class _End:
    """A callback that knows how training ended."""

    outcome: Outcome | None = None

    def on_end(self, outcome: Outcome | None) -> None:
        self.outcome = outcome


def fit_in_turn(
    members: Sequence[MultilayerPerceptron], given: Sequence[Any]
) -> list[MultilayerPerceptron]:
    """Fit one member after the other; after Ctrl-C return those that have learned anything.

    Raises
    ------
    KeyboardInterrupt
        None of them has.
    """
    for i, member in enumerate(members):
        callbacks, end = member.callbacks, _End()
        member.callbacks = [*check_callbacks(callbacks), end]
        try:
            member.fit(*given[:3], **ValidationData(*given[3:]).as_arguments())
        finally:
            member.callbacks = callbacks
        if end.outcome is Outcome.INTERRUPTED:
            kept = list(members[: i + (member.n_iter_ > 0)])
            if not kept:
                raise KeyboardInterrupt
            warnings.warn(
                f"The ensemble has the {len(kept)} of {len(members)} members trained.",
                stacklevel=5,
            )
            return kept
    return list(members)


def _warn(outcomes: Sequence[Outcome | None], n_kept: int) -> None:
    """Warn once for all members."""
    n = len(outcomes)
    if Outcome.INTERRUPTED in outcomes:
        left_out = "" if n_kept == n else f" The ensemble has the {n_kept} of {n} members trained."
        warnings.warn(f"Training interrupted by user.{left_out}", stacklevel=6)
    if n_diverged := outcomes.count(Outcome.DIVERGED):
        warnings.warn(
            f"{n_diverged} of {n} members diverged; their weights with the best validation score "
            "are kept. Scale the columns of X and y, or lower learning_rate_init.",
            ConvergenceWarning,
            stacklevel=6,
        )
    if n_unfinished := outcomes.count(Outcome.MAX_EPOCHS):
        warnings.warn(
            f"{n_unfinished} of {n} members reached max_iter before their training converged.",
            ConvergenceWarning,
            stacklevel=6,
        )
