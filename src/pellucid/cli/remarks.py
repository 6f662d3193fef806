"""Show warnings as remarks of a command."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.cli.screen import Output
from pellucid.tables.drift import DataDriftWarning


@contextmanager
def warnings_as_remarks(out: Output) -> Iterator[None]:
    """Show each warning once; add what differs from training to the facts.

    That a model gets no names is no reason to warn: `inputs_for` finds columns by name.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        out.note(text)
    for warning in caught:
        if isinstance(warning.message, DataDriftWarning) and warning.message.report is not None:
            out.add(drift=warning.message.report.to_dict())
