"""Several networks fitted at the same time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pellucid.models.network import Network
from pellucid.models.network_fit import NetworkFit
from pellucid.models.perceptron.fit import MlpFit
from pellucid.models.perceptron.multilayer_perceptron import MultilayerPerceptron
from pellucid.training import FitResult, run_together

_NOT_FROM_OPTIONS = {"network", "estimator", "X", "y", "resumes"}


def fit_together(
    networks: Iterable[Network | MultilayerPerceptron],
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
    networks : iterable of Network, MLPClassifier or MLPRegressor
        Each one once. They may have different layers, losses and engines. An estimator whose
        `random_state` is no integer draws from a generator that it shares with others: then which
        of them draws first is chance.
    X, y : array-like
        As in their `fit`.
    options : sequence of mappings, optional
        For each network the parameters of its `fit` that are its own: `{"seed": 1}`, the rows of a
        fold, an optimizer, `{"sample_weight": weights}`.
    n_threads : int, optional
        For all of them together; by default the processors that this process may use.
    **common
        Parameters of `fit` that all networks share.

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
        if not isinstance(network, Network | MultilayerPerceptron):
            raise TypeError(
                "networks must be Network, MLPClassifier or MLPRegressor objects of pellucid, got "
                f"{network!r} at {i}"
            )
    if len({id(network) for network in networks}) != len(networks):
        raise ValueError("networks must not hold the same network twice; make a new one for each")
    own = [{}] * len(networks) if options is None else list(options)
    if len(own) != len(networks):
        raise ValueError(
            f"options must have one entry for each of {len(networks)} networks, got {len(own)}"
        )
    for each in [common, *own]:
        if not isinstance(each, Mapping):
            raise TypeError(f"options must hold mappings such as {{'seed': 1}}, got {each!r}")
    fits = _make_fits(networks, X, y, [{**common, **each} for each in own])
    _check_folders(fits)
    results = run_together([fit.loop for fit in fits], [fit.n_epochs for fit in fits], n_threads)
    for i, (fit, result) in enumerate(zip(fits, results, strict=True)):
        fit.finish(result.outcome)
        if result.error is not None:
            warnings.warn(f"the fit of network {i} failed: {result.error}", stacklevel=2)
    return results


def _make_fits(
    networks: Sequence[Network | MultilayerPerceptron],
    X: Any,
    y: Any,
    options: Sequence[Mapping[str, Any]],
) -> list[NetworkFit | MlpFit]:
    """Make every fit ready; if one of them cannot be, leave all as they were."""
    fits: list[NetworkFit | MlpFit] = []
    try:
        for network, each in zip(networks, options, strict=True):
            kind = NetworkFit if isinstance(network, Network) else MlpFit
            known = {field.name for field in fields(kind)} - _NOT_FROM_OPTIONS
            if unknown := [name for name in each if name not in known]:
                raise TypeError(f"{unknown[0]!r} is no parameter of {type(network).__name__}.fit")
            fits.append(kind(network, X, y, **each))  # type: ignore[arg-type]
    except BaseException:
        for fit in fits:
            if isinstance(fit, MlpFit):
                fit.undo()
        raise
    return fits


def _check_folders(fits: Sequence[NetworkFit | MlpFit]) -> None:
    folders = [Path(f.checkpoint_path) for f in fits if f.checkpoint_path is not None]
    if len(set(folders)) < len(folders):
        for fit in fits:
            if isinstance(fit, MlpFit):
                fit.undo()
        raise ValueError(
            "checkpoint_path must be another folder for each network, as a folder keeps one "
            f"training; got {[str(folder) for folder in folders]}"
        )
