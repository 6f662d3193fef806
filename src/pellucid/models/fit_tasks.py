"""scikit-learn's own callbacks: a fit is a task, each of its epochs a subtask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pellucid.training import EpochReport, Outcome

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # Before scikit-learn 1.9 there are none, and estimators no `set_callbacks`.

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "FitArguments", "FitTasks", "begin_fit", "with_callbacks"]


class FitArguments(NamedTuple):
    """What the user gave to `fit`."""

    X: Any
    y: Any
    sample_weight: Any


def begin_fit(
    estimator: Any,
    given: FitArguments,
    learned: Callable[[EpochReport], Mapping[str, Any]],
    max_epochs: int,
) -> FitTasks | None:
    """Tell scikit-learn's callbacks that a fit begins; return None where none are set.

    The method that calls this is to be decorated with `with_callbacks` or scikit-learn's
    `_fit_context`: they end what is begun here, also after an error.

    Parameters
    ----------
    estimator : estimator
        A `CallbackSupportMixin`.
    given : FitArguments
    learned : callable
        Returns the attributes that make a copy of `estimator`, made after an epoch, a fitted one.
    max_epochs : int
        Most epochs of this fit.
    """
    if not vars(estimator).get("_skl_callbacks"):
        return None
    return FitTasks(estimator, given, learned, max_epochs)


class FitTasks:
    """Hands on to scikit-learn's callbacks what it is told as one of Pellucid's."""

    def __init__(
        self,
        estimator: Any,
        given: FitArguments,
        learned: Callable[[EpochReport], Mapping[str, Any]],
        max_epochs: int,
    ) -> None:
        self._estimator = estimator
        self._learned = learned
        self._data: dict[str, Any] = {"X": given.X, "y": given.y}
        if given.sample_weight is not None:
            self._data["metadata"] = {"sample_weight": given.sample_weight}
        self._fit = estimator._init_callback_context(max_subtasks=max_epochs)
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._data)
        self._epoch: Any = None

    def on_epoch_start(self, epoch: int) -> None:
        """Begin a subtask."""
        self._epoch = self._fit.subcontext(task_name=f"epoch {epoch}")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def on_epoch_end(self, report: EpochReport) -> bool:
        """End it, with an estimator that predicts by the weights of the moment for who wants it."""
        epoch, self._epoch = self._epoch, None
        return bool(
            epoch.call_on_fit_task_end(
                estimator=self._estimator,
                reconstruction_attributes=lambda: self._learned(report),
                **self._data,
            )
        )

    def on_end(self, outcome: Outcome | None) -> None:
        """End the epoch that was begun and not finished, unless an error ends all."""
        if outcome is not None and self._epoch is not None:
            self._epoch.call_on_fit_task_end(estimator=self._estimator)

    def end_fit(self) -> None:
        """End the task; the estimator is fitted."""
        self._fit.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes={}, **self._data
        )
