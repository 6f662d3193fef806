"""Every layer and every link of `pellucid.nn` as ONNX operators, as they are in prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import nn
from pellucid.nn import activations, losses
from pellucid.persistence.onnx_graph import Graph

Arrays = Mapping[str, NDArray[Any]]


def _gelu(graph: Graph, z: str) -> str:
    """Return ½ z (1 + erf(z/√2)); erf in float32, the only one that ONNX Runtime has."""
    scaled = graph.node("Mul", z, graph.constant(math.sqrt(0.5)))
    erf = graph.cast(graph.node("Erf", graph.cast(scaled, np.float32)), graph.dtype)
    share = graph.node("Add", erf, graph.constant(1.0))
    return graph.node("Mul", graph.node("Mul", z, graph.constant(0.5)), share)


def _softplus(graph: Graph, z: str) -> str:
    """Return max(z, 0) + softplus(-|z|): ONNX Runtime's own overflows in float64."""
    small = graph.node("Softplus", graph.node("Neg", graph.node("Abs", z)))
    return graph.node("Add", graph.node("Relu", z), small)


def _silu(graph: Graph, z: str) -> str:
    """Return z/(1 + e^-z), which is -0 where e^-z overflows.

    z·σ(z) would be taken together into an operator that ONNX Runtime 1.23 has in float32 alone.
    """
    decay = graph.node("Exp", graph.node("Neg", z))
    return graph.node("Div", z, graph.node("Add", decay, graph.constant(1.0)))


ACTIVATIONS: dict[str, Callable[..., str]] = {
    "identity": lambda graph, z: z,
    "step": lambda graph, z: graph.cast(graph.node("Greater", z, graph.constant(0.0)), graph.dtype),
    "logistic": lambda graph, z: graph.node("Sigmoid", z),
    "tanh": lambda graph, z: graph.node("Tanh", z),
    "relu": lambda graph, z: graph.node("Relu", z),
    "leaky_relu": lambda graph, z, slope: graph.node("LeakyRelu", z, alpha=slope),
    "elu": lambda graph, z, alpha: graph.node("Elu", z, alpha=alpha),
    "selu": lambda graph, z: graph.node("Selu", z),
    "softplus": _softplus,
    "gelu": _gelu,
    "silu": _silu,
    "mish": lambda graph, z: graph.node("Mish", z),
}
"""By the names of `nn.ACTIVATIONS`: (graph, z, parameter if there is one) → a."""


def _activation(graph: Graph, layer: nn.Activation, arrays: Arrays, z: str) -> str:
    value = layer.parameter_value
    phi = ACTIVATIONS[layer.function](graph, z, *(() if value is None else (float(value),)))
    return phi if layer.blend == 1.0 else _blend(graph, z, phi, layer.blend)


def _parametric_activation(
    graph: Graph, layer: nn.ParametricActivation, arrays: Arrays, z: str
) -> str:
    return _blend(graph, z, _activation(graph, layer.activation, {}, z), arrays["alpha"])


def _blend(graph: Graph, z: str, phi: str, share: Any) -> str:
    """Return z + share·(φ - z)."""
    change = graph.node("Mul", graph.node("Sub", phi, z), graph.constant(share, name="alpha"))
    return graph.node("Add", z, change)


def _linear(graph: Graph, layer: nn.Linear, arrays: Arrays, a: str) -> str:
    W = graph.constant(layer.effective(arrays["W"]), name="W")
    if not layer.bias:
        return graph.node("MatMul", a, W)
    return graph.node("Gemm", a, W, graph.constant(arrays["b"], name="b"))


def _dropout(graph: Graph, layer: nn.Dropout, arrays: Arrays, h: str) -> str:
    if layer.scale_at == "training":
        return h
    return graph.node("Mul", h, graph.constant(layer.kept_share))


def _rms_norm(graph: Graph, layer: nn.RMSNorm, arrays: Arrays, h: str) -> str:
    square = graph.node("Mul", h, h)
    mean = graph.node("ReduceMean", square, graph.constant([1], np.int64), keepdims=1)
    root = graph.node("Sqrt", graph.node("Add", mean, graph.constant(layer.epsilon)))
    n = graph.node("Div", h, root)
    if not layer.scale:
        return n
    return graph.node("Mul", n, graph.constant(arrays["gamma"], name="gamma"))


def _layer_norm(graph: Graph, layer: nn.LayerNorm, arrays: Arrays, h: str) -> str:
    inputs = [h, graph.constant(arrays["gamma"], name="gamma")]
    if layer.bias:
        inputs.append(graph.constant(arrays["beta"], name="beta"))
    kind = graph.element(graph.dtype)
    return graph.node("LayerNormalization", *inputs, axis=1, epsilon=layer.epsilon, stash_type=kind)


def _batch_norm(graph: Graph, layer: nn.BatchNorm, arrays: Arrays, h: str) -> str:
    names = ("gamma", "beta", "running_mean", "running_variance")
    constants = [graph.constant(arrays[name], name=name) for name in names]
    return graph.node("BatchNormalization", h, *constants, epsilon=layer.epsilon)


def _input_scale(graph: Graph, layer: nn.InputScale, arrays: Arrays, x: str) -> str:
    return graph.node("Mul", x, graph.constant(arrays["factor"], name="factor"))


def _embedding(graph: Graph, layer: nn.Embedding, arrays: Arrays, x: str) -> str:
    """Look up rows; what is no id becomes `n_rows`, which Gather refuses."""
    whole = graph.node("Equal", graph.node("Floor", x), x)
    not_negative = graph.node("GreaterOrEqual", x, graph.constant(0.0))
    is_id = graph.node("And", whole, not_negative)
    checked = graph.node("Where", is_id, x, graph.constant(float(layer.n_rows)))
    table = graph.constant(arrays["table"], name="table")
    vectors = graph.node("Gather", table, graph.cast(checked, np.int64), axis=0)
    return _flattened(graph, vectors)


def _periodic(graph: Graph, layer: nn.PeriodicEmbedding, arrays: Arrays, x: str) -> str:
    """Take cosines as sines a quarter later: ONNX Runtime 1.23 has only these in float64."""
    columns = _by_column(graph, x)
    turns = graph.node("Mul", columns, graph.constant(2.0 * math.pi))
    frequencies, phases = arrays["frequencies"][:, None, :], arrays["phases"][:, None, :]
    scaled = graph.node("Mul", turns, graph.constant(frequencies, name="frequencies"))
    later = graph.constant(phases.astype(np.float64) + 0.5 * math.pi, name="phases")
    waves = graph.node("Sin", graph.node("Add", scaled, later))
    linear = _each_column(graph, waves, arrays["W"], arrays["b"])
    values = graph.node("Unsqueeze", x, graph.constant([2], np.int64))
    return _flattened(graph, graph.node("Concat", values, linear, axis=2))


def _piecewise_linear(
    graph: Graph, layer: nn.PiecewiseLinearEmbedding, arrays: Arrays, x: str
) -> str:
    if layer.dim is not None:
        return _mapped_pieces(graph, layer, arrays, x)
    counts = layer.n_components
    bins = [_bins(edges, n) for edges, n in zip(layer.edges, counts, strict=True)]
    places = graph.constant(np.repeat(np.arange(len(counts)), counts), np.int64)
    return _held_ramps(graph, graph.node("Gather", x, places, axis=1), np.concatenate(bins, axis=1))


def _mapped_pieces(graph: Graph, layer: nn.PiecewiseLinearEmbedding, arrays: Arrays, x: str) -> str:
    """Return the codes times W, with as many for each column as the longest has; the rest are 0."""
    assert layer.dim is not None
    counts = layer.n_components
    n = max(counts)
    bins = np.stack([_bins(edges, n) for edges in layer.edges], axis=1)  # (4, d, n)
    W, first = np.zeros((len(counts), n, layer.dim)), 0
    for j, count in enumerate(counts):
        W[j, :count] = arrays["W"][first : first + count]
        first += count
    codes = _held_ramps(graph, _by_column(graph, x), bins[:, :, None, :])
    return _flattened(graph, _each_column(graph, codes, W, arrays["b"]))


def _bins(edges: tuple[float, ...], n: int) -> NDArray[Any]:
    """Return where n components begin, how wide they are, and where each is held; (4, n)."""
    count = len(edges) - 1
    bins = np.zeros((4, n))
    bins[0, :count], bins[1] = edges[:-1], 1.0
    bins[1, :count] = np.diff(edges)
    bins[2, 0], bins[3, :count] = -np.inf, 1.0
    bins[3, count - 1] = np.inf
    return bins


def _held_ramps(graph: Graph, x: str, bins: NDArray[Any]) -> str:
    """Return (x - begin)/width, held between the last two rows of `bins`."""
    lower, widths, low, high = (graph.constant(row, name="bins") for row in bins)
    ramps = graph.node("Div", graph.node("Sub", x, lower), widths)
    return graph.node("Min", graph.node("Max", ramps, low), high)


def _by_column(graph: Graph, x: str) -> str:
    """Return x (m, d) as (d, m, 1)."""
    turned = graph.node("Transpose", x, perm=[1, 0])
    return graph.node("Unsqueeze", turned, graph.constant([2], np.int64))


def _each_column(graph: Graph, codes: str, W: NDArray[Any], b: NDArray[Any]) -> str:
    """Return codes_j W_j + b_j for each column j: (d, m, n), (d, n, e), (d, e) to (m, d, e).

    A row of zeros is carried along: a product of no rows ends the process in ONNX Runtime 1.31.
    """
    d, n, _ = W.shape
    with_zeros = graph.node("Concat", codes, graph.constant(np.zeros((d, 1, n))), axis=1)
    product = graph.node("MatMul", with_zeros, graph.constant(W, name="W"))
    by_row = graph.node("Transpose", product, perm=[1, 0, 2])
    bounds = [graph.constant([bound], np.int64) for bound in (0, -1, 0)]
    return graph.node("Add", graph.node("Slice", by_row, *bounds), graph.constant(b, name="b"))


def _flattened(graph: Graph, value: str) -> str:
    """Return (m, a, b) as (m, a·b)."""
    return graph.node("Flatten", value, axis=1)


def _columns(graph: Graph, layer: nn.Columns, arrays: Arrays, x: str) -> str:
    widths = graph.constant([n for n, _ in layer.parts], np.int64)
    blocks = graph.nodes("Split", x, widths, names=["block"] * len(layer.parts), axis=1)
    outputs = []
    for p, (block, (_, part)) in enumerate(zip(blocks, layer.parts, strict=True)):
        with graph.named(f"{p}."):
            outputs.append(emit_layer(graph, part, own_arrays(arrays, p), block))
    return graph.node("Concat", *outputs, axis=1)


LAYERS: dict[type, Callable[[Graph, Any, Arrays, str], str]] = {
    nn.Activation: _activation,
    nn.BatchNorm: _batch_norm,
    nn.Columns: _columns,
    nn.Dropout: _dropout,
    nn.Embedding: _embedding,
    nn.InputScale: _input_scale,
    nn.LayerNorm: _layer_norm,
    nn.Linear: _linear,
    nn.ParametricActivation: _parametric_activation,
    nn.PeriodicEmbedding: _periodic,
    nn.PiecewiseLinearEmbedding: _piecewise_linear,
    nn.RMSNorm: _rms_norm,
}
"""(graph, layer, its parameters by the names it knows, input) → output. `Add` takes two inputs."""


def emit_layer(graph: Graph, layer: Any, arrays: Arrays, x: str) -> str:
    """Add a layer to the graph and return its output.

    Raises
    ------
    TypeError
        The layer is the user's own.
    """
    if type(layer) not in LAYERS:
        raise TypeError(
            f"{type(layer).__name__} is a layer of your own, which to_onnx cannot write; it knows "
            f"{', '.join(sorted(kind.__name__ for kind in LAYERS))}, Add"
        )
    return LAYERS[type(layer)](graph, layer, arrays, x)


def own_arrays(arrays: Arrays, place: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of the layer or part at a place, under the names that it knows."""
    prefix = f"{place}."
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def emit_chain(graph: Graph, chain: nn.Chain, parameters: nn.Parameters, x: str) -> str:
    """Add all layers to the graph and return the scores."""
    values, arrays = [x], {name: parameters[name] for name in parameters.names()}
    for i, layer in enumerate(chain.layers):
        with graph.named(f"{i}."):
            if isinstance(layer, nn.Add):
                values.append(graph.node("Add", values[i], values[i - layer.back]))
            else:
                values.append(emit_layer(graph, layer, own_arrays(arrays, i), values[i]))
    return values[-1]


def _capped_exponential(graph: Graph, scores: str) -> str:
    return graph.node("Exp", graph.node("Min", scores, graph.constant(losses.EXPONENT_CAP)))


LINKS: dict[Any, Callable[[Graph, str], str]] = {
    losses.softmax: lambda graph, scores: graph.node("Softmax", scores, axis=1),
    activations.logistic: lambda graph, scores: graph.node("Sigmoid", scores),
    activations.identity: lambda graph, scores: scores,
    losses.capped_exponential: _capped_exponential,
}
"""By the function of `nn` that a loss has as its link."""


def emit_link(graph: Graph, loss: nn.Loss | nn.CustomLoss, scores: str) -> str:
    """Add what turns scores into predictions and return these.

    Raises
    ------
    TypeError
        The loss has a link of the user's own.
    """
    link = loss.definition.link if isinstance(loss, nn.Loss) else getattr(loss, "link", None)
    if link not in LINKS:
        raise TypeError(
            f"the loss {loss.name!r} has a link of your own, which to_onnx cannot write; it knows "
            f"{', '.join(sorted(known.__name__ for known in LINKS))} of pellucid.nn"
        )
    return LINKS[link](graph, scores)
