"""Describe a network layer by layer: shapes, parameters, memory and arithmetic operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.inspection import html
from pellucid.nn.chain import Chain

_HEAD = ("", "layer", "output", "parameters", "shapes", "memory", "FLOPs")
_TEXTS = frozenset({0, 1, 4})
_FLOPS_OF_ROLE = {"weight": 2, "bias": 1, "scale": 1}


@dataclass(frozen=True)
class LayerDescription:
    """Description of one layer of a network.

    Parameters
    ----------
    layer : str
        Constructor call of the layer.
    width : int
        Width of its output.
    shapes : dict
        Shape of each of its parameters, by name.
    n_parameters : int
    flops : int
        Multiplications and additions of the forward pass for one example: two for each weight, one
        for each bias and scale. Elementwise functions, such as activations, are not counted. A
        training step takes about three times as many.
    """

    layer: str
    width: int
    shapes: dict[str, tuple[int, ...]]
    n_parameters: int
    flops: int


@dataclass(frozen=True)
class NetworkDescription:
    """Description of all layers of a network; print it to see a table."""

    layers: tuple[LayerDescription, ...]
    fan_in: int
    loss: str
    dtype: np.dtype[Any]

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return sum(layer.n_parameters for layer in self.layers)

    @property
    def n_bytes(self) -> int:
        """Memory of the parameters in bytes; training with Adam needs about three times as much."""
        return self.n_parameters * self.dtype.itemsize

    @property
    def flops(self) -> int:
        """Multiplications and additions of the forward pass for one example."""
        return sum(layer.flops for layer in self.layers)

    def __str__(self) -> str:
        return aligned([_HEAD, *self._rows()], _TEXTS)

    def _repr_html_(self) -> str:
        """Return an HTML table for notebooks."""
        return html.card("Network", self.html_table())

    def html_table(self, caption: str = "") -> str:
        """Return the layers as an HTML table."""
        return html.table(_HEAD, self._rows(), _TEXTS, caption)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [("", "input", f"{self.fan_in}", "", "", "", "")]
        for i, layer in enumerate(self.layers):
            n_bytes = layer.n_parameters * self.dtype.itemsize
            shapes = ", ".join(f"{name} {shape}" for name, shape in layer.shapes.items())
            n = layer.n_parameters
            numbers = (f"{n:,}", shapes, _memory(n_bytes), f"{layer.flops:,}") if n else ("",) * 4
            rows.append((str(i), layer.layer, f"{layer.width:,}", *numbers))
        total = (f"{self.n_parameters:,}", "", _memory(self.n_bytes), f"{self.flops:,}")
        return [*rows, ("", f"loss: {self.loss}", "", *total)]


def describe_network(chain: Chain, fan_in: int, dtype: Any = np.float32) -> NetworkDescription:
    """Describe a network for inputs of width `fan_in`.

    Examples
    --------
    >>> from pellucid.inspection.description import describe_network
    >>> from pellucid.nn import Activation, Linear, Chain
    >>> chain = Chain([Linear(32), Activation("relu"), Linear(3)], "softmax_cross_entropy")
    >>> print(describe_network(chain, fan_in=4))
       layer                        output  parameters  shapes              memory  FLOPs
       input                             4
    0  Linear(32)                       32         160  W (4, 32), b (32,)   640 B    288
    1  Activation('relu')               32
    2  Linear(3)                         3          99  W (32, 3), b (3,)    396 B    195
       loss: softmax_cross_entropy                 259                      1.0 kB    483
    """
    widths, layout = chain.widths(fan_in), chain.layout(fan_in)
    layers = []
    for i, layer in enumerate(chain.layers):
        prefix = f"{i}."
        entries = [entry for entry in layout.entries if entry.name.startswith(prefix)]
        layers.append(
            LayerDescription(
                _written(layer),
                widths[i + 1],
                {entry.name.removeprefix(prefix): entry.shape for entry in entries},
                sum(entry.size for entry in entries),
                sum(_FLOPS_OF_ROLE.get(entry.role, 0) * entry.size for entry in entries),
            )
        )
    name = getattr(chain.loss, "name", type(chain.loss).__name__)
    return NetworkDescription(tuple(layers), fan_in, name, np.dtype(dtype))


def _written(layer: Any) -> str:
    """Return the constructor call of a layer, without arguments that equal their defaults."""
    parts = []
    for place, (name, field) in enumerate(getattr(layer, "__dataclass_fields__", {}).items()):
        value = getattr(layer, name)
        if value != field.default:
            parts.append(f"{name}={value!r}" if place else repr(value))
    text = ", ".join(parts)
    return f"{type(layer).__name__}({text if len(text) <= 40 else '…'})"


def _memory(n_bytes: int) -> str:
    if n_bytes < 1000:
        return f"{n_bytes} B"
    size, units = n_bytes / 1000, ["kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.1f} {units[0]}"


def aligned(rows: Sequence[Sequence[str]], texts: frozenset[int]) -> str:
    """Return a text table: columns in `texts` left-aligned, others right-aligned."""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if c in texts else cell.rjust(width)
            for c, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
