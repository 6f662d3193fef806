"""Fitted estimators of raw tables as ONNX models, their encoder included."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from pellucid.models.exchange.onnx_export import answer_of_mlp, chain_of, metadata_of
from pellucid.persistence.onnx import add_answer
from pellucid.persistence.onnx_columns import emit_columns
from pellucid.persistence.onnx_graph import Graph
from pellucid.persistence.onnx_layers import emit_chain, emit_link


def onnx_of_tabular(estimator: Any) -> Any:
    """Return a fitted `TabularClassifier` or `TabularRegressor`, its encoder included."""
    check_is_fitted(estimator)
    chain, parameters = chain_of(estimator.mlp_)
    graph = Graph(parameters.flat.dtype)
    encoded = emit_columns(graph, estimator.encoder_)
    predictions = emit_link(graph, chain.loss, emit_chain(graph, chain, parameters, encoded))
    classes, width = getattr(estimator, "classes_", None), estimator.mlp_.n_outputs_
    if is_classifier(estimator):
        add_answer(graph, predictions, width, answer_of_mlp(estimator.mlp_), classes)
    else:
        outputs = graph.cast(predictions, np.float64)
        scale = graph.constant(estimator.target_scale_, np.float64, "target_scale")
        mean = graph.constant(estimator.target_mean_, np.float64, "target_mean")
        scaled = graph.node("Add", graph.node("Mul", outputs, scale), mean)
        graph.add_output("variable", scaled, np.float64, width)
    kinds = {column.name: column.kind for column in estimator.encoder_.recognized_}
    return graph.model(metadata_of(estimator, classes) | {"columns": kinds})
