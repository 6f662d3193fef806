"""Console output and error handling of the commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

#: Nonzero exit codes: file or data error, invalid command line, Ctrl-C.
FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


def screen() -> Console:
    """Return the console for results: standard output."""
    return Console(markup=False, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print a line of a result without wrapping it."""
    screen().print(text, soft_wrap=True)


def note(text: str) -> None:
    """Print a remark to standard error, so that results can be piped."""
    Console(stderr=True, markup=False, highlight=False).print(text, soft_wrap=True, style="dim")


def fail(text: str) -> None:
    """Print an error message to standard error."""
    console = Console(stderr=True, markup=False, highlight=False)
    console.print("Error:", style="bold red", end=" ")
    console.print(text, soft_wrap=True)


@contextmanager
def readable_failures() -> Iterator[None]:
    """Convert expected errors to a message and an exit code, without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted; nothing was saved.")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
    except ValueError as error:
        fail(str(error))
        raise typer.Exit(FAILED) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}.")
        raise typer.Exit(FAILED) from None
    except MemoryError:
        fail("out of memory. Use fewer rows, or a smaller --hidden.")
        raise typer.Exit(FAILED) from None
