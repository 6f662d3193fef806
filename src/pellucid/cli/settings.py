"""Parse `--set name=value`, which sets constructor parameters of the estimator."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any

import typer

from pellucid.models.tabular.tabular_classifier import TabularClassifier

#: Parameters that have their own option, or that cannot be given as text.
ELSEWHERE = {
    "columns": "--column",
    "checkpoint_path": "--checkpoints",
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
    known = list(inspect.signature(TabularClassifier).parameters)
    settings: dict[str, Any] = {}
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


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--set")
