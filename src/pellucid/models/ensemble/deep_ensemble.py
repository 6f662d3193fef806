"""What `DeepEnsembleClassifier` and `DeepEnsembleRegressor` share: members fitted together."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils._tags import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from pellucid.engine.sampling import Spread
from pellucid.inspection.gradient_check import GradientCheck
from pellucid.inspection.model_card import ModelDescription
from pellucid.models.estimator import Estimator
from pellucid.models.exchange.ensemble_onnx import onnx_of_ensemble
from pellucid.models.exchange.onnx_export import OnnxExport
from pellucid.models.fit_data import FitData
from pellucid.models.inputs import check_in_memory, checked_table, is_stream, renaming, speaking_for
from pellucid.models.model_card import describe_ensemble
from pellucid.models.predicting import Predicts
from pellucid.models.prepared_fit import undo_of
from pellucid.models.saving import Arrays, members_from_state, members_to_state, save
from pellucid.models.tabular.tabular import TabularPerceptron
from pellucid.models.targets import Targets
from pellucid.models.together import fit_all
from pellucid.outside_warning import warn_outside
from pellucid.tables.drift import DriftReport, JudgedTable
from pellucid.tables.matching import match_columns
from pellucid.tables.table import Table
from pellucid.training import FitResult, Outcome
from pellucid.training.fingerprint import described

LARGEST_SEED = 2**31 - 1


def _has_transform(ensemble: DeepEnsemble) -> bool:
    """Return True where the members have hidden layers to show; else raise AttributeError."""
    member = ensemble._prototype()
    if not hasattr(member, "transform"):
        raise AttributeError(
            f"transform needs members that have it, and a {type(member).__name__} has not: take "
            "member.forward(X) for each of estimators_"
        )
    return True


def _has_tabular_members(ensemble: DeepEnsemble) -> bool:
    """Return whether the members take raw tables."""
    fitted = getattr(ensemble, "estimators_", None)
    return isinstance(fitted[0] if fitted else ensemble._prototype(), TabularPerceptron)


class DeepEnsemble(  # type: ignore[call-arg]
    TransformerMixin,  # type: ignore[misc]
    OnnxExport,
    BaseEstimator,  # type: ignore[misc]
    Predicts,
    auto_wrap_output_keys=None,
):
    """Estimators that differ in their seeds alone, and the mean and spread of what they say."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
    }
    _default_member: ClassVar[type[Estimator]]
    _predicts: ClassVar[str]
    """"classes" or "numbers"."""

    estimator: Any
    n_estimators: int
    random_state: Any
    n_threads: int | None
    warm_start: bool

    estimators_: list[Any]
    outcome_: Outcome | None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        member = self._prototype()
        if isinstance(member, Estimator):
            of_member = member.__sklearn_tags__()
            tags.transformer_tags = of_member.transformer_tags
            inputs = of_member.input_tags
            tags.input_tags.sparse = inputs.sparse
            tags.input_tags.allow_nan = inputs.allow_nan
            tags.input_tags.string = inputs.string
            tags.input_tags.categorical = inputs.categorical
        return tags

    def _prototype(self) -> Any:
        return self._default_member() if self.estimator is None else self.estimator

    def _fit(self, data: FitData) -> Self:
        """Fit all members, or raise and leave the ensemble as it was."""
        undo = undo_of(self)
        try:
            members = self._make_members()
            shared = self._shared(data, members[0])
            with speaking_for(members[0], self):
                results = fit_all(members, [shared] * len(members), self.n_threads)
            for i, result in enumerate(results):
                if result.error is not None:
                    result.error.add_note(f"It happened to member {i} of {len(members)}.")
                    raise result.error
            n_had = len(self._members_to_go_on_with())
            kept = [m for i, m in enumerate(members) if i < n_had or not results[i].was_cut_short]
            if not kept:
                raise KeyboardInterrupt
            self._learn_from(kept, names_from=self)
        except BaseException:
            undo()
            raise
        self.outcome_ = _outcome_of([result.outcome for result in results])
        _warn(results, len(kept))
        return self

    def _shared(self, data: FitData, member: Estimator) -> FitData:
        """Return the data with tables that are converted once for all members."""
        if is_stream(data.X):
            raise TypeError(
                f"{type(self).__name__} needs a table in memory, got {data.X!r}; fit "
                f"{type(member).__name__} with several seeds on the stream"
            )
        if isinstance(member, TabularPerceptron):
            return data
        data = data._replace(X=checked_table(self, data.X, reset=True))
        if data.X_val is None:
            return data
        with renaming(X="X_val"):
            return data._replace(X_val=checked_table(self, data.X_val, reset=False))

    def _make_members(self) -> list[Estimator]:
        """Return unfitted copies of the estimator, each with a seed of its own."""
        estimator = self._prototype()
        suits = is_classifier if self._predicts == "classes" else is_regressor
        if not isinstance(estimator, Estimator) or not suits(estimator):
            raise TypeError(
                f"estimator must be an estimator of pellucid that predicts {self._predicts}, such "
                f"as {self._default_member.__name__}, or None; got {estimator!r}. Put scalers and "
                "encoders before the ensemble, into a Pipeline"
            )
        if estimator.checkpoint_path is not None:
            raise ValueError(
                "the estimator of an ensemble must have checkpoint_path=None: all members would "
                "write into one folder"
            )
        generator = check_random_state(self.random_state)
        seeds = generator.randint(LARGEST_SEED, size=self.n_estimators)
        members = [clone(estimator).set_params(random_state=int(seed)) for seed in seeds]
        for i, trained in enumerate(self._members_to_go_on_with()):
            if type(trained) is not type(estimator):
                raise ValueError(
                    f"estimator must stay a {type(trained).__name__} to go on training, got "
                    f"{estimator!r}; set warm_start=False to start afresh"
                )
            parameters = {**members[i].get_params(deep=False), "warm_start": True}
            # A copy, so that the ensemble stays as it is if this fit fails.
            members[i] = deepcopy(trained)
            members[i].set_params(**{**parameters, "random_state": trained.random_state})
        return members

    def _members_to_go_on_with(self) -> list[Any]:
        """Return the members of the last call that this one trains on."""
        members: list[Any] = getattr(self, "estimators_", []) if self.warm_start else []
        return members[: self.n_estimators]

    def _learn_from(self, members: list[Any], names_from: Any) -> None:
        """Take over the members and what they know of X and y."""
        first = members[0]
        if len({described(member._known_targets()) for member in members}) > 1:
            raise ValueError("the members know different classes or numbers of targets")
        if len({member.n_features_in_ for member in members}) > 1:
            raise ValueError("the members take tables of different widths")
        self.__dict__.pop("training_facts_", None)
        self.__dict__.pop("target_names_", None)
        if first.target_names_ is not None:
            self.target_names_ = first.target_names_
        self.estimators_ = members
        self._targets: Targets | None = first._known_targets()
        self.n_features_in_ = first.n_features_in_
        names = getattr(first, "feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        elif names_from is not self or isinstance(first, TabularPerceptron):
            self.__dict__.pop("feature_names_in_", None)

    def _for_members(self, X: Any) -> list[Any]:
        """Return what each member gets: a table that is checked and converted once for all."""
        check_is_fitted(self)
        n = len(self.estimators_)
        if not _has_tabular_members(self):
            return [checked_table(self, X, reset=False)] * n
        table = self._matched(X)
        # The first member tells of drift.
        judged = JudgedTable(table.columns, table.has_names, table.conventions, table.remarks)
        return [table, *[judged] * (n - 1)]

    def _matched(self, X: Any) -> Table:
        check_in_memory(X)
        used = dict.fromkeys(n for each in self.estimators_ for n in each.encoder_._used_names())
        return match_columns(self, X, list(used))

    def _outputs(self, X: Any) -> NDArray[Any]:
        """Return the outputs (n_members, n_rows, n_outputs) of every member, after the link."""
        tables = self._for_members(X)
        with config_context(assume_finite=True):  # The table has just been checked.
            each = zip(self.estimators_, tables, strict=True)
            return np.stack([member._predictions(table) for member, table in each])

    def _predictions(self, X: Any) -> NDArray[Any]:
        mean: NDArray[Any] = self._outputs(X).mean(axis=0)
        return mean

    def _spread(self, X: Any, n_samples: int, random_state: Any) -> Spread:
        outputs = self._outputs(X)
        return Spread(outputs.mean(axis=0), outputs.std(axis=0))

    @available_if(_has_transform)  # type: ignore[untyped-decorator]
    def transform(self, X: Any, layer: int = -1) -> Any:
        """Return what a hidden layer of every member makes of each row, side by side.

        Only where the members have `transform`: not of `Network`s, whose layers `forward` shows.

        Parameters
        ----------
        X : table
            As in `predict`.
        layer : int, default=-1
            Which hidden layer: 0 is the first, -1 the last.

        Returns
        -------
        ndarray of shape (n_samples, n_members * n_units)
            A DataFrame after `set_output`.

        Raises
        ------
        ValueError
            There is no such hidden layer, or `X` is wrong.
        """
        each = zip(self.estimators_, self._for_members(X), strict=True)
        with config_context(transform_output="default"):
            hidden = np.hstack([member.transform(table, layer) for member, table in each])
        adapter = _get_container_adapter("transform", self)
        if adapter is None:
            return hidden
        return adapter.create_container(hidden, X, self.get_feature_names_out(layer=layer))

    @available_if(_has_transform)  # type: ignore[untyped-decorator]
    def get_feature_names_out(
        self, input_features: Any = None, layer: int = -1
    ) -> NDArray[np.object_]:
        """Return the names of the columns that `transform` makes.

        Parameters
        ----------
        input_features : array-like of str, optional
            Must be the names of the columns that the ensemble was fitted on, if it knows any.
        layer : int, default=-1
            As in `transform`.

        Returns
        -------
        ndarray of str objects of shape (n_members * n_units,)
            "member0_mlpclassifier0", "member0_mlpclassifier1", …

        Raises
        ------
        ValueError
            There is no such hidden layer, or `input_features` are other names.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        names = [each.get_feature_names_out(layer=layer) for each in self.estimators_]
        return np.array(
            [f"member{i}_{name}" for i, each in enumerate(names) for name in each], dtype=object
        )

    def check_gradient(self, X: Any, y: Any, tolerance: float = 1e-5) -> list[GradientCheck]:
        """Compare every member's gradient with central differences; see `MLPClassifier`.

        Returns
        -------
        list of GradientCheck
            One for each member.
        """
        each = zip(self.estimators_, self._for_members(X), strict=True)
        return [member.check_gradient(table, y, tolerance) for member, table in each]

    @available_if(_has_tabular_members)  # type: ignore[untyped-decorator]
    def drift_report(self, X: Any) -> DriftReport:
        """Compare the cells of a table with those of the table that was trained on.

        Only where the members are tabular estimators.

        Parameters
        ----------
        X : table like that of `predict`

        Returns
        -------
        DriftReport
            As of the first member: by column, the shares of missing, unparseable, unseen, infinite,
            out-of-range and far-out cells, beside those of training. `predict` warns of what this
            report has among its `alarms`.
        """
        check_is_fitted(self)
        report: DriftReport = self.estimators_[0].encoder_.drift(self._matched(X))
        return report

    def describe(self) -> ModelDescription:
        """Return what the ensemble predicts, from what, and a member's layers; `print` it."""
        return describe_ensemble(self)

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

    def _onnx_model(self) -> Any:
        check_is_fitted(self)
        return onnx_of_ensemble(self)

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        state, arrays = members_to_state(self.estimators_)
        names = getattr(self, "feature_names_in_", None)
        state["feature_names_in"] = None if names is None else [str(name) for name in names]
        return state, arrays

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        ensemble = cls()
        members = members_from_state(cls._default_member.__name__, state, arrays)
        has_classes = cls._predicts == "classes"
        suits = is_classifier if has_classes else is_regressor
        if not all(
            isinstance(member, Estimator)
            and suits(member)
            and (member._known_targets().classes is not None) == has_classes
            for member in members
        ):
            raise ValueError(f"the members do not predict {cls._predicts}")
        if len({type(member) for member in members}) > 1:
            raise ValueError("the members are of different classes")
        ensemble._learn_from(members, names_from=None)
        names = state["feature_names_in"]
        if names is not None:
            if len(names) != members[0].n_features_in_ or {*map(type, names)} != {str}:
                raise ValueError("the feature names do not fit the members")
            ensemble.feature_names_in_ = np.array(names, dtype=object)
        ensemble.outcome_ = _outcome_of([member.outcome_ for member in members])
        return ensemble


def _outcome_of(outcomes: Sequence[Outcome | None]) -> Outcome | None:
    """Return how the fit of all members ended: interrupted, if one of them was."""
    return Outcome.INTERRUPTED if Outcome.INTERRUPTED in outcomes else outcomes[0]


def _warn(results: Sequence[FitResult], n_kept: int) -> None:
    """Warn once for all members."""
    outcomes, n = [result.outcome for result in results], len(results)
    if Outcome.INTERRUPTED in outcomes:
        left_out = "" if n_kept == n else f" The ensemble has the {n_kept} of {n} members trained."
        warn_outside(f"Training interrupted by user.{left_out}")
    if n_diverged := outcomes.count(Outcome.DIVERGED):
        warn_outside(
            f"{n_diverged} of {n} members diverged; their weights with the best validation score "
            "are kept. Scale the columns of X and y, or lower learning_rate_init.",
            ConvergenceWarning,
        )
    complaints = [result.complaint for result in results if result.complaint is not None]
    n_unfinished = sum(
        result.outcome is Outcome.MAX_EPOCHS and result.complaint is None for result in results
    )
    if n_unfinished:
        warn_outside(
            f"{n_unfinished} of {n} members reached max_iter before their training converged.",
            ConvergenceWarning,
        )
    if complaints:
        warn_outside(f"{len(complaints)} of {n} members: {complaints[0]}", ConvergenceWarning)
