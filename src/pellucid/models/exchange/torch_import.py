"""The state dictionary of a `torch.nn.Sequential` to a fitted estimator or network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from pellucid import nn
from pellucid.models.call import FIT
from pellucid.models.inputs import parameter_dtype
from pellucid.models.prepared_fit import Learned
from pellucid.models.targets import (
    IndicatorTargets,
    NumberTargets,
    Targets,
    label_targets,
    targets_of_loss,
)
from pellucid.persistence.torch_state import fan_in_of_state, from_torch_state, linear_weights
from pellucid.training import FitResult, TrainingState

NOT_TRAINED = FitResult(None, 0, float("nan"), TrainingState())


def mlp_from_torch(
    estimator_class: Any,
    state: Mapping[str, Any],
    classes: Any,
    multilabel: bool,
    parameters: dict[str, Any],
) -> Any:
    """Return a fitted `MLPClassifier` or `MLPRegressor`; see `MlpExchange.from_torch`."""
    weights = linear_weights(state)
    sizes = tuple(len(weight) for weight in weights[:-1])
    estimator = estimator_class(**{"hidden_layer_sizes": sizes, **parameters})
    estimator._validate_params()
    fan_in, n_outputs = weights[0].shape[1], len(weights[-1])
    targets: Targets = NumberTargets(n_outputs, n_outputs == 1)
    if is_classifier(estimator):
        targets = _classes(classes, multilabel, n_outputs)
    elif classes is not None or multilabel:
        raise ValueError(
            f"{estimator_class.__name__} predicts numbers: leave out classes and multilabel, or "
            "use MLPClassifier"
        )
    chain = estimator._recipe(FIT).chain_for(targets)
    dtype = parameter_dtype(estimator.dtype, np.zeros(0, np.result_type(*weights)))
    learned = from_torch_state(chain, state, fan_in, dtype)
    estimator.n_features_in_ = fan_in
    estimator._take_over(Learned(chain, learned, fan_in, targets), NOT_TRAINED)
    return estimator


def network_from_torch(
    network: Any, state: Mapping[str, Any], fan_in: int | None, classes: Any
) -> Any:
    """Fill a `pellucid.Network`; see `NetworkExchange.from_torch`."""
    network._validate_params()
    chain = network._described_chain()
    if fan_in is None:
        fan_in = fan_in_of_state(chain, state)
    parameters = from_torch_state(chain, state, fan_in, network._parameter_dtype())
    targets = _targets(chain.loss, chain.fan_out(fan_in), classes)
    network.n_features_in_ = fan_in
    network._take_over(Learned(chain, parameters, fan_in, targets), NOT_TRAINED)
    return network


def _classes(classes: Any, multilabel: bool, n_outputs: int) -> Targets:
    """Return the labels of a classifier with so many scores."""
    if multilabel:
        if classes is not None or n_outputs < 2:
            raise ValueError(
                "multilabel=True has 2 scores or more and no classes: each score is a column of "
                f"zeros and ones; got {n_outputs} scores and classes={classes!r}"
            )
        return IndicatorTargets(n_outputs)
    if n_outputs == 2:
        raise ValueError(
            "the state dictionary has 2 scores, and MLPClassifier tells two classes by 1: for "
            'a softmax of 2 use pellucid.Network.from_torch(..., "softmax_cross_entropy"), for '
            "2 labels a row pass multilabel=True"
        )
    return label_targets(_labels(classes, max(2, n_outputs)))


def _labels(classes: Any, n: int) -> NDArray[Any]:
    """Return n labels in the order of the scores: those given, or 0, 1, …"""
    if classes is None:
        return np.arange(n)
    labels = np.asarray(classes)
    if labels.shape != (n,):
        raise ValueError(f"classes must hold {n} labels for these scores, got {classes!r}")
    if not np.array_equal(np.unique(labels), labels):
        raise ValueError(
            f"classes must be sorted, each once, as classes_ is, got {classes!r}; bring the rows "
            "of the last weight and bias into that order"
        )
    return labels


def _targets(loss: nn.Loss | nn.CustomLoss, n_outputs: int, classes: Any) -> Targets:
    """Return what the scores of a network mean: labels, zeros and ones, or numbers."""
    if loss.name == "softmax_cross_entropy":
        return targets_of_loss(_labels(classes, n_outputs), loss, n_outputs)
    if loss.name == "logistic_cross_entropy" and n_outputs == 1:
        return targets_of_loss(_labels(classes, 2), loss, n_outputs)
    if classes is not None:
        raise ValueError(
            f"classes are for a cross-entropy of one label a row; leave them out for {loss.name}"
        )
    return targets_of_loss(np.zeros((1, n_outputs)[: 1 + (n_outputs > 1)]), loss, n_outputs)
