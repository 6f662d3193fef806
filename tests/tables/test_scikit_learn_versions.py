"""Older versions of scikit-learn find the names of the columns of every library's tables."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn

from pellucid.tables import scikit_learn_versions
from pellucid.tables.scikit_learn_versions import NamedTable, with_names

HAS_PROTOCOL = hasattr(pl.DataFrame, "__dataframe__")  # Polars 2 has it no more.


def test_version_is_that_of_the_installed_package():
    assert scikit_learn_versions.VERSION >= (1, 7)
    assert sklearn.__version__.startswith("{}.{}".format(*scikit_learn_versions.VERSION))


@pytest.mark.parametrize("version", [(1, 7), (1, 8)])
def test_names_are_told_as_older_versions_ask(version, monkeypatch):
    monkeypatch.setattr(scikit_learn_versions, "VERSION", version)
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    told = with_names(frame)
    assert isinstance(told, pl.DataFrame) == HAS_PROTOCOL
    named = NamedTable(frame)
    assert list(named.__dataframe__().column_names()) == ["a", "b"]
    assert named.shape == (2, 2)
    assert len(named) == 2
    np.testing.assert_array_equal(np.asarray(named), [[1.0, 3.0], [2.0, 4.0]])
    assert np.asarray(named, dtype=np.float32).dtype == np.float32
    copied = np.array(named)
    assert copied.flags.writeable


def test_what_names_its_columns_itself_is_left_alone(monkeypatch):
    frame = pd.DataFrame({"a": [1.0]})
    table = np.zeros((2, 2))
    for version in ((1, 7), (1, 9)):
        monkeypatch.setattr(scikit_learn_versions, "VERSION", version)
        assert with_names(frame) is frame
        assert with_names(table) is table
    assert with_names(pl_frame := pl.DataFrame({"a": [1]})) is pl_frame
