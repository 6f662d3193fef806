"""The parameter `schedule`: how the learning rate, weight decay and dropout change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pellucid.nn import SCHEDULES, Schedule


class Schedules(NamedTuple):
    """What the three are multiplied by from step to step; None for no change."""

    learning_rate: Schedule | None = None
    weight_decay: Schedule | None = None
    dropout: Schedule | None = None


def get_schedules(schedule: Any) -> Schedules:
    """Return what the parameter `schedule` means.

    Parameters
    ----------
    schedule : str, Schedule, mapping or None
        A name in `nn.SCHEDULES` or an object for the learning rate; or a mapping with any of the
        keys "learning_rate", "weight_decay" and "dropout".

    Raises
    ------
    ValueError, TypeError
        It is none of these.

    Examples
    --------
    >>> from pellucid.models.schedules import get_schedules
    >>> get_schedules({"learning_rate": "cosine", "dropout": "constant"})
    Schedules(learning_rate=Cosine(final=0.0), weight_decay=None, dropout=Constant())
    """
    if not isinstance(schedule, Mapping):
        return Schedules(_one(schedule))
    if unknown := [key for key in schedule if key not in Schedules._fields]:
        raise ValueError(
            f"schedule must have the keys {', '.join(Schedules._fields)}, got {unknown[0]!r}"
        )
    return Schedules(**{key: _one(value) for key, value in schedule.items()})


def _one(schedule: Any) -> Schedule | None:
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}; got {schedule!r}")
        return SCHEDULES[schedule]
    if schedule is not None and (
        isinstance(schedule, type) or not callable(getattr(schedule, "factor", None))
    ):
        raise TypeError(
            f"schedule must be a name or an object such as nn.OneCycle(), got {schedule!r}"
        )
    found: Schedule | None = schedule
    return found
