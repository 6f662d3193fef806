"""The `pellucid` command itself: version, help, wrong usage."""

import re
import subprocess
import sys

import pytest

import pellucid
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
    run(*train, "--test", "1.5", code=2)
    run(*train, "--task", "magic", code=2)
