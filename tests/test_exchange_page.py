"""docs/exchange.md runs as it stands."""

import re
from pathlib import Path

import pytest

for package in ("onnx", "onnxruntime", "torch"):
    pytest.importorskip(package, reason=f"the page goes to other libraries: pip install {package}")

PAGE = Path(__file__).parents[1] / "docs" / "exchange.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    printed = []
    for block in BLOCKS:
        exec(compile(block, "exchange.md", "exec"), names)
        printed.append(capsys.readouterr().out)
    assert printed[0] == "['bolt' 'nut']\n"
    assert printed[3] == "(8,) ['0.weight', '0.bias', '2.weight', '2.bias']\n"
    assert names["network"].evaluate(names["X"], names["y"])["accuracy"] > 0.5
