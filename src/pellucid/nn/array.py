"""Array type and namespace lookup, following the array API standard.

The arithmetic in `nn` does not call NumPy by name. Each function looks up the namespace of its
input, so the same code runs on NumPy arrays of either precision and on arrays traced by `jax.jit`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library with `__array_namespace__`; docstrings give the shapes."""


def namespace(array: Array) -> Any:
    """Return the module whose functions work on `array`, such as `numpy` for a NumPy array."""
    return array.__array_namespace__()
