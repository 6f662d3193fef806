"""The affine map Z = A W + b, its gradients, and the layer that applies it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pellucid.nn.array import Array
from pellucid.nn.bfloat16 import round_to_bfloat16
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.initializers import INITIALIZERS, Initializer, fit_units
from pellucid.nn.layer import Layer, Shapes
from pellucid.nn.random import Floats, Stream

Parametrization = Literal["standard", "ntk"]


def affine(A: Array, W: Array, b: Array | None) -> Array:
    """Return Z = A W + b, for A (m, fan_in), W (fan_in, fan_out), b (fan_out,); Z (m, fan_out)."""
    Z = A @ W
    return Z if b is None else Z + b


def affine_backward(dZ: Array, A: Array, W: Array) -> tuple[Array, Array, Array]:
    """Return dA = dZ Wᵀ (m, fan_in), dW = Aᵀ dZ (fan_in, fan_out), db = Σ_rows dZ (fan_out,)."""
    return dZ @ W.T, A.T @ dZ, dZ.sum(axis=0)


def affine_bfloat16(A: Array, W: Array, b: Array | None) -> Array:
    """Return Z = r(A) r(W) + b (m, fan_out), where r rounds to bfloat16; sums are float32."""
    return affine(round_to_bfloat16(A), round_to_bfloat16(W), b)


def affine_bfloat16_backward(dZ: Array, A: Array, W: Array) -> tuple[Array, Array, Array]:
    """Return dA = r(dZ) r(W)ᵀ, dW = r(A)ᵀ r(dZ), db = Σ_rows dZ, where r rounds to bfloat16.

    The rounding is differentiated as the identity, since its own derivative is almost always 0.
    """
    rounded = round_to_bfloat16(dZ)
    dA, dW, _ = affine_backward(rounded, round_to_bfloat16(A), round_to_bfloat16(W))
    return dA, dW, dZ.sum(axis=0)


def affine_columns(A: Array, W: Array, b: Array) -> Array:
    """Return Z = W A + b, examples as columns: A (fan_in, m), W (fan_out, fan_in), b (fan_out, 1).

    The result is that of `affine`, transposed: `affine(A.T, W.T, b[:, 0]).T`.
    """
    return W @ A + b


def affine_columns_backward(dZ: Array, A: Array, W: Array) -> tuple[Array, Array, Array]:
    """Return dA = Wᵀ dZ (fan_in, m), dW = dZ Aᵀ (fan_out, fan_in), db = Σ_columns dZ (fan_out, 1).

    The forward pass multiplies by W, the backward pass by Wᵀ.
    """
    return W.T @ dZ, dZ @ A.T, dZ.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Linear(Layer):
    """Linear layer with `fan_out` units: Z = A W + b.

    Parameters
    ----------
    fan_out : int
        Number of units, at least 1.
    bias : bool
        Whether to add b.
    weights : str or Initializer
        Initializer of W: a name in `INITIALIZERS`, or an `Initializer`.
    biases : "zeros" or float
        Initial value of every element of b.
    parametrization : {"standard", "ntk"}
        "ntk" is Z = A W/√fan_in + b (A. Jacot, F. Gabriel and C. Hongler, "Neural tangent kernel",
        2018). Use it with weights="standard_normal". The initial function is that of LeCun's
        scheme, but the elements of W have standard deviation 1 in every layer, so one learning
        rate suits all widths.

    Examples
    --------
    >>> from pellucid.nn import Linear
    >>> Linear(3).parameter_shapes(2)
    {'W': ((2, 3), 'weight'), 'b': ((3,), 'bias')}
    """

    fan_out: int
    bias: bool = True
    weights: str | Initializer = "glorot_uniform"
    biases: str | float = "zeros"
    parametrization: Parametrization = "standard"

    def __post_init__(self) -> None:
        is_integer = isinstance(self.fan_out, int | np.integer) and not isinstance(
            self.fan_out, bool
        )
        if not is_integer or self.fan_out < 1:
            raise ValueError(f"fan_out must be a positive integer, got {self.fan_out!r}")
        if isinstance(self.weights, str) and self.weights not in INITIALIZERS:
            names = ", ".join(INITIALIZERS)
            raise ValueError(f"weights must be one of {names}; got {self.weights!r}")
        if isinstance(self.biases, str):
            if self.biases != "zeros":
                raise ValueError(f'biases must be "zeros" or a number, got {self.biases!r}')
        elif not math.isfinite(self.biases):
            raise ValueError(f"biases must be finite, got {self.biases!r}")
        if self.parametrization not in get_args(Parametrization):
            names = ", ".join(get_args(Parametrization))
            raise ValueError(
                f"parametrization must be one of {names}; got {self.parametrization!r}"
            )

    @property
    def initializer(self) -> Initializer:
        """Initializer of W."""
        return INITIALIZERS[self.weights] if isinstance(self.weights, str) else self.weights

    @property
    def initial_bias(self) -> float:
        """Initial value of every element of b."""
        return 0.0 if isinstance(self.biases, str) else float(self.biases)

    def effective(self, W: Array) -> Array:
        """Return the factor of A: W, or W/√fan_in with "ntk"; (fan_in, fan_out)."""
        return W if self.parametrization == "standard" else W * (1.0 / math.sqrt(W.shape[0]))

    def output_width(self, fan_in: int) -> int:
        """Return the width of the output."""
        return self.fan_out

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of W, and of b if there is one."""
        shapes: Shapes = {"W": ((fan_in, self.fan_out), "weight")}
        if self.bias:
            shapes["b"] = ((self.fan_out,), "bias")
        return shapes

    def initial_parameters(self, fan_in: int, stream: Stream) -> dict[str, Floats]:
        """Return W as drawn by its initializer, and a constant b."""
        W = self.initializer.draw(stream, fan_in, self.fan_out)
        return {"W": W, "b": np.full(self.fan_out, self.initial_bias)} if self.bias else {"W": W}

    def fitted_parameters(self, x: Floats, stream: Stream) -> dict[str, Floats]:
        """Return W and b adapted to the training rows x (n, fan_in); see `fit_units`."""
        W = self.initializer.draw(stream, x.shape[1], self.fan_out)
        scale, b = fit_units(x @ self.effective(W), stream)
        return {"W": W * scale, "b": b} if self.bias else {"W": W * scale}

    def forward(
        self, parameters: Mapping[str, Array], A: Array, context: Context = PREDICTION
    ) -> Array:
        """Return Z (m, fan_out) for A (m, fan_in)."""
        product = affine_bfloat16 if context.bfloat16 else affine
        return product(A, self.effective(parameters["W"]), parameters.get("b"))

    def backward(
        self,
        parameters: Mapping[str, Array],
        dZ: Array,
        A: Array,
        Z: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dA (m, fan_in), and dW and db under their names."""
        product_backward = affine_bfloat16_backward if context.bfloat16 else affine_backward
        dA, dW, db = product_backward(dZ, A, self.effective(parameters["W"]))
        dW = self.effective(dW)
        return dA, {"W": dW, "b": db} if self.bias else {"W": dW}
