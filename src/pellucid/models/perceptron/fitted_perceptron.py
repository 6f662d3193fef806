"""A fitted perceptron: its network, its weights in one buffer, its predictions and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._tags import Tags
from sklearn.utils.validation import check_is_fitted

from pellucid.engine.batch import dense
from pellucid.engine.plan import TrainingData
from pellucid.engine.sampling import Spread
from pellucid.inspection.gradient_check import GradientCheck, check_gradient
from pellucid.inspection.model_card import ModelDescription
from pellucid.models.default_engine import engine_of
from pellucid.models.exchange.exchange import MlpExchange
from pellucid.models.inputs import checked_table
from pellucid.models.model_card import describe_mlp
from pellucid.models.perceptron.architecture import build_network
from pellucid.models.perceptron.coefficients import (
    are_views,
    hidden_sizes_of,
    others,
    pack,
    views,
)
from pellucid.models.perceptron.constructor_parameters import QuickParameters
from pellucid.models.perceptron.hidden_layers import HiddenLayers
from pellucid.models.perceptron.loss import loss_with_output
from pellucid.models.perceptron.prediction import Fitted, KeptFitted, fitted_scores, fitted_spread
from pellucid.models.perceptron.state import mlp_from_state, mlp_to_state
from pellucid.models.saving import Arrays, save
from pellucid.nn import Chain, CustomLoss, Linear, Loss, Parameters


class FittedPerceptron(MlpExchange, HiddenLayers, QuickParameters):
    """What `MLPClassifier` and `MLPRegressor` share once they are fitted.

    The weights lie in one flat buffer; `coefs_` and `intercepts_` are lists of views of it.
    """

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_threads: int | None

    _network: Chain | None = None
    _parameters: Parameters | None = None
    _fitted: KeptFitted | None = None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    @property
    def network_(self) -> Chain:
        """Layers and loss; they hold no numbers."""
        check_is_fitted(self)
        return self._fitted_network()

    @property
    def parameters_(self) -> Parameters:
        """All parameters in one flat buffer, of which `coefs_` and `intercepts_` are views."""
        check_is_fitted(self)
        return self._current_parameters(self._fitted_network())

    def _attach(self, chain: Chain, parameters: Parameters) -> None:
        """Make the weights of the estimator views of this buffer."""
        self._network, self._parameters = chain, parameters
        self.coefs_, self.intercepts_ = views(parameters)
        self._fitted = KeptFitted([*self.coefs_, *self.intercepts_])
        self.n_layers_ = len(self.coefs_) + 1

    def _current_parameters(self, chain: Chain) -> Parameters:
        """Return the buffer behind `coefs_`, or a copy if other arrays were put into the lists."""
        parameters = self._parameters
        if parameters is None:
            return pack(chain, self.coefs_, self.intercepts_)
        if not are_views(parameters, self.coefs_, self.intercepts_):
            kept = others(parameters) if chain is self._network else {}
            return pack(chain, self.coefs_, self.intercepts_, kept)
        return parameters

    def _fitted_network(self) -> Chain:
        """Return the network that was trained, or one that fits weights put in by hand."""
        chain, sizes = self._network, hidden_sizes_of(self.coefs_)
        n_outputs = int(np.shape(self.coefs_[-1])[1])
        if chain is None:
            loss: Loss | CustomLoss = loss_with_output(self.out_activation_)
        elif [*sizes, n_outputs] == [e.fan_out for e in chain.layers if isinstance(e, Linear)]:
            return chain
        else:
            loss = chain.loss
        options = {**self._options(), "hidden_layer_sizes": sizes}
        return build_network(options, loss, n_outputs)

    def _predictions(self, X: Any) -> NDArray[Any]:
        """Return the output of the network, of shape (n_rows, n_outputs)."""
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        fitted = self._find_fitted()
        scores = fitted_scores(fitted, X)
        with np.errstate(over="ignore"):
            predictions: NDArray[Any] = fitted.chain.loss.link(scores)
        return predictions

    def _spread(self, X: Any, n_samples: int, random_state: Any) -> Spread:
        """Return mean and standard deviation, (n_rows, n_outputs), over sampled sub-networks."""
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return fitted_spread(self._find_fitted(), X, n_samples, seed)

    def _find_fitted(self) -> Fitted:
        """Return the network that the attributes describe: the kept one, if it still is that."""
        kept, key = self._fitted, (self._network, self.n_threads)
        fitted = kept.find([*self.coefs_, *self.intercepts_], key) if kept else None
        if fitted is None:
            chain = self._fitted_network()
            fitted = Fitted(chain, self._current_parameters(chain), self.n_threads)
            if kept and fitted.parameters is self._parameters:
                kept.keep(key, fitted)
        return fitted

    def _rows_to_check(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        """Return a table and targets as the loss takes them, in float64."""
        raise NotImplementedError

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
        X, targets = self._rows_to_check(X, y)
        chain = self._fitted_network()
        fitted = self._current_parameters(chain)
        parameters = Parameters(fitted.flat.astype(np.float64), fitted.layout)
        objective = engine_of(chain).objective(chain, parameters, TrainingData(X, targets))
        _, gradient = objective(parameters.flat)
        table = dense(X, np.dtype(np.float64))
        return check_gradient(
            chain, parameters, table, targets, tolerance=tolerance, gradient=gradient
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_fitted", None)
        parameters = state.pop("_parameters", None)
        if parameters is not None:
            state["_others"] = others(parameters)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        other_arrays = state.pop("_others", {})
        super().__setstate__(state)
        if hasattr(self, "coefs_") and hasattr(self, "out_activation_"):
            chain = self._fitted_network()
            self._attach(chain, pack(chain, self.coefs_, self.intercepts_, other_arrays))

    def describe(self) -> ModelDescription:
        """Return what the fitted model predicts, from what, and its layers; `print` it to read it.

        In a notebook it shows itself as a page.

        Returns
        -------
        pellucid.inspection.model_card.ModelDescription
            With `facts`, `network` and `columns`.

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
        return describe_mlp(self)

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one file, which `pellucid.load` reads.

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
        return mlp_to_state(self)

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator: Self = mlp_from_state(cls, state, arrays)
        return estimator
