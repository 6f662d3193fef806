"""The file of finished trials: JSON lines, from which a search goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.tables import TableError


@dataclass(frozen=True)
class Trial:
    """A set of parameters that was tried.

    Attributes
    ----------
    number : int
        From 1 on.
    parameters : dict
    error : float
        Log loss or RMSE, lower is better; infinity if training diverged.
    seconds : float
    is_cut_short : bool
        Whether the time limit ended it. Such a trial is not written to a file.
    """

    number: int
    parameters: dict[str, Any]
    error: float
    seconds: float = 0.0
    is_cut_short: bool = False

    def facts(self) -> dict[str, Any]:
        """Return the trial as JSON has it."""
        error = self.error if math.isfinite(self.error) else None
        parameters = _plain(self.parameters)
        return {
            "trial": self.number,
            "error": error,
            "seconds": round(self.seconds, 3),
            "cut_short": self.is_cut_short,
            "parameters": parameters,
        }


def check_holds_trials(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return of which search a file has the trials, and their lines.

    Raises
    ------
    TableError
        If it is no file of trials.
    """
    if not path.is_file():
        raise TableError(f"{path} is not a regular file. Pass another --save-trials.")
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        search = json.loads(first)["search"]
        if isinstance(search, dict):
            return search, lines
    except (KeyError, TypeError, ValueError):
        pass
    raise TableError(f"{path} exists and is not a file of trials. Pass another --save-trials.")


class TrialsFile:
    """Keeps the trials of a search as they end.

    The first line of the file says which search they belong to, each other line has a trial.

    Parameters
    ----------
    path : Path
        A new file, or one that an earlier run of the same search has begun.
    search : mapping
        What decides the outcome of a trial, of plain values.

    Raises
    ------
    TableError
        If the file is that of another search, or no file of trials.
    """

    def __init__(self, path: Path, search: Mapping[str, Any]) -> None:
        self._path = path
        self._known: dict[int, dict[str, Any]] = {}
        wanted = {"search": _plain(search)}
        if path.exists():
            self._read(wanted)
        else:
            self._append(wanted)

    def _read(self, wanted: dict[str, Any]) -> None:
        known, lines = check_holds_trials(self._path)
        for name, value in wanted["search"].items():
            if known.get(name) != value:
                raise TableError(
                    f"{self._path} has the trials of another search: {name} was "
                    f"{known.get(name)!r}, and is {value!r} now. Repeat the options of that "
                    "search, or pass another --save-trials."
                )
        for line in lines:
            try:
                trial = json.loads(line)
                self._known[int(trial["trial"])] = trial
            except (KeyError, TypeError, ValueError):
                continue  # A line that was not finished: the trial is repeated.
        if not self._path.read_bytes().endswith(b"\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def find(self, number: int, parameters: Mapping[str, Any]) -> Trial | None:
        """Return a trial that is finished, or None."""
        trial = self._known.get(number)
        if trial is None or trial.get("parameters") != _plain(parameters):
            return None
        error = trial["error"]
        return Trial(
            number, dict(parameters), math.inf if error is None else error, trial["seconds"]
        )

    def add(self, trial: Trial) -> None:
        """Write a trial that has just ended."""
        self._append(trial.facts())

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain
