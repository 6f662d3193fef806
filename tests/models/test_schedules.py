"""What the parameter `schedule` means."""

import numpy as np
import pytest

from pellucid.models.schedules import Schedules, get_schedules
from pellucid.nn import SCHEDULES, Cosine, StepDecay


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_name_is_of_the_learning_rate(name):
    assert get_schedules(name) == Schedules(SCHEDULES[name])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Schedules()),
        ({}, Schedules()),
        (Cosine(), Schedules(Cosine())),
        ({"learning_rate": StepDecay()}, Schedules(StepDecay())),
        ({"weight_decay": "cosine"}, Schedules(weight_decay=Cosine())),
        ({"dropout": Cosine(), "weight_decay": None}, Schedules(dropout=Cosine())),
    ],
)
def test_objects_and_mappings(given, expected):
    assert get_schedules(given) == expected


class Own:
    def factor(self, step, n_steps):
        return 1.0


def test_an_object_of_the_user():
    own = Own()
    assert get_schedules({"dropout": own}).dropout is own


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ("zigzag", ValueError, "schedule must be one of .*; got 'zigzag'"),
        ({"dropout": "zigzag"}, ValueError, "schedule must be one of"),
        ({"momentum": "cosine"}, ValueError, "keys learning_rate, weight_decay, dropout, got 'mom"),
        (0.1, TypeError, "a name or an object such as nn.OneCycle"),
        (Cosine, TypeError, "got <class"),
        (np.cos, TypeError, "a name or an object"),
        ({"dropout": 0.1}, TypeError, "a name or an object"),
    ],
)
def test_what_is_no_schedule(wrong, kind, message):
    with pytest.raises(kind, match=message):
        get_schedules(wrong)
