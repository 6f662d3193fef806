"""A graph of ONNX operators, built node by node."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

OPSET, ML_OPSET = 18, 3
"""Of the operators and of those for tables (`ai.onnx.ml`): in ONNX Runtime since 1.14, of 2023."""

MOST_BYTES = 2**31 - 1
"""A protocol buffer holds no more."""


def import_onnx() -> Any:
    """Return the module `onnx`, or say how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            'to_onnx needs the package onnx; install it with: pip install "pellucid[onnx]"'
        ) from error
    return onnx


class Graph:
    """Nodes, constants, inputs and outputs; a value is known by its name.

    Parameters
    ----------
    dtype : float32 or float64
        Of the arithmetic: what `constant` makes of numbers.
    """

    def __init__(self, dtype: Any = np.float32) -> None:
        self._onnx = import_onnx()
        self.dtype = np.dtype(dtype)
        self._place = ""
        self._names: set[str] = set()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    @contextmanager
    def named(self, place: str) -> Iterator[None]:
        """Begin the names of what is added meanwhile with `place`, such as "3."."""
        before, self._place = self._place, self._place + place
        yield
        self._place = before

    def add_input(self, name: str, dtype: Any, width: int) -> str:
        """Add an input (n_rows, width), of any number of rows."""
        self._names.add(name)
        self._inputs.append(self._described(name, dtype, ["n_rows", width]))
        return name

    def add_output(self, name: str, value: str, dtype: Any, width: int | None) -> str:
        """Make a value an output (n_rows, width), or (n_rows,) where width is None."""
        name = self.node("Identity", value, name=name)
        shape = ["n_rows"] if width is None else ["n_rows", width]
        self._outputs.append(self._described(name, dtype, shape))
        return name

    def constant(self, values: Any, dtype: Any = None, name: str = "constant") -> str:
        """Return a constant of the graph's dtype, or of the one given."""
        array = np.asarray(values, dtype=self.dtype if dtype is None else dtype)
        name = self._new_name(name)
        if array.dtype.kind in "OU":
            texts = [str(text).encode() for text in array.ravel()]
            kind = self._onnx.TensorProto.STRING
            self._constants.append(self._onnx.helper.make_tensor(name, kind, array.shape, texts))
        else:
            self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(
        self, operator: str, *inputs: str, name: str | None = None, domain: str = "", **options: Any
    ) -> str:
        """Add an operator and return the name of its value.

        Parameters
        ----------
        operator : str
        inputs : str
            Names of values; "" leaves an optional one out.
        name : str, optional
            Of the value; made up from the operator by default.
        domain : {"", "ai.onnx.ml"}
        options : int, float, str or a list of these
            The attributes of the operator.
        """
        [value] = self.nodes(operator, *inputs, names=[name or operator], domain=domain, **options)
        return value

    def nodes(
        self, operator: str, *inputs: str, names: list[str], domain: str = "", **options: Any
    ) -> list[str]:
        """Add an operator with several values and return their names."""
        values = [self._new_name(name) for name in names]
        self._nodes.append(
            self._onnx.helper.make_node(
                operator, list(inputs), values, name=values[0], domain=domain, **options
            )
        )
        return values

    def cast(self, value: str, dtype: Any) -> str:
        """Return a value in another dtype."""
        return self.node("Cast", value, to=self.element(dtype))

    def model(self, metadata: Mapping[str, Any]) -> Any:
        """Return the `onnx.ModelProto`, with metadata that JSON can hold.

        `metadata["pellucid_version"]`, if there is one, is the version of the producer.
        """
        helper = self._onnx.helper
        graph = helper.make_graph(
            self._nodes, "pellucid", self._inputs, self._outputs, self._constants
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        used = {node.domain for node in self._nodes} | {""}
        opsets = [opset for opset in opsets if opset.domain in used]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="pellucid",
            producer_version=str(metadata.get("pellucid_version", "")),
        )
        helper.set_model_props(
            model,
            {
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in metadata.items()
            },
        )
        return model

    def _described(self, name: str, dtype: Any, shape: list[Any]) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self.element(dtype), shape)

    def element(self, dtype: Any) -> int:
        """Return ONNX's number of a dtype."""
        if np.dtype(dtype).kind in "OU":
            return int(self._onnx.TensorProto.STRING)
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _new_name(self, name: str) -> str:
        """Return a name that nothing has yet: the one given, or that with a number."""
        name, number = self._place + name, 1
        new = name
        while new in self._names:
            number += 1
            new = f"{name}_{number}"
        self._names.add(new)
        return new
