"""Model files to estimators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.models.ensemble.deep_ensemble_classifier import DeepEnsembleClassifier
from pellucid.models.ensemble.deep_ensemble_regressor import DeepEnsembleRegressor
from pellucid.models.network.network import Network
from pellucid.models.perceptron.mlp_classifier import MLPClassifier
from pellucid.models.perceptron.mlp_regressor import MLPRegressor
from pellucid.models.saving import SAVEABLE, restore
from pellucid.models.tabular.tabular_classifier import TabularClassifier
from pellucid.models.tabular.tabular_regressor import TabularRegressor
from pellucid.persistence import ModelFileError, read_model_file
from pellucid.persistence.file import UNUSABLE

# Importing an estimator enters it in SAVEABLE.
__all__ = [
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "Network",
    "TabularClassifier",
    "TabularRegressor",
    "load",
]


def load(path: str | Path) -> Any:
    """Read an estimator that `pellucid.save` wrote. Nothing in the file is ever executed.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    MLPClassifier, MLPRegressor, Network or another estimator of Pellucid

    Raises
    ------
    ModelFileError
        When there is no such file, or it is truncated, damaged, no model, or from a newer
        version; the message says which.
    """
    header, arrays = read_model_file(path)
    if "checkpoint" in header:
        raise ModelFileError(
            f"{path} is a checkpoint of a training, no model. Set checkpoint_path of the model "
            "to its folder, go on by resume(X, y), and save that."
        )
    name = header.get("estimator")
    estimator_class = SAVEABLE.get(name) if isinstance(name, str) else None
    if estimator_class is None:
        raise ModelFileError(
            f"{path} holds {name!r:.80}, which this version of Pellucid does not know. "
            "Upgrade with: pip install --upgrade pellucid"
        )
    try:
        estimator = restore(estimator_class, header["params"], header["state"], arrays)
        if names := header.get("target_names"):
            estimator.target_names_ = tuple(map(str, names))
        if facts := header.get("training_facts"):
            estimator.training_facts_ = dict(facts)
        return estimator
    except UNUSABLE as error:
        raise ModelFileError(
            f"{path} is damaged: its contents do not make a {name} "
            f"({type(error).__name__}: {error!s:.500})."
        ) from error
