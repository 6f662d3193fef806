"""The bar that grows while a network trains."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from pellucid.training.callbacks import TrainingStart
from pellucid.training.history import EpochReport
from pellucid.training.outcome import Outcome

if TYPE_CHECKING:  # Importing rich would slow down `import pellucid`.
    from rich.console import Console
    from rich.table import Table

_BAR_WIDTH, _SMALLEST_BAR = 20, 4
_REFRESHES_PER_SECOND = 10
_SHORTEST_PAUSE = 1.0
"""Seconds between two plain lines."""
_SHORTEST_PART = 0.1
"""The same as a part of the time so far, so that hours of training are not thousands of lines."""

_terminal = threading.Lock()
"""Held by the one that rewrites its line: a terminal has one cursor."""


class ProgressBar:
    """Shows the epochs, the loss, the validation score, the speed and the time left.

    On a terminal and in a notebook it is a bar and a line, rewritten as training goes on.
    Elsewhere (a file, a pipe), and where another bar has the terminal already, it is plain lines:
    the first epoch, the last, and between them one at most each second, or each tenth of the time
    so far if that is longer.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to show it; by default the standard output. A pickled `ProgressBar` forgets it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from pellucid import MLPClassifier, ProgressBar
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((4,), max_iter=1000, tol=0.01, callbacks=[ProgressBar()])
    >>> _ = model.fit(X, y)  # doctest: +ELLIPSIS
    epoch    1/1000  loss ... examples/s  ... left at most
    ...
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console
        self._display: _Display | None = None

    def __deepcopy__(self, memo: Any) -> ProgressBar:
        return ProgressBar(self.console)

    def __reduce__(self) -> tuple[type[ProgressBar], tuple[()]]:
        return ProgressBar, ()

    def on_start(self, start: TrainingStart) -> None:
        """Begin a line.

        Raises
        ------
        ValueError
            It shows another fit at this moment.
        """
        if self._display is not None:
            raise ValueError("this ProgressBar shows another fit; give each fit one of its own")
        self._progress = _Progress(start.max_epochs, start.score_name, start.score_is_error)
        self._display = _make_display(self.console, self._progress)

    def on_epoch_end(self, report: EpochReport) -> None:
        """Show one epoch."""
        self._progress.take(report)
        if self._display is not None:
            self._display.update()

    def on_end(self, outcome: Outcome | None) -> None:
        """Leave the last line as it is."""
        display, self._display = self._display, None
        if display is not None:
            display.end()


@dataclass
class _Progress:
    """What there is to show."""

    max_epochs: int
    score_name: str | None
    score_is_error: bool = False
    report: EpochReport | None = None
    best: float = -math.inf
    n_shown: int = 0
    """Epochs of this run: one that goes on from a checkpoint begins at a later number."""

    def __post_init__(self) -> None:
        self.started = time.perf_counter()

    def take(self, report: EpochReport) -> None:
        self.report = report
        self.n_shown += 1
        score = report.validation_score
        if score is not None and score > self.best:
            self.best = score

    def line(self) -> str:
        return "  ".join([self.epoch, *self.columns()])

    @property
    def epoch(self) -> str:
        number = 0 if self.report is None else self.report.epoch
        return f"epoch {number:>{len(str(self.max_epochs))}}/{self.max_epochs}"

    def columns(self) -> list[str]:
        """Return how training goes, and how fast."""
        report = self.report
        if report is None:
            return []
        columns = [f"loss {report.loss:.4g}"]
        if report.validation_score is not None:
            # Without a name the score is minus the loss.
            name = self.score_name or "loss"
            sign = -1 if self.score_is_error or not self.score_name else 1
            digits = ".4g" if self.score_is_error else ".4f"
            score, best = sign * report.validation_score, sign * self.best
            columns.append(f"validation {name} {score:{digits}} (best {best:{digits}})")
        rate = report.n_examples / max(report.seconds, 1e-9)
        left = (self.max_epochs - report.epoch) * self.seconds / self.n_shown
        columns.append(f"{rate:,.0f} examples/s")
        columns.append(f"{timedelta(seconds=round(left))} left at most")
        return columns

    def picture(self, width: int = 80) -> Table:
        """Return the same in two lines of at most `width` characters, the first with a bar."""
        from rich.progress_bar import ProgressBar as Bar
        from rich.table import Table
        from rich.text import Text

        *numbers, rate, left = self.columns() or ["", ""]
        epoch = 0 if self.report is None else self.report.epoch

        def line(*parts: str) -> Text:
            return Text("  ".join(parts), no_wrap=True, overflow="ellipsis")

        speed = f"{left}  {rate}"
        room = width - len(self.epoch) - len(speed) - 4
        bar = Bar(self.max_epochs, epoch, width=min(_BAR_WIDTH, max(_SMALLEST_BAR, room)))
        first = Table.grid(padding=(0, 2))
        first.add_column(no_wrap=True)  # What is cut on a narrow terminal is the speed.
        first.add_row(self.epoch, bar, line(speed))
        both = Table.grid()
        both.add_row(first)
        both.add_row(line(*numbers))
        return both

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


class _Display(Protocol):
    """A place to show progress at."""

    def update(self) -> None:
        """Show it as it is now, unless that was done just before."""

    def end(self) -> None:
        """Show it for the last time."""


def _make_display(console: Console | None, progress: _Progress) -> _Display:
    from rich.console import Console

    if console is None:
        console = Console(markup=False, highlight=False, emoji=False)
    if console.is_jupyter:
        return _InNotebook(progress)
    rewrites = console.is_terminal and not console.is_dumb_terminal
    if rewrites and _terminal.acquire(blocking=False):
        return _OnTerminal(console, progress)
    return _PlainLines(console, progress)


class _OnTerminal:
    def __init__(self, console: Console, progress: _Progress) -> None:
        from rich.live import Live

        self._live = Live(
            console=console,
            get_renderable=lambda: progress.picture(console.width),
            refresh_per_second=_REFRESHES_PER_SECOND,
        )
        try:
            self._live.start()
        except BaseException:
            _terminal.release()
            raise

    def update(self) -> None:
        """Do nothing: a thread of rich's looks at the progress."""

    def end(self) -> None:
        try:
            self._live.stop()
        finally:
            _terminal.release()


class _InNotebook:
    """One output of the cell, replaced again and again; it needs no widgets."""

    def __init__(self, progress: _Progress) -> None:
        from IPython.display import display

        self._progress = progress
        self._handle = display(progress.picture(), display_id=True)
        self._shown = 0.0

    def update(self) -> None:
        if self._progress.seconds - self._shown >= 1 / _REFRESHES_PER_SECOND:
            self._show()

    def end(self) -> None:
        self._show()

    def _show(self) -> None:
        if self._handle is not None:  # It is None where no notebook is there after all.
            self._handle.update(self._progress.picture())
        self._shown = self._progress.seconds


class _PlainLines:
    def __init__(self, console: Console, progress: _Progress) -> None:
        self._console = console
        self._progress = progress
        self._shown: EpochReport | None = None
        self._next = 0.0

    def update(self) -> None:
        if self._progress.seconds >= self._next:
            self._show()

    def end(self) -> None:
        if self._progress.report is not self._shown:
            self._show()

    def _show(self) -> None:
        self._shown = self._progress.report
        self._console.print(self._progress.line(), soft_wrap=True)
        now = self._progress.seconds
        self._next = now + max(_SHORTEST_PAUSE, _SHORTEST_PART * now)
