"""Several perceptrons that predict classes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._tags import Tags

from pellucid.models.deep_ensemble import DeepEnsemble
from pellucid.models.mlp_classifier import MLPClassifier
from pellucid.models.saving import saveable


@saveable
class DeepEnsembleClassifier(ClassifierMixin, DeepEnsemble):  # type: ignore[misc]
    """The mean of several networks' probabilities.

    The networks differ in their first weights and row orders, all see all rows (those that
    `early_stopping` holds out differ), and are fitted at the same time, sharing processors and the
    table. Where they disagree, the mean is less sure than each of them. See B. Lakshminarayanan,
    A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", 2017.

    Parameters
    ----------
    estimator : MLPClassifier or None, default=None
        What each member is a copy of, but for its `random_state`; None means `MLPClassifier()`.
    n_estimators : int, default=5
        How many members.
    random_state : int, RandomState instance or None, default=None
        For the members' seeds. An integer makes the result repeatable, to the bit, with any number
        of threads.
    n_threads : int or None, default=None
        Of training, for all members together; by default the processors that this process may use.

    Attributes
    ----------
    estimators_ : list of MLPClassifier
        The fitted members.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, where the table has them.

    See Also
    --------
    DeepEnsembleRegressor : The same for numbers.

    Notes
    -----
    Members with solver='lbfgs' are fitted one after the other, with the `n_threads` of `estimator`.
    Ctrl-C leaves the members that have finished an epoch or iteration, with the weights that
    `MLPClassifier.fit` would leave.

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

    _member_class: ClassVar[Any] = MLPClassifier

    classes_: NDArray[Any]

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
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
            As in `MLPClassifier.fit`; every member gets them.

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
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the label of each row that is most probable by the mean of the members.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels, or zeros and ones for several labels a row.
        """
        mean = self._outputs(X).mean(axis=0)
        labels: NDArray[Any] = self.estimators_[0]._labels(mean)
        return labels

    def predict_proba(self, X: Any, return_std: bool = False) -> Any:
        """Predict the probability of each class: the mean of the members'.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table.
        return_std : bool, default=False
            Whether to return the standard deviation of the members' probabilities too.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        std : ndarray of shape (n_samples, n_classes)
            Only with `return_std=True`: how far the members disagree. It knows nothing of the
            chance that is in the labels themselves.
        """
        outputs = self._outputs(X)
        mean = self.estimators_[0]._probabilities(outputs.mean(axis=0))
        if not return_std:
            return mean
        return mean, np.broadcast_to(outputs.std(axis=0), mean.shape).copy()

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`; -inf where the probability rounds to 0.
        """
        with np.errstate(divide="ignore"):
            logarithms: NDArray[Any] = np.log(self.predict_proba(X))
        return logarithms

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _learn_from(self, members: Sequence[Any]) -> None:
        self.classes_ = members[0].classes_
        if not all(
            np.array_equal(member.classes_, self.classes_)
            and member.n_outputs_ == members[0].n_outputs_
            for member in members
        ):
            raise ValueError("the members know different classes")
