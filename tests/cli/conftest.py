"""Tables for the commands, in an empty working directory."""

import numpy as np
import pandas as pd
import pytest
from command_line import invoke


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    return invoke


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 600)
    job = rng.choice(["clerk", "cook", "pilot"], 600)
    rich = np.where(age + 30 * (job == "pilot") + rng.normal(0, 5, 600) > 60, "yes", "no")
    table = pd.DataFrame({"id": range(1, 601), "age": age, "job": job, "rich": rich})
    table["pay"] = 1000.0 + 20 * age + rng.normal(0, 50, 600)
    table.loc[3, "job"] = None
    path = tmp_path / "people.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def parts(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=400), "b": rng.choice(list("xyz"), 400)})
    table["kind"] = np.where(table.a + (table.b == "x") > 0, "good", "bad")
    table["size"] = 3 * table.a + (table.b == "y")
    table[:240].to_csv(tmp_path / "train.csv", index=False)
    table[240:320].to_csv(tmp_path / "val.csv", index=False)
    table[320:].to_csv(tmp_path / "test.csv", index=False)
    return table
