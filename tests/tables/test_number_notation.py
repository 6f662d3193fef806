import pytest

from pellucid.tables.number_notation import number_in, written_number


@pytest.mark.parametrize(
    ("text", "with_point", "with_comma"),
    [
        ("1234", 1234, 1234),
        ("12.5", 12.5, None),
        ("12,5", None, 12.5),
        ("1.234", 1.234, 1234),
        ("1,234", 1234, 1.234),
        ("0,123", None, 0.123),
        ("1,234.56", 1234.56, None),
        ("1.234,56", None, 1234.56),
        ("1.234.567", None, 1234567),
        ("12,34,567.8", 1234567.8, None),
        ("1 234", 1234, 1234),
        ("1\u00a0234,5", None, 1234.5),
        ("1\u202f234\u202f567", 1234567, 1234567),
        ("1'234.50", 1234.5, None),
        ("1\u2019234", 1234, 1234),
        ("$1,234.56", 1234.56, None),
        ("-$12", -12, -12),
        ("$-12", -12, -12),
        ("USD 12", 12, 12),
        ("1.234,50 €", None, 1234.5),
        ("12.5 %", 12.5, None),
        ("(12)", -12, -12),
        ("($1,234.50)", -1234.5, None),
        ("12-", -12, -12),
        ("12.-", 12, 12),
        ("12,\u2013 €", 12, 12),
        ("CHF 1'234.--", 1234, 1234),
        ("Rs. 500/-", 500, 500),
        ("-12,-", -12, -12),
        ("12 \uff05", 12, 12),
        ("\u22123", -3, -3),
        ("+3", 3, 3),
        (".5", 0.5, None),
        (",5", None, 0.5),
        ("5.", 5, None),
        ("1,5e3", None, 1500),
    ],
)
def test_numbers(text, with_point, with_comma):
    assert number_in(text, ".") == with_point
    assert number_in(text, ",") == with_comma


@pytest.mark.parametrize(
    "text",
    [
        *("", "$", "e5", "12 kg", "1.2.3", "192.168.1.1", "1 23", "12 3456", "2020-12-28"),
        *("(5", "5)", "--5", "-5-", "(-5)", "$5€", "1_000", "1,2,3", "1,", "1.234,567.8"),
        "1" * 61 + " €",
    ],
)
def test_other_texts(text):
    assert number_in(text, ".") is None
    assert number_in(text, ",") is None


def test_what_was_taken_off_is_kept():
    number = written_number("(12,5 % €)")
    assert (number.currency, number.percent, number.parentheses) == ("€", True, True)
    assert number.value(",") == -12.5
