from datetime import UTC, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.tables.time_notation import readings


def moment(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


LATE = moment(2020, 12, 28)


@pytest.mark.parametrize(
    ("text", "day_first", "month_first"),
    [
        ("2020-12-28", LATE, LATE),
        ("2020/12/28", LATE, LATE),
        ("2020.12.28", LATE, LATE),
        ("28/12/2020", LATE, None),
        ("12/28/2020", None, LATE),
        ("28-12-2020", LATE, None),
        ("3/1/2020", moment(2020, 1, 3), moment(2020, 3, 1)),
        ("28.12.2020", LATE, LATE),
        ("3.1.2020", moment(2020, 1, 3), moment(2020, 1, 3)),
        ("28/12/20", LATE, None),
        ("3/3/69", moment(1969, 3, 3), moment(1969, 3, 3)),
        ("3/3/68", moment(2068, 3, 3), moment(2068, 3, 3)),
        ("28 Dec 2020", LATE, LATE),
        ("28-DEC-20", LATE, LATE),
        ("Dec 28, 2020", LATE, LATE),
        ("December 28th, 2020", LATE, LATE),
        ("28. Dezember 2020", LATE, LATE),
        ("28 de diciembre de 2020", LATE, LATE),
        ("28 décembre 2020", LATE, LATE),
        ("2020-Dec-28", LATE, LATE),
        ("Dec 2020", moment(2020, 12, 1), moment(2020, 12, 1)),
        ("2020-12", moment(2020, 12, 1), moment(2020, 12, 1)),
        ("12/2020", moment(2020, 12, 1), moment(2020, 12, 1)),
        ("20201228", LATE, LATE),
        ("20201228T1305", LATE + 47_100, LATE + 47_100),
        ("20201228 13:05:30", LATE + 47_130, LATE + 47_130),
        ("28. 12. 2020", LATE, LATE),
        ("2020. 12. 28.", LATE, LATE),
        ("2020年12月28日", LATE, LATE),
        ("Mon Dec 28 13:05:00 2020", LATE + 47_100, LATE + 47_100),
        ("Mon Dec 28 13:05:00 UTC 2020", LATE + 47_100, LATE + 47_100),
        ("Mon Dec 28 13:05:00 +0100 2020", LATE + 43_500, LATE + 43_500),
        ("28/Dec/2020:13:05:00 +0000", LATE + 47_100, LATE + 47_100),
        ("28/12/2020 13:05", LATE + 47_100, None),
        ("28.12.2020, 13:05:30", LATE + 47_130, LATE + 47_130),
        ("12/28/2020 1:05 PM", None, LATE + 47_100),
        ("2020/12/28T13:05:30.5Z", LATE + 47_130.5, LATE + 47_130.5),
        ("Mon, 28 Dec 2020 13:05:00 +0100", LATE + 43_500, LATE + 43_500),
    ],
)
def test_dates(text, day_first, month_first):
    found = readings(text)
    assert (found.day_first, found.month_first) == (day_first, month_first)
    assert not found.is_clock


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("13:05", 47_100),
        ("13:05:30", 47_130),
        ("1:05 PM", 47_100),
        ("1:05pm", 47_100),
        ("1 p.m.", 46_800),
        ("12:00 AM", 0),
        ("12:30 PM", 45_000),
        ("00:00", 0),
        ("24:00", 86_400),
    ],
)
def test_times_of_day(text, seconds):
    assert readings(text) == (seconds, seconds, True)


@pytest.mark.parametrize(
    "text",
    [
        *("", "13", "13.5", "Sat", "may", "1 may", "p", "a:b", "1/2", "5/2020", "10 1 2020"),
        *("Set 1000", "Mar 2500"),
        *("2020-12-28-13.05", "2020-12-28 13.05"),
        *("2020-13", "1850-11", "13/2020", "20201301", "20200230", "18501228", "24:01"),
        *("25:00", "13:60", "13:05:61", "13 pm", "0 am", "28/12/2020 25:00"),
        *("99/99/2020", "31/04/2020", "2020-13-45", "28 Foo 2020", "0000-00-00", "12 kg"),
        *("3.10.12", "192.168.1.1", "1.2.3", "555-123-4567", "28/12-2020", "x" * 51),
    ],
)
def test_other_texts(text):
    assert readings(text) is None


DATES = [
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%Y-%m-%d",
    "%d %b %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
]
CLOCKS = ["%H:%M:%S", "%I:%M:%S %p", "%H:%M", "%I:%M %p"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(DATES),
    st.sampled_from(["", *CLOCKS]),
    st.datetimes(datetime(1000, 1, 1), datetime(2999, 12, 31)),
)
def test_what_strftime_wrote_is_read_exactly(date, clock, written):
    format = f"{date} {clock}".strip()
    expected = datetime.strptime(written.strftime(format), format).replace(tzinfo=UTC)
    found = readings(written.strftime(format))
    assert found.seconds(day_first=date.startswith("%d")) == expected.timestamp()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(CLOCKS), st.times())
def test_what_strftime_wrote_of_a_time_is_read_exactly(clock, written):
    found = readings(written.strftime(clock))
    expected = time(written.hour, written.minute, written.second if "%S" in clock else 0)
    assert found.is_clock
    assert found.day_first == expected.hour * 3600 + expected.minute * 60 + expected.second
