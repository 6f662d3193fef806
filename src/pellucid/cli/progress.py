"""The line that lives while a network trains."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pellucid.training import EpochReport


class TrainingProgress:
    """Shows epoch, loss, validation score and examples per second: call it after each epoch.

    On a terminal one line is rewritten; elsewhere each epoch is a line of its own.

    Parameters
    ----------
    console : rich.console.Console
    max_epochs : int
    score_name : str
        What the validation score is: "accuracy" or "R²".
    """

    def __init__(self, console: Console, max_epochs: int, score_name: str) -> None:
        self._console = console
        self._max_epochs = max_epochs
        self._score_name = score_name
        self._best: float | None = None
        self._started = time.perf_counter()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(Text("starting…"), console=console, refresh_per_second=12)

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = time.perf_counter() - self._started
        if self._live is not None:
            self._live.stop()

    def __call__(self, report: EpochReport) -> None:
        """Show one epoch."""
        line = self._line(report)
        if self._live is not None:
            self._live.update(Text(line))
        else:
            self._console.print(line, soft_wrap=True)

    def _line(self, report: EpochReport) -> str:
        parts = [f"epoch {report.epoch:>3}/{self._max_epochs}", f"loss {report.loss:.4f}"]
        score = report.validation_score
        if score is not None:
            self._best = score if self._best is None else max(score, self._best)
            parts.append(f"validation {self._score_name} {score:.4f} (best {self._best:.4f})")
        rate = report.n_examples / max(report.seconds, 1e-9)
        parts.append(f"{rate:,.0f} examples/s")
        return "  ".join(parts)
