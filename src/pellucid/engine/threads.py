"""How many threads an engine may use."""

from __future__ import annotations

import functools
import operator
import os
import threading
from multiprocessing.dummy import DummyProcess

import joblib

#: More threads than this no fit has a use for, and each takes memory.
MOST_THREADS = 256


def resolve_n_threads(n_threads: int | None) -> int:
    """Return the number of threads to use, at least 1.

    Parameters
    ----------
    n_threads : int or None
        A positive number is taken as it is, up to 256 or the processors there are. None means the
        processors this process may use (its affinity and its control group's quota), and no more
        than `OMP_NUM_THREADS` if that is set to a positive number. The threads of a `ThreadPool`,
        such as joblib's threading backend, have equal shares of these. (For worker processes joblib
        sets `OMP_NUM_THREADS`.)

    Notes
    -----
    Where the system refuses to start so many, the native engine runs on those it gets, warns of it
    once a process, and returns the same results.
    """
    if n_threads is None:
        available = _available_processors()
        most = min(available, _omp_num_threads() or available)
        return max(1, most // _n_sharing())
    message = f"n_threads must be a positive integer or None, got {n_threads!r}"
    try:
        value = operator.index(n_threads)
    except TypeError:
        raise TypeError(
            f"n_threads must be a positive integer or None, got {n_threads!r}"
        ) from None
    if value < 1:
        raise ValueError(message)
    return min(value, max(MOST_THREADS, _available_processors()))


def _n_sharing() -> int:
    """Return how many threads of pools there are in the process, if this is one of them; else 1."""
    if not isinstance(threading.current_thread(), DummyProcess):
        return 1
    return sum(isinstance(thread, DummyProcess) for thread in threading.enumerate())


@functools.cache
def _available_processors() -> int:
    """Return the processors this process may use; asking takes longer than a small prediction."""
    return int(joblib.cpu_count())


def _omp_num_threads() -> int | None:
    """Return `OMP_NUM_THREADS`, its first level if it is a list, or None if it says nothing."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None
