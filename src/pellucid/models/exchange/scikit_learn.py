"""scikit-learn's perceptrons to Pellucid's and back, with what they have learned.

Carried both ways: parameters, weights, labels, names of columns, the curves and counts of
training, and the optimizer's moments, so that `partial_fit` goes on as the other would have.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from pellucid.engine.plan import TrainerState
from pellucid.models.coefficients import pack, views
from pellucid.models.solver_state import SolverState
from pellucid.models.targets import IndicatorTargets, LabelTargets, NumberTargets, Targets
from pellucid.nn import Activation, Chain, Dropout, Linear, Parameters
from pellucid.nn.optimizers import OptimizerState

LEARNED = (
    "n_features_in_",
    "feature_names_in_",
    "n_outputs_",
    "out_activation_",
    "classes_",
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "_no_improvement_count",
)
"""Attributes that both libraries have under one name and with one meaning."""

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
LOSSES = ("squared_error", "poisson", "log_loss")
"""What scikit-learn knows."""

OF_PREDICTION = {"activation": ACTIVATIONS, "loss": LOSSES, "normalization": (None,)}
"""Parameters that a prediction depends on, and the values that scikit-learn knows."""

NOT_CARRIED = frozenset({"n_threads", "callbacks", "checkpoint_path", "checkpoint_every", "dtype"})
"""Parameters that change no result of a fitted model, nor of one trained again by scikit-learn."""

Arrays = list[NDArray[Any]]


def peer_of(estimator_class: type) -> Any:
    """Return scikit-learn's class of the same name."""
    from sklearn import neural_network

    [name] = {kind.__name__ for kind in estimator_class.__mro__} & {
        "MLPClassifier",
        "MLPRegressor",
    }
    return getattr(neural_network, name)


def from_scikit_learn(estimator_class: Any, model: Any) -> Any:
    """Return a fitted estimator of ours that is what scikit-learn's model is.

    Raises
    ------
    TypeError
        The model is of another class.
    sklearn.exceptions.NotFittedError
    """
    peer = peer_of(estimator_class)
    if not isinstance(model, peer):
        raise TypeError(
            f"{estimator_class.__name__}.from_sklearn takes a fitted sklearn.neural_network."
            f"{peer.__name__}, got {type(model).__name__}"
        )
    check_is_fitted(model)
    estimator = estimator_class(**deepcopy(model.get_params(deep=False)))
    _copy_learned(model, estimator)
    estimator.coefs_, estimator.intercepts_ = list(model.coefs_), list(model.intercepts_)
    estimator._targets = _targets_of(model)
    estimator.__setstate__(vars(estimator).copy())  # lays the weights out in one buffer of its own
    if "loss_curve_" in vars(estimator):
        scores = estimator.validation_scores_
        estimator.validation_loss_curve_ = None if scores is None else [np.nan] * len(scores)
    if peer.__name__ == "MLPRegressor" and model.n_outputs_ > 1 and model.solver != "lbfgs":
        # scikit-learn reports the mean over outputs of what is summed here: no loss of a later
        # epoch would be an improvement.
        estimator.best_loss_ = None if estimator.best_loss_ is None else np.inf
    theirs = getattr(model, "_optimizer", None)
    estimator._optimizer = (
        None if theirs is None else _state_of(theirs, estimator, estimator.chain_)
    )
    return estimator


def to_scikit_learn(estimator: Any) -> Any:
    """Return a fitted model of scikit-learn that is what the estimator is.

    Raises
    ------
    ValueError
        A prediction needs what scikit-learn does not have; the message names the parameter.
    sklearn.exceptions.NotFittedError
    """
    check_is_fitted(estimator)
    chain, parameters = estimator.chain_, estimator.parameters_
    params = estimator.get_params(deep=False)
    _check_predicts_alike(params, chain)
    peer = peer_of(type(estimator))
    known = set(peer().get_params(deep=False))
    _warn_of_the_rest(params, known, type(estimator))
    model = peer(**deepcopy({name: params[name] for name in known & set(params)}))
    _copy_learned(estimator, model)
    if is_classifier(estimator):
        model._label_binarizer = _binarizer_of(estimator._known_targets())
    model.coefs_, model.intercepts_ = _copies(views(parameters))
    model.n_layers_ = len(model.coefs_) + 1
    model._best_coefs, model._best_intercepts = _copies((model.coefs_, model.intercepts_))
    state = vars(estimator).get("_optimizer")
    if state is not None and state.trainer is not None and state.solver == model.solver:
        model._optimizer = _optimizer_of(state, model, parameters)
    return model


def _targets_of(model: Any) -> Targets:
    """Return what y means to a model of scikit-learn."""
    if not is_classifier(model):
        return NumberTargets(model.n_outputs_, model.n_outputs_ == 1)
    binarizer = model._label_binarizer
    if binarizer.y_type_.startswith("multilabel"):
        return IndicatorTargets(model.n_outputs_, bool(binarizer.sparse_input_))
    return LabelTargets(model.n_outputs_, np.array(model.classes_))


def _binarizer_of(targets: Targets) -> LabelBinarizer:
    """Return the binarizer that scikit-learn keeps for these labels."""
    if isinstance(targets, IndicatorTargets):
        rows = np.eye(targets.n_outputs, dtype=np.int64)
        return LabelBinarizer().fit(scipy.sparse.csr_matrix(rows) if targets.is_sparse else rows)
    return LabelBinarizer().fit(targets.classes)


def _copy_learned(source: Any, target: Any) -> None:
    known = vars(source)
    for name in LEARNED:
        if name in known:
            setattr(target, name, deepcopy(known[name]))


def _copies(lists: Sequence[Arrays]) -> tuple[Arrays, Arrays]:
    coefs, intercepts = ([np.array(array) for array in arrays] for arrays in lists)
    return coefs, intercepts


def _check_predicts_alike(params: dict[str, Any], chain: Chain) -> None:
    for name, known in OF_PREDICTION.items():
        value = params.get(name, known[0])
        if not any(value is one or value == one for one in known if type(one) is type(value)):
            raise ValueError(
                f"scikit-learn has no {name}={value!r}, only "
                f"{', '.join(map(repr, known))}; keep this model in Pellucid, or use to_onnx"
            )
    if params.get("residual", False):
        raise ValueError(
            "scikit-learn has no residual=True; keep this model in Pellucid, or use to_onnx"
        )
    odd = [e for e in chain.layers if type(e) not in (Activation, Dropout, Linear)]
    if odd:
        raise ValueError(f"scikit-learn has no layer {odd[0]!r}; use to_onnx")


def _warn_of_the_rest(params: dict[str, Any], known: set[str], estimator_class: Any) -> None:
    defaults = estimator_class().get_params(deep=False)
    lost = [
        f"{name}={params[name]!r}"
        for name in sorted(set(params) - known - NOT_CARRIED)
        if params[name] is not defaults[name] and params[name] != defaults[name]
    ]
    if lost:
        warnings.warn(
            f"scikit-learn has no {', '.join(lost)}: the model predicts the same, but trains "
            "without it.",
            stacklevel=4,
        )


def _state_of(theirs: Any, estimator: Any, chain: Chain) -> SolverState | None:
    """Return the state of scikit-learn's optimizer, whose lists are coefs, then intercepts."""
    kind = type(theirs).__name__
    if kind not in ("AdamOptimizer", "SGDOptimizer"):
        return None
    n = len(estimator.coefs_)

    def flat(arrays: Arrays) -> NDArray[Any]:
        buffer: NDArray[Any] = pack(chain, arrays[:n], arrays[n:]).flat
        return buffer

    if kind == "SGDOptimizer":
        moments = OptimizerState(
            flat(theirs.velocities), np.zeros(0, flat(theirs.velocities).dtype)
        )
        return SolverState("sgd", float(theirs.learning_rate), TrainerState(moments))
    moments = OptimizerState(flat(theirs.ms), flat(theirs.vs))
    return SolverState("adam", float(theirs.learning_rate_init), TrainerState(moments, theirs.t))


def _optimizer_of(state: SolverState, model: Any, parameters: Parameters) -> Any:
    """Return scikit-learn's optimizer in the same state."""
    from sklearn.neural_network import _stochastic_optimizers as optimizers

    assert state.trainer is not None
    arrays = [*model.coefs_, *model.intercepts_]

    def lists(flat: NDArray[Any]) -> Arrays:
        coefs, intercepts = _copies(views(Parameters(flat, parameters.layout)))
        return [*coefs, *intercepts]

    first, second = state.trainer.optimizer
    if state.solver == "adam":
        adam = optimizers.AdamOptimizer(
            arrays, model.learning_rate_init, model.beta_1, model.beta_2, model.epsilon
        )
        adam.t, adam.ms, adam.vs = state.trainer.step, lists(first), lists(second)
        return adam
    sgd = optimizers.SGDOptimizer(
        arrays,
        model.learning_rate_init,
        model.learning_rate,
        model.momentum,
        model.nesterovs_momentum,
        model.power_t,
    )
    sgd.velocities, sgd.learning_rate = lists(first), state.learning_rate
    return sgd
