"""scikit-learn's own callbacks: a fit is a task, each of its epochs a subtask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pellucid.models.fit_data import FitData
from pellucid.training import EpochReport, History, Outcome
from pellucid.training.checkpoint import copied

Snapshot = Callable[[History, EpochReport], Mapping[str, Any]]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # Before scikit-learn 1.9 there are none, and estimators no `set_callbacks`.

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "FitTasks", "begin_fit", "with_callbacks"]


def begin_fit(estimator: Any, data: FitData, max_epochs: int) -> FitTasks | None:
    """Tell scikit-learn's callbacks that a fit begins; return None where none are set.

    The method that calls this must be decorated with `with_callbacks` or scikit-learn's
    `_fit_context`: they end what is begun here, also after an error.

    Parameters
    ----------
    estimator : estimator
        A `CallbackSupportMixin`.
    data : FitData
    max_epochs : int
        Maximum number of epochs of this fit.
    """
    if not vars(estimator).get("_skl_callbacks"):
        return None
    return FitTasks(estimator, data, max_epochs)


class FitTasks:
    """Hands on to scikit-learn's callbacks what it is told as one of Pellucid's."""

    def __init__(self, estimator: Any, data: FitData, max_epochs: int) -> None:
        self._estimator = estimator
        self._data: dict[str, Any] = {"X": data.X, "y": data.y}
        if data.sample_weight is not None:
            self._data["metadata"] = {"sample_weight": data.sample_weight}
        self._fit = estimator._init_callback_context(max_subtasks=max_epochs)
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._data)
        self._epoch: Any = None

    def follow(self, history: History, snapshot: Snapshot) -> None:
        """Learn what makes a copy of the estimator, made after an epoch, a fitted one.

        Parameters
        ----------
        history : History
            Before the first epoch.
        snapshot : callable
            `(History, EpochReport) -> attributes`.
        """
        self._history, self._snapshot = copied(history), snapshot

    def on_epoch_start(self, epoch: int) -> None:
        """Begin a subtask."""
        self._epoch = self._fit.subcontext(task_name=f"epoch {epoch}")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def on_epoch_end(self, report: EpochReport) -> bool:
        """End it, with an estimator that predicts by the weights of the moment for who wants it."""
        epoch, self._epoch, history = self._epoch, None, self._history
        history.losses.append(report.loss)
        history.examples_seen += report.n_examples
        if report.validation_score is not None and report.validation_loss is not None:
            history.validation_scores.append(report.validation_score)
            history.validation_losses.append(report.validation_loss)
        return bool(
            epoch.call_on_fit_task_end(
                estimator=self._estimator,
                reconstruction_attributes=lambda: self._snapshot(copied(history), report),
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
