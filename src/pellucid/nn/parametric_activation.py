"""An activation that is blended with the identity by a learned weight per unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pellucid.nn.activations import Activation
from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes


def blend(z: Array, phi: Array, alpha: Array) -> Array:
    """Return a = z + α ⊙ (φ(z) - z), for z and φ(z) (m, width) and α (width,)."""
    return z + alpha * (phi - z)


def blend_backward(da: Array, z: Array, phi: Array, alpha: Array) -> tuple[Array, Array, Array]:
    """Return dz = (1 - α) ⊙ da and dφ = α ⊙ da (m, width), dα = Σ_rows da ⊙ (φ(z) - z) (width,).

    dz is the part of the gradient that does not pass through φ.
    """
    return da * (1.0 - alpha), da * alpha, namespace(z).sum(da * (phi - z), axis=0)


@dataclass(frozen=True)
class ParametricActivation(Layer):
    """Layer that applies a = z + α ⊙ (φ(z) - z) with a learned α for each unit.

    α starts at 1. A unit is φ at α = 1 and linear at α = 0 (D. Holzmüller, L. Grinsztajn and
    I. Steinwart, "Better by default", 2024). α has the role "scale", so it is neither penalized nor
    decayed. `Activation(function, blend=α)` is the same layer with a fixed α.

    Parameters
    ----------
    function : str
        A name in `ACTIVATIONS`.
    parameter : float, optional
        As for `Activation`.
    """

    function: str
    parameter: float | None = None

    def __post_init__(self) -> None:
        Activation(self.function, self.parameter)

    @property
    def activation(self) -> Activation:
        """The layer that applies φ."""
        return Activation(self.function, self.parameter)

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of α."""
        return {"alpha": ((fan_in,), "scale")}

    def kink_sides(self, x: Array) -> Array | None:
        """Return the kink sides of φ."""
        return self.activation.kink_sides(x)

    def forward(
        self, parameters: Mapping[str, Array], z: Array, context: Context = PREDICTION
    ) -> Array:
        """Return a (m, width) for z (m, width)."""
        return blend(z, self.activation.forward({}, z), parameters["alpha"])

    def backward(
        self,
        parameters: Mapping[str, Array],
        da: Array,
        z: Array,
        a: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dz (m, width), and dα under its name."""
        phi = self.activation.forward({}, z)
        direct, dphi, dalpha = blend_backward(da, z, phi, parameters["alpha"])
        return direct + self.activation.backward({}, dphi, z, phi)[0], {"alpha": dalpha}
