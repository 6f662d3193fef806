"""The `pellucid` command: train, tune, export, evaluate, predict, describe, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.data import (
    Request,
    TaskChoice,
    columns_matched_by_name,
    inputs_for,
    read_model_table,
    target_in,
    target_values,
)
from pellucid.cli.describe import describe_file
from pellucid.cli.predict import write_predictions
from pellucid.cli.screen import note, readable_failures, say, screen
from pellucid.cli.settings import settings_from
from pellucid.cli.training import show_metrics, train_and_save
from pellucid.models.loading import load
from pellucid.tables import TableError
from pellucid.tables.recognition import KINDS

app = typer.Typer(
    help="Train, use and inspect multi-layer perceptrons on tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

TableArgument = Annotated[Path, typer.Argument(metavar="TABLE", help="CSV or Parquet file.")]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A .pellucid file.")]
HeaderOption = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line of a CSV file contains column names. Without names, the "
        "columns are named column_1, column_2, …",
        show_default="names; an error if the line looks like data",
    ),
]


def main() -> None:
    """Run the command line."""
    app(prog_name="pellucid")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"pellucid {version('pellucid')}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


TargetOption = Annotated[str, typer.Option(help="Name of the column to predict.")]
OutOption = Annotated[Path, typer.Option(metavar="MODEL", help="File to save the model to.")]
TaskOption = Annotated[
    TaskChoice, typer.Option(help="auto chooses the task from the values of the target.")
]
TestOption = Annotated[
    float,
    typer.Option(min=0, max=0.9, help="Fraction of the rows held out for testing; 0 for none."),
]
TestTableOption = Annotated[
    Path | None, typer.Option(help="Test on this file and train on all rows of TABLE.")
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=KIND",
        help=f"Set the kind of a column: {', '.join(KINDS)}. Can be repeated.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set any parameter of TabularClassifier or TabularRegressor, such as dropout=0.1 or "
        "activation=silu. Can be repeated.",
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed, for reproducible results.")]


@app.command("train")
def train_command(
    table: TableArgument,
    target: TargetOption,
    out: OutOption,
    task: TaskOption = "auto",
    test: TestOption = 0.2,
    test_table: TestTableOption = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Use this file for early stopping and keep the weights with the best score on it.",
        ),
    ] = None,
    header: HeaderOption = None,
    column: ColumnOption = None,
    hidden: Annotated[str, typer.Option(help="Sizes of the hidden layers.")] = "128,64",
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs.")] = 200,
    learning_rate: Annotated[float, typer.Option(min=1e-12, help="Learning rate of Adam.")] = 1e-3,
    set_: SetOption = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Save a checkpoint to this folder after every epoch."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Resume from --checkpoints; all other options must be unchanged."
        ),
    ] = False,
    seed: SeedOption = 0,
) -> None:
    """Train on a table, test on held-out rows, and save the model.

    Ctrl-C stops training with exit code 130. On a terminal, you are asked whether to save the model
    trained so far; otherwise nothing is saved.
    """
    if resume and checkpoints is None:
        raise typer.BadParameter("requires --checkpoints FOLDER", param_hint="--resume")
    request = Request(table, target, task, test, test_table, validation, header, seed)
    options = {
        "hidden_layer_sizes": _hidden_sizes(hidden),
        "learning_rate_init": learning_rate,
        "max_iter": epochs,
        "random_state": seed,
        "columns": _column_kinds(column) or None,
        "checkpoint_path": checkpoints,
        **settings_from(set_),
    }
    with readable_failures():
        train_and_save(request, options, out, resumes=resume)


@app.command("tune")
def tune_command(
    table: TableArgument,
    target: TargetOption,
    out: OutOption,
    task: TaskOption = "auto",
    test: TestOption = 0.2,
    test_table: TestTableOption = None,
    header: HeaderOption = None,
    column: ColumnOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Number of parameter sets to try.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs per fit.")] = 200,
    set_: SetOption = None,
    seed: SeedOption = 0,
) -> None:
    """Search for good parameters by cross-validation, train with the best ones, test and save.

    The first trial uses the defaults; all others draw parameters at random, except those given by
    --set. The search does not use the test rows. Ctrl-C ends the search and trains with the best
    trial so far; a second Ctrl-C stops training.
    """
    request = Request(table, target, task, test, test_table, None, header, seed)
    options = {
        "max_iter": epochs,
        "random_state": seed,
        "columns": _column_kinds(column) or None,
        **settings_from(set_),
    }
    with readable_failures():
        train_and_save(request, options, out, n_trials=trials)


@app.command()
def export(
    model: ModelArgument,
    onnx: Annotated[Path, typer.Option(metavar="FILE", help="Output file, such as model.onnx.")],
) -> None:
    """Export a model to ONNX, including the encoding of its columns."""
    with readable_failures():
        fitted = load(model)
        try:
            fitted.to_onnx(onnx)
        except (ImportError, TypeError) as error:
            raise TableError(str(error)) from error
        say(f"Wrote {onnx} ({onnx.stat().st_size / 1e6:.2f} MB).")


@app.command()
def evaluate(
    model: ModelArgument,
    table: TableArgument,
    target: Annotated[
        str | None,
        typer.Option(help="Column with the true values; by default, the target used in training."),
    ] = None,
    header: HeaderOption = None,
) -> None:
    """Evaluate a model on a table with true values."""
    with readable_failures(), columns_matched_by_name():
        fitted = load(model)
        rows = read_model_table(table, fitted, header)
        name = target or getattr(fitted, "target_name_", None)
        if name is None:
            raise TableError("The model has no target name: give it with --target.")
        truth = target_in(rows, name)
        task = "classification" if hasattr(fitted, "predict_proba") else "regression"
        X = inputs_for(fitted, rows, truth.name)
        show_metrics(fitted, X, target_values(truth, task), f"{table.name}: {len(rows):,} rows")


@app.command()
def predict(
    model: ModelArgument,
    table: TableArgument,
    out: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Output file; by default, standard output."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of each class.")
    ] = False,
    header: HeaderOption = None,
) -> None:
    """Predict the target for each row of a table and write CSV."""
    with readable_failures(), columns_matched_by_name():
        fitted = load(model)
        rows = read_model_table(table, fitted, header)
        X = inputs_for(fitted, rows, None)
        n_rows = write_predictions(fitted, X, out, probabilities)
        if out is not None:
            note(f"Wrote {n_rows:,} predictions to {out}.")


@app.command()
def describe(model: ModelArgument) -> None:
    """Show the layers, columns and training of a model."""
    with readable_failures():
        describe_file(model, screen())


@app.command()
def demo(
    seed: SeedOption = 0,
) -> None:
    """Train a network on handwritten digits and show its progress."""
    from pellucid.cli.demo import run_demo

    with readable_failures():
        run_demo(screen(), seed)


def _hidden_sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise typer.BadParameter(
            f"must be positive integers such as 128,64, got {text!r}", param_hint="--hidden"
        )
    return sizes


def _column_kinds(options: list[str] | None) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for option in options or []:
        name, sign, kind = option.rpartition("=")
        if not sign or kind not in KINDS:
            raise typer.BadParameter(
                f"must be NAME=KIND with a kind out of {', '.join(KINDS)}; got {option!r}",
                param_hint="--column",
            )
        kinds[name] = kind
    return kinds
