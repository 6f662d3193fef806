"""What fitted estimators answer: labels, numbers, probabilities, and how sure they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from pellucid.engine.sampling import Spread
from pellucid.models.targets import Targets

N_SAMPLES = 100
"""Of Monte-Carlo dropout, where nothing else is said."""


class Predicts(ABC):
    """Gives an estimator `predict`."""

    target_names_: tuple[str, ...] | None = None
    """The name of y, or those of its columns, if they are text."""

    _targets: Targets | None = None

    @abstractmethod
    def _predictions(self, X: Any) -> NDArray[Any]:
        """Return the output of the network after the link, (n_rows, n_outputs)."""

    @abstractmethod
    def _spread(self, X: Any, n_samples: int, random_state: Any) -> Spread:
        """Return mean and standard deviation of the output, (n_rows, n_outputs) each."""

    def _known_targets(self) -> Targets:
        if self._targets is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")
        return self._targets

    def predict(
        self,
        X: Any,
        return_std: bool = False,
        *,
        n_samples: int = N_SAMPLES,
        random_state: Any = 0,
    ) -> Any:
        """Predict the most probable label of each row, or its number or numbers.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table; a raw one for tabular estimators.
        return_std : bool, default=False
            Whether to return the standard deviation too: over the members of an ensemble, or over
            random sub-networks that dropout leaves (Monte-Carlo dropout; Y. Gal and Z. Ghahramani,
            2016). It says what the model does not know, and nothing of the noise in y.
        n_samples : int, default=100
            Number of sub-networks. Ensembles ignore it.
        random_state : int, RandomState instance or None, default=0
            Draws the sub-networks. Ensembles ignore it.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels, zeros and ones for several labels a row, or numbers, in the form of y. With
            `return_std=True` the mean number, or the label of the highest mean probability.
        std : ndarray of the same shape
            Only with `return_std=True`: of the number, or of the probability of that label.

        Raises
        ------
        ValueError
            `X` is wrong, or so large that predictions overflow; or `return_std=True` and the model
            has no dropout.
        sklearn.exceptions.NotFittedError
        """
        if not return_std:
            predictions = self._predictions(X)
            return self._known_targets().decode(predictions)
        mean, std = self._spread(X, n_samples, random_state)
        targets = self._known_targets()
        return targets.decode(mean), targets.deviation(mean, std)


class PredictsProbabilities(Predicts):
    """Gives a classifier `predict_proba` and `predict_log_proba` as well."""

    def predict_proba(
        self,
        X: Any,
        return_std: bool = False,
        *,
        n_samples: int = N_SAMPLES,
        random_state: Any = 0,
    ) -> Any:
        """Predict the probability of each class.

        Parameters
        ----------
        X, return_std, n_samples, random_state
            As in `predict`.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`. Rows sum to 1, except with several labels a row,
            where each column is the probability of its own label. With `return_std=True` the mean.
        std : ndarray of shape (n_samples, n_classes)
            Only with `return_std=True`.

        Raises
        ------
        ValueError
            As in `predict`.
        """
        if not return_std:
            predictions = self._predictions(X)
            return self._known_targets().probabilities(predictions)
        mean, std = self._spread(X, n_samples, random_state)
        targets = self._known_targets()
        return targets.probabilities(mean), targets.deviation_of_probabilities(std)

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

        Raises
        ------
        ValueError
            As in `predict`.
        """
        with np.errstate(divide="ignore"):
            logarithms: NDArray[Any] = np.log(self.predict_proba(X))
        return logarithms
