"""Several networks that predict numbers together."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._tags import Tags

from pellucid.models.ensemble.deep_ensemble import DeepEnsemble
from pellucid.models.estimator import Estimator
from pellucid.models.fit_data import FitData
from pellucid.models.perceptron.mlp_regressor import MLPRegressor
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
    estimator : regressor of pellucid or None, default=None
        What each member is a copy of, but for its `random_state`: `MLPRegressor`,
        `TabularRegressor`, or a `Network` with a loss for numbers. None means `MLPRegressor()`.
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
    estimators_ : list of regressors
        The fitted members.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of the columns, where the table has them.
    target_names_ : tuple of str or None
        The name of y, or those of its columns, if they are text.

    See Also
    --------
    DeepEnsembleClassifier : The same for classes.

    Notes
    -----
    Ctrl-C leaves the members that have finished an epoch or iteration, with the weights that
    `fit` of one alone would leave.

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

    _default_member: ClassVar[type[Estimator]] = MLPRegressor
    _predicts = "numbers"

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
        self : DeepEnsembleRegressor
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
        tags.target_tags.multi_output = True
        return tags
