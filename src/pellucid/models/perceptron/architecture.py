"""The chain that the constructor parameters of a perceptron describe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from pellucid.nn import (
    ACTIVATIONS,
    Activation,
    BatchNorm,
    Chain,
    CustomActivation,
    CustomLoss,
    Dropout,
    Layer,
    LayerNorm,
    Linear,
    Loss,
    Residual,
    RMSNorm,
)

NORMALIZATIONS: dict[str, Callable[[], Layer]] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "rms": RMSNorm,
}


def build_chain(
    sizes: Sequence[int],
    activations: Sequence[Layer],
    dropout: Sequence[float],
    normalization: str | None,
    residual: bool,
    loss: Loss | CustomLoss,
    n_outputs: int,
) -> Chain:
    """Return the layers and the loss of a perceptron.

    A hidden layer is a `Linear`, then, each where it is asked for, a normalization, the activation
    and dropout. With `residual=True` it is added to its input wherever both have one width.

    Parameters
    ----------
    sizes : sequence of int
        Units of each hidden layer.
    activations : sequence of layers
    dropout : sequence of float
        Share of the units that each hidden layer drops.
    normalization : str or None
        A name in `NORMALIZATIONS`.
    residual : bool
    loss : Loss or CustomLoss
    n_outputs : int
        Scores of the last layer.

    Raises
    ------
    ValueError
        No two hidden layers in a row have one size, and `residual` is True.
    """
    layers: list[Layer | Residual] = []
    is_added = _residual(residual, sizes)
    for size, activation, share, adds in zip(sizes, activations, dropout, is_added, strict=True):
        block: list[Layer] = [Linear(size)]
        if normalization is not None:
            block.append(NORMALIZATIONS[normalization]())
        block.append(activation)
        if share > 0.0:
            block.append(Dropout(share))
        layers += [Residual(block)] if adds else block
    return Chain([*layers, Linear(n_outputs)], loss)


def hidden_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return `hidden_layer_sizes`, an integer or a sequence of them, as a tuple."""
    given = hidden_layer_sizes
    sizes = list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be positive integers, got {hidden_layer_sizes!r}; for no "
            "hidden layer pass ()"
        )
    return tuple(int(size) for size in sizes)


def activation_names(activation: Any, n_hidden: int) -> list[str]:
    """Return the name of the activation behind each linear layer, "custom" for the user's own.

    The last one, which has none, takes the name of the hidden layer before it, as in scikit-learn.
    """
    layers = activation_layers(activation, n_hidden)
    names = [layer.function if isinstance(layer, Activation) else "custom" for layer in layers]
    return [*names, names[-1] if names else str(activation)]


def activation_layers(activation: Any, n_hidden: int) -> list[Layer]:
    """Return the activation of each hidden layer, from one for all or a list with one for each."""
    if isinstance(activation, list) or (isinstance(activation, tuple) and not _is_pair(activation)):
        if len(activation) != n_hidden:
            raise ValueError(
                f"activation must have one entry for each of the {n_hidden} hidden layers, or be "
                f"one for all; got {len(activation)}: {activation!r}"
            )
        return [_activation(each) for each in activation]
    return [_activation(activation)] * n_hidden


def _activation(activation: Any) -> Layer:
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, a pair (function, "
                f"derivative), or a list with one for each hidden layer; got {activation!r}"
            )
        return Activation(activation)
    if isinstance(activation, Activation | CustomActivation):
        return activation
    if _is_pair(activation):
        own = CustomActivation(*activation)
        own.check()
        return own
    raise TypeError(
        "activation must be a name, an nn.Activation, a pair of functions (φ, φ'), or a list with "
        f"one for each hidden layer; got {activation!r}"
    )


def _is_pair(activation: Any) -> bool:
    return (
        isinstance(activation, tuple)
        and len(activation) == 2
        and all(callable(f) and not isinstance(f, Activation) for f in activation)
    )


def dropout_shares(dropout: Any, n_hidden: int) -> list[float]:
    """Return the share that each hidden layer drops."""
    shares = [dropout] * n_hidden if isinstance(dropout, Real) else list(dropout)
    if len(shares) != n_hidden:
        raise ValueError(
            f"dropout must have one entry for each of the {n_hidden} hidden layers, or be one "
            f"number for all; got {dropout!r}"
        )
    if not all(isinstance(p, Real) and 0.0 <= float(p) < 1.0 for p in [*shares, 0.0]):
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout!r}")
    return [float(p) for p in shares]


def _residual(residual: bool, sizes: Sequence[int]) -> list[bool]:
    """Return for each hidden layer whether its input is added to it."""
    if not residual:
        return [False] * len(sizes)
    same = [False, *(before == size for before, size in pairwise(sizes))][: len(sizes)]
    if not any(same):
        raise ValueError(
            "residual=True adds a hidden layer to the one before it where both have one size, but "
            f"hidden_layer_sizes={tuple(sizes)} has no two such layers in a row; change one of them"
        )
    return same
