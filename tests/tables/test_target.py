import numpy as np
import pytest

from pellucid.tables import TableError, read_target, recognize_task
from pellucid.tables.columns import column_from_values
from pellucid.tables.conventions import Conventions, NumberFormat


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
        (["1.200,50 €", "3,5 €", "7,25 €"], "regression"),
        (["5 %", "10 %"] * 9, "classification"),
        (["none", "1", "2"] * 9, "classification"),
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
        (["1.5", "2.5", "-", "n.a.", "3"], "missing in 2 of 5 rows .*row 3: '-'"),
        (["1.5", "2.5", "3"] * 20 + ["see note"], "missing in 1 of 61 rows .*row 61: 'see note'"),
    ],
)
def test_missing_and_infinite_targets(values, message):
    with pytest.raises(TableError, match=message):
        read_target(column_from_values("y", values))


@pytest.mark.parametrize("task", ["regression", None])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["12 %", "0.5", "7 %"], "'y' mixes units: 2 with '%' such as '12 %', 1 without such"),
        (["$12", "€5", "£8"], r"'y' mixes units: 1 with '\$' .* Convert .* task classification"),
    ],
)
def test_mixed_units_are_no_target_for_regression(task, values, message):
    column = column_from_values("y", values)
    with pytest.raises(TableError, match=message):
        read_target(column, task=task)
    assert read_target(column, task="classification").values.tolist() == values


ONLY_Y = Conventions(exceptions={"y": Conventions(NumberFormat(","))})


@pytest.mark.parametrize(
    ("values", "conventions", "task", "expected"),
    [
        (["1.200,50 €", "3,5 €", "7 €"], Conventions(), None, [1200.5, 3.5, 7]),
        (["1.234", "2.345", "3.456"], Conventions(NumberFormat(",")), None, [1234, 2345, 3456]),
        (["1.234", "2", "3"], ONLY_Y, None, [1234, 2, 3]),
        (["5 %", "10 %"], Conventions(), "regression", [5, 10]),
        (["5 %", "10 %"], Conventions(), "classification", ["5 %", "10 %"]),
        (["5", "10"], Conventions(), "classification", [5, 10]),
        (["none", "1", "2"], Conventions(), "classification", ["none", "1", "2"]),
        (["1/2/1970", "1/3/1970"], Conventions(), None, ["1/2/1970", "1/3/1970"]),
        (["1/2/1970", "1/3/1970"], Conventions(), "regression", [86_400, 2 * 86_400]),
        (["1/2/1970"], Conventions(day_first=True), "regression", [31 * 86_400]),
    ],
)
def test_text_is_read_by_the_conventions_and_the_task(values, conventions, task, expected):
    column = read_target(column_from_values("y", values), conventions, task)
    assert column.values.tolist() == expected


@pytest.mark.parametrize("text", [True, False])
def test_dates_are_no_target_unless_a_task_is_chosen(text):
    days = np.datetime64("2020-01-01") + np.arange(30)
    column = read_target(column_from_values("due", days.astype(str) if text else days))
    with pytest.raises(TableError, match=r"'due' holds dates.* days since .*regression predicts"):
        recognize_task(column)
