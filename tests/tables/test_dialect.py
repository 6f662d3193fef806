import pytest

from pellucid.tables import TableError, read_table
from pellucid.tables.dialect import CsvOptions, recognize_dialect


def recognized(text, **options):
    return recognize_dialect(text.encode(), "t.csv", CsvOptions(**options))


@pytest.mark.parametrize(
    ("delimiter", "text"),
    [
        (",", "a,b\n1,2\n"),
        (";", "a;b\n1;2\n"),
        ("\t", "a\tb\n1\t2\n"),
        ("|", "a|b\n1|2\n"),
        (";", "1,5;2,5\n3,5;4,5\n"),
        ("\t", "1,5\t2,5\n3,5\t4,5\n"),
        (",", '"a;b;c",d\n"1;2;3",4\n'),
        (",", "name,tags\nx,a;b;c\ny,a;b\nz,a|b|c\n"),
        (";", "name;note\nx;a, b, c, d\ny;e\nz;f, g\n"),
        (",", "a,b,c,d;e\n1,2,3,4;5\n"),
        (",", 'a,b\n"x\n;\n;",2\n'),
        (",", "a\nb\nc\n"),
        (";", "a;b;c\n1;2;3\n1;2\n1;2;3\n1;2;3\n"),
        (",", "a,b\n"),
        (" ", "a b c\n1 2 x\n3 4 y\n"),
        (" ", "   a     b\n 1.5    x\n12.25   y\n"),
        (" ", '18.0   8   307.0\t"chevrolet chevelle"\n15.0  8  350.0\t"buick skylark, 320"\n'),
        (" ", 'a b\n1 "x, y"\n2 "x"\n'),
        ("\t", "a\tb\n1 234\t5 678\n9 876\t5 432\n"),
        ("\t", "place\tnumber of people\nNew York\t8 800 000\nLos Angeles\t3 900 000\n"),
        (",", "a,  b\n1,  2\n3,  4\n"),
        (",", "name\nJohn Smith\nMary Jones\n"),
        (",", "first last\nJohn Smith\nMary Jones\n"),
        (";", "no price\n1 234\n5 678\n"),
        (",", "a b c\n1 2 x\n3 4\n5 6 y\n"),
        (",", "full name\nJohn 07\nMary 12\n"),
        (" ", "city people\nRome 7\nOslo 12\n"),
        (" ", '"a" "b"\n"1" 1 "x"\n"2" 3 "y z"\n"3" 4 "y"\n'),
    ],
)
def test_delimiter(delimiter, text):
    assert recognized(text).delimiter == delimiter


def test_delimiter_of_a_long_file():
    row = '"' + "x;" * 500 + '\n",1\n'
    assert recognized("a,b\n" + row * 500).delimiter == ","


def test_delimiter_as_told_or_in_the_file():
    assert recognized("a~b\n1~2\n", delimiter="~").delimiter == "~"
    assert recognized("a\tb\n", delimiter="\\t").delimiter == "\t"
    dialect = recognized("sep=!\na!b\n1!2\n")
    assert (dialect.delimiter, dialect.start, dialect.line) == ("!", 6, 2)


@pytest.mark.parametrize("delimiter", ["", "::", '"', "\n", "\0"])
def test_impossible_delimiter(delimiter, write):
    with pytest.raises(TableError, match="delimiter must be one character"):
        read_table(write("a,b\n1,2\n"), delimiter=delimiter)


@pytest.mark.parametrize(
    ("text", "n_comments", "names"),
    [
        ("# from 2020\na,b\n1,2\n", 1, ("a", "b")),
        ("#one, two\n\n# three\na,b\nx,2\n", 2, ("a", "b")),
        ("#a,b\n1,2\nx,4\n", 0, ("a", "b")),
        ("# a,b\n1,2\nx,4\n", 0, ("a", "b")),
        ("# from 2020\n# a,b\n1,2\nx,4\n", 1, ("a", "b")),
        ("#,b\n1,2\nx,4\n", 0, ("#", "b")),
        ("#a,b\nx,y\nz,w\n", 0, ("a", "b")),
        ("# one, two\na,b\nx,y\n", 1, ("a", "b")),
        ("# 1, 2\na,b\nx,y\n", 1, ("a", "b")),
        ("#a\nb\nc\n", 1, ("b",)),
    ],
)
def test_comments_before_the_table(write, text, n_comments, names):
    table = read_table(write(text))
    assert table.names == names
    lines = "comment line" if n_comments == 1 else "comment lines"
    assert table.remarks == ((f"{n_comments} {lines} skipped",) if n_comments else ())


@pytest.mark.parametrize("fast", [True, False])
def test_comments_as_told_are_skipped_everywhere(write, read_by, fast):
    read_by(fast)
    table = read_table(write("% x\na,b\n1,2\n%, y\n3,4\n% end\n"), comment="%")
    assert table["a"].values.tolist() == [1, 3]
    assert table.remarks == ("3 comment lines skipped",)


@pytest.mark.parametrize("fast", [True, False])
def test_comments_as_told_are_no_cells(write, read_by, fast):
    read_by(fast)
    table = read_table(write('a,b\n"#1",2\n"x\n# y",4\n#,5\n'), comment="#")
    assert table["a"].values.tolist() == ["#1", "x\n# y"]
    with pytest.raises(TableError, match="line 5: 1 cell"):
        read_table(write("a,b\n1,2\n#\n\n3\n"), comment="#")


def test_names_after_a_mark_are_a_comment_without_header(write):
    table = read_table(write("#a,b\n1,2\n"), header=False)
    assert table["column_1"].values.tolist() == [1]
    assert table.remarks == ("1 comment line skipped",)


def test_only_comments(write):
    with pytest.raises(TableError, match="only comments and blank lines"):
        read_table(write("# a\n\n# b\n"))
    with pytest.raises(TableError, match="comment must not be empty"):
        read_table(write("a,b\n1,2\n"), comment="")


@pytest.mark.parametrize("options", [{}, {"delimiter": " "}])
def test_blanks_as_delimiters(write, options):
    text = (
        '# of 1983\nmpg  weight  name  \n\n18.0   3504.\t"chevrolet, new"\n'
        '  9.5     ?  "buick ""skylark"" 320"\t\n15.0  3436.  "ford" \r\n'
    )
    table = read_table(write(text), **options)
    assert table.names == ("mpg", "weight", "name")
    assert table["mpg"].values.tolist() == [18.0, 9.5, 15.0]
    assert table["weight"].missing().tolist() == [False, True, False]
    assert table["name"].values.tolist() == ["chevrolet, new", 'buick "skylark" 320', "ford"]
    remarks = ("1 comment line skipped",)
    assert table.remarks == (remarks if options else ("blanks separate the cells", *remarks))


def test_names_after_a_mark_over_blanks(write):
    assert read_table(write("# a b\n1.5 2.5\n3.5 4.5\n")).names == ("a", "b")


def test_a_line_with_fewer_cells_between_blanks(write):
    with pytest.raises(TableError, match="line 4: 1 cell, but the first line has 2"):
        read_table(write("a b\n1 2\n3 4\n5\n"), delimiter=" ")


def test_a_table_of_nothing_but_tabs(write):
    assert read_table(write("\t\n\t\n"), header=False)["column_1"].missing().all()


@pytest.mark.parametrize("delimiter", [" ", ",", ";", "\t"])
def test_row_names_as_r_writes_them(write, delimiter):
    lines = ['"x" "y"', '"a" 1.5 "p"', '"b" 2.5 "q"', '"c" 3.5 "p"', ""]
    table = read_table(write("\n".join(lines).replace(" ", delimiter)))
    assert table.names == ("", "x", "y")
    assert [column.values.tolist() for column in table] == [
        ["a", "b", "c"],
        [1.5, 2.5, 3.5],
        ["p", "q", "p"],
    ]
    assert any("names of rows" in remark for remark in table.remarks)


def test_row_names_of_a_large_file(write):
    rows = "".join(f'"{i}",{i}.5,"{"x" * 40}{i}"\n' for i in range(20_000))
    table = read_table(write('"a","b"\n' + rows))
    assert table.names == ("", "a", "b")
    assert table["a"].values.tolist() == [i + 0.5 for i in range(20_000)]


@pytest.mark.parametrize(
    "text", ["a,b\n1,2,\n3,4,\n", "a,b\n1,2,3\n1,2,4\n", "a,b\n1,2,3\n", "1,2\n1,2,3\n2,2,4\n"]
)
def test_a_name_that_is_missing_is_an_error(write, text):
    with pytest.raises(TableError, match=r"3 cells, but the first line has 2|looks like data"):
        read_table(write(text))
