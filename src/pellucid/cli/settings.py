"""Parse `--set`, `--column` and `--hidden`, which set constructor parameters of the estimator."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

import typer

from pellucid.cli.words import OPTIONS
from pellucid.tables import TableError
from pellucid.tables.recognition import KINDS

#: Parameters that `--set` refuses: they have their own option, or cannot be given as text.
ELSEWHERE = {
    **OPTIONS,
    "checkpoint_path": "--checkpoints of pellucid train",
    "columns": "--column",
    "callbacks": None,
    "verbose": None,
}


def settings_from(options: Iterable[str] | None) -> dict[str, Any]:
    """Return constructor parameters by name from strings such as "dropout=0.1".

    A value is parsed as JSON (`0.1`, `true`, `null`, `[64, 32]`), or used as text if it is not
    valid JSON.

    Examples
    --------
    >>> from pellucid.cli.settings import settings_from
    >>> settings_from(["dropout=[0.1, 0.2]", "activation=silu", "residual=true"])
    {'dropout': [0.1, 0.2], 'activation': 'silu', 'residual': True}
    """
    settings: dict[str, Any] = {}
    known = _parameters() if options else {}
    for option in options or []:
        name, sign, text = option.partition("=")
        if not sign or not text:
            raise _wrong(f"must be NAME=VALUE such as dropout=0.1, got {option!r}")
        if name in ELSEWHERE:
            instead = ELSEWHERE[name]
            raise _wrong(f"{name} " + (f"is set with {instead}" if instead else "cannot be set"))
        if name not in known:
            names = ", ".join(n for n in known if n not in ELSEWHERE)
            raise _wrong(f"there is no parameter {name!r}; the parameters are {names}")
        if name in settings:
            raise _wrong(f"{name} is set twice")
        settings[name] = _value(text)
    return settings


def check_settings(settings: Iterable[str], model_class: type, task: str) -> None:
    """Raise TableError for a parameter that the estimator for the task does not have."""
    for name in settings:
        if name not in _parameters_of(model_class):
            raise TableError(
                f"{name} is no parameter of {model_class.__name__}, which is used for {task}. "
                f"Leave out --set {name}, or choose another --task."
            )


def hidden_sizes_from(text: str) -> tuple[int, ...]:
    """Return the sizes of the hidden layers from a string such as "128,64"."""
    try:
        sizes = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise typer.BadParameter(
            f"must be positive integers such as 128,64, got {text!r}", param_hint="--hidden"
        )
    return sizes


def kinds_from(options: Iterable[str] | None) -> dict[str, str] | None:
    """Return the kinds of columns by name from strings such as "zip=categorical"."""
    kinds: dict[str, str] = {}
    for option in options or []:
        name, sign, kind = option.rpartition("=")
        if not sign or kind not in KINDS:
            raise typer.BadParameter(
                f"must be NAME=KIND with a kind out of {', '.join(KINDS)}; got {option!r}",
                param_hint="--column",
            )
        kinds[name] = kind
    return kinds or None


def kinds_with(kinds: Mapping[str, str] | None, dropped: Iterable[str]) -> dict[str, str] | None:
    """Return the kinds of columns with those of --drop left out.

    Raises
    ------
    TableError
        If --column gives a dropped column another kind.
    """
    wanted = dict(kinds or {})
    for name in dropped:
        if wanted.setdefault(name, "left out") != "left out":
            raise TableError(
                f"Column {name!r} is left out by --drop, but --column makes it {wanted[name]}. "
                "Remove one of these options."
            )
    return wanted or None


def _parameters() -> dict[str, Any]:
    # Without --set a table is read before scikit-learn is imported.
    from pellucid.models.tabular.tabular_classifier import TabularClassifier
    from pellucid.models.tabular.tabular_regressor import TabularRegressor

    return _parameters_of(TabularClassifier) | _parameters_of(TabularRegressor)


def _parameters_of(model_class: type) -> dict[str, Any]:
    return dict(inspect.signature(model_class).parameters)


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--set")
