"""docs/decisions.md: every request has an answer, and its table is the one that was measured."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/decisions.md").read_text(encoding="utf-8")
REQUESTS = (ROOT / "tests/models/test_requests.py").read_text(encoding="utf-8")


def test_every_request_is_tested_or_answered():
    tested = {int(number) for number in re.findall(r"def test_request_(\d+)_", REQUESTS)}
    answered = {int(number) for number in re.findall(r"^## Request (\d+):", TEXT, re.MULTILINE)}
    assert tested | answered == set(range(1, 24))
    assert not tested & answered


def test_the_overhead_is_what_was_measured():
    path = ROOT / "benchmarks/results/fit_overhead.json"
    measured = json.loads(path.read_text(encoding="utf-8"))
    rows = re.findall(r"^\| (\w.*) \| ([\d.]+) \| ([\d.]+) \|$", TEXT, flags=re.MULTILINE)
    assert len(rows) == 3
    for case, *milliseconds in rows:
        both = (measured[case][library]["outside_ms"] for library in ("pellucid", "scikit-learn"))
        assert milliseconds == [f"{number:.1f}" for number in both]
