"""Multi-layer perceptrons for tables: fast, right by default, open to inspection."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.version import __version__

__all__ = [
    "Callback",
    "DataDriftWarning",
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "ModelFileError",
    "Network",
    "NonFiniteError",
    "ParquetStream",
    "ProgressBar",
    "TableEncoder",
    "TableError",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
    "fit_together",
    "inspection",
    "load",
    "nn",
    "save",
    "tables",
    "training",
]

if TYPE_CHECKING:
    from pellucid import inspection, nn, tables, training
    from pellucid.engine.errors import NonFiniteError
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
    from pellucid.persistence.file import ModelFileError
    from pellucid.tables.drift import DataDriftWarning
    from pellucid.tables.encoder import TableEncoder
    from pellucid.tables.stream import ParquetStream
    from pellucid.tables.table import TableError
    from pellucid.training.callbacks import Callback
    from pellucid.training.progress import ProgressBar

# A name is imported when it is first asked for, so that nobody waits for what they do not use.
_PLACES = {
    "Callback": "pellucid.training.callbacks",
    "DataDriftWarning": "pellucid.tables.drift",
    "DeepEnsembleClassifier": "pellucid.models.ensemble.deep_ensemble_classifier",
    "DeepEnsembleRegressor": "pellucid.models.ensemble.deep_ensemble_regressor",
    "MLPClassifier": "pellucid.models.perceptron.mlp_classifier",
    "MLPRegressor": "pellucid.models.perceptron.mlp_regressor",
    "ModelFileError": "pellucid.persistence.file",
    "Network": "pellucid.models.network.network",
    "NonFiniteError": "pellucid.engine.errors",
    "ParquetStream": "pellucid.tables.stream",
    "ProgressBar": "pellucid.training.progress",
    "TableEncoder": "pellucid.tables.encoder",
    "TableError": "pellucid.tables.table",
    "TabularClassifier": "pellucid.models.tabular.tabular_classifier",
    "TabularRegressor": "pellucid.models.tabular.tabular_regressor",
    "fit_together": "pellucid.models.together",
    "load": "pellucid.models.loading",
    "save": "pellucid.models.saving",
}
_FOLDERS = ("inspection", "nn", "tables", "training")


def __getattr__(name: str) -> Any:
    if name in _FOLDERS:
        return import_module(f"pellucid.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
