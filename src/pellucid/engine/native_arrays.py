"""Arrays and tables as the native engine reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse


def native_table(X: Any) -> Any:
    """Return what the engine reads rows from: the array, or the three arrays of a CSR matrix."""
    is_sparse: bool = scipy.sparse.issparse(X)
    if not is_sparse:
        return native_numbers(X)
    if X.format != "csr":
        raise TypeError(f"sparse X must be CSR, got {X.format!r}; call X.tocsr() first")
    index_type = np.promote_types(X.indices.dtype, X.indptr.dtype)
    return (
        np.ascontiguousarray(native_numbers(X.data)),
        np.ascontiguousarray(X.indices, index_type),
        np.ascontiguousarray(X.indptr, index_type),
    )


def native_numbers(source: Any) -> np.ndarray[Any, Any]:
    """Return the array itself; a copy only where its numbers are not in the machine's format."""
    array: np.ndarray[Any, Any] = np.asarray(source)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"the engine reads real numbers, got an array of dtype {array.dtype}")
    if array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
