"""Multi-layer perceptrons for tables: fast, right by default, open to inspection."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "Network",
    "ParquetStream",
    "ProgressBar",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
    "fit_together",
    "load",
    "save",
]

if TYPE_CHECKING:
    from pellucid.models.ensemble.deep_ensemble_classifier import DeepEnsembleClassifier
    from pellucid.models.ensemble.deep_ensemble_regressor import DeepEnsembleRegressor
    from pellucid.models.loading import load
    from pellucid.models.network.network import Network
    from pellucid.models.perceptron.mlp_classifier import MLPClassifier
    from pellucid.models.perceptron.mlp_regressor import MLPRegressor
    from pellucid.models.saving import save
    from pellucid.models.tabular.tabular_classifier import TabularClassifier
    from pellucid.models.tabular.tabular_regressor import TabularRegressor
    from pellucid.models.together import fit_together
    from pellucid.tables.stream import ParquetStream
    from pellucid.training.progress import ProgressBar

# A name is imported when it is first asked for, so that nobody waits for what they do not use.
_PLACES = {
    "DeepEnsembleClassifier": "pellucid.models.ensemble.deep_ensemble_classifier",
    "DeepEnsembleRegressor": "pellucid.models.ensemble.deep_ensemble_regressor",
    "ParquetStream": "pellucid.tables.stream",
    "MLPClassifier": "pellucid.models.perceptron.mlp_classifier",
    "MLPRegressor": "pellucid.models.perceptron.mlp_regressor",
    "Network": "pellucid.models.network.network",
    "ProgressBar": "pellucid.training.progress",
    "TabularClassifier": "pellucid.models.tabular.tabular_classifier",
    "TabularRegressor": "pellucid.models.tabular.tabular_regressor",
    "fit_together": "pellucid.models.together",
    "load": "pellucid.models.loading",
    "save": "pellucid.models.saving",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
