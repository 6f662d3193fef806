"""The options of a training command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from pellucid.cli.options import ReadingOptions

TaskChoice = Literal["auto", "classification", "regression"]

#: Share of the rows that is held out for testing by default.
TEST_SHARE = 0.2
#: Largest share of the rows that can be held out for testing.
LARGEST_TEST_SHARE = 0.9
#: More rows fit into no table.
MOST_TEST_ROWS = 1e15

DropMissingTargetOption = Annotated[
    bool, typer.Option("--drop-missing-target", help="Leave out rows whose target is missing.")
]


def _checked_test(test: float | None) -> float | None:
    """Accept a share of the rows, or a whole number of at least two of them."""
    if test is None:
        return None
    is_number_of_rows = 2 <= test < MOST_TEST_ROWS and test == int(test)
    if not 0 <= test <= LARGEST_TEST_SHARE and not is_number_of_rows:
        raise typer.BadParameter(
            f"must be a share of the rows from 0 to {LARGEST_TEST_SHARE}, or a whole number of "
            f"rows of at least 2, got {test:g}"
        )
    return test


@dataclass(frozen=True)
class RowOptions:
    """Which rows and columns of the table are trained on, and which the model is tested on."""

    test: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE or ROWS",
            callback=_checked_test,
            help="Rows held out for testing: a share below 1, or a whole number of rows; 0 for "
            "none.",
            show_default=f"{TEST_SHARE}, or 0 with --test-table",
        ),
    ] = None
    test_table: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Test on this file and train on all rows of TABLE."),
    ] = None
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Cross-validate with so many folds of the training rows first, and show the mean "
            "and standard deviation of each metric.",
        ),
    ] = None
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Train on all rows, test rows included, after the test."),
    ] = False
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help='Leave a column out, as --column COLUMN="left out" does. Can be repeated.',
        ),
    ] = None
    drop_missing_target: DropMissingTargetOption = False
    row_hashes: Annotated[
        bool,
        typer.Option(
            "--row-hashes/--no-row-hashes",
            help="Whether the model keeps two bits for each training row, by which `evaluate` "
            "notices many such rows.",
        ),
    ] = True

    importance: Annotated[
        bool,
        typer.Option(
            "--importance/--no-importance",
            help="Whether to measure after the test how much the model needs each column, and keep "
            "that with the model.",
        ),
    ] = True

    def __post_init__(self) -> None:
        if self.test and self.test_table is not None:
            raise typer.BadParameter(
                "holds out rows of TABLE, but --test-table names those to test on: leave out one",
                param_hint="--test",
            )

    @property
    def held_out(self) -> float:
        """How many rows of TABLE are held out for testing, or what share of them."""
        if self.test is not None:
            return self.test
        return TEST_SHARE if self.test_table is None else 0.0


@dataclass(frozen=True)
class SearchOptions:
    """How `pellucid tune` searches."""

    trials: Annotated[int, typer.Option(min=1, help="Maximum number of parameter sets to try.")] = (
        20
    )
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="End the search after so many minutes."),
    ] = None
    save_trials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write each trial that ends to this file, as JSON lines. If the file has trials "
            "of the same search already, go on from them.",
        ),
    ] = None


@dataclass(frozen=True)
class Request:
    """Options of a training command.

    Attributes
    ----------
    path : Path
        Table to train on.
    targets : tuple of str
        Names of the columns to predict.
    task : {"auto", "classification", "regression"}
    rows : RowOptions
    reading : ReadingOptions
        How all these tables are read.
    seed : int
        Seed for drawing the test rows.
    validation_path : Path or None
        Table for early stopping and for choosing the best weights.
    """

    path: Path
    targets: tuple[str, ...]
    task: TaskChoice
    rows: RowOptions
    reading: ReadingOptions
    seed: int
    validation_path: Path | None = None

    def __post_init__(self) -> None:
        if self.rows.refit and not self.rows.held_out:
            raise typer.BadParameter(
                "trains on the rows held out by --test, and none are held out", param_hint="--refit"
            )
        for i, target in enumerate(self.targets):
            if target in self.targets[:i]:
                raise typer.BadParameter(f"{target!r} is named twice", param_hint="--target")
            if target in (self.rows.drop or ()):
                raise typer.BadParameter(f"{target!r} is the target", param_hint="--drop")
        if [*map(str, self.tables())].count("-") > 1:
            raise typer.BadParameter("only one table can be read from standard input, which is -")

    def tables(self) -> list[Path]:
        """Return the files that are read."""
        paths = [self.path, self.rows.test_table, self.validation_path]
        return [path for path in paths if path is not None]
