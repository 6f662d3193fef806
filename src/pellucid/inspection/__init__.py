"""Looking inside a network: arrays and reports come out, nothing is drawn."""

from pellucid.inspection.description import NetworkDescription, describe_network
from pellucid.inspection.gradient_check import GradientCheck, check_gradient
from pellucid.inspection.importance import ColumnImportance, Rise, permutation_importance
from pellucid.inspection.model_card import ColumnDescription, ModelDescription

__all__ = [
    "ColumnDescription",
    "ColumnImportance",
    "GradientCheck",
    "ModelDescription",
    "NetworkDescription",
    "Rise",
    "check_gradient",
    "describe_network",
    "permutation_importance",
]
