"""scikit-learn's `coefs_` and `intercepts_` as views of one flat buffer, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.nn.chain import Chain
from pellucid.nn.linear import Linear
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Purpose, Stream

Arrays = list[NDArray[Any]]


def draw_parameters(
    chain: Chain,
    n_features: int,
    activations: Sequence[str],
    dtype: Any,
    random_state: np.random.RandomState,
) -> Parameters:
    """Draw weights and biases as scikit-learn draws them.

    Layer by layer, weights before biases, both uniform on ±√(g / (fan_in + fan_out)), where g is 6,
    or 2 for layers that `activations` calls "logistic" (Glorot and Bengio, 2010). Parameters of
    layers that scikit-learn does not have are those of `Chain.initialize`.
    """
    parameters = Parameters.zeros(chain.layout(n_features), dtype)
    for i, (layer, width) in enumerate(zip(chain.layers, chain.widths(n_features), strict=False)):
        if not isinstance(layer, Linear) and layer.parameter_shapes(width):
            stream = Stream(0, Purpose.INITIALIZATION, layer=i)
            for name, value in layer.initial_parameters(width, stream).items():
                parameters[f"{i}.{name}"][...] = value
    for W, b, name in zip(*views(parameters), activations, strict=True):
        bound = np.sqrt((2.0 if name == "logistic" else 6.0) / sum(W.shape))
        W[...] = random_state.uniform(-bound, bound, W.shape)
        b[...] = random_state.uniform(-bound, bound, b.shape)
    return parameters


def views(parameters: Parameters) -> tuple[Arrays, Arrays]:
    """Return W and b of every linear layer, as views of the flat buffer."""
    names = parameters.names()
    return (
        [parameters[name] for name in names if name.endswith(".W")],
        [parameters[name] for name in names if name.endswith(".b")],
    )


def others(parameters: Parameters) -> dict[str, NDArray[Any]]:
    """Return copies of all that `views` leaves out, by name: those of normalizations."""
    return {
        name: parameters[name].copy()
        for name in parameters.names()
        if not name.endswith((".W", ".b"))
    }


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


def pack(
    chain: Chain,
    coefs: Arrays,
    intercepts: Arrays,
    other_arrays: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> Parameters:
    """Copy the arrays into a new flat buffer, those of linear layers and the others by name.

    Raises
    ------
    ValueError
        A shape does not follow from the one before it.
    """
    coefs = [np.asarray(W) for W in coefs]
    layout = chain.layout(coefs[0].shape[0])
    parameters = Parameters.zeros(layout, np.result_type(*coefs, np.float32))
    for name, array in other_arrays.items():
        parameters[name][...] = array
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
