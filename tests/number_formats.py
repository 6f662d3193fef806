"""Number formats, and how they write numbers."""

from pellucid.tables.conventions import NumberFormat


def written(number, decimals, format):
    """Write a number with a format, independently of how it is read."""
    whole, _, fraction = f"{abs(number):,.{decimals}f}".partition(".")
    whole = whole.replace(",", format.thousands)
    return "-" * (number < 0) + whole + (format.decimal + fraction if fraction else "")


FORMATS = [
    NumberFormat(decimal, thousands)
    for decimal in ".,"
    for thousands in (".", ",", " ", "\u00a0", "\u202f", "'", "\u2019", "")
    if thousands != decimal
]
