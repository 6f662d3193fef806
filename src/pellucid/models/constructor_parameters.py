"""Constructor parameters, found and checked in microseconds.

scikit-learn inspects the constructor's signature and checks every parameter in each `fit`, which
takes longer than some epochs.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints


class QuickParameters(BaseEstimator):  # type: ignore[misc]
    """An estimator whose signature is inspected once, and whose defaults are not checked."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    @classmethod
    def _get_param_names(cls: Any) -> list[str]:
        return _names(cls)

    def _options(self) -> dict[str, Any]:
        """Return the parameters, also those that the constructor of a subclass does not take."""
        return {name: getattr(self, name) for name in self._parameter_constraints}

    def _validate_params(self) -> None:
        """Raise what scikit-learn raises for the parameters that are not the defaults."""
        estimator_class: Any = type(self)
        defaults = _defaults(estimator_class)
        given = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if value is not defaults[name]
        }
        validate_parameter_constraints(
            self._parameter_constraints, given, caller_name=estimator_class.__name__
        )


@cache
def _names(estimator_class: type[Any]) -> list[str]:
    names: list[str] = super(QuickParameters, estimator_class)._get_param_names()
    return names


@cache
def _defaults(estimator_class: type[Any]) -> dict[str, Any]:
    parameters = inspect.signature(estimator_class).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}
