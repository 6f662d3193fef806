"""Watches what a piece of code does: memory it asks for, code it runs, files it writes."""

import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path

#: Beginnings of the names of audit events by which a file could have had its way.
FORBIDDEN = (
    "code.__new__", "compile", "cpython.", "ctypes.", "exec", "ftplib.", "function.__new__",
    "http.", "import", "marshal.", "mmap.", "os.", "pickle.", "pty.", "shutil.", "socket.",
    "sqlite3.", "subprocess.", "tempfile.", "urllib.", "webbrowser.",
)  # fmt: skip
HARMLESS = ("os.listdir", "os.scandir")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PAGE = os.sysconf("SC_PAGE_SIZE")

_seen = None


def _hook(event, arguments):
    if _seen is None:
        return
    if event == "open":
        _, mode, flags = arguments
        if (isinstance(flags, int) and flags & _WRITING) or (mode and set(mode) & set("wax+")):
            _seen.append(f"open {arguments}")
    elif event.startswith(FORBIDDEN) and event not in HARMLESS:
        _seen.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_hook)


@contextmanager
def no_code_run():
    """Gather in a list the events that no loading of a file may cause."""
    global _seen  # noqa: PLW0603
    events = _seen = []
    try:
        yield events
    finally:
        _seen = None


@contextmanager
def memory_limit(n_bytes):
    """Let the process ask for so many bytes more than it has, by whatever allocator."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * _PAGE + n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
