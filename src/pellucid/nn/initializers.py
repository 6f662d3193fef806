"""Initial weights of a layer.

Each initializer draws W (fan_in, fan_out) in float64 from a counter-based stream. A network in
float32 starts from the same numbers, rounded.

Variance of W by name (uniform initializers draw from [-√(3·variance), √(3·variance)]):

    glorot    2/(fan_in + fan_out)     Glorot and Bengio, 2010; also called Xavier
    he        2/fan_in                 He, Zhang, Ren and Sun, 2015
    lecun     1/fan_in                 LeCun, Bottou, Orr and Müller, 1998
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.nn.random import Floats, Stream


@dataclass(frozen=True)
class Initializer:
    """A named initializer: `draw(stream, fan_in, fan_out)` returns W (fan_in, fan_out), float64.

    Examples
    --------
    >>> from pellucid.nn import Initializer, Linear
    >>> import numpy as np
    >>> ones = Initializer("ones", lambda stream, fan_in, fan_out: np.ones((fan_in, fan_out)))
    >>> layer = Linear(3, weights=ones)
    """

    name: str
    draw: Callable[[Stream, int, int], Floats]


def constant(value: float) -> Initializer:
    """Return W = value. For demonstration only: units that start equal stay equal in training."""
    return Initializer(
        f"constant({value!r})",
        lambda stream, fan_in, fan_out: np.full((fan_in, fan_out), float(value)),
    )


def normal(standard_deviation: float) -> Initializer:
    """Return W ~ N(0, standard_deviation²)."""
    return _normal(
        f"normal({standard_deviation!r})", lambda fan_in, fan_out: float(standard_deviation)
    )


def uniform(bound: float) -> Initializer:
    """Return W ~ U(-bound, bound)."""
    return _uniform(f"uniform({bound!r})", lambda fan_in, fan_out: float(bound))


def _normal(name: str, standard_deviation: Callable[[int, int], float]) -> Initializer:
    def draw(stream: Stream, fan_in: int, fan_out: int) -> Floats:
        W = stream.normal(fan_in * fan_out).reshape(fan_in, fan_out)
        return W * standard_deviation(fan_in, fan_out)

    return Initializer(name, draw)


def _uniform(name: str, bound: Callable[[int, int], float]) -> Initializer:
    def draw(stream: Stream, fan_in: int, fan_out: int) -> Floats:
        W = stream.uniform(fan_in * fan_out).reshape(fan_in, fan_out)
        return (2.0 * W - 1.0) * bound(fan_in, fan_out)

    return Initializer(name, draw)


def _draw_orthogonal(stream: Stream, fan_in: int, fan_out: int) -> Floats:
    """Return a uniformly distributed orthogonal matrix by QR decomposition (Mezzadri, 2007)."""
    long, short = max(fan_in, fan_out), min(fan_in, fan_out)
    Q, R = np.linalg.qr(stream.normal(long * short).reshape(long, short))
    Q = Q * np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return Q if fan_in >= fan_out else Q.T


def _glorot_variance(fan_in: int, fan_out: int) -> float:
    return 2.0 / (fan_in + fan_out)


def _he_variance(fan_in: int, fan_out: int) -> float:
    return 2.0 / fan_in


def _lecun_variance(fan_in: int, fan_out: int) -> float:
    return 1.0 / fan_in


def _scaled(scheme: str, variance: Callable[[int, int], float]) -> tuple[Initializer, Initializer]:
    """Return the normal and the uniform initializer of a variance; that of U(-r, r) is r²/3."""
    return (
        _normal(f"{scheme}_normal", lambda i, o: math.sqrt(variance(i, o))),
        _uniform(f"{scheme}_uniform", lambda i, o: math.sqrt(3.0 * variance(i, o))),
    )


INITIALIZERS: dict[str, Initializer] = {
    initializer.name: initializer
    for initializer in (
        Initializer("zeros", lambda stream, fan_in, fan_out: np.zeros((fan_in, fan_out))),
        _normal("standard_normal", lambda fan_in, fan_out: 1.0),
        _uniform("unit_uniform", lambda fan_in, fan_out: 1.0),
        _normal("small_normal", lambda fan_in, fan_out: 0.01),
        *_scaled("glorot", _glorot_variance),
        *_scaled("he", _he_variance),
        *_scaled("lecun", _lecun_variance),
        Initializer("orthogonal", _draw_orthogonal),
    )
}


def fit_units(Z: Floats, stream: Stream, n_rows: int = 5) -> tuple[Floats, Floats]:
    """Return a factor for the weights of each unit, and its bias, adapted to training rows.

    Z (n, fan_out) are the pre-activations of the unscaled weights without a bias, and σ (fan_out,)
    is their standard deviation over the rows. The factors (fan_out,) are 1/σ, or 1 for a constant
    unit. The biases (fan_out,) are -Σ_r w_r Z_r/σ over `n_rows` rows r drawn for each unit. The
    weights w are drawn from Exp(1) and divided by their sum, so the zero of each pre-activation
    starts within the rows.

    This is the initialization of RealMLP (D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by
    default", 2024).
    """
    n, fan_out = Z.shape
    deviation = Z.std(axis=0)
    varies = deviation > 1e-10 * np.abs(Z).max(axis=0)  # below: rounding errors of a constant
    scale = 1.0 / np.where(varies, deviation, 1.0)
    draws = (stream.part(part).uniform(n_rows * fan_out).reshape(n_rows, -1) for part in (1, 2))
    places, exponential = next(draws), -np.log1p(-next(draws))
    rows = np.minimum((places * n).astype(np.int64), n - 1)
    weights = exponential / exponential.sum(axis=0)
    chosen = np.take_along_axis(Z, rows, axis=0)
    return scale, -(weights * chosen).sum(axis=0) * scale
