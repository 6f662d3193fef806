"""Multi-layer perceptrons for tables: fast, right by default, open to inspection."""

from pellucid.models import (
    MLPClassifier,
    MLPRegressor,
    TabularClassifier,
    TabularRegressor,
    load,
    save,
)

__version__ = "0.1.0"

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
    "load",
    "save",
]
