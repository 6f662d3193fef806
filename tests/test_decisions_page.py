"""docs/decisions.md: its table shows the measured numbers."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/decisions.md").read_text(encoding="utf-8")


def test_the_overhead_is_what_was_measured():
    path = ROOT / "benchmarks/results/fit_overhead.json"
    measured = json.loads(path.read_text(encoding="utf-8"))
    rows = re.findall(r"^\| (\w.*) \| ([\d.]+) \| ([\d.]+) \|$", TEXT, flags=re.MULTILINE)
    assert len(rows) == 3
    for case, *milliseconds in rows:
        both = (measured[case][library]["outside_ms"] for library in ("pellucid", "scikit-learn"))
        assert milliseconds == [f"{number:.1f}" for number in both]
