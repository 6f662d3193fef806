"""The error function and its complement in full double precision.

W. J. Cody, "Rational Chebyshev approximations for the error function",
Mathematics of Computation 23 (1969), 631-637: three rational functions, on |x| <= 0.46875,
0.46875 <= |x| <= 4 and |x| >= 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pellucid.nn.array import Array, namespace

_CENTRE_NUMERATOR = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_CENTRE_DENOMINATOR = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
_MIDDLE_NUMERATOR = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_MIDDLE_DENOMINATOR = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)
_TAIL_NUMERATOR = (
    1.63153871373020978e-2,
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_TAIL_DENOMINATOR = (
    1.0,
    2.56852019228982242e0,
    1.87295284992346725e0,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)
_CENTRE_BOUND = 0.46875
_TAIL_BOUND = 4.0
_LARGEST = 30.0  # erfc(27.3) is already below the smallest double


def erf(x: Array) -> Array:
    """Return erf(x) = 2/√π ∫₀ˣ exp(-t²) dt, elementwise."""
    xp = namespace(x)
    size = xp.clip(xp.abs(x), 0.0, _LARGEST)
    outside = 1.0 - _erfc_outside(size)
    return xp.where(size <= _CENTRE_BOUND, _erf_centre(x), xp.where(x < 0, -outside, outside))


def erfc(x: Array) -> Array:
    """Return erfc(x) = 1 - erf(x), elementwise, without cancellation for large x."""
    xp = namespace(x)
    size = xp.clip(xp.abs(x), 0.0, _LARGEST)
    outside = _erfc_outside(size)
    outside = xp.where(x < 0, 2.0 - outside, outside)
    return xp.where(size <= _CENTRE_BOUND, 1.0 - _erf_centre(x), outside)


def _erf_centre(x: Array) -> Array:
    """Return erf(x) for |x| <= 0.46875, and an arbitrary finite value elsewhere."""
    xp = namespace(x)
    x = xp.clip(x, -_CENTRE_BOUND, _CENTRE_BOUND)
    square = x * x
    return x * _horner(_CENTRE_NUMERATOR, square) / _horner(_CENTRE_DENOMINATOR, square)


def _erfc_outside(size: Array) -> Array:
    """Return erfc(size) for 0.46875 <= size <= 30, and an arbitrary finite value below."""
    xp = namespace(size)
    near = xp.clip(size, _CENTRE_BOUND, _TAIL_BOUND)
    middle = _horner(_MIDDLE_NUMERATOR, near) / _horner(_MIDDLE_DENOMINATOR, near)
    far = xp.clip(size, _TAIL_BOUND, _LARGEST)
    inverse_square = 1.0 / (far * far)
    correction = (
        inverse_square
        * _horner(_TAIL_NUMERATOR, inverse_square)
        / _horner(_TAIL_DENOMINATOR, inverse_square)
    )
    tail = (1.0 / math.sqrt(math.pi) - correction) / far
    # Split exp(-size²) into two factors; the square in the first is exact, so it is not rounded.
    coarse = xp.floor(size * 16.0) / 16.0
    decay = xp.exp(-coarse * coarse) * xp.exp(-(size - coarse) * (size + coarse))
    return decay * xp.where(size <= _TAIL_BOUND, middle, tail)


def _horner(coefficients: Sequence[float], x: Array) -> Array:
    """Return the polynomial in x with the given coefficients, highest power first."""
    value = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value
