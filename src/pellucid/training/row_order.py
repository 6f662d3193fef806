"""In which order an epoch visits the rows: drawn from a counter, or as scikit-learn draws it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.instruction_set import core
from pellucid.engine.plan import TrainingData
from pellucid.nn.random import Ints

OrderState = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""Where an order stands: numbers that JSON can hold, and arrays."""

_KEY_LENGTH = 624
"""Numbers in the state of the Mersenne twister."""


class RowOrder(Protocol):
    """Says in which order each epoch takes the rows."""

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""

    def __call__(self, epoch: int) -> Ints:
        """Return the row numbers of an epoch, counted from 0; epochs are asked for in turn.

        They stay valid until the next call.
        """

    def state(self) -> OrderState:
        """Return what another order needs to go on from here."""

    def restore(self, state: OrderState) -> None:
        """Go on from a state.

        Raises
        ------
        ValueError, TypeError, KeyError
            It is no state of an order of these rows.
        """


class FixedOrder:
    """The same order in every epoch.

    Parameters
    ----------
    rows : ndarray of int64 of shape (n_rows,)
        Row numbers.
    """

    def __init__(self, rows: Ints) -> None:
        self._rows = rows

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""
        return len(self._rows)

    def __call__(self, epoch: int = 0) -> Ints:
        """Return the rows."""
        return self._rows

    def state(self) -> OrderState:
        """Return nothing: the order never changes."""
        return {}, {}

    def restore(self, state: OrderState) -> None:
        """Do nothing."""


class CounterOrder:
    """A new order in every epoch, drawn from Philox with the seed and the number of the epoch.

    Nothing has to be remembered: the order of any epoch can be computed on its own.

    Parameters
    ----------
    data : TrainingData
        Whose rows to order.
    seed : int
        At least 0 and below 2**64.
    """

    def __init__(self, data: TrainingData, seed: int) -> None:
        self._data, self._seed = data, seed

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""
        return self._data.n_examples

    def __call__(self, epoch: int = 0) -> Ints:
        """Return the order of that epoch."""
        order = np.arange(self.n_rows, dtype=np.int64)
        core.permute(self._seed, epoch, order)
        return self._data.in_order(order)

    def state(self) -> OrderState:
        """Return nothing: the seed tells all."""
        return {}, {}

    def restore(self, state: OrderState) -> None:
        """Do nothing."""


class ShuffledOrder:
    """A new order in every epoch: the last one, shuffled.

    The draws and the orders are those of `sklearn.utils.shuffle` applied to the previous order with
    a `RandomState`, which is how scikit-learn's perceptrons choose their batches.

    Parameters
    ----------
    rows : ndarray of int64 of shape (n_rows,)
        Row numbers; overwritten.
    random_state : numpy.random.RandomState
        Where the draws come from.
    """

    def __init__(self, rows: Ints, random_state: np.random.RandomState) -> None:
        self._rows = rows
        self._random_state = random_state

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""
        return len(self._rows)

    def __call__(self, epoch: int = 0) -> Ints:
        """Return the order of the next epoch, whatever its number."""
        # To shuffle the last order is to apply a shuffled 0 … n-1 to it: the swaps are the same.
        self._random_state.shuffle(self._rows)
        return self._rows

    def state(self) -> OrderState:
        """Return the last order and the state of the generator.

        Raises
        ------
        TypeError
            The generator is not of the kind that `numpy.random.RandomState(seed)` makes.
        """
        numbers, arrays = generator_state(self._random_state)
        return numbers, {**arrays, "rows": self._rows.copy()}

    def restore(self, state: OrderState) -> None:
        """Go on from a state."""
        numbers, arrays = state
        rows = arrays["rows"]
        if not np.array_equal(np.sort(rows), np.sort(self._rows)):
            raise ValueError("its row order is not one of these rows")
        self._random_state.set_state(_state_tuple(numbers, arrays))
        self._rows[:] = rows


def generator_state(generator: np.random.RandomState) -> OrderState:
    """Return the state of a generator as a file can hold it.

    Raises
    ------
    TypeError
        It is not of the kind that `numpy.random.RandomState(seed)` makes.
    """
    state: dict[str, Any] = dict(generator.get_state(legacy=False))
    if state["bit_generator"] != "MT19937":
        raise TypeError(
            "checkpoints need a random_state such as 0 or numpy.random.RandomState(0), got one of "
            f"{state['bit_generator']}"
        )
    numbers = {
        "pos": int(state["state"]["pos"]),
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }
    return numbers, {"key": np.array(state["state"]["key"])}


def generator_from(state: OrderState) -> np.random.RandomState:
    """Return a new generator in a state that `generator_state` returned.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is no such state.
    """
    generator = np.random.RandomState()
    generator.set_state(_state_tuple(*state))
    return generator


def _state_tuple(numbers: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[Any, ...]:
    key, position = arrays["key"], int(numbers["pos"])
    if key.shape != (_KEY_LENGTH,) or not 0 <= position <= _KEY_LENGTH:  # NumPy does not look
        raise ValueError(f"a generator at {position} of {key.shape}")
    return (
        "MT19937",
        key.astype(np.uint32, casting="safe"),
        position,
        int(numbers["has_gauss"]),
        float(numbers["gauss"]),
    )
