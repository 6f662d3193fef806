"""Advice to users of the command line is in words of the command line."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import TabularClassifier
from pellucid.cli.words import in_options

PYTHON = re.compile(r"\w=|\bX\b|\by\b|_path|to_onnx|\bfit\b|\w\(|\{")
QUICK = ("--epochs", 1, "--hidden", "4")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Use --no-header (header=False) if it is data.", "Use --no-header if it is data."),
        ("Pass header=False.", "Pass --no-header."),
        ("Or set columns={'name': 'numeric'}.", "Or --column name=numeric."),
        ('Pass columns={"a b": "left out"}', "Pass --column 'a b=left out'"),
        ("set early_stopping=False.", "use --set early_stopping=false."),
        ("use fewer than max_iter=200 epochs", "use fewer than --epochs 200 epochs"),
        ("checkpoint_path='my folder' is a file", "--checkpoints 'my folder' is a file"),
        ("use --set dropout=0.1", "use --set dropout=0.1"),
        ("set columns={'X_val': 'numeric'}.", "--column X_val=numeric."),
        ("checkpoint_path='X_val x' is a file", "--checkpoints 'X_val x' is a file"),
        ("begin again by fit with set_params(max_iter=5)", "leave out --resume"),
        ("loss='poisson' needs y >= 0", "--set loss=poisson needs y >= 0"),
        ("encoding='x' is unknown.", "--encoding 'x' is unknown."),
        ("delimiter must be one character", "--delimiter must be one character"),
        ("my_loss=3 and 'alpha=2' stay", "my_loss=3 and 'alpha=2' stay"),
    ],
)
def test_parameters_become_options(message, expected):
    assert in_options(message) == expected


PARTS = ["X_val", "checkpoint_path", "header=False", "max_iter=3", "X was a and is b", "'", '"']


@given(st.lists(st.sampled_from([*PARTS, " ", "columns={'a': 'b'}", "\\", "é"]), max_size=5))
def test_what_is_quoted_stays_as_it_is(parts):
    name = "".join(parts)
    expected = f"There is no column {name!r}; leave it out: --set dropout=0.1"
    assert in_options(f"There is no column {name!r}; leave it out: dropout=0.1") == expected


@pytest.mark.parametrize(
    "file", ["X_val.csv", "in/X_val", "my-checkpoint_path", "checkpoint_path.db"]
)
def test_names_of_files_stay_as_they_are(file):
    assert in_options(f"{file}: 3 rows") == f"{file}: 3 rows"


def advice(done):
    return re.sub(
        r"--column '[^']*'|'[^']*'|\S*\.(?:csv|pellucid)|pip install \S+|--\S+ \S+", "", done.stderr
    )


def test_a_file_without_names(run, people):
    plain = people.with_name("plain.csv")
    plain.write_text("".join(people.read_text().splitlines(keepends=True)[1:]))
    done = run("train", plain, "--target", "4", "--out", "m.pellucid", code=1)
    assert "--no-header" in done.stderr
    assert "header=" not in done.stderr


def test_too_few_epochs(run, people):
    done = run("train", people, "--target", "rich", "--out", "m.pellucid", "--epochs", 2)
    assert "Training reached the maximum of 2 epochs before it stopped by itself" in done.stderr


def test_no_column_to_learn_from(run, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "1,x\n1,z\n" * 9)
    done = run("train", "t.csv", "--target", "y", "--out", "m.pellucid", code=1)
    assert "--column" in done.stderr
    assert "columns=" not in done.stderr


def test_checkpoints(run, people, tmp_path):
    train = ["train", people, "--target", "rich", "--out", "m.pellucid", *QUICK]
    run(*train, "--checkpoints", "folder")
    (tmp_path / "empty").mkdir()
    for options, words in (
        (["--checkpoints", "empty", "--resume"], "--checkpoints empty holds no checkpoint"),
        (["--checkpoints", people], "must name a folder, but is a file"),
        (["--checkpoints", "folder", "--resume", "--seed", 3], "--seed was 0 and is 3; the rows"),
    ):
        done = run(*train, *options, code=1)
        assert words in done.stderr
        assert not PYTHON.search(advice(done)), done.stderr
    done = run("describe", tmp_path / "folder" / "epoch-000001.pellucid", code=1)
    assert "pellucid train --resume --checkpoints FOLDER" in done.stderr
    assert not PYTHON.search(advice(done)), done.stderr


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_onnx_cannot_hold(run):
    pytest.importorskip("onnx", reason="needs onnx")
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(range(60), "D")
    table = pd.DataFrame({"last day": days, "a": range(60)}).assign(b=lambda t: t["a"] % 7)
    TabularClassifier((2,), max_iter=1).fit(table, table["b"] > 2).save("m.pellucid")
    done = run("export", "m.pellucid", "--onnx", "m.onnx", code=1)
    assert "--column 'last day=left out'" in done.stderr
    assert not PYTHON.search(advice(done)), done.stderr
