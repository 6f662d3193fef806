"""`--json` and `--quiet` of every command."""

import json
import os
import re
import subprocess
import sys

import pytest

from pellucid import load

QUICK = ("--target", "rich", "--epochs", 2, "--hidden", "4")
COMMANDS = {
    "train": ("train", "people.csv", *QUICK, "--out", "n.pellucid"),
    "tune": ("tune", "people.csv", *QUICK, "--out", "n.pellucid", "--trials", 2),
    "evaluate": ("evaluate", "m.pellucid", "people.csv"),
    "predict": ("predict", "m.pellucid", "people.csv", "--out", "p.csv"),
    "describe": ("describe", "m.pellucid"),
    "export": ("export", "m.pellucid", "--onnx", "m.onnx"),
    "demo": ("demo",),
}
#: Some of the facts that each command tells.
FACTS = {
    "train": {"table": "people.csv", "target": "rich", "task": "classification", "test_rows": 120},
    "tune": {"target": "rich", "model": "n.pellucid"},
    "evaluate": {"model": "m.pellucid", "table": "people.csv", "rows": 600},
    "predict": {"rows": 600, "written": "p.csv"},
    "describe": {"estimator": "TabularClassifier", "loss": "logistic_cross_entropy"},
    "export": {"exported": "m.onnx"},
    "demo": {},
}


@pytest.fixture
def model(run, people):
    run("train", people, *QUICK, "--out", "m.pellucid")


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_all_that_standard_output_gets(run, model, command):
    if command == "export":
        pytest.importorskip("onnx", reason="needs onnx")
    told = json.loads(run(*COMMANDS[command], "--json").stdout)
    assert FACTS[command].items() <= told.items()
    if command in ("train", "tune", "evaluate", "demo"):
        assert 0 < told["metrics"]["accuracy"] <= 1
        assert told["baseline"]["metrics"]["log loss"] > 0


@pytest.mark.parametrize("command", COMMANDS)
def test_quiet_shows_nothing(run, model, command):
    if command == "export":
        pytest.importorskip("onnx", reason="needs onnx")
    assert run(*COMMANDS[command], "--quiet").output == ""


def test_quiet_and_json_together_write_json(run, model):
    done = run(*COMMANDS["predict"], "--json", "--quiet")
    assert done.output == done.stdout
    assert json.loads(done.stdout)["remarks"] == ["Wrote 600 predictions to p.csv."]


def test_predictions_are_written_however_quiet(run, model):
    assert run("predict", "m.pellucid", "people.csv", "--quiet").output.count("\n") == 601
    told = json.loads(run("predict", "m.pellucid", "people.csv", "--json").stdout)
    assert len(told["predictions"]) == told["rows"] == 600
    assert told["predictions"][0].keys() == {"predicted_rich"}


def test_errors_are_shown_however_quiet(run):
    done = run("describe", "absent.pellucid", "--quiet", "--json", code=1)
    assert "no such file" in done.stderr
    assert done.stdout == ""


def test_a_model_is_saved_where_nobody_reads_the_output_any_more(people, tmp_path):
    command = [sys.executable, "-m", "pellucid", "train", str(people), *map(str, QUICK)]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "n.pellucid")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(120) == 0, errors
    assert load(tmp_path / "n.pellucid").n_iter_ == 2


def shell(line, folder):
    """Run a line of the shell where PELLUCID stands for the command."""
    command = f'"{sys.executable}" -m pellucid'
    return subprocess.run(
        ["sh", "-c", line.replace("PELLUCID", command)],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments",
    ["--version", "train --help", "describe m.pellucid --json", "predict m.pellucid people.csv"],
)
def test_a_full_disk_is_an_error_in_a_line(run, model, tmp_path, arguments):
    done = shell(f"PELLUCID {arguments} > /dev/full", tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"Error: .*No space left on device\.\n", done.stderr)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_does_not_lose_a_model(run, people, tmp_path):
    done = shell(f"PELLUCID {' '.join(map(str, COMMANDS['train']))} > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("Error: standard output: No space left on device.\n")
    assert load("n.pellucid").n_iter_ == 2


def test_closed_streams_are_empty(run, model, tmp_path):
    done = shell("PELLUCID predict m.pellucid - <&-", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Standard input is empty")
    for closed in (">&-", "<&- >&- 2>&-"):
        done = shell(
            f"PELLUCID predict m.pellucid people.csv --out p.csv --force {closed}", tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    done = shell("PELLUCID predict m.pellucid - --out people.csv <&-", tmp_path)
    assert done.stderr.startswith("Error: people.csv exists")
    assert shell("PELLUCID --version >&-", tmp_path).returncode == 0


def with_terminal(folder, *arguments, columns=100):
    """Run the command with standard error on a terminal; return what both streams got."""
    pty = pytest.importorskip("pty", reason="needs a system with terminals")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pellucid", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        stdout = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, shown
    return stdout.decode(), shown.decode()


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # Nobody writes to it any more.
        return b""


def test_progress_is_shown_on_a_terminal_beside_json(people):
    facts, shown = with_terminal(people.parent, *COMMANDS["train"], "--json")
    assert json.loads(facts)["epochs"] == 2
    assert "epoch   2/2" in shown or "epoch 2/2" in shown
    assert with_terminal(people.parent, *COMMANDS["train"], "--json", "--quiet")[1] == ""
    facts, shown = with_terminal(people.parent, *COMMANDS["tune"], "--json")
    assert len(json.loads(facts)["trials"]) == 2
    assert "trial 2/2" in shown


def test_numbers_are_never_cut_on_a_narrow_screen(run, model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    for command in ("evaluate", "describe", "train", "tune"):
        tables = [line for line in run(*COMMANDS[command]).output.splitlines() if "│" in line]
        assert tables
        assert not any("…" in line for line in tables)
