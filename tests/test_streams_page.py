"""docs/streams.md runs as it stands, and its table is the one that was measured."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "streams.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
MEASURED = json.loads((ROOT / "benchmarks/results/stream_memory.json").read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in BLOCKS:
        exec(compile(block, "streams.md", "exec"), names)
    scores = [float(line) for line in capsys.readouterr().out.split()]
    assert len(scores) == 2
    assert min(scores) > 0.9
    assert len(names["predictions"]) == 30_000


def test_the_table_of_a_sorted_file_is_what_was_measured():
    rows = re.findall(r"^\| (\d+)% \| (0\.\d+) \| (0\.\d+) \|$", TEXT, flags=re.MULTILINE)
    expected = [
        (f"{case['share']:.0%}"[:-1], *(f"{score:.3f}" for score in case["scores"].values()))
        for case in MEASURED["sorted_file"]
    ]
    assert rows == expected
    assert f"On {MEASURED['rows']:,} rows sorted by class" in TEXT
