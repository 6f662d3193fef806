"""Fitted estimators as ONNX models: which outputs they have, and what is kept beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pellucid.persistence.onnx import chain_to_onnx, write_onnx
from pellucid.version import __version__


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
        return onnx_of(self)


def onnx_of(estimator: Any) -> Any:
    """Return a fitted estimator of a table of numbers as an ONNX model.

    A `Network` before `fit` gives scores and predictions.
    """
    targets = estimator._targets
    classes = None if targets is None else targets.classes
    return chain_to_onnx(
        estimator.chain_,
        estimator.parameters_,
        estimator._n_inputs(),
        answer=None if targets is None else targets.answer,
        classes=classes,
        metadata=metadata_of(estimator, classes),
    )


def metadata_of(estimator: Any, classes: Any) -> dict[str, Any]:
    """Return what a reader of the file may want to know, as JSON can hold it."""
    metadata: dict[str, Any] = {
        "estimator": type(estimator).__name__,
        "pellucid_version": __version__,
    }
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        metadata["feature_names"] = [str(name) for name in names]
    if classes is not None:
        metadata["classes"] = np.asarray(classes).tolist()
    return metadata
