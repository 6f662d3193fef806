"""Several perceptrons that predict numbers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from numpy.typing import NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._tags import Tags

from pellucid.models.deep_ensemble import DeepEnsemble
from pellucid.models.mlp_regressor import MLPRegressor
from pellucid.models.saving import saveable


@saveable
class DeepEnsembleRegressor(RegressorMixin, DeepEnsemble):  # type: ignore[misc]
    """The mean of several networks' predictions, and how far they disagree.

    The networks differ in their first weights and row orders, all see all rows (those that
    `early_stopping` holds out differ), and are fitted at the same time, sharing processors and the
    table. See B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive
    uncertainty estimation using deep ensembles", 2017.

    Parameters
    ----------
    estimator : MLPRegressor or None, default=None
        What each member is a copy of, but for its `random_state`; None means `MLPRegressor()`.
    n_estimators : int, default=5
        How many members.
    random_state : int, RandomState instance or None, default=None
        For the members' seeds. An integer makes the result repeatable, to the bit, with any number
        of threads.
    n_threads : int or None, default=None
        Of training, for all members together; by default the processors that this process may use.

    Attributes
    ----------
    estimators_ : list of MLPRegressor
        The fitted members.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, where the table has them.

    See Also
    --------
    DeepEnsembleClassifier : The same for classes.

    Notes
    -----
    Members with solver='lbfgs' are fitted one after the other, with the `n_threads` of `estimator`.
    Ctrl-C leaves the members that have finished an epoch or iteration, with the weights that
    `MLPRegressor.fit` would leave.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid import DeepEnsembleRegressor, MLPRegressor
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> network = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.02, tol=1e-3)
    >>> model = DeepEnsembleRegressor(network, random_state=0).fit(X, np.sin(3 * X.ravel()))
    >>> mean, spread = model.predict([[0.0], [4.0]], return_std=True)
    >>> bool(spread[0] < spread[1])  # they agree where there were rows
    True
    """

    _member_class: ClassVar[Any] = MLPRegressor

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
            As in `MLPRegressor.fit`; every member gets them.

        Returns
        -------
        self : DeepEnsembleRegressor
            The fitted ensemble.

        Raises
        ------
        ValueError, TypeError
            A parameter or an input is wrong, or a member's loss became non-finite: its error, with
            a note which member it was. The ensemble is then as it was before.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, sample_weight_val)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target, or targets, of each row: the mean of the members' predictions.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table.
        return_std : bool, default=False
            Whether to return the standard deviation of the members' predictions too.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions.
        std : ndarray of the same shape
            Only with `return_std=True`: the square root of the mean square of (prediction of a
            member - mean). It tells what the members do not know, and nothing of the noise in y.
        """
        outputs = self._outputs(X)
        if outputs.shape[2] == 1:
            outputs = outputs[:, :, 0]
        mean: NDArray[Any] = outputs.mean(axis=0)
        return (mean, outputs.std(axis=0)) if return_std else mean

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _learn_from(self, members: Sequence[Any]) -> None:
        if {member.n_outputs_ for member in members} != {members[0].n_outputs_}:
            raise ValueError("the members predict different numbers of targets")
