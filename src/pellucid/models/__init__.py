"""scikit-learn estimators."""

from pellucid.models.mlp_classifier import MLPClassifier
from pellucid.models.mlp_regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
