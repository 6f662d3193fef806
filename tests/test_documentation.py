"""The examples of README.md and of every page in docs/ run as shown, and their links work.

The Python blocks of a page run in order, in an empty folder. A plain block right below one shows
what it prints: there, `...` stands for any text or, alone on a line, for any lines, a decimal
number may differ by one unit of its last digit, and one below a millionth stands for any such
number. Blocks that begin with `>>>` are doctests. Console blocks hold calls of the `pellucid`
command after `$ `, each followed by what it prints; `< FILE` at the end feeds a file to it.
Sections that need a package or data that are not there are skipped. A new page needs no entry here.
"""

import ast
import doctest
import json
import re
import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import pytest
import sklearn
from command_line import invoke
from real_data import FOLDER

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
WITH_LINKS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

#: Sections that expect real data in `folder`.
DATA = {
    ("network.md", "MNIST"): "mnist",
    ("real_tables.md", "Adult: no names, and a file to test on"): "adult",
    ("real_tables.md", "Telco: numbers that are text"): "telco_churn",
    ("real_tables.md", "German credit: a small table"): "german_credit",
    ("real_tables.md", "Diamonds: a price"): "diamonds",
    ("real_tables.md", "Bike sharing: columns that give the answer away"): "bike_sharing",
}
SLOW = {"network.md", "real_tables.md"}
#: Sections that need a newer scikit-learn than the oldest supported one.
SCIKIT_LEARN = {("uncertainty.md", "Temperature scaling"): (1, 8)}

WILDCARDS = {"...\n": r"(?:[^\n]*\n)*?", "...": ".*?"}
DECIMAL = r"-?\d+\.\d+(?:e[-+]?\d+)?"
#: Smaller numbers, such as the errors of a gradient check, are rounding errors.
TINY = 1e-6
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def read(page):
    return page.read_text(encoding="utf-8")


@dataclass
class Block:
    """A block to run: the section (##) and the line where it stands, and what it prints."""

    section: str
    line: int
    language: str
    code: str
    output: str | None = None


def blocks_of(page):
    text, blocks, end = read(page), [], None
    for fence in FENCE.finditer(text):
        if fence["language"] in ("python", "console"):
            sections = re.findall(r"^## (.*)$", text[: fence.start()], re.MULTILINE)
            line = text.count("\n", 0, fence.start("text"))
            section = sections[-1] if sections else ""
            blocks.append(Block(section, line, fence["language"], fence["text"]))
            end = fence.end()
        elif not fence["language"] and end and not text[end : fence.start()].strip():
            blocks[-1].output = fence["text"]
    return blocks


def lacks(page, section, blocks):
    """Return what a section needs and is not there."""
    data = DATA.get((page.name, section))
    if data and not (FOLDER / data).exists():
        yield f"the data set {data} in {FOLDER}"
    oldest = SCIKIT_LEARN.get((page.name, section), (0,))
    if tuple(map(int, sklearn.__version__.split(".")[:2])) < oldest:
        yield f"scikit-learn {'.'.join(map(str, oldest))}"
    for block in blocks:
        if block.language == "console" or block.code.startswith(">>>"):
            continue
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom):
                yield from filter(is_missing, [node.module])
            elif isinstance(node, ast.Import):
                yield from filter(is_missing, [alias.name for alias in node.names])


def is_missing(module):
    package = module.partition(".")[0]
    return package != "pellucid" and (find_spec(package) is None or find_spec(module) is None)


def run(page, block, names):
    """Run a block; the line numbers of an error are those of the page."""
    if block.language == "console":
        for call in CALL.finditer(block.code):
            run_command(call["command"], call["output"])
    elif block.code.startswith(">>>"):
        example = doctest.DocTestParser().get_doctest(
            block.code, names, page.name, str(page), block.line
        )
        problems = []
        doctest.DocTestRunner().run(example, out=problems.append, clear_globs=False)
        names.update(example.globs)
        assert not problems, "".join(problems)
    else:
        exec(compile("\n" * block.line + block.code, str(page), "exec"), names)


def run_command(command, output):
    program, *arguments = shlex.split(command.replace("\\\n", " "))
    assert program == "pellucid"
    given = None
    if "<" in arguments:
        *arguments, _, file = arguments
        given = Path(file).read_bytes()
    printed = invoke(*arguments, input=given, code=int(output.startswith("Error: "))).output
    assert_printed(re.sub(r" +$", "", printed, flags=re.MULTILINE), output)


def assert_printed(printed, output):
    """Compare what was printed with what the page shows."""
    pattern, decimals = "", []
    for part in re.split(rf"(^\.\.\.\n|\.\.\.|{DECIMAL}(?!\d|\.\.\.))", output, flags=re.MULTILINE):
        if part in WILDCARDS:
            pattern += WILDCARDS[part]
        elif re.fullmatch(DECIMAL, part):
            pattern += f"({DECIMAL})"
            decimals.append(part)
        else:
            pattern += re.escape(part)
    match = re.fullmatch(pattern, printed, re.DOTALL)
    assert match, f"printed:\n{printed}\nthe page shows:\n{output}"
    for actual, shown in zip(match.groups(), decimals, strict=True):
        if abs(float(shown)) < TINY and abs(float(actual)) < TINY:
            continue
        mantissa, _, exponent = shown.partition("e")
        unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        assert abs(float(actual) - float(shown)) < 1.01 * unit, f"{actual} where {shown} is shown"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.name, marks=[pytest.mark.slow] * (p.name in SLOW)) for p in PAGES],
)
def test_the_examples_run_as_shown(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, left_out = {}, {}
    for section, group in groupby(blocks_of(page), lambda block: block.section):
        blocks = list(group)
        if missing := sorted(set(lacks(page, section, blocks))):
            left_out[section] = missing
            continue
        if (page.name, section) in DATA:
            names["folder"] = FOLDER / DATA[page.name, section]
        for block in blocks:
            if page == README and block.code.startswith(("import ", "from ")):
                names = {}  # such an example can be copied on its own
            run(page, block, names)
            printed = capsys.readouterr().out
            if block.output is not None:
                assert_printed(printed, block.output)
    if left_out:
        pytest.skip("; ".join(f"{name}: needs {', '.join(left_out[name])}" for name in left_out))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_to_run_is_found(page):
    assert len(blocks_of(page)) == len(re.findall(r"^ *```(?:py|con)", read(page), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_call_of_the_command_is_found(page):
    blocks = [block.code for block in blocks_of(page) if block.language == "console"]
    found = sum(len(CALL.findall(code)) for code in blocks)
    assert found == len(re.findall(r"^\$ ", "".join(blocks), re.MULTILINE))
    assert all(code.startswith("$ ") for code in blocks)


def test_examples_that_print_something_else_are_noticed():
    assert_printed("loss 0.123, 3 of 4\n1,234 a second\n", "loss 0.12, 3 of 4\n... a second\n")
    assert_printed("one\nlast 0.98\n", "one\n...\nlast 0.9...\n")
    assert_printed("one\n2\n3\nlast 0.98\n", "one\n...\nlast 0.9...\n")
    assert_printed("error 3.1e-11", "error 7.2e-9")
    with pytest.raises(AssertionError, match="is shown"):
        assert_printed("error 3.1e-3", "error 7.2e-9")
    for other in ("loss 0.14, 0.9", "loss 0.12, 0.8", "loss 0.12", "a loss 0.12, 0.9", "loss, 0.9"):
        with pytest.raises(AssertionError, match=r"shows|is shown"):
            assert_printed(other, "loss 0.12, 0.9...")


# Links


def anchors_of(page):
    """Return the anchors that GitHub gives to the headings."""
    headings = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", h) for h in HEADING.findall(prose_of(page))]
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def prose_of(page):
    return FENCE.sub("", read(page))


@pytest.mark.parametrize("page", WITH_LINKS, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page):
    prose = re.sub(r"`[^`\n]*`", "", prose_of(page))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize("page", WITH_LINKS, ids=lambda page: page.name)
def test_files_and_tests_that_are_named_exist(page):
    text = read(page)
    for path in re.findall(r"`((?:src|native|tests|benchmarks|docs)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    code = "".join(read(path) for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named <= set(re.findall(r"def (test_\w+)", code))


# What single pages promise


@pytest.mark.parametrize("row", [f"M{row:02}" for row in (*range(1, 20), *range(21, 26))])
def test_every_row_of_the_mathematics_has_its_section_and_its_test(row):
    text = read(ROOT / "docs" / "mathematics.md")
    section = re.search(rf"^### {row} .*?(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    assert re.search(r"^Tested", section.group(), re.MULTILINE)
    assert f"test_{row.lower()}_" in section.group()


def test_the_table_of_a_sorted_file_is_what_was_measured():
    text = read(ROOT / "docs" / "streams.md")
    measured = json.loads(read(ROOT / "benchmarks" / "results" / "stream_memory.json"))
    rows = re.findall(r"^\| (\d+)% \| (0\.\d+) \| (0\.\d+) \|$", text, re.MULTILINE)
    expected = [
        (f"{case['share']:.0%}"[:-1], *(f"{score:.3f}" for score in case["scores"].values()))
        for case in measured["sorted_file"]
    ]
    assert rows == expected
    assert f"On {measured['rows']:,} rows sorted by class" in text
