"""docs/checkpoints.md runs as it stands."""

import re
import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

PAGE = Path(__file__).parents[1] / "docs" / "checkpoints.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", TEXT, flags=re.DOTALL)
    assert sum(bool(expected) for _, expected in blocks) == 2
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for code, expected in blocks:
            exec(compile(code, PAGE.name, "exec"), names)
            assert capsys.readouterr().out == expected
