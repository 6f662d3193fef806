"""A network as the native engine reads it: steps with offsets into the flat buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pellucid.engine.instruction_set import INSTRUCTION_SET, core
from pellucid.nn.activations import Activation
from pellucid.nn.dropout import Dropout
from pellucid.nn.linear import Linear
from pellucid.nn.network import Network
from pellucid.nn.normalization import LayerNorm, RMSNorm
from pellucid.nn.parameters import Parameters
from pellucid.nn.parametric_activation import ParametricActivation
from pellucid.nn.residual import Add
from pellucid.nn.scaling import InputScale

_SUFFIXES = {np.dtype(np.float32): "32", np.dtype(np.float64): "64"}


def core_class(name: str, parameters: Parameters) -> Any:
    """Return the compiled class or function for the precision of the parameters."""
    dtype = parameters.flat.dtype
    if dtype not in _SUFFIXES:
        raise TypeError(f"the native engine computes in float32 or float64, got {dtype}")
    return getattr(core, name + _SUFFIXES[dtype])


def make_program(
    network: Network,
    parameters: Parameters,
    fan_in: int,
    learning_rate_factors: Mapping[str, float] | None = None,
    bfloat16: bool = False,
) -> Any:
    """Return the network as a compiled program; with `bfloat16`, one whose training rounds so."""
    if network.layout(fan_in) != parameters.layout:
        raise ValueError(f"X with {fan_in} columns does not fit {parameters!r}")
    if bfloat16 and not core.has_bfloat16:
        raise ValueError(
            f'dtype="bfloat16" needs a processor with AVX-512 BF16 and the instruction set '
            f'"avx512bf16"; in use is {INSTRUCTION_SET!r}: train with dtype="float32"'
        )
    builder = _Builder(network, parameters, fan_in, learning_rate_factors or {}, bfloat16)
    for i, layer in enumerate(network.layers):
        builder.add(i, layer)
    builder.program.set_loss(network.loss.name, network.loss.parameter_value or 0.0)
    return builder.program


class _Builder:
    """Adds layer after layer; knows in which slot of the program each value of the trace lies."""

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        fan_in: int,
        factors: Mapping[str, float],
        bfloat16: bool,
    ) -> None:
        self._layout = parameters.layout
        self._factors = self._layout.learning_rate_factors(factors) if factors else None
        self.program = core_class("Program", parameters)(fan_in, self._layout.size, bfloat16)
        self._slots = [0]
        # Values that a residual connection takes up again must stay as they are.
        self._taken_up = {
            i - layer.back for i, layer in enumerate(network.layers) if isinstance(layer, Add)
        }

    def add(self, i: int, layer: Any) -> None:
        """Add `network.layers[i]`."""
        if type(layer) not in _ADD:
            raise TypeError(
                f"layer {i} is a {type(layer).__name__}, which the native engine does not know; "
                "train with ReferenceTrainer"
            )
        self._slots.append(_ADD[type(layer)](self, i, layer))

    def place(self, name: str) -> tuple[int, float]:
        """Return the offset and the learning-rate factor of a parameter; offset -1 without one."""
        if name not in self._layout.names():
            return -1, 1.0
        offset = self._layout[name].offset
        return offset, 1.0 if self._factors is None else float(self._factors[offset])

    def linear(self, i: int, layer: Linear) -> int:
        if layer.parametrization != "standard":
            raise TypeError(
                f"layer {i} has parametrization={layer.parametrization!r}, which the native engine "
                "does not know; train with ReferenceTrainer"
            )
        (weights, weight_rate), (bias, bias_rate) = self.place(f"{i}.W"), self.place(f"{i}.b")
        slot: int = self.program.add_linear(layer.fan_out, weights, bias, weight_rate, bias_rate)
        return slot

    def activation(self, i: int, layer: Activation) -> int:
        slot: int = self.program.add_activation(
            layer.function, layer.parameter_value or 0.0, layer.blend, i not in self._taken_up
        )
        return slot

    def parametric_activation(self, i: int, layer: ParametricActivation) -> int:
        parameter = layer.activation.parameter_value or 0.0
        slot: int = self.program.add_parametric_activation(
            layer.function, parameter, *self.place(f"{i}.alpha")
        )
        return slot

    def input_scale(self, i: int, layer: InputScale) -> int:
        slot: int = self.program.add_scale(*self.place(f"{i}.factor"))
        return slot

    def row_norm(self, i: int, layer: RMSNorm | LayerNorm) -> int:
        centered = isinstance(layer, LayerNorm)
        slot: int = self.program.add_row_norm(
            centered, layer.epsilon, *self.place(f"{i}.gamma"), *self.place(f"{i}.beta")
        )
        return slot

    def dropout(self, i: int, layer: Dropout) -> int:
        slot: int = self.program.add_dropout(layer.p, layer.scale_at == "training", i)
        return slot

    def add_up(self, i: int, layer: Add) -> int:
        slot: int = self.program.add_sum(self._slots[i - layer.back])
        return slot


_ADD: dict[type, Callable[[_Builder, int, Any], int]] = {
    Linear: _Builder.linear,
    Activation: _Builder.activation,
    ParametricActivation: _Builder.parametric_activation,
    InputScale: _Builder.input_scale,
    RMSNorm: _Builder.row_norm,
    LayerNorm: _Builder.row_norm,
    Dropout: _Builder.dropout,
    Add: _Builder.add_up,
}
