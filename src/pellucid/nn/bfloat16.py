"""Rounding to bfloat16: the sign, the exponent and 7 of the 23 mantissa bits of a float32."""

from __future__ import annotations

from pellucid.nn.array import Array, namespace

UNIT_ROUNDOFF = 2.0**-8
"""Maximum relative rounding error of a normal number."""


def round_to_bfloat16(x: Array) -> Array:
    """Round each number of a float32 array of any shape to bfloat16; return float32.

    Numbers are rounded to the nearest bfloat16, ties to the even mantissa. Numbers that are too
    large become infinity. As in hardware (Intel, "BFLOAT16 – Hardware Numerics Definition", 2018),
    subnormal numbers (below 2⁻¹²⁶) become zeros of the same sign, and NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.nn.bfloat16 import round_to_bfloat16
    >>> round_to_bfloat16(np.array([1.0, 3.14159, 1e-40], dtype=np.float32)).tolist()
    [1.0, 3.140625, 0.0]
    """
    xp = namespace(x)
    if x.dtype != xp.float32:
        raise TypeError(f"x must be float32, got {x.dtype}; convert it with x.astype(np.float32)")
    bits = x.view(xp.uint32)
    last = (bits >> 16) & xp.uint32(1)
    rounded = (bits + xp.uint32(0x7FFF) + last) & xp.uint32(0xFFFF0000)
    is_subnormal = (bits & xp.uint32(0x7F800000)) == 0
    rounded = xp.where(is_subnormal, bits & xp.uint32(0x80000000), rounded)
    return xp.where(xp.isnan(x), x, rounded.view(xp.float32))
