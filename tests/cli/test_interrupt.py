"""Ctrl-C while a network trains."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pellucid import load

pytestmark = pytest.mark.alone
LONGEST_WAIT = 60.0


@pytest.fixture
def command(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3))
    y = (X[:, 0] > 0).astype(int)
    np.savetxt(
        tmp_path / "t.csv", np.column_stack([X, y]), "%.6f", ",", header="a,b,c,y", comments=""
    )
    arguments = ["train", "t.csv", "--target", "y", "--out", "m.pellucid", "--epochs", "100000"]
    # So slow a rate that every epoch improves a little: training would go on for very long.
    slow = ["--learning-rate", "1e-7", "--hidden", "256,256", "--task", "regression"]
    return [sys.executable, "-m", "pellucid", *arguments, *slow]


def test_without_a_terminal_nothing_is_saved(command, tmp_path):
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("epoch"):
                process.send_signal(signal.SIGINT)
                break
        output, errors = process.communicate(timeout=LONGEST_WAIT)
    assert process.returncode == 130, errors
    assert "Interrupted after" in errors
    assert "Nothing was saved" in errors
    assert "Traceback" not in errors
    assert "test rows" in output, "the model so far is measured"
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(("answer", "is_saved"), [(b"y\n", True), (b"n\n", False)])
def test_on_a_terminal_the_model_so_far_is_offered(command, tmp_path, answer, is_saved):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        read_until(master, b"examples/s")
        process.send_signal(signal.SIGINT)
        read_until(master, b"[y/N]")
        os.write(master, answer)
        read_until(master, b"Saved" if is_saved else b"Nothing was saved")
        assert process.wait(LONGEST_WAIT) == 130
    finally:
        process.kill()
        process.wait()
        os.close(master)
    path = tmp_path / "m.pellucid"
    assert path.exists() == is_saved
    if is_saved:
        assert load(path).n_iter_ >= 1


def read_until(descriptor, wanted):
    seen, deadline = b"", time.monotonic() + LONGEST_WAIT
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 1.0)[0]:
            seen += os.read(descriptor, 65536)
    return seen


def test_a_search_is_ended_and_the_best_trial_trained_and_saved(command, tmp_path):
    search = [*command[:3], "tune", "t.csv", "--target", "y", "--out", "m.pellucid"]
    search += ["--trials", "100000", "--epochs", "2", "--hidden", "64"]
    with subprocess.Popen(
        search, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("trial 2/"):
                process.send_signal(signal.SIGINT)
                break
        output, errors = process.communicate(timeout=LONGEST_WAIT)
    assert process.returncode == 0, errors
    assert "Interrupted after" in output
    assert "test rows" in output
    assert load(tmp_path / "m.pellucid").n_iter_ == 2


STOPPING = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except BaseException:
    raise ImportError("an extension module takes Ctrl-C for a missing package")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process there")
@pytest.mark.parametrize("package", ["typer", "sklearn"])
@pytest.mark.parametrize(
    "start", [["-m", "pellucid"], ["-c", "from pellucid.__main__ import main; main()"]]
)
def test_while_modules_are_imported(tmp_path, package, start):
    (tmp_path / f"{package}.py").write_text(STOPPING)
    (tmp_path / "m.pellucid").touch()
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, *start, "describe", "m.pellucid"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        timeout=LONGEST_WAIT,
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr == "Error: interrupted.\n"


def test_where_it_is_ignored_it_stays_ignored():
    program = """
import signal
from pellucid.cli.interrupt import interruptible, leave_on_interrupt
signal.signal(signal.SIGINT, signal.SIG_IGN)
leave_on_interrupt()
with interruptible():
    signal.raise_signal(signal.SIGINT)
print("still here")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "still here\n")
