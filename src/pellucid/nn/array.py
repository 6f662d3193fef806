"""What the formulas ask of an array: the operators and the functions of the array API standard.

Nothing in `nn` names NumPy in its arithmetic. A function asks its input for its namespace, so the
same text runs on NumPy arrays of either precision and on the traced arrays of `jax.jit`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library that offers `__array_namespace__`; shapes are in the docstrings."""


def namespace(array: Array) -> Any:
    """Return the module whose functions apply to `array`: `numpy` for a NumPy array."""
    return array.__array_namespace__()
