"""Several estimators fitted at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os.path import realpath
from typing import Any

from pellucid.models.estimator import Estimator
from pellucid.models.fit_data import FitData
from pellucid.models.prepared_fit import PreparedFit, warn_of
from pellucid.outside_warning import warn_outside
from pellucid.training import FitResult, run_together

_ARGUMENTS = ("sample_weight", "X_val", "y_val", "sample_weight_val")
_ARGUMENTS_OF_NETWORKS = (*_ARGUMENTS, "rows", "rows_val", "classes")


def fit_together(
    networks: Iterable[Estimator],
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
    networks : iterable of estimators of pellucid
        `Network`, `MLPClassifier`, `TabularRegressor` and the like, each one once. They may have
        different layers, losses and engines.
    X, y : array-like
        As in their `fit`.
    options : sequence of mappings, optional
        For each network the arguments of its `fit` that are its own: the rows of a fold,
        `{"sample_weight": weights}`.
    n_threads : int, optional
        For all of them together; by default the processors that this process may use.
    **common
        Arguments of `fit` that all networks share.

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
        if not isinstance(network, Estimator):
            raise TypeError(
                "networks must be estimators of pellucid such as Network or MLPClassifier, got "
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
            raise TypeError(f"options must hold mappings such as {{'rows': fold}}, got {each!r}")
    data = [
        FitData(X, y, **_checked(network, {**common, **each}))
        for network, each in zip(networks, own, strict=True)
    ]
    _check_folders(networks)
    results = fit_all(networks, data, n_threads)
    for i, (network, result) in enumerate(zip(networks, results, strict=True)):
        if result.error is not None:
            warn_outside(f"the fit of network {i} failed: {result.error}")
        else:
            warn_of(result, warns_of_length=network._warns_of_length)
    return results


def fit_all(
    estimators: Sequence[Estimator], data: Sequence[FitData], n_threads: int | None = None
) -> list[FitResult]:
    """Fit estimators at the same time, each on its own data; errors of training are returned.

    If one of them cannot begin, raise its error and leave all as they were.
    """
    fits: list[PreparedFit] = []
    try:
        for estimator, each in zip(estimators, data, strict=True):
            estimator._validate_params()
            fits.append(estimator._prepare(each))
        results = run_together([fit.job for fit in fits], [fit.engine for fit in fits], n_threads)
    except BaseException:
        for fit in fits:
            fit.undo()
        raise
    for fit, result in zip(fits, results, strict=True):
        fit.finish(result)
    return results


def _checked(network: Estimator, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    has_rows = hasattr(network, "replay")
    known = _ARGUMENTS_OF_NETWORKS if has_rows else _ARGUMENTS
    if unknown := [name for name in arguments if name not in known]:
        raise TypeError(f"{unknown[0]!r} is no parameter of {type(network).__name__}.fit")
    return arguments


def _check_folders(networks: Sequence[Estimator]) -> None:
    folders = [realpath(n.checkpoint_path) for n in networks if n.checkpoint_path is not None]
    if len(set(folders)) < len(folders):
        raise ValueError(
            "checkpoint_path must be another folder for each network, as a folder keeps one "
            f"training; got {folders}"
        )
