"""Fitted estimators as ONNX models: which outputs they have, and what is kept beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from pellucid import nn
from pellucid.persistence.onnx import Answer, chain_to_onnx, write_onnx

_ANSWER_OF_TARGET: dict[str, Answer] = {
    "label": "label",
    "two labels": "two labels",
    "shares": "label",
    "indicators": "indicators",
    "counts": "numbers",
    "numbers": "numbers",
    "own": "numbers",
}
"""By the kind of `Targets`."""


class OnnxExport:
    """Gives an estimator `to_onnx`."""

    def to_onnx(self, path: str | Path | None = None) -> Any:
        """Return the fitted model as an `onnx.ModelProto`; write it to a file too if asked.

        The names and shapes of inputs and outputs are those of skl2onnx. Outputs are "label"
        and "probabilities" (n_rows, n_classes) of a classifier, "variable" (n_rows, n_outputs) of
        a regressor. The input of a network is "X" (n_rows, n_features), in the dtype of its
        weights. A `TabularClassifier` or `TabularRegressor` is written with its encoder and has an
        input (n_rows, 1) for each column that it uses: text for categories ("" where missing),
        float64 for numbers and truth values (NaN where missing). Names of columns and classes are
        in the model's metadata.

        Parameters
        ----------
        path : str or Path, optional
            Replaced atomically if it exists.

        Returns
        -------
        onnx.ModelProto

        Raises
        ------
        ImportError
            The package onnx is not installed: pip install "pellucid[onnx]".
        sklearn.exceptions.NotFittedError
        TypeError
            A layer, the link of the loss, or the type of the labels is none that ONNX has.
        ValueError
            A column holds dates or times.
        ModelFileError
            The file cannot be written; an earlier file stays as it was.
        """
        model = self._onnx_model()
        if path is not None:
            write_onnx(model, path)
        return model

    def _onnx_model(self) -> Any:
        raise NotImplementedError


def onnx_of_network(chain: Any) -> Any:
    """Return a `pellucid.Network` as an ONNX model; before `fit`, with scores and predictions."""
    parameters, targets = chain.parameters, chain._targets
    answer = None if targets is None else _ANSWER_OF_TARGET[targets.kind]
    classes = None if targets is None else targets.classes
    return chain_to_onnx(
        chain.chain,
        parameters,
        chain._fan_in,
        answer=answer,
        classes=classes,
        metadata=metadata_of(chain, classes),
    )


def onnx_of_mlp(estimator: Any) -> Any:
    """Return a fitted `MLPClassifier` or `MLPRegressor` as an ONNX model."""
    check_is_fitted(estimator)
    chain, parameters = chain_of(estimator)
    classes = getattr(estimator, "classes_", None)
    return chain_to_onnx(
        chain,
        parameters,
        estimator.n_features_in_,
        answer=answer_of_mlp(estimator),
        classes=classes,
        metadata=metadata_of(estimator, classes),
    )


def chain_of(estimator: Any) -> tuple[nn.Chain, nn.Parameters]:
    """Return the layers and the parameters that a fitted MLP predicts with."""
    return estimator.network_, estimator.parameters_


def answer_of_mlp(estimator: Any) -> Answer:
    """Return what the predictions of a fitted MLP say."""
    if not is_classifier(estimator):
        return "numbers"
    if estimator._label_binarizer.y_type_.startswith("multilabel"):
        return "indicators"
    return "two labels" if estimator.n_outputs_ == 1 else "label"


def metadata_of(estimator: Any, classes: Any) -> dict[str, Any]:
    """Return what a reader of the file may want to know, as JSON can hold it."""
    import pellucid

    metadata: dict[str, Any] = {
        "estimator": type(estimator).__name__,
        "pellucid_version": pellucid.__version__,
    }
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        metadata["feature_names"] = [str(name) for name in names]
    if classes is not None:
        metadata["classes"] = np.asarray(classes).tolist()
    return metadata
