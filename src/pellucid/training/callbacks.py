"""Callbacks: told of every epoch, and able to end training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.nn.chain import Chain
from pellucid.nn.parameters import Parameters
from pellucid.training.history import EpochReport
from pellucid.training.outcome import Outcome

_METHODS = ("on_start", "on_epoch_start", "on_epoch_end", "on_end")


class Callback:
    """Told of a training as it goes: a base class whose methods do nothing.

    Deriving from it is a convenience: any object with some of these methods is a callback, and so
    is a plain function of an `EpochReport`.

    Examples
    --------
    >>> from pellucid import Callback, MLPRegressor
    >>> class StopAtOne(Callback):
    ...     def on_epoch_end(self, report):
    ...         return report.epoch == 1
    >>> X, y = [[0.0], [1.0]], [0.0, 1.0]
    >>> MLPRegressor(callbacks=[StopAtOne()]).fit(X, y).n_iter_
    1
    """

    def on_start(self, start: TrainingStart) -> None:
        """Take what is about to be trained."""

    def on_epoch_start(self, epoch: int) -> None:
        """Take the number of the epoch that begins."""

    def on_epoch_end(self, report: EpochReport) -> bool | None:
        """Take what an epoch did; return True to end training."""
        return None

    def on_end(self, outcome: Outcome | None) -> None:
        """Take how training ended; None means by an error."""


@dataclass(frozen=True)
class TrainingStart:
    """What is about to be trained.

    Parameters
    ----------
    chain : nn.Chain
        Layers and loss: `start.chain.forward(start.parameters, X)` shows them at work.
    parameters : nn.Parameters
        The buffer that training updates in place: the weights of the moment at every later call. It
        is to be read, not written.
    max_epochs : int
        Most epochs of this run.
    score_name : str or None
        What the validation scores are, "accuracy" for example; None where they are minus the
        validation loss, or where there are none.
    score_is_error : bool
        Whether the scores are minus an error of this name, "RMSE" for example.
    """

    chain: Chain
    parameters: Parameters
    max_epochs: int
    score_name: str | None = None
    score_is_error: bool = False


@dataclass(frozen=True)
class Callbacks:
    """The callbacks of one fit.

    A callback is a function of an `EpochReport`, called after each epoch, or an object with any of
    the methods `on_start(TrainingStart)`, `on_epoch_start(number)`, `on_epoch_end(EpochReport)` and
    `on_end(Outcome)`. One that returns True after an epoch ends training there. `on_end` is called
    however training ends; it gets None where that is an error.

    Parameters
    ----------
    callbacks : sequence of callbacks
    chain, parameters, score_name, score_is_error
        See `TrainingStart`.
    """

    callbacks: Sequence[Any]
    chain: Chain
    parameters: Parameters
    score_name: str | None = None
    score_is_error: bool = False

    def around(self, run: Callable[[int], Outcome], max_epochs: int) -> Outcome:
        """Return `run(max_epochs)`, telling each callback when it begins and when it has ended."""
        outcome: Outcome | None = None

        def end(callback: Any) -> None:
            _tell(callback, "on_end", outcome)

        start = TrainingStart(
            self.chain, self.parameters, max_epochs, self.score_name, self.score_is_error
        )
        with ExitStack() as ends:
            for callback in self.callbacks:
                ends.callback(end, callback)
                _tell(callback, "on_start", start)
            outcome = run(max_epochs)
        return outcome

    def before_epoch(self, epoch: int) -> None:
        """Tell every callback that an epoch begins."""
        for callback in self.callbacks:
            _tell(callback, "on_epoch_start", epoch)

    def after_epoch(self, report: EpochReport) -> bool:
        """Tell every callback of an epoch; return whether one of them wants to end training."""
        stop = False
        for callback in self.callbacks:
            has_method = hasattr(callback, "on_epoch_end")
            if not has_method and not callable(callback):
                continue
            answer = callback.on_epoch_end(report) if has_method else callback(report)
            stop |= isinstance(answer, bool | np.bool_) and bool(answer)
        return stop


def check_callbacks(callbacks: Any) -> tuple[Any, ...]:
    """Return the callbacks that the parameter `callbacks` holds; none for None.

    Raises
    ------
    TypeError
        It is no list or tuple, or something in it is no callback.
    """
    if callbacks is None:
        return ()
    if not isinstance(callbacks, list | tuple):
        raise TypeError(
            f"callbacks must be a list such as [ProgressBar()], or None; got {callbacks!r}"
        )
    for callback in callbacks:
        if hasattr(callback, "on_fit_task_end"):
            raise TypeError(
                f"{callback!r} is a callback of scikit-learn's: pass it to set_callbacks, not in "
                "the parameter callbacks"
            )
        is_ours = callable(callback) or any(hasattr(callback, name) for name in _METHODS)
        if isinstance(callback, type) or not is_ours:
            raise TypeError(
                "callbacks must hold functions of an EpochReport, or objects with the methods "
                f"{', '.join(_METHODS)}; got {callback!r}"
            )
    return tuple(callbacks)


def _tell(callback: Any, method: str, what: Any) -> None:
    if hasattr(callback, method):
        getattr(callback, method)(what)
