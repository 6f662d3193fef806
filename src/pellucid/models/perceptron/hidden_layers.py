"""What the hidden layers of a perceptron make of a table: `transform`, the names of its columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils._set_output import _get_container_adapter
from sklearn.utils.validation import _generate_get_feature_names_out, check_is_fitted

from pellucid.models.coefficients import hidden_sizes_of
from pellucid.models.prediction import Fitted, fitted_scores
from pellucid.nn import Chain, Linear


# scikit-learn would put `transform` into a DataFrame with the names of one layer, whichever layer
# was asked for; with None it leaves that to the method itself.
class HiddenLayers(TransformerMixin, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
    """Makes a transformer of an estimator whose `_find_fitted` returns a perceptron."""

    coefs_: list[NDArray[Any]]

    _find_fitted: Callable[[], Fitted]
    _table: Callable[[Any], Any]

    def transform(self, X: Any, layer: int = -1) -> Any:
        """Return what a hidden layer makes of each row.

        That is A_l, after the layer's activation, its normalization and the sum with its input,
        where it has them; dropout drops nothing. Each call reads the weights as they are.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The table.
        layer : int, default=-1
            Which hidden layer: 0 is the first, -1 the last.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            Of the dtype of NumPy's `X @ coefs_[0]`; a DataFrame after `set_output`.

        Raises
        ------
        ValueError
            There is no such hidden layer, `X` is wrong, or so large that values overflow.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from pellucid import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((8, 3), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.transform(X).shape, model.transform(X, layer=0).shape
        ((150, 3), (150, 8))
        """
        check_is_fitted(self)
        place = self._place_of(layer)
        table = self._table(X)
        fitted = self._find_fitted()
        hidden = fitted_scores(fitted.until(hidden_end(fitted.chain, place)), table)
        adapter = _get_container_adapter("transform", self)
        if adapter is None:
            return hidden
        return adapter.create_container(hidden, X, self.get_feature_names_out(layer=layer))

    def get_feature_names_out(
        self, input_features: Any = None, layer: int = -1
    ) -> NDArray[np.object_]:
        """Return the names of the columns that `transform` makes.

        Parameters
        ----------
        input_features : array-like of str, optional
            Must be the names of the columns that the model was fitted on, if it knows any.
        layer : int, default=-1
            As in `transform`.

        Returns
        -------
        ndarray of str objects of shape (n_units,)
            "mlpclassifier0", "mlpclassifier1", … for the last hidden layer, and for another one
            "mlpclassifier_layer0_0", ….

        Raises
        ------
        ValueError
            There is no such hidden layer, or `input_features` are other names.
        """
        check_is_fitted(self)
        place, sizes = self._place_of(layer), hidden_sizes_of(self.coefs_)
        names: NDArray[np.object_] = _generate_get_feature_names_out(
            self, sizes[place], input_features=input_features
        )
        if place == len(sizes) - 1:
            return names
        prefix = f"{type(self).__name__.lower()}_layer{place}_"
        return np.array([f"{prefix}{i}" for i in range(len(names))], dtype=object)

    def _place_of(self, layer: Any) -> int:
        """Return which hidden layer is meant, counted from 0."""
        n = len(self.coefs_) - 1
        if not isinstance(layer, int | np.integer) or isinstance(layer, bool):
            raise TypeError(f"layer must be an integer such as 0 or -1, got {layer!r}")
        if n == 0:
            raise ValueError(
                f"layer={layer} names a hidden layer, but the network has none; fit with "
                "hidden_layer_sizes=(100,) or another size"
            )
        if not -n <= layer < n:
            raise ValueError(
                f"layer must be from {-n} to {n - 1}, for the {n} hidden layers that there are; "
                f"got {layer}"
            )
        return int(layer) % n


def hidden_end(chain: Chain, place: int) -> int:
    """Return how many layers of `network` lead to the output of a hidden layer.

    It ends where the next linear layer begins: after its activation, dropout and `Add`.
    """
    linear = [i for i, layer in enumerate(chain.layers) if isinstance(layer, Linear)]
    return linear[place + 1]
