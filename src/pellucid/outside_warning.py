"""Warnings that point at the user's code."""

from __future__ import annotations

import sys
import warnings


def warn_outside(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside this library and scikit-learn that called it."""
    depth = 1
    while True:
        try:
            name = sys._getframe(depth).f_globals.get("__name__", "")
        except ValueError:
            break
        if name.partition(".")[0] not in ("pellucid", "sklearn"):
            break
        depth += 1
    warnings.warn(message, category, stacklevel=depth + 1)
