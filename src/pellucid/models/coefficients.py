"""scikit-learn's `coefs_` and `intercepts_` as views of one flat buffer, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.nn.activations import Activation
from pellucid.nn.linear import Linear
from pellucid.nn.network import Network
from pellucid.nn.parameters import Parameters

LOSS_OF_OUTPUT = {
    "softmax": "softmax_cross_entropy",
    "logistic": "logistic_cross_entropy",
    "identity": "half_squared_error",
    "exp": "poisson",
}
"""Name of the loss whose link is the output activation."""

Arrays = list[NDArray[Any]]


def build_network(
    hidden_sizes: Sequence[int], activation: str, n_outputs: int, out_activation: str
) -> Network:
    """Return the network that scikit-learn's parameters describe.

    Parameters
    ----------
    hidden_sizes : sequence of int
        Units of each hidden layer; empty for a linear model.
    activation : str
        Of the hidden layers, a name in `pellucid.nn.ACTIVATIONS`.
    n_outputs : int
        Number of scores.
    out_activation : {'softmax', 'logistic', 'identity', 'exp'}
        What turns scores into predictions; it decides the loss.
    """
    layers: list[Linear | Activation] = []
    for size in hidden_sizes:
        layers += [Linear(size), Activation(activation)]
    return Network([*layers, Linear(n_outputs)], LOSS_OF_OUTPUT[out_activation])


def draw_parameters(
    network: Network,
    n_features: int,
    activation: str,
    dtype: Any,
    random_state: np.random.RandomState,
) -> Parameters:
    """Draw weights and biases as scikit-learn draws them.

    Layer by layer, weights before biases, both uniform on ±√(g / (fan_in + fan_out)), where g is 6,
    or 2 for logistic hidden units (Glorot and Bengio, 2010).
    """
    parameters = Parameters.zeros(network.layout(n_features), dtype)
    factor = 2.0 if activation == "logistic" else 6.0
    for W, b in zip(*views(parameters), strict=True):
        bound = np.sqrt(factor / sum(W.shape))
        W[...] = random_state.uniform(-bound, bound, W.shape)
        b[...] = random_state.uniform(-bound, bound, b.shape)
    return parameters


def views(parameters: Parameters) -> tuple[Arrays, Arrays]:
    """Return the weight matrices and the bias vectors, as views of the flat buffer."""
    roles: dict[str, Arrays] = {"weight": [], "bias": []}
    for entry in parameters.layout.entries:
        roles[entry.role].append(parameters[entry.name])
    return roles["weight"], roles["bias"]


def are_views(parameters: Parameters, coefs: Arrays, intercepts: Arrays) -> bool:
    """Return whether the arrays are still the views that `views` made.

    False once somebody has put another array into one of the lists.
    """
    weights, biases = views(parameters)
    expected = [*weights, *biases]
    given = [*coefs, *intercepts]
    return len(expected) == len(given) and all(
        isinstance(array, np.ndarray) and _same_memory(array, view)
        for array, view in zip(given, expected, strict=True)
    )


def pack(network: Network, coefs: Arrays, intercepts: Arrays) -> Parameters:
    """Copy the arrays into a new flat buffer.

    Raises
    ------
    ValueError
        A shape does not follow from the one before it.
    """
    coefs = [np.asarray(W) for W in coefs]
    layout = network.layout(coefs[0].shape[0])
    parameters = Parameters.zeros(layout, np.result_type(*coefs, np.float32))
    weights, biases = views(parameters)
    for kind, targets, sources in (
        ("coefs_", weights, coefs),
        ("intercepts_", biases, intercepts),
    ):
        if len(sources) != len(targets):
            raise ValueError(f"{kind} must hold {len(targets)} arrays, got {len(sources)}")
        for i, (target, source) in enumerate(zip(targets, sources, strict=True)):
            if np.shape(source) != target.shape:
                raise ValueError(
                    f"{kind}[{i}] must have shape {target.shape}, got {np.shape(source)}; assign "
                    "an array of the same shape, or fit again"
                )
            target[...] = source
    return parameters


def hidden_sizes_of(coefs: Arrays) -> tuple[int, ...]:
    """Return the number of units of each hidden layer."""
    return tuple(int(np.shape(W)[1]) for W in coefs[:-1])


def _same_memory(array: NDArray[Any], view: NDArray[Any]) -> bool:
    return (
        array.ctypes.data == view.ctypes.data
        and array.shape == view.shape
        and array.strides == view.strides
        and array.dtype == view.dtype
    )
