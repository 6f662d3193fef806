"""What a training is, in words that can be compared: settings and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

BYTES_LOOKED_AT = 16 * 2**20
"""Of a larger array, evenly spaced rows that make up so much are looked at."""

_DEEPEST = 8
_MOST_NAMED = 4

Fingerprint = dict[str, str]
"""For each setting and each array its description."""


def described(value: Any, depth: int = 0) -> str:
    """Return a text that is the same, in every process, for settings that train alike.

    Functions are described by their names: a change of their code does not show.

    Examples
    --------
    >>> from pellucid.training.fingerprint import described
    >>> from pellucid.nn import SGD
    >>> described(SGD(0.1, momentum=0.9))
    'SGD(learning_rate=0.1, momentum=0.9, nesterov=False)'
    >>> described((64, 32)) == described([64, 32])
    True
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    if isinstance(value, np.ndarray) or scipy.sparse.issparse(value):
        return contents(value)
    if depth == _DEEPEST:
        return type(value).__qualname__
    if isinstance(value, list | tuple):
        return f"[{', '.join(described(item, depth + 1) for item in value)}]"
    if isinstance(value, Mapping):
        items = [f"{described(k, depth + 1)}: {described(v, depth + 1)}" for k, v in value.items()]
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(value, partial):
        parts = (value.func, value.args, value.keywords)
        return f"partial({', '.join(described(part, depth + 1) for part in parts)})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(described(item, depth + 1) for item in value))}}}"
    if hasattr(value, "__qualname__"):
        return str(value.__qualname__)
    if is_dataclass(value):
        own = {field.name: getattr(value, field.name) for field in fields(value)}
    else:
        own = dict(sorted(getattr(value, "__dict__", {}).items()))
    inside = ", ".join(f"{name}={described(item, depth + 1)}" for name, item in own.items())
    return f"{type(value).__qualname__}({inside})"


def contents(data: Any) -> str:
    """Return dtype, shape and a checksum of an array or sparse matrix; "None" for None.

    Arrays of up to `BYTES_LOOKED_AT` are looked at in full; of larger ones evenly spaced rows,
    the first and the last among them, so that a change in other rows does not show.

    Examples
    --------
    >>> import numpy as np
    >>> from pellucid.training.fingerprint import contents
    >>> contents(np.arange(6.0).reshape(3, 2))
    'float64 (3, 2) with checksum d5b41a6d58f48d18'
    """
    if data is None:
        return "None"
    is_sparse = scipy.sparse.issparse(data)
    array = data.tocsr() if is_sparse else np.asarray(data)
    digest = blake2b(digest_size=8)
    for part in _arrays(_sampled(array)):
        digest.update(_bytes(part))
    kind = "sparse " if is_sparse else ""
    return f"{kind}{array.dtype} {array.shape} with checksum {digest.hexdigest()}"


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return in words what differs, "" for nothing.

    Examples
    --------
    >>> from pellucid.training.fingerprint import differences
    >>> differences({"seed": "0", "loss": "'huber'"}, {"seed": "1", "loss": "'huber'"})
    'seed was 0 and is 1'
    """
    names = [name for name in {**now, **was} if was.get(name) != now.get(name)]
    told = [
        f"{name} was {was.get(name, 'not there')} and is {now.get(name, 'not there')}"
        for name in names[:_MOST_NAMED]
    ]
    if len(names) > _MOST_NAMED:
        told.append(f"{len(names) - _MOST_NAMED} more")
    return "; ".join(told)


def _sampled(array: Any) -> Any:
    """Return the array, or evenly spaced rows of it."""
    n_bytes = sum(part.nbytes for part in _arrays(array))
    if n_bytes <= BYTES_LOOKED_AT:
        return array
    n = array.shape[0]
    n_looked_at = max(2, int(n * (BYTES_LOOKED_AT / n_bytes)))
    return array[np.unique(np.linspace(0, n - 1, n_looked_at).astype(np.int64))]


def _arrays(array: Any) -> list[NDArray[Any]]:
    """Return what holds the numbers; a CSR matrix is taken apart."""
    return [array] if isinstance(array, np.ndarray) else [array.data, array.indices, array.indptr]


def _bytes(array: NDArray[Any]) -> Any:
    if array.dtype.kind == "O":
        return repr([(type(value).__name__, value) for value in array.ravel()]).encode()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
