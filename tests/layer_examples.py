"""Every layer, in a few sizes and settings, for the tests that all layers have to pass."""

from pellucid.nn import (
    Activation,
    BatchNorm,
    Dropout,
    InputScale,
    LayerNorm,
    Linear,
    ParametricActivation,
    Residual,
    RMSNorm,
)

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
    "residual": [Residual([Linear(4), Activation("tanh")])],
    "residual in residual": [
        Residual([RMSNorm(), Residual([Linear(4), Activation("silu")]), Dropout(0.2), Linear(4)])
    ],
}
"""By name, layers that take 4 columns and give 4."""
