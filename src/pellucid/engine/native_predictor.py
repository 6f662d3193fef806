"""Scores of rows from the native engine: made once, called often."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.engine.native_arrays import native_table
from pellucid.engine.native_program import core_class, make_program
from pellucid.engine.sampling import Block, Link, Spread, sample_spread
from pellucid.engine.threads import resolve_n_threads
from pellucid.nn.chain import Chain
from pellucid.nn.parameters import Parameters
from pellucid.nn.random import Ints, check_seed

_READ_AS_THEY_ARE = frozenset(np.dtype(code) for code in "?bhilqBHILQefd")


class NativePredictor:
    """The scores of rows, before the link, with the interface of `ReferencePredictor`.

    Each call reads the parameters as they are at that moment. Between calls only working memory is
    kept. One predictor may be called from several threads at once and after a fork, and the scores
    of a row are bitwise the same whatever rows are asked for with it and however many threads
    compute them (same machine type, same build, same instruction set).

    Parameters
    ----------
    chain : Chain
    parameters : Parameters
        Of float32 or float64, which is the precision of the arithmetic; its flat array must be
        contiguous.
    fan_in : int
        Columns of the tables.
    n_threads : int, optional
        At most so many threads; fewer where more would not help. By default as many processors as
        this process may use.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.engine.native_predictor import NativePredictor
    >>> from pellucid.nn import Linear, Chain
    >>> chain = Chain([Linear(1, weights="zeros")], "squared_error")
    >>> params = chain.initialize(fan_in=2, seed=0)
    >>> predict = NativePredictor(chain, params, fan_in=2)
    >>> params["0.W"][...] = [[1.0], [10.0]]
    >>> predict(np.array([[3.0, 4.0], [5.0, 6.0]])).tolist()
    [[43.0], [65.0]]
    """

    def __init__(
        self,
        chain: Chain,
        parameters: Parameters,
        fan_in: int,
        n_threads: int | None = None,
    ) -> None:
        program = make_program(chain, parameters, fan_in)
        make = core_class("Predictor", parameters)
        core = make(program, parameters.flat, resolve_n_threads(n_threads))
        self._run, self._sample = core.run, core.sample
        self._network = chain
        self._fan_out = chain.fan_out(fan_in)
        self._dtype = parameters.flat.dtype

    def __call__(
        self, X: Any, rows: Ints | None = None, out: np.ndarray[Any, Any] | None = None
    ) -> np.ndarray[Any, Any]:
        """Return the scores (n, K) of the rows of X, in chunks of rows.

        Parameters
        ----------
        X : array or CSR matrix of shape (n_rows, fan_in)
            Of any real dtype and memory order; read in place.
        rows : array of int64 of shape (n,), optional
            Which rows of X, in which order. By default all.
        out : array of shape (n, K), optional
            Where to write the scores: contiguous and of the parameters' dtype.

        Raises
        ------
        ValueError
            X has another number of columns, rows names one that is not there, or out does not fit.
        """
        if type(X) is not np.ndarray or X.dtype not in _READ_AS_THEY_ARE:
            X = native_table(X)
        if rows is not None:
            rows = np.ascontiguousarray(rows, dtype=np.int64)
        if out is None:
            n = _n_rows(X) if rows is None else len(rows)
            out = np.empty((n, self._fan_out), self._dtype)
        self._run(X, rows, out)
        return out

    def sample(
        self,
        X: Any,
        n_samples: int,
        seed: int = 0,
        rows: Ints | None = None,
        link: Link | None = None,
    ) -> Spread:
        """Return how the scores of random sub-networks spread: Monte-Carlo dropout.

        The samples are those of `nn.Chain.sample_scores`, of which never all are in memory: row i
        draws what row i of a batch draws, in sample s what it draws in step s of epoch 0.

        Parameters
        ----------
        X : array or CSR matrix of shape (n_rows, fan_in)
        n_samples : int
            At least 1.
        seed : int
            At least 0 and below 2**64. Equal seeds give equal samples.
        rows : array of int64 of shape (n,), optional
            Which rows of X, in which order. By default all.
        link : callable, optional
            Applied to the scores (any, K) of each sample, such as `loss.link`; by default none.

        Returns
        -------
        Spread
            `mean` and `std` (dividing by n_samples), each (n, K) and float64.

        Raises
        ------
        ValueError
            The network drops nothing, X has another number of columns, or n_samples is below 1.
        """
        seed, table = check_seed(seed), native_table(X)
        n = _n_rows(table) if rows is None else len(rows)

        def score(block: Block) -> np.ndarray[Any, Any]:
            order = np.asarray(block.rows, dtype=np.int64)
            if rows is not None:
                order = np.ascontiguousarray(rows[order], dtype=np.int64)
            shape = len(block.samples) * len(order), self._fan_out
            out = np.empty(shape, self._dtype)
            first, count = block.samples[0], len(block.samples)
            self._sample(table, order, out, seed, first, count, block.rows.start)
            return out

        return sample_spread(self._network, n_samples, n, self._fan_out, score, link)


def _n_rows(table: Any) -> int:
    """Return the number of rows of an array or of the three arrays of a CSR matrix."""
    return len(table[2]) - 1 if type(table) is tuple else len(table)
