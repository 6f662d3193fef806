"""The compiled engine: one module for each instruction set, the best one chosen at import."""

from __future__ import annotations

import importlib
import os
from typing import Any

from pellucid.engine import _cpu

_VARIABLE = "PELLUCID_ISA"


def _choose() -> str:
    """Return the best instruction set, or the one that PELLUCID_ISA asks for."""
    supported: list[str] = _cpu.supported()
    asked = os.environ.get(_VARIABLE, "")
    if not asked:
        return supported[0]
    if asked not in supported:
        raise ImportError(
            f"{_VARIABLE} must be one of {', '.join(supported)} on this processor, got {asked!r}; "
            "unset it to take the best one"
        )
    return asked


INSTRUCTION_SET: str = _choose()
"""Name of the instruction set in use: "avx512bf16", "avx512", "avx2" or "baseline"."""

core: Any = importlib.import_module(f"pellucid.engine._native_{INSTRUCTION_SET}")
"""The compiled module; native/bindings.cpp defines what it offers."""
