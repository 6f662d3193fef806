"""Monte-Carlo dropout: how the predictions of random sub-networks spread.

Y. Gal and Z. Ghahramani, "Dropout as a Bayesian approximation", 2016.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pellucid.nn.chain import Chain

_NUMBERS_AT_ONCE = 2**21
"""So many scores are computed at a time, which bounds the memory whatever the table."""
_SAMPLES_AT_ONCE = 128

Link = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


class Spread(NamedTuple):
    """Mean and standard deviation over the samples, both (n, K)."""

    mean: np.ndarray[Any, Any]
    std: np.ndarray[Any, Any]


class Block(NamedTuple):
    """Some samples of some consecutive rows."""

    rows: range
    """Counted from 0 over all the rows asked for."""
    samples: range
    """Counted from 1, as `nn.Chain.sample_scores` counts steps."""


def sample_spread(
    chain: Chain,
    n_samples: int,
    n_rows: int,
    fan_out: int,
    score: Callable[[Block], np.ndarray[Any, Any]],
    link: Link | None,
) -> Spread:
    """Return mean and standard deviation of the samples, block by block, in float64.

    Blocks are the same for any number of threads. Those of the same rows are put together by

        mean = (n_a·mean_a + n_b·mean_b)/n,  M = M_a + M_b + (mean_b - mean_a)²·n_a·n_b/n,

    M being the sum of squared distances from the mean, so that std = √(M/n). (T. Chan, G. Golub and
    R. LeVeque, "Algorithms for computing the sample variance", 1983.)

    Parameters
    ----------
    chain : Chain
    n_samples, n_rows, fan_out : int
    score : callable
        `(block) -> scores (n_samples·n_rows, fan_out)` of the block, sample after sample.
    link : callable, optional
        Applied to the scores, so that the samples are predictions.

    Raises
    ------
    ValueError
        No layer drops anything, or n_samples is below 1.
    """
    n_samples = checked_n_samples(chain, n_samples)
    mean, squares = np.zeros((n_rows, fan_out)), np.zeros((n_rows, fan_out))
    n_together = min(n_samples, _SAMPLES_AT_ONCE)
    n_at_once = max(1, _NUMBERS_AT_ONCE // (n_together * fan_out))
    for first in range(0, n_rows, n_at_once):
        rows = range(first, min(first + n_at_once, n_rows))
        here = slice(rows.start, rows.stop)
        for done in range(0, n_samples, n_together):
            samples = range(done + 1, min(done + n_together, n_samples) + 1)
            scores = score(Block(rows, samples))
            with np.errstate(over="ignore", invalid="ignore"):
                values = scores if link is None else link(scores)
                values = values.reshape(len(samples), len(rows), fan_out)
                own = values.mean(axis=0, dtype=np.float64)
                step, share = own - mean[here], len(samples) / samples[-1]
                mean[here] += share * step
                squares[here] += ((values - own) ** 2).sum(axis=0) + done * share * step**2
    with np.errstate(over="ignore", invalid="ignore"):
        return Spread(mean, np.sqrt(squares / n_samples))


def checked_n_samples(chain: Chain, n_samples: int) -> int:
    """Return n_samples, or raise where it is no positive integer or the network drops nothing."""
    try:
        n = operator.index(n_samples)
    except TypeError:
        raise TypeError(f"n_samples must be a positive integer, got {n_samples!r}") from None
    if n < 1:
        raise ValueError(f"n_samples must be at least 1, got {n}")
    if not chain.drops:
        raise ValueError(
            f"n_samples={n} samples the sub-networks that dropout leaves, but this network drops "
            "nothing: every sample would be the same. Train it with dropout, or leave n_samples out"
        )
    return n
