"""Names of cases that are the same in every process, as tests that run side by side need them."""

import re


def case_name(value):
    """Return the text of a value without its address."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))
