"""docs/mathematics.md names tests that exist, and its examples give what it says they give."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mathematics.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [f"M{row:02}" for row in (*range(1, 20), *range(21, 26))]


def test_the_examples_give_what_they_say():
    results = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert results.attempted > 40
    assert results.failed == 0


def test_every_test_it_names_exists():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 40
    assert named <= set(re.findall(r"def (test_\w+)", code))


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_its_section_and_its_proof(row):
    section = re.search(rf"^### {row} .*?(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert section is not None
    assert re.search(r"^Tested", section.group(), re.MULTILINE)
    assert f"test_{row.lower()}_" in section.group()
