"""The formulas of multi-layer perceptrons in NumPy, each forward pass next to its gradient."""

from pellucid.nn.activations import ACTIVATIONS, Activation, ActivationFunction
from pellucid.nn.batch_normalization import BatchNorm
from pellucid.nn.chain import Chain, Gradients, Trace
from pellucid.nn.clipping import ClipByGlobalNorm, ClipByNorm, ClipByValue, Clipping
from pellucid.nn.columns import Columns
from pellucid.nn.context import Context
from pellucid.nn.custom_activation import CustomActivation
from pellucid.nn.custom_loss import CustomLoss
from pellucid.nn.dropout import Dropout
from pellucid.nn.embedding import Embedding
from pellucid.nn.hyperplane import Hyperplane, hyperplanes
from pellucid.nn.initializers import INITIALIZERS, Initializer
from pellucid.nn.layer import Layer
from pellucid.nn.linear import Linear
from pellucid.nn.losses import LOSSES, Loss, LossFunction, get_loss
from pellucid.nn.normalization import LayerNorm, RMSNorm
from pellucid.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, OptimizerState, RMSProp
from pellucid.nn.parameters import Entry, Layout, Parameters
from pellucid.nn.parametric_activation import ParametricActivation
from pellucid.nn.perceptron import Perceptron, train_perceptron
from pellucid.nn.periodic_embedding import PeriodicEmbedding
from pellucid.nn.piecewise_linear_embedding import PiecewiseLinearEmbedding
from pellucid.nn.residual import Add, Residual
from pellucid.nn.scaling import InputScale
from pellucid.nn.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    FlatCosine,
    InverseScaling,
    LogCosine,
    OneCycle,
    Schedule,
    StepDecay,
    WarmUp,
)

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LOSSES",
    "SCHEDULES",
    "SGD",
    "Activation",
    "ActivationFunction",
    "Adagrad",
    "Adam",
    "AdamW",
    "Add",
    "BatchNorm",
    "Chain",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByValue",
    "Clipping",
    "Columns",
    "Constant",
    "Context",
    "Cosine",
    "CustomActivation",
    "CustomLoss",
    "Dropout",
    "Embedding",
    "Entry",
    "Exponential",
    "FlatCosine",
    "Gradients",
    "Hyperplane",
    "Initializer",
    "InputScale",
    "InverseScaling",
    "Layer",
    "LayerNorm",
    "Layout",
    "Linear",
    "LogCosine",
    "Loss",
    "LossFunction",
    "OneCycle",
    "Optimizer",
    "OptimizerState",
    "Parameters",
    "ParametricActivation",
    "Perceptron",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "RMSNorm",
    "RMSProp",
    "Residual",
    "Schedule",
    "StepDecay",
    "Trace",
    "WarmUp",
    "get_loss",
    "hyperplanes",
    "train_perceptron",
]
