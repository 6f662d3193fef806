"""Several networks that predict classes together."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._tags import Tags

from pellucid.models.ensemble.deep_ensemble import DeepEnsemble
from pellucid.models.estimator import Estimator
from pellucid.models.fit_data import FitData
from pellucid.models.perceptron.mlp_classifier import MLPClassifier
from pellucid.models.predicting import PredictsProbabilities
from pellucid.models.saving import saveable


@saveable
class DeepEnsembleClassifier(ClassifierMixin, PredictsProbabilities, DeepEnsemble):  # type: ignore[misc]
    """The mean of several networks' probabilities.

    The networks differ in their first weights and row orders, all see all rows (those that
    `early_stopping` holds out differ), and are fitted at the same time, sharing processors and the
    table. Where they disagree, the mean is less sure than each of them. See B. Lakshminarayanan,
    A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", 2017.

    Parameters
    ----------
    estimator : classifier of pellucid or None, default=None
        What each member is a copy of, but for its `random_state`: `MLPClassifier`,
        `TabularClassifier`, or a `Network` with a cross-entropy. None means `MLPClassifier()`.
    n_estimators : int, default=5
        How many members.
    random_state : int, RandomState instance or None, default=None
        For the members' seeds. An integer makes the result repeatable, to the bit, with any number
        of threads.
    n_threads : int or None, default=None
        Of training, for all members together; by default the processors that this process may use.
    warm_start : bool, default=False
        Whether `fit` goes on with the members of the last call, and adds new ones where
        `n_estimators` has grown.

    Attributes
    ----------
    estimators_ : list of classifiers
        The fitted members.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, where the table has them.
    target_names_ : tuple of str or None
        The name of y, or those of its columns, if they are text.

    See Also
    --------
    DeepEnsembleRegressor : The same for numbers.

    Notes
    -----
    Ctrl-C leaves the members that have finished an epoch or iteration, with the weights that
    `fit` of one alone would leave.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from pellucid import DeepEnsembleClassifier, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((16,), learning_rate_init=0.02, n_iter_no_change=5)
    >>> model = DeepEnsembleClassifier(network, n_estimators=3, random_state=0).fit(X, y)
    >>> model.predict(X[::50]).tolist()
    [0, 1, 2]
    >>> mean, spread = model.predict_proba(X, return_std=True)
    >>> spread.shape
    (150, 3)
    """

    _default_member: ClassVar[type[Estimator]] = MLPClassifier
    _predicts = "classes"

    classes_: NDArray[Any]

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 5,
        *,
        random_state: Any = None,
        n_threads: int | None = None,
        warm_start: bool = False,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.random_state = random_state
        self.n_threads = n_threads
        self.warm_start = warm_start

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the members.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val : array-like
            As in `fit` of one of them; every member gets them.

        Returns
        -------
        self : DeepEnsembleClassifier
            The fitted ensemble.

        Raises
        ------
        ValueError, TypeError
            A parameter or an input is wrong, or a member's loss became non-finite: its error, with
            a note which member it was. The ensemble is then as it was before.
        """
        return self._fit(FitData(X, y, sample_weight, X_val, y_val, sample_weight_val))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self._takes_several_labels()
        return tags

    def _learn_from(self, members: list[Any], names_from: Any) -> None:
        super()._learn_from(members, names_from)
        self.classes_ = members[0].classes_

    def _takes_several_labels(self) -> bool:
        member = self._prototype()
        tags = member.__sklearn_tags__() if isinstance(member, Estimator) else None
        return tags is not None and bool(tags.classifier_tags and tags.classifier_tags.multi_label)
