"""docs/network.md runs as it stands and prints what it says; its last section on the real MNIST."""

import re
from pathlib import Path

import pytest
from real_data import real_data

PAGE = Path(__file__).parents[1] / "docs" / "network.md"
TEXT, MNIST = re.split("^## MNIST\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
FIRST = re.search(r"```python\n(.*?)```", TEXT, flags=re.DOTALL).group(1)


def run(text, names, capsys):
    """Run the blocks of Python; a block without a language is what the one before it prints."""
    printed = ""
    for language, block in re.findall(r"```(python)?\n(.*?)```", text, flags=re.DOTALL):
        if language:
            exec(compile(block, "network.md", "exec"), names)
            printed = capsys.readouterr().out
        else:
            assert printed == block


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(TEXT, {}, capsys)


@pytest.mark.slow
def test_mnist(capsys):
    names = {"folder": real_data("mnist/train-images-idx3-ubyte.gz").parent}
    exec(compile(FIRST.partition("\nX, y =")[0], "network.md", "exec"), names)
    run(MNIST, names, capsys)
