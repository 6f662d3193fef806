"""Finds the real data sets, which live beside the project and are never part of it."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("PELLUCID_DATA", PROJECT.parent / "shared" / "data"))


def real_data(path: str) -> Path:
    """Return the path of a file of the data sets; skip the test where it is absent."""
    file = FOLDER / path
    if not file.exists():
        pytest.skip(f"needs the data set {path}: not found under {FOLDER} (set PELLUCID_DATA)")
    return file
