"""The encoding of a raw table as ONNX: one input a column, as skl2onnx has it for a DataFrame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.persistence.onnx_graph import Graph
from pellucid.tables import TableEncoder
from pellucid.tables.categorical import CategoricalEncoding
from pellucid.tables.missing_words import MISSING_TEXT
from pellucid.tables.numeric import NumericEncoding


def emit_columns(graph: Graph, encoder: TableEncoder) -> str:
    """Add an input for each column that the encoder uses; return what it makes of them.

    Inputs are named as the columns and have the shape (n_rows, 1):

    - numeric and boolean: float64, NaN where missing. Text that reads as numbers has to come as
      numbers.
    - categorical: text, without surrounding blanks; "" (or another text that the encoder takes as
      missing) where missing. A number or a truth value comes as its text: "3", "True".

    Columns that the encoder leaves out are no inputs.

    Raises
    ------
    ValueError
        A column holds dates or times, or has no name.
    """
    used = [column for column in encoder.recognized_ if column.kind != "left out"]
    for column in used:
        _check_column(column.name, column.kind)
    for column in used:
        dtype = np.object_ if column.kind == "categorical" else np.float64
        graph.add_input(column.name, dtype, 1)
    blocks = []
    for j, column in enumerate(used):
        encoding = encoder.encodings_[column.name]
        with graph.named(f"column_{j}."):
            blocks.append(_ENCODINGS[type(encoding)](graph, encoding, column.name))
    return graph.node("Concat", *blocks, axis=1)


def _check_column(name: str, kind: str) -> None:
    if kind == "datetime":
        raise ValueError(
            f"column {name!r} holds dates or times, which to_onnx cannot write; make numbers of "
            f"them first (the year, the seconds since a day), or leave the column out: "
            f"columns={{{name!r}: 'left out'}}"
        )
    if not name:
        raise ValueError(
            "a column has no name, which an input of ONNX needs; name it and fit again"
        )


def _numeric(graph: Graph, encoding: NumericEncoding, x: str) -> str:
    """Return z, the indicator and the pieces, computed in float64 as `NumericEncoding.write`."""

    def constant(values: Any, name: str = "constant") -> str:
        return graph.constant(values, np.float64, name)

    is_missing = graph.node("IsNaN", x)
    known = graph.node("Where", is_missing, constant(encoding.mean, "mean"), x)
    held = graph.node("Clip", known, constant(encoding.lower), constant(encoding.upper))
    centred = graph.node("Sub", held, constant(encoding.mean, "mean"))
    z = graph.node("Div", centred, constant(encoding.scale, "scale"))
    blocks = [graph.cast(z, graph.dtype)]
    if encoding.indicator:
        blocks.append(graph.cast(is_missing, graph.dtype))
    if encoding.edges:
        offsets = graph.node("Sub", held, constant(encoding.edges[:-1], "edges"))
        shares = graph.node("Div", offsets, constant(np.diff(encoding.edges), "widths"))
        pieces = graph.node("Clip", shares, constant(0.0), constant(1.0))
        blocks.append(graph.cast(pieces, graph.dtype))
    return blocks[0] if len(blocks) == 1 else graph.node("Concat", *blocks, axis=1)


def _categorical(graph: Graph, encoding: CategoricalEncoding, x: str) -> str:
    """Return a 0/1 column for each category; a code beyond the last column gives zeros."""
    n, width = len(encoding.categories), len(encoding.suffixes)
    rare = n if encoding.rare else width
    missing = n + encoding.rare if encoding.missing else width
    codes = graph.node(
        "LabelEncoder",
        x,
        domain="ai.onnx.ml",
        keys_strings=[*encoding.categories, *sorted(MISSING_TEXT)],
        values_int64s=[*range(n), *[missing] * len(MISSING_TEXT)],
        default_int64=rare,
    )
    depth = graph.constant([width], np.int64, "depth")
    # ONNX Runtime makes no other.
    one_hot = graph.node("OneHot", codes, depth, graph.constant([0.0, 1.0], np.float32), axis=-1)
    columns = graph.node("Flatten", one_hot, axis=1)
    return columns if graph.dtype == np.float32 else graph.cast(columns, graph.dtype)


_ENCODINGS: dict[type, Callable[[Graph, Any, str], str]] = {
    NumericEncoding: _numeric,
    CategoricalEncoding: _categorical,
}
