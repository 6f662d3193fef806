"""The `pellucid` command: train, tune, export, evaluate, predict, describe, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.options import ReadingOptions, with_options
from pellucid.cli.request import (
    DropMissingTargetOption,
    Request,
    RowOptions,
    SearchOptions,
    TaskChoice,
)
from pellucid.cli.screen import (
    FAILED,
    Output,
    discard_what_cannot_be_written,
    fail,
    open_closed_streams,
    readable_failures,
    show_in_any_encoding,
    text_of,
)
from pellucid.version import __version__

# A command imports what it needs when it needs it: `--version` and `--help` are there at once, and
# `train` reads tables before it imports scikit-learn, which takes more than a second, and wrong
# paths are told before. Imports are outside of `readable_failures`: Ctrl-C ends an import at once.

KINDS = "numeric, boolean, categorical, datetime, left out"

app = typer.Typer(
    help="Train, use and inspect multi-layer perceptrons on tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

TableArgument = Annotated[
    Path,
    typer.Argument(metavar="TABLE", help="File, folder or database table; - for standard input."),
]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A .pellucid file.")]


def main() -> None:
    """Run the command line."""
    open_closed_streams()
    show_in_any_encoding()
    try:
        try:
            app(prog_name="pellucid")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_what_cannot_be_written()
    except OSError as error:  # Of help, the version, or an error of usage.
        discard_what_cannot_be_written()
        fail(text_of(error))
        sys.exit(FAILED)


def _show_version(wanted: bool) -> None:
    if wanted:
        out = Output()
        out.say(f"pellucid {__version__}")
        out.finish()
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


TargetOption = Annotated[
    list[str],
    typer.Option(
        metavar="COLUMN",
        help="Column to predict. Repeat it to predict several numbers with one model.",
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", metavar="MODEL", help="File to save the model to.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace a file at --out that is not a model.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Show all columns, and the layers of the network.")
]
ReplaceOption = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]
TaskOption = Annotated[
    TaskChoice, typer.Option(help="auto chooses the task from the values of the target.")
]
ValidationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="TABLE",
        help="Use this file for early stopping and keep the weights with the best score on it.",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=KIND",
        help=f"Set the kind of a column: {KINDS}. Can be repeated.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set any other parameter of TabularClassifier or TabularRegressor, such as "
        "dropout=0.1 or activation=silu. Can be repeated.",
    ),
]
HiddenOption = Annotated[
    str, typer.Option(metavar="SIZES", help="Sizes of the hidden layers, such as 128,64.")
]
LearningRateOption = Annotated[float, typer.Option(min=1e-12, help="Learning rate of Adam.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed, for reproducible results.")]


@app.command("train")
@with_options
def train_command(
    table: TableArgument,
    target: TargetOption,
    path: OutOption,
    task: TaskOption = "auto",
    validation: ValidationOption = None,
    column: ColumnOption = None,
    hidden: HiddenOption = "128,64",
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs.")] = 200,
    learning_rate: LearningRateOption = 1e-3,
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
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace a file at --out that is not a model, and checkpoints of another training "
            "in --checkpoints.",
        ),
    ] = False,
    verbose: VerboseOption = False,
    *,
    rows: RowOptions,
    reading: ReadingOptions,
    out: Output,
) -> None:
    """Train on a table, test on held-out rows, and save the model.

    Ctrl-C stops training with exit code 130. On a terminal, you are asked whether to save the model
    trained so far; otherwise nothing is saved.
    """
    if resume and checkpoints is None:
        raise typer.BadParameter("requires --checkpoints FOLDER", param_hint="--resume")
    request = Request(table, tuple(target), task, rows, reading, seed, validation)
    from pellucid.cli.files import check_can_keep_checkpoints, check_can_save
    from pellucid.cli.material import read_material
    from pellucid.cli.settings import hidden_sizes_from, kinds_from, settings_from

    options = {
        "hidden_layer_sizes": hidden_sizes_from(hidden),
        "learning_rate_init": learning_rate,
        "max_iter": epochs,
        "random_state": seed,
        "columns": kinds_from(column),
        "checkpoint_path": checkpoints,
        **settings_from(set_),
    }
    with readable_failures(out, goes_on=True):
        check_can_save(path, [*request.tables(), checkpoints], force)
        check_can_keep_checkpoints(checkpoints, path, force or resume)
        material = read_material(request, out)
    from pellucid.cli.training import train_and_save

    with readable_failures(out):
        train_and_save(request, material, options, path, out, resumes=resume, verbose=verbose)


@app.command("tune")
@with_options
def tune_command(
    table: TableArgument,
    target: TargetOption,
    path: OutOption,
    task: TaskOption = "auto",
    validation: ValidationOption = None,
    column: ColumnOption = None,
    hidden: HiddenOption | None = None,
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs per fit.")] = 200,
    learning_rate: LearningRateOption | None = None,
    set_: SetOption = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    verbose: VerboseOption = False,
    *,
    rows: RowOptions,
    search: SearchOptions,
    reading: ReadingOptions,
    out: Output,
) -> None:
    """Search for good parameters by cross-validation, train with the best ones, test and save.

    The first trial uses the defaults; all others draw parameters at random, except those given by
    --set, --hidden and --learning-rate. The search does not use the test rows. Ctrl-C ends the
    search and trains with the best trial so far; a second Ctrl-C stops training.
    """
    if validation is not None and rows.folds is not None:
        raise typer.BadParameter(
            "compares the trials by cross-validation, but --validation names a table to compare "
            "them on: leave out one",
            param_hint="--folds",
        )
    request = Request(table, tuple(target), task, rows, reading, seed, validation)
    from pellucid.cli.files import check_can_add_trials, check_can_save
    from pellucid.cli.material import read_material
    from pellucid.cli.settings import hidden_sizes_from, kinds_from, settings_from

    fixed = {
        "hidden_layer_sizes": None if hidden is None else hidden_sizes_from(hidden),
        "learning_rate_init": learning_rate,
    }
    options = {
        **{name: value for name, value in fixed.items() if value is not None},
        "max_iter": epochs,
        "random_state": seed,
        "columns": kinds_from(column),
        **settings_from(set_),
    }
    with readable_failures(out, goes_on=True):
        check_can_save(path, request.tables(), force)
        check_can_add_trials(search.save_trials, request.tables(), path)
        material = read_material(request, out)
    from pellucid.cli.training import train_and_save

    with readable_failures(out):
        train_and_save(request, material, options, path, out, search=search, verbose=verbose)


@app.command()
@with_options
def export(
    model: ModelArgument,
    onnx: Annotated[Path, typer.Option(metavar="FILE", help="Output file, such as model.onnx.")],
    force: ReplaceOption = False,
    *,
    out: Output,
) -> None:
    """Export a model to ONNX, including the encoding of its columns."""
    from pellucid.cli.files import check_inputs

    with readable_failures(out, goes_on=True):
        check_inputs(model)
    from pellucid.cli.export import export_file

    with readable_failures(out):
        export_file(model, onnx, out, force=force)


@app.command()
@with_options
def evaluate(
    model: ModelArgument,
    table: TableArgument,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with the true values; by default, the target used in training. Repeat it "
            "for a model of several targets."
        ),
    ] = None,
    drop_missing_target: DropMissingTargetOption = False,
    *,
    reading: ReadingOptions,
    out: Output,
) -> None:
    """Evaluate a model on a table with true values."""
    from pellucid.cli.files import check_inputs

    with readable_failures(out, goes_on=True):
        check_inputs(model, table)
    from pellucid.cli.evaluation import evaluate_file

    with readable_failures(out):
        evaluate_file(
            *(model, table, target or (), reading, out), drops_missing=drop_missing_target
        )


@app.command()
@with_options
def predict(
    model: ModelArgument,
    table: TableArgument,
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Output file: .csv, .tsv, .jsonl or .parquet. By default, or with -, CSV goes to "
            "standard output.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Write this column of TABLE beside the predictions, such as an id. Can be "
            "repeated.",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of each class.")
    ] = False,
    force: ReplaceOption = False,
    *,
    reading: ReadingOptions,
    out: Output,
) -> None:
    """Predict the target for each row of a table."""
    from pellucid.cli.files import check_inputs

    with readable_failures(out, goes_on=True):
        check_inputs(model, table)
    from pellucid.cli.predict import predict_file

    with readable_failures(out):
        predict_file(
            *(model, table, path, reading, out),
            keep=keep or (),
            probabilities=probabilities,
            force=force,
        )


@app.command()
@with_options
def describe(
    model: ModelArgument,
    all_: Annotated[
        bool, typer.Option("--all", help="Show all columns, however many there are.")
    ] = False,
    *,
    out: Output,
) -> None:
    """Show the layers, columns, training and test of a model."""
    from pellucid.cli.files import check_inputs

    with readable_failures(out, goes_on=True):
        check_inputs(model)
    from pellucid.cli.describe import describe_file

    with readable_failures(out):
        describe_file(model, out, shows_all=all_)


@app.command()
@with_options
def demo(
    seed: SeedOption = 0,
    *,
    out: Output,
) -> None:
    """Train a network on handwritten digits and show its progress."""
    from pellucid.cli.demo import run_demo

    with readable_failures(out):
        run_demo(seed, out)
