"""A network as the native engine reads it: steps with offsets into the flat buffer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import numpy as np

from pellucid.engine.instruction_set import INSTRUCTION_SET, core
from pellucid.nn.activations import Activation
from pellucid.nn.batch_normalization import BatchNorm
from pellucid.nn.chain import Chain
from pellucid.nn.columns import Columns, part_number
from pellucid.nn.dropout import Dropout
from pellucid.nn.embedding import Embedding
from pellucid.nn.linear import Linear
from pellucid.nn.losses import Loss
from pellucid.nn.normalization import LayerNorm, RMSNorm
from pellucid.nn.parameters import Parameters
from pellucid.nn.parametric_activation import ParametricActivation
from pellucid.nn.periodic_embedding import PeriodicEmbedding
from pellucid.nn.piecewise_linear_embedding import PiecewiseLinearEmbedding
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
    chain: Chain,
    parameters: Parameters,
    fan_in: int,
    learning_rate_factors: Mapping[str, float] | None = None,
    bfloat16: bool = False,
) -> Any:
    """Return the network as a compiled program; with `bfloat16`, one whose training rounds so."""
    if bfloat16 and not core.has_bfloat16:
        raise ValueError(
            f'dtype="bfloat16" needs a processor with AVX-512 BF16 and the instruction set '
            f'"avx512bf16"; in use is {INSTRUCTION_SET!r}: train with dtype="float32"'
        )
    builder = _built(chain, parameters, fan_in, learning_rate_factors or {}, bfloat16)
    if isinstance(chain.loss, Loss):
        builder.program.set_loss(chain.loss.name, chain.loss.parameter_value or 0.0)
    return builder.program


def slots_of(chain: Chain, parameters: Parameters, fan_in: int) -> tuple[int, ...]:
    """Return in which slot of the program each value of the network's trace lies."""
    return tuple(_built(chain, parameters, fan_in, {}, bfloat16=False).slots)


def _built(
    chain: Chain,
    parameters: Parameters,
    fan_in: int,
    factors: Mapping[str, float],
    bfloat16: bool,
) -> _Builder:
    if chain.layout(fan_in) != parameters.layout:
        raise ValueError(f"X with {fan_in} columns does not fit {parameters!r}")
    builder = _Builder(chain, parameters, fan_in, factors, bfloat16)
    for i, layer in enumerate(chain.layers):
        builder.add(i, layer)
    return builder


class _Builder:
    """Adds layer after layer; knows in which slot of the program each value of the trace lies."""

    def __init__(
        self,
        chain: Chain,
        parameters: Parameters,
        fan_in: int,
        factors: Mapping[str, float],
        bfloat16: bool,
    ) -> None:
        self._layout = parameters.layout
        self._factors = self._layout.learning_rate_factors(factors) if factors else None
        self._bfloat16 = bfloat16
        self.program = core_class("Program", parameters)(fan_in, self._layout.size, bfloat16)
        self.slots = [0]
        # Of a part: what its names start with, and the Columns that it is a part of.
        self._prefix = ""
        self._whole: int | None = None
        # Values that a residual connection takes up again must stay as they are.
        self._taken_up = {
            i - layer.back for i, layer in enumerate(chain.layers) if isinstance(layer, Add)
        }

    def add(self, i: int, layer: Any) -> None:
        """Add `chain.layers[i]`."""
        if type(layer) not in _ADD:
            raise TypeError(
                f"layer {self._prefix}{i} is a {type(layer).__name__}, which the native engine "
                'does not know; train with ReferenceTrainer, engine="reference"'
            )
        self.slots.append(_ADD[type(layer)](self, i, layer))

    def place(self, name: str) -> tuple[int, float]:
        """Return the offset and the learning-rate factor of a parameter; offset -1 without one."""
        name = self._prefix + name
        if name not in self._layout.names():
            return -1, 1.0
        offset = self._layout[name].offset
        return offset, 1.0 if self._factors is None else float(self._factors[offset])

    def places(self, i: int, *names: str) -> list[tuple[int, float]]:
        """Return the places of several parameters of layer i."""
        return [self.place(f"{i}.{name}") for name in names]

    def linear(self, i: int, layer: Linear) -> int:
        (weights, weight_rate), (bias, bias_rate) = self.place(f"{i}.W"), self.place(f"{i}.b")
        fan_in = self._layout[f"{self._prefix}{i}.W"].shape[0]
        scale = 1.0 if layer.parametrization == "standard" else 1.0 / math.sqrt(fan_in)
        slot: int = self.program.add_linear(
            layer.fan_out, weights, bias, weight_rate, bias_rate, scale
        )
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

    def batch_norm(self, i: int, layer: BatchNorm) -> int:
        slot: int = self.program.add_batch_norm(
            layer.momentum,
            layer.epsilon,
            *self.places(i, "gamma", "beta", "running_mean", "running_variance"),
        )
        return slot

    def periodic_embedding(self, i: int, layer: PeriodicEmbedding) -> int:
        slot: int = self.program.add_periodic_embedding(
            layer.dim, layer.n_frequencies, *self.places(i, "frequencies", "phases", "W", "b")
        )
        return slot

    def piecewise_linear_embedding(self, i: int, layer: PiecewiseLinearEmbedding) -> int:
        slot: int = self.program.add_piecewise_linear_embedding(
            layer.edges, layer.dim or 0, *self.places(i, "W", "b")
        )
        return slot

    def embedding(self, i: int, layer: Embedding) -> int:
        slot: int = self.program.add_embedding(layer.n_rows, layer.dim, *self.place(f"{i}.table"))
        return slot

    def columns(self, i: int, layer: Columns) -> int:
        programs = []
        for p, (width, part) in enumerate(layer.parts):
            builder = copy(self)
            builder.program = type(self.program)(width, self._layout.size, self._bfloat16)
            builder.slots, builder._taken_up = [0], set()
            builder._prefix, builder._whole = f"{i}.", i
            builder.add(p, part)
            programs.append(builder.program)
        slot: int = self.program.add_columns(programs)
        return slot

    def _number(self, i: int) -> int:
        """Return the number that layer i, or part i of a `Columns`, draws its numbers under."""
        return i if self._whole is None else part_number(self._whole, i)

    def dropout(self, i: int, layer: Dropout) -> int:
        slot: int = self.program.add_dropout(layer.p, layer.scale_at == "training", self._number(i))
        return slot

    def add_up(self, i: int, layer: Add) -> int:
        slot: int = self.program.add_sum(self.slots[i - layer.back])
        return slot


_ADD: dict[type, Callable[[_Builder, int, Any], int]] = {
    Linear: _Builder.linear,
    Activation: _Builder.activation,
    ParametricActivation: _Builder.parametric_activation,
    InputScale: _Builder.input_scale,
    RMSNorm: _Builder.row_norm,
    LayerNorm: _Builder.row_norm,
    BatchNorm: _Builder.batch_norm,
    PeriodicEmbedding: _Builder.periodic_embedding,
    PiecewiseLinearEmbedding: _Builder.piecewise_linear_embedding,
    Embedding: _Builder.embedding,
    Columns: _Builder.columns,
    Dropout: _Builder.dropout,
    Add: _Builder.add_up,
}
