"""Parameters as PyTorch names them: the state dictionary of a `torch.nn.Sequential`, and back.

Layer i of a network is module i of the `Sequential`, of which there is one for each layer; only an
`Embedding`, whose vectors PyTorch keeps apart, has a `Flatten` behind it that moves the numbers of
the modules after it by one.

=====================  ===============================================
layer                  module
=====================  ===============================================
Linear                 Linear; W is transposed there
Activation             the one of its name: ReLU, Tanh, Sigmoid (logistic), …
Dropout                Dropout
LayerNorm, RMSNorm     LayerNorm, RMSNorm with `eps` given
BatchNorm              BatchNorm1d
Embedding              Embedding, then Flatten
=====================  ===============================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import nn

_COUNTER = "num_batches_tracked"
"""What PyTorch counts beside the moments of BatchNorm1d, and uses with momentum=None alone."""


@dataclass(frozen=True)
class _Module:
    """What a layer's module calls its parameters, and what width of input they tell.

    Parameters
    ----------
    names : dict
        PyTorch's name of each parameter, by ours.
    fan_in : callable, optional
        From the shape of its weight to the width of its input.
    n_dimensions : int
        Of the weight.
    n_modules : int
        How many modules of the `Sequential` it takes.
    """

    names: Mapping[str, str]
    fan_in: Callable[[tuple[int, ...]], int] | None = None
    n_dimensions: int = 1
    n_modules: int = 1


_NORMALIZATION = {"gamma": "weight", "beta": "bias"}
_MOMENTS = {"running_mean": "running_mean", "running_variance": "running_var"}

_MODULES: dict[type, _Module] = {
    nn.Activation: _Module({}),
    nn.BatchNorm: _Module({**_NORMALIZATION, **_MOMENTS}, lambda shape: shape[0]),
    nn.Dropout: _Module({}),
    nn.Embedding: _Module({"table": "weight"}, n_modules=2),
    nn.LayerNorm: _Module(_NORMALIZATION, lambda shape: shape[0]),
    nn.Linear: _Module({"W": "weight", "b": "bias"}, lambda shape: shape[1], n_dimensions=2),
    nn.RMSNorm: _Module(_NORMALIZATION, lambda shape: shape[0]),
}


def to_torch_state(chain: nn.Chain, parameters: nn.Parameters) -> dict[str, Any]:
    """Return the parameters as tensors of their own, named as in a `torch.nn.Sequential`.

    Raises
    ------
    ImportError
        PyTorch is not installed.
    TypeError
        A layer is none that `torch.nn` has.

    Examples
    --------
    >>> from pellucid.nn import Activation, Linear, Chain
    >>> from pellucid.persistence.torch_state import torch_names
    >>> chain = Chain([Linear(5), Activation("relu"), Linear(1)], "squared_error")
    >>> list(torch_names(chain, chain.layout(2)))
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    names = torch_names(chain, parameters.layout)
    torch = _import_torch()
    state = {}
    for name, (i, ours) in names.items():
        array = _turned(chain.layers[i], ours, parameters[f"{i}.{ours}"])
        state[name] = torch.from_numpy(np.array(array, order="C"))
        if ours == "running_variance":
            state[name.replace("running_var", _COUNTER)] = torch.tensor(0)
    return state


def from_torch_state(
    chain: nn.Chain, state: Mapping[str, Any], fan_in: int, dtype: Any
) -> nn.Parameters:
    """Return the parameters of a network from the state dictionary of a `torch.nn.Sequential`.

    Parameters
    ----------
    chain : nn.Chain
    state : mapping of str to tensor
        Of any device and precision.
    fan_in : int
        Columns of X; `fan_in_of_state` finds it.
    dtype : float32 or float64

    Raises
    ------
    TypeError
        A layer is none that `torch.nn` has, or `state` is no mapping of tensors.
    ValueError
        A name is missing, left over, or has another shape.
    """
    arrays = state_arrays(state)
    layout = chain.layout(fan_in)
    names = torch_names(chain, layout)
    _check_names(list(names), arrays)
    parameters = nn.Parameters.zeros(layout, dtype)
    for name, (i, ours) in names.items():
        target = parameters[f"{i}.{ours}"]
        expected = target.T.shape if ours == "W" else target.shape
        if arrays[name].shape != expected:
            kind = type(chain.layers[i]).__name__
            raise ValueError(
                f"{name} must have shape {expected} for layer {i}, a {kind}, got "
                f"{arrays[name].shape}"
            )
        target[...] = _turned(chain.layers[i], ours, arrays[name], back=True)
    return parameters


def torch_names(chain: nn.Chain, layout: nn.Layout) -> dict[str, tuple[int, str]]:
    """Return the names in the state dictionary, each with the layer and our name there."""
    names, place = {}, 0
    for i, layer in enumerate(chain.layers):
        module = _module_of(i, layer)
        prefix = f"{i}."
        for entry in layout.entries:
            if entry.name.startswith(prefix):
                ours = entry.name.removeprefix(prefix)
                names[f"{place}.{module.names[ours]}"] = (i, ours)
        place += module.n_modules
    return names


def state_arrays(state: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return a state dictionary as NumPy arrays of float32 or float64, without counters."""
    if hasattr(state, "state_dict"):
        raise TypeError("from_torch takes a state dictionary: pass module.state_dict()")
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"from_torch takes a state dictionary, got {type(state).__name__}")
    return {name: _array(name, t) for name, t in state.items() if not name.endswith(_COUNTER)}


def _array(name: str, tensor: Any) -> NDArray[Any]:
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) in ("torch.bfloat16", "torch.float16"):
            tensor = tensor.float()
        tensor = tensor.numpy()
    array = np.asarray(tensor)
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must be a tensor of floating-point numbers, got {array.dtype}")
    return array if array.dtype == np.float64 else array.astype(np.float32, copy=False)


def _module_of(i: int, layer: Any) -> _Module:
    """Return the row of the table; refuse what `torch.nn` computes otherwise or has not."""
    odd = type(layer) not in _MODULES
    if isinstance(layer, nn.Activation):
        odd = layer.function == "step" or layer.blend != 1.0
    if isinstance(layer, nn.Dropout):
        odd = layer.scale_at != "training"
    if odd:
        raise TypeError(
            f"torch.nn has no module for layer {i}, {layer!r}; it has them for "
            f"{', '.join(sorted(kind.__name__ for kind in _MODULES))}. Use to_onnx"
        )
    return _MODULES[type(layer)]


def _turned(layer: Any, ours: str, array: NDArray[Any], back: bool = False) -> NDArray[Any]:
    """Return W (fan_in, fan_out) as PyTorch's weight (fan_out, fan_in), or back."""
    if ours != "W":
        return array
    turned = array.T
    if layer.parametrization == "standard":
        return turned
    root = math.sqrt(turned.shape[0] if back else array.shape[0])
    return turned * root if back else layer.effective(array).T


def dtype_of_state(state: Mapping[str, Any]) -> np.dtype[Any]:
    """Return float64 if a tensor is, else float32."""
    return np.result_type(np.float32, *state_arrays(state).values())


def linear_weights(state: Mapping[str, Any]) -> list[NDArray[Any]]:
    """Return the weights (fan_out, fan_in) of all Linear modules, in order.

    Raises
    ------
    ValueError
        The names are not those of a `torch.nn.Sequential`, or there is no Linear.
    """
    arrays = state_arrays(state)
    places = {name: name.split(".")[0] for name in arrays}
    if not all(place.isdecimal() for place in places.values()):
        _check_names([], arrays)
    found = [name for name in arrays if name.endswith(".weight") and arrays[name].ndim == 2]
    if not found:
        raise ValueError(
            f"the state dictionary holds no weight of a Linear; its names are: {_shown(arrays)}"
        )
    return [arrays[name] for name in sorted(found, key=lambda name: int(places[name]))]


def fan_in_of_state(chain: nn.Chain, state: Mapping[str, Any]) -> int:
    """Return the width of X that the first tensor tells, through the layers before it.

    Raises
    ------
    ValueError
        No tensor tells it.
    """
    arrays, place, factor = state_arrays(state), 0, 1
    for i, layer in enumerate(chain.layers):
        module = _module_of(i, layer)
        weight = arrays.get(f"{place}.weight")
        if isinstance(layer, nn.Embedding):
            factor *= layer.dim
        elif weight is not None and module.fan_in and weight.ndim == module.n_dimensions:
            return max(1, module.fan_in(weight.shape) // factor)
        elif isinstance(layer, nn.Linear):
            break
        place += module.n_modules
    raise ValueError(
        "the state dictionary does not tell the number of columns of X; pass fan_in, and check the "
        f"names: {_shown(arrays)}"
    )


def _check_names(expected: list[str], given: Mapping[str, Any]) -> None:
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    if not missing and not unknown:
        return
    prefixes = {name.split(".")[0] for name in given}
    advice = ""
    if len(prefixes) == 1 and not next(iter(prefixes)).isdigit():
        prefix = next(iter(prefixes)) + "."
        advice = (
            f"; cut off {prefix!r}: {{k.removeprefix({prefix!r}): v for k, v in state.items()}}"
        )
    raise ValueError(
        f"the names of the state dictionary do not fit the layers: {_shown(missing)} missing, "
        f"{_shown(unknown)} left over; module i of a torch.nn.Sequential is layer i{advice}"
    )


def _shown(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "") if names else "none"


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            'to_torch needs PyTorch; install it with: pip install "pellucid[torch]"'
        ) from error
    return torch
