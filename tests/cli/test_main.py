"""The `pellucid` command itself: version, help, wrong usage."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

import pellucid
from pellucid import MLPRegressor
from pellucid.tables.recognition import KINDS


def test_version(run):
    assert run("--version").output == f"pellucid {pellucid.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", pellucid.__version__)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_nothing_large_is_imported_for_a_line_of_text(option):
    program = f"""
import sys
from pellucid.cli.main import app
sys.argv = ["pellucid", "{option}"]
try:
    app()
finally:
    print(sorted({{"numpy", "scipy", "sklearn", "pandas", "narwhals"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_names_every_kind_of_column(run):
    shown = " ".join(run("train", "--help").output.split())
    assert ", ".join(KINDS) in shown


def test_wrong_usage_is_code_2(run, people):
    run(code=2)
    run("train", code=2)
    run("train", people, "--target", "rich", code=2)
    run("fly", code=2)
    train = ["train", people, "--target", "rich", "--out", "m"]
    assert "positive integers" in run(*train, "--hidden", "3,x", code=2).output
    assert "NAME=KIND" in run(*train, "--column", "job=ordinal", code=2).output
    for rows in ("1.5", "inf", "nan", "-inf", "1e300"):
        assert "must be a share" in run(*train, "--test", rows, code=2).output
    run(*train, "--task", "magic", code=2)
    done = run(*train, "--test-table", people, "--test", "0.5", code=2)
    assert "leave out one" in " ".join(done.output.split())
    done = run("tune", *train[1:], "--validation", people, "--folds", 7, code=2)
    assert "--validation" in done.output
    for name, value, option in (("random_state", 7, "--seed"), ("max_iter", 1, "--epochs")):
        for command in ("train", "tune"):
            done = run(command, *train[1:], "--set", f"{name}={value}", code=2)
            assert f"{name} is set with {option}" in done.output


def test_the_command_is_the_module():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"pellucid": "pellucid.__main__:main"}


def test_an_encoding_that_lacks_characters(tmp_path):
    table = pd.DataFrame({"größe": [1.0, 2.0, 3.0, 4.0], "日": [1.0, 0.0, 1.0, 0.0]})
    MLPRegressor(hidden_layer_sizes=(2,), solver="lbfgs").fit(table, [1.0, 2.0, 3.0, 4.0]).save(
        tmp_path / "m.pellucid"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", "describe", "m.pellucid"],
        cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode("ascii")
    assert "W 2 x 2" in shown


TRAIN = ["absent.csv", "--target", "y", "--out", "m.pellucid"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", *TRAIN],
        ["tune", *TRAIN],
        ["predict", "absent.pellucid", "-"],
        ["evaluate", __file__, "sqlite:///absent.db#table"],
        ["describe", "absent.pellucid"],
        ["export", "absent.pellucid", "--onnx", "m.onnx"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_wrong_paths_are_told_before_scikit_learn_is_imported(tmp_path, arguments):
    program = f"""
import sys
from pellucid.cli.main import app
sys.argv = ["pellucid", *{arguments}]
try:
    app()
finally:
    print(sorted({{"scipy", "sklearn", "pandas", "narwhals"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert "there is no such file" in done.stderr
    assert done.stdout == "[]\n"
