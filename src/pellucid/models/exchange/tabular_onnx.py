"""Fitted estimators of raw tables as ONNX models, their encoder included."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from pellucid.models.exchange.onnx_export import metadata_of
from pellucid.models.targets import NumberTargets, Targets
from pellucid.persistence.onnx import add_answer
from pellucid.persistence.onnx_columns import emit_columns
from pellucid.persistence.onnx_graph import Graph
from pellucid.persistence.onnx_layers import emit_chain, emit_link


def onnx_of_tabular(estimator: Any) -> Any:
    """Return a fitted `TabularClassifier` or `TabularRegressor`, its encoder included."""
    check_is_fitted(estimator)
    chain, parameters = estimator.chain_, estimator.parameters_
    graph = Graph(parameters.flat.dtype)
    encoded = emit_columns(graph, estimator.encoder_)
    predictions = emit_link(graph, chain.loss, emit_chain(graph, chain, parameters, encoded))
    targets = estimator._known_targets()
    add_predictions(graph, predictions, targets)
    kinds = {column.name: column.kind for column in estimator.encoder_.recognized_}
    return graph.model(metadata_of(estimator, targets.classes) | {"columns": kinds})


def add_predictions(graph: Graph, predictions: str, targets: Targets) -> None:
    """Make predictions the outputs of a graph, numbers on the scale of y."""
    width = targets.n_outputs
    if not (isinstance(targets, NumberTargets) and targets.scale):
        add_answer(graph, predictions, width, targets.answer, targets.classes)
        return
    outputs = graph.cast(predictions, np.float64)
    scale = graph.constant(np.array(targets.scale), np.float64, "target_scale")
    mean = graph.constant(np.array(targets.mean), np.float64, "target_mean")
    scaled = graph.node("Add", graph.node("Mul", outputs, scale), mean)
    graph.add_output("variable", scaled, np.float64, width)
