"""Recognize how a CSV file is written: comments before the table, delimiter, line with names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from pellucid.tables.encodings import check_encoding
from pellucid.tables.number_notation import plain_number, written_number
from pellucid.tables.table import TableError

#: A comma comes last, as it is the decimal mark of many files that another one delimits.
DELIMITERS = "\t;|,"
#: Stands for any number of blanks and tabs.
BLANKS = " "
COMMENT = "#"
#: The delimiter is recognized from at most this many rows and characters.
MOST_ROWS = 100
MOST_CHARACTERS = 100_000

_ALIGNED_NUMBERS = re.compile(r"(?:^|[ \t])[-+.\d]+[ \t]{2,}[-+.\d]+(?=\s|$)")
_NUMBER = re.compile(
    r"\s*[-+]?(\d[\d.,\u00a0 ]*|[.,]\d+)([eE][-+]?\d+)?\s*|\s*(nan|[-+]?inf)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class CsvOptions:
    r"""What the user says about CSV files; None means that it is recognized.

    Attributes
    ----------
    header : bool or None
    delimiter : str or None
        One character, or ``"\\t"`` as it is written on the command line. A blank stands for any
        number of blanks and tabs.
    encoding : str or None
    comment : str or None
    needed : collection of str or None
        The columns that are needed, if not all are: others may have the same name.
    """

    header: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None
    comment: str | None = None
    needed: Collection[str] | None = None

    def __post_init__(self) -> None:
        if self.delimiter == "\\t":
            object.__setattr__(self, "delimiter", "\t")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0'):
            raise TableError(
                f"delimiter must be one character other than a quotation mark, got "
                f"{self.delimiter!r}."
            )
        if self.encoding is not None:
            check_encoding(self.encoding)
        if self.comment == "":
            raise TableError("comment must not be empty. Leave it out if there are no comments.")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes
    ----------
    delimiter : str
    start : int
        The byte at which the table begins.
    line : int
        The line at which it begins, counted from 1.
    names : tuple of str or None
        The names of columns if they follow a ``#``; else the first row holds them.
    names_line : int
        The line of these names; 0 if there are none.
    comment : str or None
        What comment lines in the table begin with; None if there are none.
    n_comments : int
        Number of comment lines before the table.
    has_row_names : bool
        Whether the first line has no name for the first column, which holds names of rows.
    """

    delimiter: str
    start: int = 0
    line: int = 1
    names: tuple[str, ...] | None = None
    names_line: int = 0
    comment: str | None = None
    n_comments: int = 0
    has_row_names: bool = False


def recognize_dialect(data: bytes, name: str, options: CsvOptions) -> Dialect:
    r"""Recognize the dialect of a CSV file in UTF-8.

    Raises
    ------
    TableError
        If the file contains no table.

    Examples
    --------
    >>> from pellucid.tables.dialect import CsvOptions, recognize_dialect
    >>> recognize_dialect(b"# from 2020\na;b\n1,5;2,5\n", "t.csv", CsvOptions()).delimiter
    ';'
    """
    file = io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")
    mark = options.comment or COMMENT
    delimiter = options.delimiter
    comments: list[str] = []
    comment_line = 0
    blanks = " \r\n" if options.header is False else None  # Tabs may delimit missing cells.
    start, number, text = 0, 1, file.readline()
    while text:
        if number == 1 and delimiter is None and re.fullmatch(r"sep=[^\w\s\"]\s*|sep=\t\s*", text):
            delimiter = text[4]
        elif text.startswith(mark):
            comments.append(text)
            comment_line = number
        elif text.strip(blanks):
            break
        start, number, text = start + len(text.encode()), number + 1, file.readline()
    if not text:
        what = "comments and blank lines" if comments else "blank lines"
        raise TableError(f"{name} contains only {what}. Export the table again.")
    sample = text + file.read(MOST_CHARACTERS)
    lines = list(islice(io.StringIO(sample, newline=""), MOST_ROWS))
    delimiter = delimiter or recognize_delimiter(lines)
    names = None
    if comments and options.comment is None and options.header is not False:
        names = _names_after_mark(comments[-1], rows_of(lines, delimiter), delimiter)
    n_comments = len(comments) - (names is not None)
    may_have = names is None and options.header is not False
    return Dialect(
        *(delimiter, start, number, names, comment_line if names else 0),
        *(options.comment, n_comments, may_have and _have_row_names(rows_of(lines, delimiter))),
    )


def _have_row_names(rows: list[list[str]]) -> bool:
    """Return whether the first row is one cell shorter than all others, as R writes tables.

    Cells are also more than names where every line ends with a delimiter.
    """
    first, *others = rows[:-1] if len(rows) > 3 else rows or [[]]  # The last may have been cut.
    if len(first) < 2 or len(others) < 2 or any(len(row) != len(first) + 1 for row in others):
        return False
    is_named = not any(map(looks_like_number, first)) and any(row[-1] for row in others)
    return is_named and len({row[0] for row in others}) == len(others)


def recognize_delimiter(lines: list[str]) -> str:
    """Return the delimiter that cuts all lines into the same number of cells.

    If several do, a comma has to make at least two cells more than any other, as it is often a
    decimal mark. If none does, it is the one that cuts most lines like the first. A name over lines
    of numbers is one column, whatever its decimal mark. Blanks are the delimiter if they do and no
    other does, or if there are several between numbers of every line.
    """
    name, *cells = [line.strip() for line in lines if line.strip()] or [""]
    is_one_name = written_number(name) is None and not set(name).intersection(DELIMITERS)
    if cells and is_one_name and all(map(written_number, cells)):
        return ";"
    best, best_score = ",", (0.0, 0.0)
    for delimiter in DELIMITERS:
        widths = [len(row) for row in rows_of(lines, delimiter)]
        widths = widths[:-1] if len(widths) > 2 else widths  # The last may have been cut.
        if widths and widths[0] > 1:
            share = sum(width == widths[0] for width in widths) / len(widths)
            score = (share, widths[0] - 1.5 * (delimiter == ","))
            if score > best_score:
                best, best_score = delimiter, score
    is_free = best_score[0] < 1 or all(map(_ALIGNED_NUMBERS.search, cells))
    return BLANKS if cells and is_free and _are_cut_by_blanks(lines) else best


def _are_cut_by_blanks(lines: list[str]) -> bool:
    """Return whether blanks cut lines into the same number of cells, of which some are numbers."""
    rows = rows_of(lines, BLANKS)
    if _have_row_names(rows):
        rows[0].insert(0, "")
    rows = rows[:-1] if len(rows) > 2 else rows  # The last may have been cut.
    if not rows or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return False
    if len(rows[0]) == 2 and not any(map(_are_plain_numbers, zip(*rows[1:], strict=True))):
        return False  # Words and numbers of one text, such as "John 07".
    has_numbers = all(any(plain_number(cell) is not None for cell in row) for row in rows[1:])
    return has_numbers and not all(_is_one_number(" ".join(row)) for row in rows[1:])


def _are_plain_numbers(cells: tuple[str, ...]) -> bool:
    """Return whether all cells are numbers and no codes, such as 07."""
    is_code = any(re.match(r"0\d", cell) for cell in cells)
    return not is_code and all(plain_number(cell) is not None for cell in cells)


def _is_one_number(text: str) -> bool:
    number = written_number(text)
    return number is not None and number.values != (None, None)


def evened_blanks(line: str) -> str:
    """Return a line without tabs and blanks at its end, whose cells blanks separate."""
    return line.replace("\t", " ").rstrip() + "\n"


def rows_of(lines: list[str], delimiter: str) -> list[list[str]]:
    """Cut lines into cells; blank lines and what follows broken quotes are left out."""
    if delimiter == BLANKS:
        lines = list(map(evened_blanks, lines))
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    return [row for row in _until_broken(rows) if len(row) > 1 or "".join(row).strip()]


def _until_broken(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    with suppress(csv.Error):
        yield from rows


def looks_like_number(text: str) -> bool:
    """Return whether a cell is a number with a decimal point or comma."""
    return _NUMBER.fullmatch(text) is not None


def _names_after_mark(
    comment: str, rows: list[list[str]], delimiter: str
) -> tuple[str, ...] | None:
    """Return the names of columns in a line such as ``#a,b``; None if it is a comment."""
    line = comment.removeprefix(COMMENT) if delimiter == BLANKS else comment
    cells = next(iter(rows_of([line], delimiter)), [])
    if not rows or len(cells) != len(rows[0]) or len(cells) < 2 or not all(map(str.strip, cells)):
        return None
    first_has_numbers = any(map(looks_like_number, rows[0]))
    later_have = any(looks_like_number(cell) for row in rows[1:] for cell in row)
    is_spaced = comment[len(COMMENT) :][:1].isspace()
    if any(map(looks_like_number, cells)) or (not first_has_numbers and (later_have or is_spaced)):
        return None
    first = cells[0].removeprefix(COMMENT).strip() or COMMENT
    return (first, *(cell.strip() for cell in cells[1:]))
