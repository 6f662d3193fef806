"""User-defined activations: a function and its derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pellucid.nn.array import Array
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer

_STEPS = (1e-4, 1e-6)
_TOLERANCE = 1e-3
_MOST_KINKS = 0.1
"""Fraction of the points of `check` that may lie at kinks."""


@dataclass(frozen=True)
class CustomActivation(Layer):
    """Layer a = φ(z) for a user-defined φ, elementwise, with dz = da ⊙ φ'(z).

    Its functions run in Python, so a network with such a layer is trained by the reference engine.

    Parameters
    ----------
    function : callable
        φ, which maps z of any shape to an array of the same shape.
    derivative : callable
        φ', which maps z to an array of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn import CustomActivation
    >>> sine = CustomActivation(np.sin, np.cos)
    >>> sine.forward({}, np.array([[0.0, np.pi / 2]]))
    array([[0., 1.]])
    >>> sine.check() < 1e-6
    True
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]

    def __post_init__(self) -> None:
        for name in ("function", "derivative"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} must be callable, got {getattr(self, name)!r}")

    def forward(
        self, parameters: Mapping[str, Array], z: Array, context: Context = PREDICTION
    ) -> Array:
        """Return a (m, width) for z (m, width)."""
        return self._apply("function", z)

    def backward(
        self,
        parameters: Mapping[str, Array],
        da: Array,
        z: Array,
        a: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dz (m, width) = da ⊙ φ'(z), and no parameter gradient."""
        return da * self._apply("derivative", z), {}

    def check(self) -> float:
        """Compare φ' with (φ(z + h) - φ(z - h))/(2h) at 64 points between -4 and 4.

        Returns
        -------
        float
            The maximum relative error, ignoring the worst tenth of the points, where φ may have
            kinks.

        Raises
        ------
        ValueError
            If the error is above 0.001.
        """
        # Multiples of the golden ratio: kinks tend to lie at round numbers, which they avoid.
        z = 8.0 * (np.arange(1, 65) * 0.6180339887498949 % 1.0).reshape(-1, 1) - 4.0
        exact = np.asarray(self._apply("derivative", z))
        errors = []
        for h in _STEPS:
            estimate = (self._apply("function", z + h) - self._apply("function", z - h)) / (2 * h)
            size = np.maximum(1.0, np.abs(exact) + np.abs(estimate))
            errors.append(np.quantile(np.abs(exact - estimate) / size, 1.0 - _MOST_KINKS))
        error = float(min(errors))
        if not error <= _TOLERANCE:
            raise ValueError(
                f"the derivative of the activation {_name(self.function)!r} is wrong: it differs "
                f"from central differences by {error:.2g} (relative error). Correct it"
            )
        return error

    def _apply(self, which: str, z: Array) -> Array:
        value: Array = getattr(self, which)(z)
        if getattr(value, "shape", None) != z.shape:
            raise ValueError(
                f"the {which} of the activation {_name(self.function)!r} must return an array of "
                f"the shape of its input, {z.shape}, got {getattr(value, 'shape', type(value))}"
            )
        return value.astype(z.dtype, copy=False)


def _name(function: Callable[[Array], Array]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
