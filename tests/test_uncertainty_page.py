"""docs/uncertainty.md runs as it stands, and its numbers are those that it prints."""

import io
import re
from contextlib import redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "uncertainty.md"
PARTS = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
SECTIONS = dict(zip(["data", *PARTS[1::2]], PARTS[::2], strict=True))
CODE_AND_OUTPUT = re.compile(r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", flags=re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+")
LACKS = {
    "Temperature scaling": tuple(map(int, version("scikit-learn").split(".")[:2])) < (1, 8)
    and "scikit-learn before 1.8 has no temperature scaling",
    "Conformal intervals": find_spec("mapie") is None and "pip install mapie",
}
# Of a coverage of 0.9, measured on 111 rows: three standard errors.
THREE_ERRORS = 3 * np.sqrt(0.9 * 0.1 / 111)


@pytest.fixture(scope="module")
def page():
    """Run the page; return its variables and what each section printed."""
    names, printed = {}, {}
    for section, text in SECTIONS.items():
        if not LACKS.get(section):
            output = io.StringIO()
            with redirect_stdout(output):
                for code, _ in CODE_AND_OUTPUT.findall(text):
                    exec(compile(code, PAGE.name, "exec"), names)
            printed[section] = output.getvalue()
    return names, printed


@pytest.fixture
def printed(page, request):
    section = request.param
    if LACKS.get(section):
        pytest.skip(LACKS[section])
    return page[1][section], "".join(text for _, text in CODE_AND_OUTPUT.findall(SECTIONS[section]))


@pytest.mark.parametrize("printed", SECTIONS, indirect=True)
def test_the_page_shows_what_is_printed(printed):
    """Training differs in the last bits between instruction sets, and after it in more."""
    actual, expected = printed
    assert NUMBER.sub("", actual) == NUMBER.sub("", expected)
    pairs = zip(NUMBER.findall(actual), NUMBER.findall(expected), strict=True)
    for a, b in ((float(a), float(b)) for a, b in pairs):
        assert abs(a - b) <= max(THREE_ERRORS, 0.2 * b), (a, b)


def test_quantiles_do_not_cross(page):
    low, median, high = (model.predict(page[0]["X_test"]) for model in page[0]["models"])
    assert np.mean((low < median) & (median < high)) > 0.95


def test_members_drift_apart_where_there_were_no_rows(page):
    names = page[0]
    assert names["far_away"].mean() > 3 * names["std"].mean()
    assert names["ensemble"].score(names["X_test"], names["y_test"]) > np.mean(names["members"])


@pytest.mark.parametrize("printed", ["Temperature scaling"], indirect=True)
def test_temperature_scaling_lowers_the_loss_and_keeps_the_labels(printed):
    network, calibrated, unchanged = map(float, NUMBER.findall(printed[0]))
    assert calibrated < network - 0.03
    assert unchanged == 1.0


@pytest.mark.parametrize("printed", ["Conformal intervals"], indirect=True)
def test_conformal_intervals_cover_what_they_promise(printed):
    coverages = [float(text) for text in re.findall(r"coverage (\d\.\d+)", printed[0])]
    assert len(coverages) == 2
    assert min(coverages) >= 0.9 - THREE_ERRORS
