"""What takes fitted perceptrons to other libraries and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pellucid import nn
from pellucid.models.exchange.scikit_learn import from_scikit_learn, to_scikit_learn
from pellucid.models.exchange.torch_import import mlp_from_torch, network_from_torch
from pellucid.persistence.torch_state import dtype_of_state, to_torch_state


class MlpExchange:
    """Gives `MLPClassifier` and `MLPRegressor` what goes to scikit-learn, PyTorch."""

    @classmethod
    def from_sklearn(cls, model: Any) -> Self:
        """Return an estimator that is what scikit-learn's fitted model is.

        Parameters, weights, labels, names of columns and the curves of training are copied, and
        the moments of the optimizer, so that `partial_fit` goes on where the model stopped.

        Parameters
        ----------
        model : sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted; of the same name as this class.

        Returns
        -------
        estimator
            A copy: training one does not change the other.

        Raises
        ------
        TypeError
            The model is of another class.
        sklearn.exceptions.NotFittedError

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier as Theirs
        >>> from pellucid import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> theirs = Theirs((8,), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
        >>> bool((MLPClassifier.from_sklearn(theirs).predict(X) == theirs.predict(X)).all())
        True
        """
        estimator: Self = from_scikit_learn(cls, model)
        return estimator

    def to_sklearn(self) -> Any:
        """Return scikit-learn's model that is what this fitted estimator is.

        The same is copied as by `from_sklearn`. Parameters that scikit-learn does not have are
        left out: with a warning where they shape training (dropout, weight_decay, class_weight,
        schedule, …), which a prediction does not need.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        ValueError
            A prediction needs what scikit-learn does not have: another activation or loss,
            normalization, residual connections.
        sklearn.exceptions.NotFittedError
        """
        return to_scikit_learn(self)

    @classmethod
    def from_torch(
        cls,
        state_dict: Mapping[str, Any],
        *,
        classes: Any = None,
        multilabel: bool = False,
        **parameters: Any,
    ) -> Self:
        """Return a fitted estimator with the weights of a `torch.nn.Sequential`.

        Parameters
        ----------
        state_dict : mapping of str to tensor
            `module.state_dict()`; module i is layer i of the estimator's network, such as Linear,
            ReLU, Linear. The last one gives scores: softmax, sigmoid and exp are no modules.
        classes : array-like of shape (n_classes,), optional
            The labels, in the order of the scores; 0, 1, … by default. Regressors have none.
        multilabel : bool
            Whether each score is a label of its own, which a row has or has not.
        parameters
            Of the constructor: `activation`, and what else there is between the linear layers. The
            sizes of these tell `hidden_layer_sizes`.

        Returns
        -------
        estimator
            Ready to predict, and to go on with `partial_fit`, for which optimizers start afresh.

        Raises
        ------
        ValueError
            Names or shapes do not fit the network that the parameters describe, or each other.
        TypeError
            `state_dict` is no state dictionary.

        Examples
        --------
        >>> import numpy as np
        >>> from pellucid import MLPClassifier
        >>> state = {"0.weight": np.ones((1, 2)), "0.bias": np.array([-1.5])}
        >>> model = MLPClassifier.from_torch(state, classes=["no", "yes"])
        >>> model.predict([[0, 1], [1, 1]]).tolist()
        ['no', 'yes']
        """
        estimator: Self = mlp_from_torch(cls, state_dict, classes, multilabel, parameters)
        return estimator

    def to_torch(self) -> dict[str, Any]:
        """Return the fitted parameters as the state dictionary of a `torch.nn.Sequential`.

        Module i of it is layer i of the network: Linear, a normalization where there is one, the
        activation, Dropout where there is one, …, Linear. What turns scores into predictions
        (softmax, sigmoid, exp) is no module.

        Returns
        -------
        dict of str to torch.Tensor
            Copies, in the precision of the weights.

        Raises
        ------
        ImportError
            PyTorch is not installed: pip install "pellucid[torch]".
        TypeError
            A layer is none that torch.nn has: residual connections.
        sklearn.exceptions.NotFittedError
        """
        estimator: Any = self
        return to_torch_state(estimator.chain_, estimator.parameters_)


class NetworkExchange:
    """Gives `pellucid.Network` what goes to PyTorch."""

    @classmethod
    def from_torch(
        cls,
        state_dict: Mapping[str, Any],
        layers: Sequence[nn.Layer | nn.Residual],
        loss: str | nn.Loss,
        *,
        fan_in: int | None = None,
        classes: Any = None,
        **options: Any,
    ) -> Self:
        """Return a network with the parameters of a `torch.nn.Sequential`.

        Parameters
        ----------
        state_dict : mapping of str to tensor
            `module.state_dict()`; module i is layer i, but an `Embedding` has a Flatten behind it.
            See `pellucid.persistence.torch_state` for what each layer is called there.
        layers, loss
            As for `Network`. An `eps` of PyTorch is not in the dictionary: PyTorch's RMSNorm has
            another than `RMSNorm()`, so give it as `RMSNorm(epsilon)`.
        fan_in : int, optional
            Columns of X, where no tensor tells them.
        classes : array-like of shape (n_classes,), optional
            The labels of a cross-entropy, in the order of the scores; 0, 1, … by default.
        options
            Constructor parameters of `Network`; `dtype` is float64 by default if the tensors are.

        Returns
        -------
        Network
            Ready to predict, and to go on by `fit` with `warm_start=True`.

        Raises
        ------
        ValueError
            Names or shapes do not fit the layers.
        TypeError
            A layer is none that torch.nn has, or `state_dict` is no state dictionary.

        Examples
        --------
        >>> import numpy as np
        >>> from pellucid import Network
        >>> from pellucid.nn import Activation, Linear
        >>> state = {"1.weight": np.ones((1, 2)), "1.bias": np.zeros(1)}
        >>> network = Network.from_torch(state, [Activation("relu"), Linear(1)], "squared_error")
        >>> network.predict([[1.0, -1.0]]).tolist()
        [1.0]
        """
        options = {"dtype": dtype_of_state(state_dict), **options}
        make: Any = cls
        network: Self = network_from_torch(
            make(layers, loss, **options), state_dict, fan_in, classes
        )
        return network

    def to_torch(self) -> dict[str, Any]:
        """Return the parameters as the state dictionary of a `torch.nn.Sequential`.

        Module i of it is layer i; an `Embedding` has a Flatten behind it. What turns scores into
        predictions (softmax, sigmoid, exp) is no module.

        Returns
        -------
        dict of str to torch.Tensor
            Copies, in the precision of the parameters.

        Raises
        ------
        ImportError
            PyTorch is not installed: pip install "pellucid[torch]".
        TypeError
            A layer is none that torch.nn has.
        sklearn.exceptions.NotFittedError
        """
        network: Any = self
        return to_torch_state(network.chain_, network.parameters_)
