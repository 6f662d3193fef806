"""Warnings point at the code that called this library."""

import warnings

import pytest

from pellucid.outside_warning import warn_outside


def test_the_first_line_outside_is_named():
    """Whatever calls it inside, scikit-learn's decorators among it."""
    inside = {"__name__": "pellucid.models.somewhere", "warn_outside": warn_outside}
    exec("def fit(): warn_outside('look here', RuntimeWarning)", inside)
    between = {"__name__": "sklearn.base", "fit": inside["fit"]}
    exec("def wrapper(): fit()", between)
    with pytest.warns(RuntimeWarning, match="look here") as caught:
        between["wrapper"]()
    assert [warning.filename for warning in caught] == [__file__]


def test_without_anything_outside_it_warns_all_the_same():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside = {"__name__": "pellucid.cli.main", "warn_outside": warn_outside}
        exec("warn_outside('look here')", inside)
    assert [str(warning.message) for warning in caught] == ["look here"]
