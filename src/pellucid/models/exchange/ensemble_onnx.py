"""Fitted ensembles as ONNX models: the mean of the members' outputs."""

from __future__ import annotations

from typing import Any

from pellucid.models.exchange.onnx_export import metadata_of
from pellucid.models.exchange.tabular_onnx import add_predictions
from pellucid.persistence.onnx_columns import emit_columns
from pellucid.persistence.onnx_graph import Graph
from pellucid.persistence.onnx_layers import emit_chain, emit_link


def onnx_of_ensemble(ensemble: Any) -> Any:
    """Return a fitted `DeepEnsembleClassifier` or `DeepEnsembleRegressor`."""
    members = ensemble.estimators_
    encoder = getattr(members[0], "encoder_", None)
    dtype = members[0].parameters_.flat.dtype
    graph = Graph(dtype)
    if encoder is None:
        table = graph.add_input("X", dtype, ensemble.n_features_in_)
    else:
        table = emit_columns(graph, encoder)
    outputs = [
        emit_link(
            graph, member.chain_.loss, emit_chain(graph, member.chain_, member.parameters_, table)
        )
        for member in members
    ]
    total = outputs[0] if len(outputs) == 1 else graph.node("Sum", *outputs)
    mean = graph.node("Div", total, graph.constant(float(len(outputs))))
    targets = ensemble._known_targets()
    add_predictions(graph, mean, targets)
    kinds = {} if encoder is None else {"columns": {c.name: c.kind for c in encoder.recognized_}}
    return graph.model(metadata_of(ensemble, targets.classes) | kinds)
