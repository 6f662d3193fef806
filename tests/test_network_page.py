"""docs/network.md runs as it stands, on the real MNIST."""

import re
from pathlib import Path

import pytest
from real_data import real_data

from pellucid import load

PAGE = Path(__file__).parents[1] / "docs" / "network.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.slow
def test_the_page_runs(tmp_path, monkeypatch, capsys):
    folder = real_data("mnist/train-images-idx3-ubyte.gz").parent
    monkeypatch.chdir(tmp_path)
    names = {"folder": folder}
    printed = []
    for block in BLOCKS:
        exec(compile(block, "network.md", "exec"), names)
        printed.append(capsys.readouterr().out)
    network = names["network"]
    assert network.evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.98
    table = re.search(r"```\n(   layer.*?)```", TEXT, flags=re.DOTALL).group(1)
    assert table.strip("\n") == str(network.describe())
    assert load("mnist.pellucid").evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.98
    assert sum("['MAX_EPOCHS', 'MAX_EPOCHS', 'MAX_EPOCHS']" in text for text in printed) == 1


def test_training_takes_seven_lines():
    block = next(block for block in BLOCKS if "mnist.pellucid" in block)
    statements = [line for line in block.splitlines() if line]
    assert len(statements) == 7
