"""scikit-learn estimators."""

from pellucid.models.mlp_classifier import MLPClassifier
from pellucid.models.mlp_regressor import MLPRegressor
from pellucid.models.saving import load, save
from pellucid.models.tabular_classifier import TabularClassifier
from pellucid.models.tabular_regressor import TabularRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "load",
    "save",
]
