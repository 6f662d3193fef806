"""Every name of the top level is there in a fresh interpreter, whatever was imported before it."""

import subprocess
import sys

import pytest

import pellucid

PUBLIC = sorted(set(pellucid.__all__) - {"__version__"})


@pytest.mark.parametrize("name", PUBLIC)
def test_a_name_is_what_its_first_use_returns(name):
    value = getattr(pellucid, name)
    assert value.__name__.removeprefix("pellucid.") == name
    assert name in dir(pellucid)


def test_folders_are_attributes_in_a_fresh_interpreter():
    code = (
        "import pellucid; print(pellucid.nn.Chain.__name__); "
        "print(pellucid.tables.encoder.TableEncoder is pellucid.TableEncoder); "
        "print(pellucid.inspection.__name__, pellucid.training.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = ["Chain", "True", "pellucid.inspection", "pellucid.training"]
    assert done.stdout.split() == expected


def test_importing_pellucid_imports_neither_numpy_nor_scikit_learn():
    code = "import sys, pellucid; print(sorted({'numpy', 'sklearn', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    name = "Perceptron"
    with pytest.raises(AttributeError, match="no attribute 'Perceptron'"):
        getattr(pellucid, name)


def test_reading_a_table_does_not_import_scikit_learn(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n")
    code = (
        "import sys; from pellucid.tables import read_table; read_table('t.csv'); "
        "print(sorted({'scipy', 'sklearn', 'pandas', 'narwhals'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
