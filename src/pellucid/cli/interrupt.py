"""Ctrl-C: end at once while modules are imported, raise KeyboardInterrupt while a command works."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def leave_on_interrupt() -> None:
    """End the process at once on Ctrl-C, from now on and except in :func:`interruptible`.

    A KeyboardInterrupt in the middle of an import ends with a traceback, or is taken for a missing
    package. Where Ctrl-C is ignored, it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def _leave(number: int, frame: Any) -> None:
    os.write(2, b"Error: interrupted.\n")
    os._exit(INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, so that a command can clean up."""
    leaves = signal.getsignal(signal.SIGINT) is _leave
    if leaves:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if leaves:
            signal.signal(signal.SIGINT, _leave)
