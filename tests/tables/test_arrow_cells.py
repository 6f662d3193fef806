import numpy as np
import pyarrow as pa
import pytest

from pellucid.tables import arrow_cells
from pellucid.tables.conventions import NumberFormat
from pellucid.tables.text import clean_text

PLAIN, COMMA, GROUPED = NumberFormat(), NumberFormat(","), NumberFormat(",", ".")


def chunked(cells):
    """Return the cells in two chunks."""
    half = len(cells) // 2
    return pa.chunked_array([cells[:half], cells[half:]], pa.string())


@pytest.mark.parametrize(
    ("cells", "format", "expected"),
    [
        (["1", "-2", "0"], PLAIN, np.array([1, -2, 0])),
        (["1", "2.5", "1e3"], PLAIN, np.array([1, 2.5, 1000])),
        (["1", "", "NA"], PLAIN, np.array([1, np.nan, np.nan])),
        ([" 1", "2 ", " NA"], PLAIN, np.array([1, 2, np.nan])),
        (["", "", "3"], PLAIN, np.array([np.nan, np.nan, 3])),
        (["1,5", "2", "?"], COMMA, np.array([1.5, 2, np.nan])),
        (["1.234", "5,5"], GROUPED, np.array([1234, 5.5])),
        (["1.234", "12"], GROUPED, np.array([1234, 12])),
    ],
)
def test_numbers(cells, format, expected):
    values = arrow_cells.numbers(chunked(cells), format)
    assert values.dtype == expected.dtype
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("cells", "format"),
    [
        (["1", "x"], PLAIN),
        (["007", "1"], PLAIN),
        (["1.5", "007"], PLAIN),
        (["0x1F", "1"], PLAIN),
        (["10E3", "1"], PLAIN),
        (["+1", "2"], PLAIN),
        (["inf", "1"], PLAIN),
        (["1e400", "1"], PLAIN),
        (["nan(1)", "1"], PLAIN),
        (["", "NA"], PLAIN),
        (["1,5", "2.5"], COMMA),
        (["1,5", "2,"], COMMA),
        (["12.34", "1"], GROUPED),
    ],
)
def test_columns_that_are_left_to_python(cells, format):
    assert arrow_cells.numbers(chunked(cells), format) is None


@pytest.mark.parametrize("cells", [["a", " b ", "NA", "a"] * 5, [f" {i}\u2003" for i in range(20)]])
def test_texts_are_cleaned(cells):
    text, codes = arrow_cells.texts(chunked(cells))
    assert (codes is None) == (len(set(cells)) > 10)
    values = text if codes is None else text[codes]
    assert values.tolist() == clean_text(cells).tolist()


def test_the_same_blanks_are_stripped_as_by_python():
    blanks = [chr(i) for i in range(0x3100) if chr(i).isspace()]
    cells = [f"{blank}x{blank}" for blank in blanks]
    text, _ = arrow_cells.texts(chunked(cells))
    assert text.tolist() == ["x"] * len(cells)
