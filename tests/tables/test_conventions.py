import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from number_formats import FORMATS, written

from pellucid.tables.conventions import Conventions, NumberFormat, recognize_number_format


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from(FORMATS),
    st.integers(0, 2),
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20),
)
def test_a_format_is_recognized_from_what_it_wrote(format, decimals, numbers):
    numbers = [1234567, *numbers]
    cells = [written(n / 10**decimals, decimals, format) for n in [1234567, *numbers]]
    found = recognize_number_format([cells, ["Rome", "Oslo"] * len(cells)])
    decides = decimals > 0 or format.thousands in (".", ",")
    assert found.decimal == (format.decimal if decides else ".")
    assert found.thousands == format.thousands


@pytest.mark.parametrize(
    ("columns", "decimal", "thousands"),
    [
        ([], ".", ""),
        ([["1.234", "5.678"]], ".", ""),
        ([["1,234", "5,678"]], ".", ","),
        ([["1.234", "5.678"], ["12,5", "1"]], ",", "."),
        ([["1,234", "5,678"], ["12.5", "1"]], ".", ","),
        ([["0,123", "1,234"]], ",", ""),
        ([["12,5"], ["12.5"]], ".", ""),
        ([["12,5", "-", None, "n.a."]], ",", ""),
        ([["see 12,5", "or 3,5", "1,5"]], ".", ""),
        ([["192.168.100.150", "192.168.101.151"], ["1,234", "5,678"]], ".", ","),
        ([["1.234.100.150", "1.999.101.151"]], ",", "."),
        ([["1.2.3", "1.10.112"]], ".", ""),
        ([["1", "1,2", "2,3", "1,3", "3"], ["1,234", "5,678"]], ".", ","),
        ([["1", "1,2"] * 40 + ["1,2,3"], ["1,234", "5,678"]], ".", ","),
        ([["1", "1,5", "2,5", "5"], ["1,234", "5,678"]], ",", ""),
        ([["1", "1,02", "1,03", "2", "3"]], ",", ""),
        ([["28.12.2020", "1.12.2020"], ["192.168.1.1"]], ".", ""),
    ],
)
def test_columns_vote(columns, decimal, thousands):
    assert recognize_number_format(columns) == NumberFormat(decimal, thousands)


def test_what_an_earlier_table_tells_decides_without_a_majority():
    german = NumberFormat(",", ".")
    assert recognize_number_format([["1.234", "5.678"]], german) == german
    assert recognize_number_format([["1234", "5.5"]], german) == NumberFormat()


@pytest.mark.parametrize(
    ("column", "decimal"),
    [(["1,400", "2,125"], ","), (["1.400", "2.125"], "."), (["1,234", "5.5"], "."), (["7"], ".")],
)
def test_commas_beside_semicolons_are_decimal(column, decimal):
    assert recognize_number_format([column], delimiter=";").decimal == decimal
    assert recognize_number_format([column], NumberFormat(".", ","), ";").decimal == "."


def test_state():
    odd = Conventions(NumberFormat(".", ","), False)
    conventions = Conventions(NumberFormat(",", "."), True, {"rate": odd}, frozenset(["version"]))
    assert Conventions.from_state(conventions.to_state()) == conventions
    assert Conventions.from_state(Conventions().to_state()) == Conventions()
    assert conventions.of("rate") == odd
    assert conventions.of("price") == Conventions(NumberFormat(",", "."), True)


@pytest.mark.parametrize(
    "state",
    [
        {"numbers": {"decimal": ";", "thousands": ""}, "day_first": None},
        {"numbers": {"decimal": ",", "thousands": ","}, "day_first": None},
        {"numbers": {"decimal": ".", "thousands": ""}, "day_first": "yes"},
    ],
)
def test_invalid_states(state):
    with pytest.raises(ValueError, match=r"must be|cannot"):
        Conventions.from_state(state)
