import pytest


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def write_file(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


@pytest.fixture
def read_by(monkeypatch):
    """Read CSV files of any size with pyarrow (True), or with the csv module (False)."""
    from pellucid.tables import csv_file

    def choose(fast):
        monkeypatch.setattr(csv_file, "is_large", lambda data: fast)

    return choose
