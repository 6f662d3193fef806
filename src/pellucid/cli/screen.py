"""Output and error handling of the commands."""

from __future__ import annotations

import codecs
import json as json_format
import math
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import PurePath
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as ScreenTable

from pellucid.cli.interrupt import INTERRUPTED, interruptible
from pellucid.cli.words import in_options

#: Nonzero exit codes beside INTERRUPTED: file or data error, invalid command line.
FAILED, WRONG_USAGE = 1, 2

#: What stands for characters that a stream cannot show and that have no other form in Unicode.
_IN_ASCII = {
    **{"×": "x", "–": "-", "—": "-", "−": "-", "→": "->", "≤": "<=", "≥": ">=", "±": "+/-"},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "░": ".", "▒": ":", "▓": "o", "█": "#"},
    **{"━": "-", "─": "-", "│": "|", "┃": "|"},
}


class _Screen(Console):
    """Goes on where nobody reads any more (`pellucid train … | head`): the model is still saved."""

    def on_broken_pipe(self) -> None:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)


@dataclass(frozen=True)
class Output:
    """Where a command puts its results and remarks; its fields are options of every command.

    Results go to standard output, remarks to standard error. With `json`, one JSON object with the
    facts is all that standard output gets, at the end. With `quiet`, only errors are shown.
    """

    json: Annotated[bool, typer.Option("--json", help="Write the results as one JSON object.")] = (
        False
    )
    quiet: Annotated[bool, typer.Option("--quiet", help="Show errors only.")] = False
    facts: dict[str, Any] = field(default_factory=dict, init=False)

    @property
    def console(self) -> Console:
        """The console for results, which shows nothing with `json` or `quiet`."""
        return _Screen(markup=False, highlight=False, emoji=False, quiet=self.json or self.quiet)

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line of a result without wrapping it."""
        self.console.print(text, soft_wrap=True, style=style)

    def table(self, table: ScreenTable) -> None:
        """Print a table as a result."""
        self.console.print(table)

    def note(self, text: str) -> None:
        """Print a remark, in words of the command line, to standard error."""
        text = in_options(text)
        self.facts.setdefault("remarks", []).append(text)
        if not self.quiet:
            _console_for_errors().print(text, soft_wrap=True, style="dim")

    def add(self, **facts: Any) -> None:
        """Add facts to the JSON object: anything made of dicts, lists, arrays and scalars."""
        self.facts.update(facts)

    def finish(self) -> None:
        """Write the JSON object if one is wanted."""
        if self.json:
            print(json_format.dumps(as_json(self.facts), indent=2, allow_nan=False), flush=True)


def show_in_any_encoding() -> None:
    """Let standard output and error replace what their encoding does not have."""
    codecs.register_error("pellucid", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="pellucid")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    characters = error.object[error.start : error.end]
    return "".join(map(_one_in_ascii, characters)), error.end


def _one_in_ascii(character: str) -> str:
    """Return "..." for "…", "2" for "²", "e" for "é" and "?" for what has no such form."""
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _IN_ASCII.get(character) or plain or "?"


def as_json(value: Any) -> Any:
    """Return a value as JSON can hold it; a number that is not finite becomes None.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.cli.screen import as_json
    >>> as_json({"losses": np.array([0.5, np.nan]), 1: (True, None)})
    {'losses': [0.5, None], '1': [True, None]}
    """
    if hasattr(value, "tolist"):  # An array or a scalar of NumPy.
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def fail(text: str) -> None:
    """Print an error message, in words of the command line, to standard error."""
    console = _console_for_errors()
    console.print("Error:", style="bold red", end=" ")
    console.print(in_options(text), soft_wrap=True)


def _console_for_errors() -> Console:
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


@contextmanager
def readable_failures(out: Output, *, goes_on: bool = False) -> Iterator[None]:
    """Finish the output; convert expected errors to a message and an exit code.

    A command that exits by itself has its facts written, too. With `goes_on`, the output is
    finished by the next part of the command.
    """
    try:
        with interruptible():
            try:
                yield
            except typer.Exit:
                out.finish()
                raise
            if not goes_on:
                out.finish()
    except KeyboardInterrupt:
        fail("interrupted; nothing was saved.")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
    except (TypeError, ValueError) as error:  # A TypeError tells of a value of --set.
        fail(str(error))
        raise typer.Exit(FAILED) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}.")
        raise typer.Exit(FAILED) from None
    except MemoryError:
        fail("out of memory. Use fewer rows, or a smaller --hidden.")
        raise typer.Exit(FAILED) from None
