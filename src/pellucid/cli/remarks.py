"""What the commands remark about a model's work on a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pellucid.cli.screen import Output


@contextmanager
def warnings_as_remarks(out: Output) -> Iterator[None]:
    """Show each warning once, as a remark.

    That a model gets no names is no reason to warn: `inputs_for` finds columns by name.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        out.note(text)


def add_drift(model: Any, X: Any, out: Output) -> None:
    """Add to the facts how the columns of a table differ from those of training."""
    if out.json and hasattr(model, "drift_report"):
        out.add(drift=model.drift_report(X).to_dict())
