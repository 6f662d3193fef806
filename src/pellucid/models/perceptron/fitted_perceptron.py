"""A fitted perceptron: its weights in one buffer, what it remembers of its training."""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._tags import Tags

from pellucid.models.coefficients import (
    are_views,
    hidden_sizes_of,
    others,
    pack,
    views,
)
from pellucid.models.estimator import Estimator
from pellucid.models.perceptron.architecture import (
    activation_layers,
    build_chain,
    dropout_shares,
)
from pellucid.models.perceptron.hidden_layers import HiddenLayers
from pellucid.models.perceptron.loss import loss_with_output, out_activation_of
from pellucid.models.perceptron.state import mlp_from_state, mlp_to_state
from pellucid.models.prediction import Fitted, KeptFitted
from pellucid.models.prepared_fit import Learned
from pellucid.models.saving import Arrays
from pellucid.models.solver_state import SolverState
from pellucid.nn import Chain, CustomLoss, Linear, Loss, Parameters
from pellucid.training import FitResult

HISTORY = (
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
)


class FittedPerceptron(HiddenLayers, Estimator):
    """What every perceptron offers once it is fitted.

    The weights lie in one flat buffer; `coefs_` and `intercepts_` are lists of views of it.
    """

    solver: str = "adam"
    activation: Any
    dropout: Any
    normalization: str | None
    residual: bool

    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    t_: int
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None

    _optimizer: SolverState | None = None
    _no_improvement_count: int = 0
    _takes_sparse: ClassVar[bool] = True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._takes_sparse
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def _become(self, learned: Learned) -> None:
        super()._become(learned)
        self._attach(learned.chain, learned.parameters)
        self.n_outputs_ = learned.targets.n_outputs
        self.out_activation_ = out_activation_of(learned.chain.loss)

    def _attach(self, chain: Chain, parameters: Parameters) -> None:
        """Make the weights of the estimator views of this buffer."""
        self._chain, self._parameters, self._kept = chain, parameters, KeptFitted()
        self.coefs_, self.intercepts_ = views(parameters)
        self._views = (*self.coefs_, *self.intercepts_)
        self.n_layers_ = len(self.coefs_) + 1

    def _remember(self, result: FitResult) -> None:
        super()._remember(result)
        state, history = result.state, result.state.history
        self.t_ = history.examples_seen
        if self.solver == "lbfgs":
            if not history.losses:
                self._forget_history()
            return
        self._optimizer = SolverState(self.solver, state.learning_rate, state.trainer)
        self._no_improvement_count = state.n_without_improvement
        self.loss_curve_ = history.losses
        self.best_loss_ = None if result.validated else state.best
        self.validation_scores_ = history.validation_scores if result.validated else None
        self.validation_loss_curve_ = history.validation_losses if result.validated else None
        self.best_validation_score_ = state.best if result.validated else None

    def _forget_history(self) -> None:
        self.t_ = 0
        self._optimizer = None
        for name in HISTORY:
            self.__dict__.pop(name, None)

    def _current_parameters(self, chain: Chain) -> Parameters:
        """Return the buffer behind `coefs_`, or a copy if other arrays were put into the lists."""
        parameters = self._parameters
        if parameters is None:
            return pack(chain, self.coefs_, self.intercepts_)
        if not are_views(parameters, self.coefs_, self.intercepts_):
            kept = others(parameters) if chain is self._chain else {}
            return pack(chain, self.coefs_, self.intercepts_, kept)
        return parameters

    def _fitted_chain(self) -> Chain:
        """Return the chain that was trained, or one that fits weights put in by hand."""
        chain, sizes = self._chain, hidden_sizes_of(self.coefs_)
        n_outputs = int(np.shape(self.coefs_[-1])[1])
        if chain is None:
            loss: Loss | CustomLoss = loss_with_output(self.out_activation_)
        elif [*sizes, n_outputs] == [e.fan_out for e in chain.layers if isinstance(e, Linear)]:
            return chain
        else:
            loss = chain.loss
        activations = activation_layers(self.activation, len(sizes))
        shares = dropout_shares(self.dropout, len(sizes))
        return build_chain(
            sizes, activations, shares, self.normalization, self.residual, loss, n_outputs
        )

    def _find_fitted(self) -> Fitted:
        """Return what scores rows, kept between calls for as long as the weights are the views."""
        arrays = [*self.coefs_, *self.intercepts_]
        kept = vars(self).get("_views", ())
        if len(arrays) == len(kept) and all(map(is_, arrays, kept)):
            return super()._find_fitted()
        return self._make_fitted()

    def _n_inputs(self) -> int:
        return int(np.shape(self.coefs_[0])[0])

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_views", None)
        parameters = state.pop("_parameters", None)
        if parameters is not None:
            state["_others"] = others(parameters)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        other_arrays = state.pop("_others", {})
        super().__setstate__(state)
        if hasattr(self, "coefs_") and hasattr(self, "out_activation_"):
            chain = self._fitted_chain()
            self._attach(chain, pack(chain, self.coefs_, self.intercepts_, other_arrays))

    def _to_state(self) -> tuple[dict[str, Any], Arrays]:
        return mlp_to_state(self)

    @classmethod
    def _from_state(cls, state: dict[str, Any], arrays: Arrays) -> Self:
        estimator: Self = cls()
        mlp_from_state(estimator, state, arrays)
        return estimator
