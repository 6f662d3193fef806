"""Scores of a fitted network, in the precision that weights and table need together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.batch import dense
from pellucid.engine.contract import Engine, Predictor
from pellucid.engine.sampling import Spread
from pellucid.nn.chain import Chain
from pellucid.nn.parameters import Parameters

MOST_KEPT_WIDENED = 2**17
"""Parameters of which a copy in float64 is kept, 1 MiB; with more, making it anew takes little of
the call."""


class Fitted:
    """A fitted network, ready to score rows.

    Parameters
    ----------
    engine : Engine
    chain : Chain
    parameters : Parameters
        Read at each call.
    fan_in : int
        Columns of the tables.
    n_threads : int, optional
        Most threads of a call; see `resolve_n_threads`.
    """

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        parameters: Parameters,
        fan_in: int,
        n_threads: int | None = None,
    ) -> None:
        self.chain = chain
        self.parameters = parameters
        self._engine, self._fan_in, self._n_threads = engine, fan_in, n_threads
        self.predict: Predictor = engine.predictor(chain, parameters, fan_in, n_threads)
        self._widened: Fitted | None = None
        self._parts: dict[int, Fitted] = {}

    def until(self, n_layers: int) -> Fitted:
        """Return the first layers as a network of their own, which reads the same parameters.

        Its scores are what the last of them returns.
        """
        part = self._parts.get(n_layers)
        if part is None:
            chain = Chain(self.chain.layers[:n_layers], self.chain.loss)
            layout = chain.layout(self._fan_in)
            parameters = Parameters(self.parameters.flat[: layout.size], layout)
            part = Fitted(self._engine, chain, parameters, self._fan_in, self._n_threads)
            self._parts[n_layers] = part
        return part

    def in_dtype(self, dtype: np.dtype[Any]) -> Fitted:
        """Return the network with its parameters, as they are now, in `dtype`."""
        if self.parameters.flat.dtype == dtype:
            return self
        with np.errstate(invalid="ignore"):  # NaN that signals; `check_finite` tells of it.
            return self._widened_to(dtype)

    def _widened_to(self, dtype: np.dtype[Any]) -> Fitted:
        widened = self._widened
        if widened is None or widened.parameters.flat.dtype != dtype:
            flat = self.parameters.flat.astype(dtype)
            parameters = Parameters(flat, self.parameters.layout)
            widened = Fitted(self._engine, self.chain, parameters, self._fan_in, self._n_threads)
            if flat.size <= MOST_KEPT_WIDENED:
                self._widened = widened
        else:
            np.copyto(widened.parameters.flat, self.parameters.flat)
        return widened


class KeptFitted:
    """Keeps a `Fitted` between calls, until another one is asked for."""

    def __init__(self) -> None:
        self._kept: tuple[Any, Fitted] | None = None

    def get(self, key: Any, make: Callable[[], Fitted]) -> Fitted:
        """Return what `make` returns, or the last one where the key is the same."""
        kept = self._kept
        if kept is None or kept[0] != key:
            kept = self._kept = key, make()
        return kept[1]


def fitted_scores(fitted: Fitted, X: Any, *, widens: bool = True) -> NDArray[Any]:
    """Return the scores (n_rows, n_outputs) of X, in the dtype that NumPy's X @ W would have.

    So float32 weights meet a table of float64, or of integers beyond 24 bits, in float64: no value
    of the table is rounded. A copy of the weights is widened, never the table. With `widens=False`
    the arithmetic has the precision of the weights.

    Raises
    ------
    ValueError
        A score is not finite; the message tells whether the weights or the table made it so.
    """
    if widens:
        fitted = fitted.in_dtype(np.result_type(fitted.parameters.flat.dtype, X.dtype))
    scores: NDArray[Any] = fitted.predict(X)
    check_finite(scores, fitted.parameters, X)
    return scores


def fitted_spread(
    fitted: Fitted, X: Any, n_samples: int, seed: int, *, widens: bool = True
) -> Spread:
    """Return how the predictions (n_rows, n_outputs) of sampled sub-networks spread, in float64.

    Raises
    ------
    ValueError
        The network drops nothing, or a prediction is not finite.
    """
    if not fitted.chain.drops:
        raise ValueError(
            "return_std=True samples the sub-networks that dropout leaves, but this network drops "
            "nothing: every sample would be the same. Fit it with dropout, or fit an ensemble such "
            "as DeepEnsembleRegressor"
        )
    if widens:
        fitted = fitted.in_dtype(np.result_type(fitted.parameters.flat.dtype, X.dtype))
    spread: Spread = fitted.predict.sample(X, n_samples, seed, link=fitted.chain.loss.link)
    check_finite(spread.std, fitted.parameters, X)
    return spread


def check_finite(scores: NDArray[Any], parameters: Parameters, X: Any) -> None:
    """Raise ValueError where a score of X is not finite; say what made it so."""
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        bad = np.flatnonzero(~is_finite.all(axis=1))
        raise ValueError(
            f"the network's outputs for {len(bad)} of {len(scores)} rows are not finite, first of "
            f"row {bad[0]}: {_cause(parameters, X[bad[:1]])}"
        )


def _cause(parameters: Parameters, row: Any) -> str:
    if not np.isfinite(parameters.flat).all():
        return "the weights hold NaN or infinity. Put finite numbers in, or fit again."
    dtype = parameters.flat.dtype
    largest = np.abs(dense(row, np.dtype(np.float64))).max()
    wider = ", or pass it as float64" if dtype == np.float32 else ""
    return (
        f"X has values as large as {largest:.3g} there, and their products with the weights "
        f"overflow {dtype}. Scale the columns of X as those that the model was fitted on{wider}."
    )
