"""Every layer, in a few sizes and settings, for the tests that all layers have to pass."""

from pellucid.nn import (
    Activation,
    BatchNorm,
    Columns,
    Dropout,
    InputScale,
    LayerNorm,
    Linear,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Residual,
    RMSNorm,
)

EDGES = [(-2.0, -0.3, 0.0, 0.5), (-1.0, 1.0), (0.1, 0.2, 0.4), (-3.0, -0.5, 3.0)]

LAYERS = {
    "dropout": [Dropout(0.4)],
    "dropout, scaled at prediction": [Dropout(0.4, "prediction")],
    "rms_norm": [RMSNorm()],
    "rms_norm, no scale": [RMSNorm(epsilon=0.1, scale=False)],
    "layer_norm": [LayerNorm()],
    "layer_norm, no bias": [LayerNorm(epsilon=0.1, bias=False)],
    "batch_norm": [BatchNorm()],
    "batch_norm, other settings": [BatchNorm(momentum=0.5, epsilon=0.1)],
    "linear, ntk": [Linear(4, weights="standard_normal", parametrization="ntk")],
    "input_scale": [InputScale()],
    "parametric_activation": [ParametricActivation("selu")],
    "parametric_activation, with parameter": [ParametricActivation("elu", 0.5)],
    "periodic_embedding": [PeriodicEmbedding(3, 5)],
    "piecewise_linear_embedding": [PiecewiseLinearEmbedding(EDGES)],
    "piecewise_linear_embedding, mapped": [PiecewiseLinearEmbedding(EDGES, 3)],
    "columns": [
        Columns(
            [
                (2, PeriodicEmbedding(3, 5)),
                (1, BatchNorm()),
                (1, Dropout(0.3)),
            ]
        ),
        Linear(4),
    ],
    "residual": [Residual([Linear(4), Activation("tanh")])],
    "residual in residual": [
        Residual([RMSNorm(), Residual([Linear(4), Activation("silu")]), Dropout(0.2), Linear(4)])
    ],
}
"""By name, layers that take 4 columns, whatever they give."""
