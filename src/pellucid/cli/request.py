"""The options of a training command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pellucid.cli.options import ReadingOptions

TaskChoice = Literal["auto", "classification", "regression"]


@dataclass(frozen=True)
class Request:
    """Options of a training command.

    Attributes
    ----------
    path : Path
        Table to train on.
    target : str
        Name of the column to predict.
    task : {"auto", "classification", "regression"}
    test_share : float
        Fraction of the rows held out for testing if `test_path` is None; can be 0.
    test_path : Path or None
        Table to test on.
    validation_path : Path or None
        Table for early stopping and for choosing the best weights.
    reading : ReadingOptions
        How all these tables are read.
    seed : int
        Seed for drawing the test rows.
    """

    path: Path
    target: str
    task: TaskChoice
    test_share: float
    test_path: Path | None
    validation_path: Path | None
    reading: ReadingOptions
    seed: int

    def tables(self) -> list[Path]:
        """Return the files that are read."""
        paths = [self.path, self.test_path, self.validation_path]
        return [path for path in paths if path is not None]
