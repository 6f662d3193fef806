"""How far a piece of code raises the peak of a process's memory."""

import inspect
import subprocess
import sys
import textwrap

import pytest


def peak_memory():
    """Return the largest resident memory of this process so far, in bytes.

    On Linux `ru_maxrss` of a child process starts at the peak of its parent, which hides anything
    smaller; the kernel's "high water mark" starts afresh.
    """
    import sys

    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_raised_by(code, setup):
    """Return the bytes by which `code` raises the peak of a new process that has run `setup`."""
    if sys.platform == "win32":
        pytest.skip("the peak of a process's memory is read in the way of Linux and macOS")
    script = [
        inspect.getsource(peak_memory),
        textwrap.dedent(setup),
        "before = peak_memory()",
        textwrap.dedent(code),
        "print(peak_memory() - before)",
    ]
    command = [sys.executable, "-c", "\n".join(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
