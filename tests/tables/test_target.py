import numpy as np
import pytest

from pellucid.tables import TableError, read_target, recognize_task
from pellucid.tables.columns import column_from_values


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no"] * 10, "classification"),
        ([True, False] * 10, "classification"),
        ([0, 1, 1], "classification"),
        ([0.5, 1.5, 0.5], "classification"),
        (list(range(10)) * 10, "classification"),
        ([float(i) for i in range(10)] * 10, "classification"),
        (list(range(10)), "regression"),
        (list(range(21)) * 50, "regression"),
        ([0.5, 1.0, 2.0], "regression"),
        (["1.5", "2.5", "3.75"], "regression"),
        (["3", "4", "5"] * 9, "classification"),
    ],
)
def test_rule(values, task):
    assert recognize_task(read_target(column_from_values("y", values))).task == task


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", None, "b"], "'y' is missing in 1 of 3 rows .*row 2"),
        ([1.0, 2.0, np.nan], "missing in 1 of 3 rows .*row 3"),
        ([1.0, np.inf], "infinite in row 2"),
    ],
)
def test_missing_and_infinite_targets(values, message):
    with pytest.raises(TableError, match=message):
        read_target(column_from_values("y", values))
