"""Different layers for different columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.nn.array import Array, namespace
from pellucid.nn.context import PREDICTION, Context
from pellucid.nn.layer import Layer, Shapes
from pellucid.nn.random import Floats, Ints, Stream
from pellucid.nn.residual import Add, Residual

_MOST_PARTS = 255
_PART_SHIFT = 16


@dataclass(frozen=True, init=False)
class Columns(Layer):
    """Layer that applies a different layer to each block of columns and joins the outputs.

    The parameters of part p are named "p.name". In a chain whose first layer is a `Columns`, they
    are named "0.p.name".

    Parameters
    ----------
    parts : sequence of (int, layer)
        Number of columns and the layer applied to them, from left to right.

    Examples
    --------
    >>> from pellucid.nn import Activation, Columns, Embedding, Linear, Chain
    >>> parts = [(3, Activation("identity")), (1, Embedding(10, 4))]  # 3 numbers, 1 id
    >>> chain = Chain([Columns(parts), Linear(1)], "half_squared_error")
    >>> chain.widths(4)
    (4, 7, 1)
    """

    parts: tuple[tuple[int, Layer], ...]

    def __init__(self, parts: Sequence[tuple[int, Layer]]) -> None:
        if not isinstance(parts, Sequence):
            raise TypeError(
                f"parts must be a list of pairs such as [(3, Linear(8))], got {parts!r}"
            )
        object.__setattr__(self, "parts", tuple(_checked_part(part) for part in parts))
        if not 1 <= len(self.parts) <= _MOST_PARTS:
            raise ValueError(f"Columns takes 1 to {_MOST_PARTS} parts, got {len(self.parts)}")
        for p, (n, layer) in enumerate(self.parts):
            if n < 1:
                raise ValueError(f"part {p} of Columns must have at least 1 column, got {n}")
            if isinstance(layer, Columns | Add | Residual):
                raise TypeError(
                    f"part {p} of Columns is a {type(layer).__name__}; a part must be a plain layer"
                )

    @property
    def drops(self) -> bool:
        """Whether any part applies dropout."""
        return any(layer.drops for _, layer in self.parts)

    def output_width(self, fan_in: int) -> int:
        """Return the sum of the parts' output widths."""
        expected = sum(n for n, _ in self.parts)
        if fan_in != expected:
            raise ValueError(
                f"the parts of Columns take {expected} columns, but the input has {fan_in}; assign "
                'every column to a part, with Activation("identity") to pass columns on unchanged'
            )
        return sum(layer.output_width(n) for n, layer in self.parts)

    def parameter_shapes(self, fan_in: int) -> Shapes:
        """Return the shape and role of each parameter of each part."""
        return _joined(layer.parameter_shapes(n) for n, layer in self.parts)

    def initial_parameters(self, fan_in: int, stream: Stream) -> dict[str, Floats]:
        """Return the initial parameters of each part, each drawn from its own stream."""
        return _joined(
            layer.initial_parameters(n, _stream_of(stream, p))
            for p, (n, layer) in enumerate(self.parts)
        )

    def fitted_parameters(self, x: Floats, stream: Stream) -> dict[str, Floats]:
        """Return initial parameters of each part, adapted to its columns."""
        return _joined(
            layer.fitted_parameters(block, _stream_of(stream, p))
            for p, (block, layer) in enumerate(self._blocks(x))
        )

    def kink_sides(self, x: Array) -> Array | None:
        """Return the sides of all parts next to each other."""
        sides = [layer.kink_sides(block) for block, layer in self._blocks(x)]
        found = [side for side in sides if side is not None]
        return namespace(x).concat(found, axis=1) if found else None

    def active_rows(self, x: Array) -> dict[str, Ints]:
        """Return the active rows of all parts under their names."""
        return _joined(layer.active_rows(block) for block, layer in self._blocks(x))

    def forward(
        self, parameters: Mapping[str, Array], x: Array, context: Context = PREDICTION
    ) -> Array:
        """Return the joined outputs of the parts, (m, output_width), for x (m, fan_in)."""
        outputs = [
            layer.forward(_own(parameters, p), block, _context_of(context, p))
            for p, (block, layer) in enumerate(self._blocks(x))
        ]
        return namespace(x).concat(outputs, axis=1)

    def backward(
        self,
        parameters: Mapping[str, Array],
        dy: Array,
        x: Array,
        y: Array,
        context: Context = PREDICTION,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx (m, fan_in), and the gradients of all parts under their names."""
        pieces, first = [], 0
        for p, (block, layer) in enumerate(self._blocks(x)):
            places = slice(first, first + layer.output_width(block.shape[1]))
            own, at = _own(parameters, p), _context_of(context, p)
            pieces.append(layer.backward(own, dy[:, places], block, y[:, places], at))
            first = places.stop
        dx = namespace(x).concat([dblock for dblock, _ in pieces], axis=1)
        return dx, _joined(gradients for _, gradients in pieces)

    def updated_statistics(
        self, parameters: Mapping[str, Array], x: Array, context: Context
    ) -> dict[str, Array]:
        """Return the updated statistics of all parts under their names."""
        return _joined(
            layer.updated_statistics(_own(parameters, p), block, _context_of(context, p))
            for p, (block, layer) in enumerate(self._blocks(x))
        )

    def _blocks(self, x: Array) -> Iterator[tuple[Array, Layer]]:
        """Yield the columns of each part and its layer."""
        first = 0
        for n, layer in self.parts:
            yield x[:, first : first + n], layer
            first += n


def _checked_part(part: Any) -> tuple[int, Layer]:
    """Return a part as (number of columns, layer), or raise."""
    is_pair = isinstance(part, Sequence) and len(part) == 2
    is_layer = is_pair and (hasattr(part[1], "forward") or isinstance(part[1], Residual))
    if not is_layer or isinstance(part[1], type):
        raise TypeError(
            "parts must hold pairs of a number of columns and a layer such as (3, Linear(8)), got "
            f"{part!r}"
        )
    n, layer = part
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise TypeError(f"the number of columns of a part must be an integer, got {n!r}")
    return int(n), layer


def _joined(of_parts: Any) -> dict[str, Any]:
    return {f"{p}.{name}": value for p, own in enumerate(of_parts) for name, value in own.items()}


def _own(parameters: Mapping[str, Array], part: int) -> dict[str, Array]:
    """Return the parameters of a part under the names that its layer uses."""
    prefix = f"{part}."
    return {n.removeprefix(prefix): a for n, a in parameters.items() if n.startswith(prefix)}


def part_number(layer: int, part: int) -> int:
    """Return the layer number that identifies the random numbers of a part of layer `layer`."""
    return layer + ((part + 1) << _PART_SHIFT)


def _stream_of(stream: Stream, part: int) -> Stream:
    return replace(stream, layer=part_number(stream.layer, part))


def _context_of(context: Context, part: int) -> Context:
    """Return the context with the part's own layer number, so that parts have different masks."""
    return replace(context, layer=part_number(context.layer, part))
