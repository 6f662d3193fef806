"""The loss that an estimator's parameters name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pellucid.models.targets import LabelTargets, Targets
from pellucid.nn import CustomLoss, Loss, get_loss

REGRESSOR_LOSSES = {
    "squared_error": "half_squared_error",
    "absolute_error": "absolute_error",
    "huber": "huber",
    "quantile": "quantile",
    "poisson": "poisson",
}
"""What `pellucid.nn` calls the losses that have scikit-learn's names."""

_LOSS_OF_OUTPUT = {
    "softmax": "softmax_cross_entropy",
    "logistic": "logistic_cross_entropy",
    "identity": "half_squared_error",
    "exp": "poisson",
}
_OUTPUT_OF_LOSS = {
    "softmax_cross_entropy": "softmax",
    "logistic_cross_entropy": "logistic",
    "poisson": "exp",
}


def out_activation_of(loss: Loss | CustomLoss) -> str:
    """Return what scikit-learn calls the link of a loss: what turns scores into predictions."""
    return _OUTPUT_OF_LOSS.get(loss.name, "identity")


def loss_with_output(out_activation: str) -> Loss:
    """Return the plainest loss with this link."""
    return Loss(_LOSS_OF_OUTPUT[out_activation])


def classifier_loss(loss: Any, out_activation: str, label_smoothing: float) -> Loss | CustomLoss:
    """Return the cross-entropy that fits the labels, or the user's own loss with its link.

    Parameters
    ----------
    loss : "log_loss" or callable
    out_activation : {"softmax", "logistic"}
        What turns scores into probabilities, by the number of classes and of labels a row.
    label_smoothing : float
        Of softmax; binary targets are smoothed themselves.

    Raises
    ------
    ValueError
        `label_smoothing` is asked for with a loss of the user's own.
    """
    if isinstance(loss, str):
        if out_activation == "softmax" and label_smoothing > 0.0:
            return Loss("softmax_cross_entropy", float(label_smoothing))
        return loss_with_output(out_activation)
    if label_smoothing > 0.0:
        raise ValueError(
            f"label_smoothing={label_smoothing!r} is part of loss='log_loss', got a loss of your "
            "own; smooth the targets in it, or set label_smoothing=0"
        )
    own = _own(loss)
    return (
        own if own.has_link else replace(own, link=loss_with_output(out_activation).definition.link)
    )


def regressor_loss(loss: Any, quantile: float) -> Loss | CustomLoss:
    """Return the loss of that name, or the `nn.Loss` or the user's own as it is."""
    if isinstance(loss, str):
        name = REGRESSOR_LOSSES[loss]
        return Loss(name, float(quantile)) if name == "quantile" else Loss(name)
    if isinstance(loss, Loss):
        if loss.name not in (*REGRESSOR_LOSSES.values(), "squared_error"):
            raise ValueError(f"loss must be one for numbers, got {loss!r}; use a classifier")
        return loss
    return _own(loss)


def _own(loss: Any) -> CustomLoss:
    own = get_loss(loss)
    if not isinstance(own, CustomLoss):
        raise TypeError(
            'loss must be "log_loss" or a function (scores, targets, weights) -> (loss, gradient), '
            f"got {loss!r}; set label_smoothing for a smoothed cross-entropy"
        )
    return own


def loss_for(
    targets: Targets, loss: Any, label_smoothing: float = 0.0, quantile: float = 0.5
) -> Loss | CustomLoss:
    """Return the loss that the parameter names, for labels or for numbers."""
    if targets.classes is None:
        return regressor_loss(loss, quantile)
    is_softmax = isinstance(targets, LabelTargets) and targets.n_outputs > 1
    return classifier_loss(loss, "softmax" if is_softmax else "logistic", label_smoothing)
