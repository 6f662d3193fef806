"""Activation functions, each next to its derivative, and the layer that applies one.

Each pair is `f(z) -> a` and `f_backward(da, z, a) -> dz` with dz = da ⊙ f'(z). z, a, da and dz
share one arbitrary shape. Values and derivatives are finite for |z| up to 1e4 in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.error_function import erfc
from pellucid.nn.layer import Layer

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


def identity(z: Array) -> Array:
    """Return a = z."""
    return z


def identity_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da."""
    return da


def step(z: Array) -> Array:
    """Return a = 1 if z > 0, else 0: the activation of the perceptron."""
    return namespace(z).where(z > 0, namespace(z).ones_like(z), 0.0)


def step_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = 0: the derivative of a step is 0, so no gradient passes through it."""
    return namespace(z).zeros_like(da)


def logistic(z: Array) -> Array:
    """Return a = σ(z) = 1/(1 + e^(-z)), computed from e^(-|z|), which cannot overflow."""
    xp = namespace(z)
    decay = xp.exp(-xp.abs(z))
    return xp.where(z >= 0, 1.0, decay) / (1.0 + decay)


def logistic_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da ⊙ σ(z)(1 - σ(z))."""
    return da * a * (1.0 - a)


def tanh(z: Array) -> Array:
    """Return a = tanh(z)."""
    return namespace(z).tanh(z)


def tanh_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da ⊙ (1 - tanh²(z))."""
    return da * (1.0 - a * a)


def relu(z: Array) -> Array:
    """Return a = max(z, 0)."""
    return namespace(z).maximum(z, namespace(z).zeros_like(z))


def relu_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da where z > 0, else 0; the derivative at 0 is defined as 0."""
    return namespace(z).where(z > 0, da, 0.0)


def leaky_relu(z: Array, slope: float = 0.01) -> Array:
    """Return a = z if z > 0, else slope·z."""
    return namespace(z).where(z > 0, z, slope * z)


def leaky_relu_backward(da: Array, z: Array, a: Array, slope: float = 0.01) -> Array:
    """Return dz = da where z > 0, else slope·da; the derivative at 0 is defined as the slope."""
    return namespace(z).where(z > 0, da, slope * da)


def elu(z: Array, alpha: float = 1.0) -> Array:
    """Return a = z if z > 0, else α(e^z - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    xp = namespace(z)
    return xp.where(z > 0, z, alpha * xp.expm1(_negative_part(z)))


def elu_backward(da: Array, z: Array, a: Array, alpha: float = 1.0) -> Array:
    """Return dz = da where z > 0, else da ⊙ αe^z; the derivative at 0 is defined as α."""
    xp = namespace(z)
    return xp.where(z > 0, da, da * (alpha * xp.exp(_negative_part(z))))


def selu(z: Array) -> Array:
    """Return a = λ·z if z > 0, else λα(e^z - 1), with λ = 1.0507… and α = 1.6732….

    G. Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return SELU_SCALE * elu(z, SELU_ALPHA)


def selu_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = λ·da where z > 0, else da ⊙ λαe^z; the derivative at 0 is defined as λα."""
    return SELU_SCALE * elu_backward(da, z, a, SELU_ALPHA)


def softplus(z: Array) -> Array:
    """Return a = log(1 + e^z), computed as max(z, 0) + log1p(e^(-|z|))."""
    xp = namespace(z)
    return xp.maximum(z, xp.zeros_like(z)) + xp.log1p(xp.exp(-xp.abs(z)))


def softplus_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da ⊙ σ(z)."""
    return da * logistic(z)


def gelu(z: Array) -> Array:
    """Return a = z·Φ(z), Φ(z) = ½ erfc(-z/√2): the exact form (Hendrycks and Gimpel, 2016)."""
    return z * _normal_cdf(z)


def gelu_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da ⊙ (Φ(z) + z·φ(z)), φ(z) = e^(-z²/2)/√(2π)."""
    xp = namespace(z)
    near = xp.clip(z, -40.0, 40.0)  # φ(40) is already 0; z² must not overflow
    density = xp.exp(-0.5 * near * near) * (1.0 / math.sqrt(2.0 * math.pi))
    return da * (_normal_cdf(z) + near * density)


def silu(z: Array) -> Array:
    """Return a = z·σ(z) (Elfwing, Uchibe and Doya, 2018)."""
    return z * logistic(z)


def silu_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da ⊙ σ(z)(1 + z(1 - σ(z)))."""
    return da * (logistic(z) * (1.0 + z * logistic(-z)))


def mish(z: Array) -> Array:
    """Return a = z·tanh(softplus(z)) (Misra, 2019)."""
    return z * namespace(z).tanh(softplus(z))


def mish_backward(da: Array, z: Array, a: Array) -> Array:
    """Return dz = da ⊙ (t + z(1 - t²)σ(z)), t = tanh(softplus(z))."""
    t = namespace(z).tanh(softplus(z))
    return da * (t + z * (1.0 - t * t) * logistic(z))


def _negative_part(z: Array) -> Array:
    """Return min(z, 0), so that the branch discarded by `where` cannot overflow."""
    return namespace(z).minimum(z, namespace(z).zeros_like(z))


def _normal_cdf(z: Array) -> Array:
    return 0.5 * erfc(z * (-1.0 / math.sqrt(2.0)))


@dataclass(frozen=True)
class ActivationFunction:
    """One row of `ACTIVATIONS`: a function, its derivative and their properties."""

    name: str
    forward: Callable[..., Array]
    """`forward(z)`, or `forward(z, parameter)` if the function has a parameter."""
    backward: Callable[..., Array]
    """`backward(da, z, a)`, or `backward(da, z, a, parameter)`."""
    equation: str
    parameter: float | None = None
    """Default value of the parameter; None if the function has no parameter."""
    kinked: bool = False
    """Whether the derivative jumps at 0; central differences across 0 are then meaningless."""


ACTIVATIONS: dict[str, ActivationFunction] = {
    function.name: function
    for function in (
        ActivationFunction("identity", identity, identity_backward, "z"),
        ActivationFunction("step", step, step_backward, "1 if z > 0 else 0", kinked=True),
        ActivationFunction("logistic", logistic, logistic_backward, "1/(1 + e^-z)"),
        ActivationFunction("tanh", tanh, tanh_backward, "tanh z"),
        ActivationFunction("relu", relu, relu_backward, "max(z, 0)", kinked=True),
        ActivationFunction(
            "leaky_relu",
            leaky_relu,
            leaky_relu_backward,
            "z if z > 0 else p·z",
            parameter=0.01,
            kinked=True,
        ),
        ActivationFunction(
            "elu", elu, elu_backward, "z if z > 0 else p(e^z - 1)", parameter=1.0, kinked=True
        ),
        ActivationFunction(
            "selu", selu, selu_backward, "λz if z > 0 else λα(e^z - 1)", kinked=True
        ),
        ActivationFunction("softplus", softplus, softplus_backward, "log(1 + e^z)"),
        ActivationFunction("gelu", gelu, gelu_backward, "z·Φ(z)"),
        ActivationFunction("silu", silu, silu_backward, "z/(1 + e^-z)"),
        ActivationFunction("mish", mish, mish_backward, "z·tanh(log(1 + e^z))"),
    )
}


@dataclass(frozen=True)
class Activation(Layer):
    """Layer that applies an activation function to every element.

    a = z + blend·(φ(z) - z). This is φ(z) for blend=1, the default, and z for blend=0.

    Parameters
    ----------
    function : str
        A name in `ACTIVATIONS`.
    parameter : float, optional
        Slope below zero of `leaky_relu`, or α of `elu`. If None, the function's default.
    blend : float
        Weight of φ(z); z has the weight 1 - blend.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import Activation
    >>> Activation("relu", blend=0.5).forward({}, np.array([[-2.0, 3.0]]))
    array([[-1.,  3.]])
    """

    function: str
    parameter: float | None = None
    blend: float = 1.0

    def __post_init__(self) -> None:
        if self.function not in ACTIVATIONS:
            names = ", ".join(ACTIVATIONS)
            raise ValueError(f"function must be one of {names}; got {self.function!r}")
        if self.parameter is not None:
            if self.definition.parameter is None:
                raise ValueError(
                    f"activation {self.function!r} has no parameter, got {self.parameter!r}"
                )
            if not math.isfinite(self.parameter):
                raise ValueError(f"parameter must be finite, got {self.parameter!r}")
        if not math.isfinite(self.blend):
            raise ValueError(f"blend must be finite, got {self.blend!r}")

    @property
    def definition(self) -> ActivationFunction:
        """Row of `ACTIVATIONS` for this function."""
        return ACTIVATIONS[self.function]

    @property
    def parameter_value(self) -> float | None:
        """Parameter in use: the given value or the function's default; None if it has none."""
        return self.definition.parameter if self.parameter is None else self.parameter

    def kink_sides(self, x: Array) -> Array | None:
        """Return the signs of x (m, width) if the function has a kink at 0, else None."""
        return namespace(x).sign(x) if self.definition.kinked else None

    def forward(
        self, parameters: Mapping[str, Array], z: Array, context: Context = PREDICTION
    ) -> Array:
        """Return a (m, width) for z (m, width)."""
        a = self.definition.forward(z, *self._arguments())
        return a if self.blend == 1.0 else z + self.blend * (a - z)

    def backward(
        self,
        parameters: Mapping[str, Array],
        da: Array,
        z: Array,
        a: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dz (m, width) = da ⊙ (1 + blend·(φ'(z) - 1)), and no parameter gradient."""
        if self.blend == 1.0:
            return self.definition.backward(da, z, a, *self._arguments()), {}
        phi = self.definition.forward(z, *self._arguments())
        dz = self.definition.backward(da, z, phi, *self._arguments())
        return da + self.blend * (dz - da), {}

    def _arguments(self) -> tuple[float, ...]:
        value = self.parameter_value
        return () if value is None else (value,)
