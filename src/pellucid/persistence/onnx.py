"""Networks as ONNX models, which other programs and languages predict with.

ONNX (Open Neural Network Exchange) is a file of operators and constants. What is written here is
prediction: dropout drops nothing, batch normalization uses its running moments.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid import nn
from pellucid.persistence.file import replace_file
from pellucid.persistence.onnx_graph import MOST_BYTES, Graph
from pellucid.persistence.onnx_layers import emit_chain, emit_link

Answer = Literal["numbers", "label", "two labels", "indicators"]
"""What predictions say: numbers; one of K labels; one of two; yes or no to each of K."""


def chain_to_onnx(
    chain: nn.Chain,
    parameters: nn.Parameters,
    fan_in: int,
    *,
    answer: Answer | None = None,
    classes: NDArray[Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Return an `onnx.ModelProto` that predicts as the network does.

    Its input is "X" (n_rows, fan_in), of the dtype of the parameters.

    Parameters
    ----------
    chain : nn.Chain
    parameters : nn.Parameters
    fan_in : int
    answer : {"numbers", "label", "two labels", "indicators"}, optional
        Which outputs there are: `add_answer`. Without it they are "scores" and "predictions",
        before and after the link of the loss, both (n_rows, K).
    classes : ndarray of shape (n_classes,), optional
        The labels, for "label" and "two labels".
    metadata : mapping, optional
        Kept in the model; what JSON can hold.

    Raises
    ------
    ImportError
        The package onnx is not installed.
    TypeError
        A layer or the link of the loss is the user's own, or labels are neither text nor numbers.

    Examples
    --------
    >>> from pellucid.nn import Linear, Chain
    >>> from pellucid.persistence.onnx import chain_to_onnx
    >>> chain = Chain([Linear(3)], "softmax_cross_entropy")
    >>> model = chain_to_onnx(chain, chain.initialize(2, seed=0), 2)
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Softmax', 'Identity', 'Identity']
    """
    dtype, fan_out = parameters.flat.dtype, chain.fan_out(fan_in)
    graph = Graph(dtype)
    scores = emit_chain(graph, chain, parameters, graph.add_input("X", dtype, fan_in))
    predictions = emit_link(graph, chain.loss, scores)
    if answer is None:
        graph.add_output("scores", scores, dtype, fan_out)
        graph.add_output("predictions", predictions, dtype, fan_out)
    else:
        add_answer(graph, predictions, fan_out, answer, classes)
    return graph.model(metadata or {})


def add_answer(
    graph: Graph, predictions: str, width: int, answer: Answer, classes: NDArray[Any] | None
) -> None:
    """Make predictions (n_rows, width) the outputs of a graph, named as skl2onnx names them.

    - "numbers": "variable" (n_rows, width).
    - "label": "label" (n_rows,) and "probabilities" (n_rows, n_classes).
    - "two labels": the same; the one score is the probability of the second class.
    - "indicators": "label" (n_rows, width) of 0 and 1, and "probabilities" (n_rows, width).
    """
    if answer == "numbers":
        graph.add_output("variable", predictions, graph.dtype, width)
        return
    if answer == "indicators":
        yes = graph.cast(graph.node("Greater", predictions, graph.constant(0.5)), np.int64)
        graph.add_output("label", yes, np.int64, width)
        graph.add_output("probabilities", predictions, graph.dtype, width)
        return
    if classes is None:
        raise ValueError(f"{answer!r} needs classes, got None")
    labels = storable_labels(classes)
    if answer == "label" or len(labels) == 1:
        # Of one class, its probability is 1, whatever the score.
        probabilities = predictions if width > 1 else graph.node("Softmax", predictions, axis=1)
        codes = graph.node("ArgMax", probabilities, axis=1, keepdims=0)
    else:
        is_second = graph.node("Greater", predictions, graph.constant(0.5))
        codes = graph.node(
            "Squeeze", graph.cast(is_second, np.int64), graph.constant([1], np.int64)
        )
        first = graph.node("Sub", graph.constant(1.0), predictions)
        probabilities = graph.node("Concat", first, predictions, axis=1)
    chosen = graph.node("Gather", graph.constant(labels, labels.dtype, "classes"), codes, axis=0)
    graph.add_output("label", chosen, labels.dtype, None)
    graph.add_output("probabilities", probabilities, graph.dtype, len(labels))


def storable_labels(classes: NDArray[Any]) -> NDArray[Any]:
    """Return labels as ONNX has them: int64, float64, bool or text.

    Raises
    ------
    TypeError
        They are of other or of several types.
    """
    values = classes.tolist()
    for kinds, dtype in (((bool,), np.bool_), ((int,), np.int64), ((int, float), np.float64)):
        if all(type(value) in kinds for value in values):
            return np.array(values, dtype=dtype)
    if all(type(value) is str for value in values):
        return np.array(values, dtype=object)
    raise TypeError(
        f"class labels must all be text, or all numbers or booleans, for to_onnx; got {values[:5]}"
    )


def write_onnx(model: Any, path: str | Path) -> None:
    """Write an `onnx.ModelProto` to a file, atomically.

    Raises
    ------
    ModelFileError
        The file cannot be written; an earlier file stays as it was.
    ValueError
        The model is beyond 2 GiB, which one ONNX file cannot hold.
    """
    size = model.ByteSize()
    if size > MOST_BYTES:
        raise ValueError(
            f"the model takes {size:,} bytes and one ONNX file holds {MOST_BYTES:,}; call "
            "to_onnx() without path, and onnx.save(model, path, save_as_external_data=True)"
        )
    replace_file(Path(path), model.SerializeToString())
