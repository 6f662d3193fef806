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
from io import TextIOBase, TextIOWrapper
from pathlib import PurePath
from typing import IO, Annotated, Any, cast

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


class _Stream(TextIOBase):
    """Goes on where nobody reads any more (`pellucid train … | head`) or a disk is full.

    So the model is still saved. What could not be written, except to a closed pipe, is added to
    `failures`.
    """

    def __init__(self, stream: Any, failures: list[OSError]) -> None:
        self._stream, self._failures = stream, failures

    @property  # Typeshed declares an attribute that can be written to.
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self._failures.append(error)
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, self.fileno())
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
    failures: list[OSError] = field(default_factory=list, init=False)

    @property
    def console(self) -> Console:
        """The console for results, which shows nothing with `json` or `quiet`."""
        return _console(sys.stdout, self.failures, quiet=self.json or self.quiet)

    @property
    def progress(self) -> Console:
        """The console for progress: with `json` standard error, if that is a terminal."""
        if self.json:
            return _console(sys.stderr, [], quiet=self.quiet or not sys.stderr.isatty())
        return self.console

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show on a terminal what the command is doing, for as long as it does it."""
        console = self.progress
        if console.quiet or not console.is_terminal or console.is_dumb_terminal:
            yield
            return
        with console.status(f"{text} …", spinner="line"):
            yield

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line of a result without wrapping it."""
        self.console.print(text, soft_wrap=True, style=style)

    def table(self, table: ScreenTable) -> None:
        """Print a table as a result; on a narrow screen its cells are folded, never cut."""
        for column in table.columns:
            column.overflow = "fold"
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
        """Write the JSON object if one is wanted; raise OSError if a result was not written."""
        if self.json:
            text = json_format.dumps(as_json(self.facts), indent=2, allow_nan=False)
            stream = _Stream(sys.stdout, self.failures)
            stream.write(text + "\n")
            stream.flush()
        if self.failures:
            first = self.failures[0]
            raise OSError(first.errno, first.strerror, "standard output")


def open_closed_streams() -> None:
    """Let standard streams that are closed be empty, so that no other file takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # The new one stays open until the process ends.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def discard_what_cannot_be_written() -> None:
    """Flush standard output, or drop what it cannot take, so that Python does not fail at exit."""
    _Stream(sys.stdout, []).flush()


def text_of(error: OSError) -> str:
    """Return an error of the operating system as a message."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}."


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
    return _console(sys.stderr, [])


def _console(stream: Any, failures: list[OSError], quiet: bool = False) -> Console:
    file = cast(IO[str], _Stream(stream, failures))
    return Console(file=file, markup=False, highlight=False, emoji=False, quiet=quiet)


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
        discard_what_cannot_be_written()
        raise typer.Exit(0) from None
    except (TypeError, ValueError) as error:  # A TypeError tells of a value of --set.
        fail(str(error))
        raise typer.Exit(FAILED) from None
    except OSError as error:
        discard_what_cannot_be_written()
        fail(text_of(error))
        raise typer.Exit(FAILED) from None
    except MemoryError:
        fail("out of memory. Use fewer rows, or a smaller --hidden.")
        raise typer.Exit(FAILED) from None
