"""Counter-based random numbers: each number of each step can be recomputed independently.

Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011)
maps a 128-bit counter and a 64-bit key to 128 random bits. Here

    key     = (seed mod 2³², seed div 2³²)
    counter = (block, step, epoch, purpose·2²⁴ + layer)

and element e of a stream of 64-bit numbers consists of words 2(e mod 2) (low half) and
2(e mod 2) + 1 (high half) of block e div 2.
"""

from __future__ import annotations

import enum
import operator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

UInts: TypeAlias = np.ndarray[Any, np.dtype[np.uint32] | np.dtype[np.uint64]]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


class Purpose(enum.IntEnum):
    """Purpose of a stream; streams with different purposes never share a counter."""

    INITIALIZATION = 0
    PERMUTATION = 1
    DROPOUT = 2


def check_seed(seed: int) -> int:
    """Return the seed as an int in [0, 2⁶⁴), or raise."""
    try:
        value = operator.index(seed)
    except TypeError:
        raise TypeError(f"seed must be an integer, got {seed!r}") from None
    if not 0 <= value < 2**64:
        raise ValueError(f"seed must be at least 0 and below 2**64, got {value}")
    return value


def philox(counter: UInts, seed: int) -> UInts:
    """Return Philox 4x32-10 of each counter: (n, 4) words of 32 bits to (n, 4) words of 32 bits."""
    c0, c1, c2, c3 = (counter[:, word].astype(np.uint64) for word in range(4))
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(_ROUNDS):
        product_0, product_1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (product_1 >> _32) ^ c1 ^ np.uint64(k0),
            product_1 & _LOW,
            (product_0 >> _32) ^ c3 ^ np.uint64(k1),
            product_0 & _LOW,
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


@dataclass(frozen=True)
class Stream:
    """An endless sequence of random numbers that depends on its purpose, not on when it is read.

    Examples
    --------
    >>> from pellucid.nn.random import Purpose, Stream
    >>> stream = Stream(seed=7, purpose=Purpose.INITIALIZATION, layer=1)
    >>> bool((stream.uniform(5)[:3] == stream.uniform(3)).all())
    True
    """

    seed: int
    purpose: Purpose
    epoch: int = 0
    step: int = 0
    layer: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def part(self, number: int) -> Stream:
        """Return another stream of the same purpose and layer, identified by `number`."""
        return replace(self, step=number)

    def bits(self, n: int) -> UInts:
        """Return elements 0 to n - 1, each 64 random bits; (n,) uint64."""
        n_blocks = -(-n // 2)
        counter = np.empty((n_blocks, 4), dtype=np.uint32)
        counter[:, 0] = np.arange(n_blocks, dtype=np.uint32)
        counter[:, 1] = self.step & 0xFFFFFFFF
        counter[:, 2] = self.epoch & 0xFFFFFFFF
        counter[:, 3] = (int(self.purpose) << 24) | self.layer
        words = philox(counter, self.seed).astype(np.uint64).reshape(-1, 2)
        return ((words[:, 1] << _32) | words[:, 0])[:n]

    def uniform(self, n: int) -> Floats:
        """Return n numbers in [0, 1): the upper 53 bits of each element, divided by 2⁵³."""
        return (self.bits(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, n: int) -> Floats:
        """Return n numbers from N(0, 1): √(-2 log(1-u))·(cos, sin)(2πv) for each pair (u, v).

        G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", 1958.
        """
        pairs = self.uniform(n + n % 2).reshape(-1, 2)
        radius = np.sqrt(-2.0 * np.log1p(-pairs[:, 0]))
        angle = 2.0 * np.pi * pairs[:, 1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:n]


def permutation(seed: int, epoch: int, n: int, part: int = 0) -> Ints:
    """Return the shuffled order of `n` rows in an epoch; it depends on the arguments only.

    Fisher-Yates shuffle: for i from n - 1 down to 1, swap positions i and j, where j is the high
    half of the 128-bit product r·(i + 1) and r is element i of the stream of 64-bit numbers. The
    bias of j is below n/2⁶⁴.

    Parameters
    ----------
    seed : int
        At least 0 and below 2**64.
    epoch : int
        Epoch, counted from 0.
    n : int
        Number of rows, below 2**32.
    part : int
        Index of the part of the epoch, if its parts are shuffled separately.

    Returns
    -------
    array of shape (n,), int64
    """
    if not 0 <= n < 2**32:
        raise ValueError(f"n must be at least 0 and below 2**32, got {n}")
    random = Stream(seed, Purpose.PERMUTATION, epoch=epoch, step=part).bits(n)
    limit = np.arange(1, n + 1, dtype=np.uint64)
    # Multiply the halves of r by limit separately: since limit < 2³², no product exceeds 64 bits.
    targets = ((random >> _32) * limit + (((random & _LOW) * limit) >> _32)) >> _32
    order = list(range(n))
    for i, j in zip(range(n - 1, 0, -1), targets[:0:-1].tolist(), strict=True):
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)
