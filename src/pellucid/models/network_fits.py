"""Several networks fitted at the same time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from pellucid.models.network import Network
from pellucid.models.network_fit import NetworkFit
from pellucid.training import FitResult, run_together


def fit_together(
    networks: Iterable[Network],
    X: Any,
    y: Any,
    options: Sequence[Mapping[str, Any]] | None = None,
    *,
    n_threads: int | None = None,
    **common: Any,
) -> list[FitResult]:
    """Fit independent networks at the same time; each becomes what its own `fit` would make it.

    To the bit: only the time differs. Each network gets a processor of its own; when fewer are left
    than processors, they share those that are free. The table is there once.

    Parameters
    ----------
    networks : iterable of Network
        Each one once. They may have different layers, losses and engines.
    X, y : array-like
        As in `Network.fit`.
    options : sequence of mappings, optional
        For each network the parameters of `Network.fit` that are its own: `{"seed": 1}`, the rows
        of a fold, an optimizer.
    n_threads : int, optional
        For all of them together; by default the processors that this process may use.
    **common
        Parameters of `Network.fit` that all networks share.

    Returns
    -------
    list of FitResult
        For each network, how its fit ended: `outcome`, or the `error` that stopped it, which is
        warned of and touches no other network. Ctrl-C stops all of them within a step; each is then
        as it is after a `fit` that Ctrl-C stopped.

    Raises
    ------
    ValueError, TypeError
        An input or a parameter is wrong; no network is then changed.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import KFold
    >>> from pellucid import Network, fit_together
    >>> from pellucid.nn import Activation, Linear
    >>> X, y = load_iris(return_X_y=True)
    >>> layers = [Linear(16), Activation("relu"), Linear(3)]
    >>> networks = [Network(layers, "softmax_cross_entropy") for _ in range(5)]
    >>> folds = KFold(5, shuffle=True, random_state=0).split(X)
    >>> results = fit_together(networks, X, y, [{"rows_val": fold} for _, fold in folds])
    >>> [result.outcome.name for result in results]
    ['MAX_EPOCHS', 'MAX_EPOCHS', 'MAX_EPOCHS', 'MAX_EPOCHS', 'MAX_EPOCHS']
    """
    networks = list(networks)
    for i, network in enumerate(networks):
        if not isinstance(network, Network):
            raise TypeError(f"networks must be pellucid.Network objects, got {network!r} at {i}")
    if len({id(network) for network in networks}) != len(networks):
        raise ValueError("networks must not hold the same network twice; make a new one for each")
    own = [{}] * len(networks) if options is None else list(options)
    if len(own) != len(networks):
        raise ValueError(
            f"options must have one entry for each of {len(networks)} networks, got {len(own)}"
        )
    known = {field.name for field in fields(NetworkFit)} - {"network", "X", "y", "resumes"}
    for each in [common, *own]:
        if not isinstance(each, Mapping):
            raise TypeError(f"options must hold mappings such as {{'seed': 1}}, got {each!r}")
        if unknown := [name for name in each if name not in known]:
            raise TypeError(f"{unknown[0]!r} is no parameter of Network.fit")
    fits = [
        NetworkFit(network, X, y, **{**common, **each})
        for network, each in zip(networks, own, strict=True)
    ]
    results = run_together([fit.loop for fit in fits], [fit.n_epochs for fit in fits], n_threads)
    for i, (fit, result) in enumerate(zip(fits, results, strict=True)):
        fit.finish(result.outcome)
        if result.error is not None:
            warnings.warn(f"the fit of network {i} failed: {result.error}", stacklevel=2)
    return results
